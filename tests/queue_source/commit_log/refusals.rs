//! A log and a state that do not go together, damage, two processes: each refused with its way out, nothing received.

use super::*;

async fn refused(disk: &Disk, config: SourceConfig, restore: Option<(u64, &SourceState)>, words: &[&str]) {
    let receives = disk.world.hooks.calls(Operation::Receive);
    let error = match disk.open(config).await {
        Err(error) => error,
        Ok(mut source) => match restore {
            Some((id, state)) => source.restore(CheckpointId(id), state.clone()).await.expect_err("a refusal"),
            None => source.next().await.expect_err("a refusal"),
        },
    };
    assert_eq!(error.kind, SourceErrorKind::State, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is missing in {error}");
    }
    assert_eq!(disk.world.hooks.calls(Operation::Receive), receives, "nothing was received");
    settle().await;
    disk.fs.restart(Loss::Nothing);
}

/// Three messages in segments of their own; the states before them, in the middle, at the end: all committed but the last.
async fn three(disk: &Disk) -> Vec<SourceState> {
    let mut source = disk.open(disk.small_segments()).await.expect("a source");
    let mut states = Vec::new();
    for (id, body) in [(1, "a"), (2, "b"), (3, "c")] {
        disk.deliver(&mut source, &[body]).await;
        states.push(source.checkpoint(CheckpointId(id)).await.expect("a checkpoint"));
        if id < 3 {
            source.commit(CheckpointId(id)).await.expect("a commit");
        }
    }
    disk.kill(source).await;
    states
}

#[tokio::test]
async fn an_older_state_than_was_committed_is_refused() {
    let disk = Disk::new();
    let states = three(&disk).await;
    refused(&disk, disk.config(), Some((1, &states[0])), &["checkpoint 2 was committed with it", "older"]).await;
    for (id, state) in [(2, &states[1]), (3, &states[2])] {
        let mut source = disk.open(disk.config()).await.expect("a source");
        source.restore(CheckpointId(id), state.clone()).await.expect("not older");
        let expected: &[&str] = if id == 2 { &["c"] } else { &[] };
        assert_eq!(disk.rest(&mut source).await, expected);
        disk.kill(source).await;
    }
}

/// The sync of the directory fails when the checkpoint is noted, the process ends with that, and the next sync says that all is well:
/// what the first process has noted is in no durable name, and the second one notes it again.
#[tokio::test]
async fn what_an_earlier_process_noted_as_committed_is_noted_again() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.deliver(&mut source, &["a"]).await;
    let older = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    source.commit(CheckpointId(1)).await.expect("a commit");
    disk.deliver(&mut source, &["b"]).await;
    let state = source.checkpoint(CheckpointId(2)).await.expect("a checkpoint");
    disk.fs.fail(Fault::SyncDir, 0, ErrorKind::Other);
    source.commit(CheckpointId(2)).await.expect_err("the note is not durable");
    disk.kill(source).await;
    let source = disk.restored(disk.config(), 2, &state).await;
    drop(source);
    settle().await;
    disk.fs.restart(Loss::Unsynced);
    refused(&disk, disk.config(), Some((1, &older)), &["checkpoint 2 was committed with it", "older"]).await;
}

#[tokio::test]
async fn a_log_without_a_state_is_refused_once_something_was_committed_with_it() {
    let disk = Disk::new();
    three(&disk).await;
    refused(&disk, disk.config(), None, &["there is no state", "--accept-loss"]).await;
    // A state of a run without a log says nothing of it.
    let world = World::new();
    let mut plain = world.source(World::config()).await;
    let state = plain.checkpoint(CheckpointId(9)).await.expect("a checkpoint");
    refused(&disk, disk.config(), Some((9, &state)), &["the state does not speak of it"]).await;
}

#[tokio::test]
async fn a_state_without_its_log_is_refused() {
    let disk = Disk::new();
    let states = three(&disk).await;
    let (bare, other) = (Disk::new(), Disk::new());
    let mut log = bare.log();
    log.fresh_id = 7;
    refused(&bare, bare.config().commit_log(log), Some((3, &states[2])), &["there was none here"]).await;
    let mut log = other.log();
    log.fresh_id = 8;
    let mut source = other.open(other.config().commit_log(log)).await.expect("a source");
    other.deliver(&mut source, &["x"]).await;
    other.kill(source).await;
    refused(&other, other.config(), Some((3, &states[2])), &["another log"]).await;
    let mut source = bare.world.source(World::config()).await;
    let error = source.restore(CheckpointId(3), states[2].clone()).await.expect_err("no log at all");
    assert!(
        error.kind == SourceErrorKind::State && error.to_string().contains("Set `commit` to `log` again"),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_or_shorter_segment_is_refused() {
    let disk = Disk::new();
    let mut source = disk.open(disk.small_segments()).await.expect("a source");
    disk.deliver(&mut source, &["a"]).await;
    let early = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    disk.deliver(&mut source, &["b", "c", "d"]).await;
    let late = source.checkpoint(CheckpointId(2)).await.expect("a checkpoint");
    disk.kill(source).await;
    let (files, names) = (disk.fs.files(), disk.segments());
    let without = |gone: &str| {
        let other = Disk::new();
        for (path, bytes) in files.iter().filter(|(path, _)| **path != segment_path(gone)) {
            other.fs.put(path, bytes);
        }
        other
    };
    let middle = without(&names[2]);
    refused(&middle, middle.config(), Some((1, &early)), &["is not there"]).await;
    let first = without(&names[0]);
    refused(&first, first.config(), None, &["is not there"]).await;
    let last = without(names.last().expect("a segment"));
    refused(&last, last.config(), Some((2, &late)), &["is not there"]).await;
    // Cut at a frame, so that every checksum is right: the numbers of frames tell.
    let cut = without("");
    cut.fs.put(&segment_path(&names[1]), &files[&segment_path(&names[1])][..44]);
    refused(&cut, cut.config(), None, &["is shorter than it was"]).await;
}

#[tokio::test]
async fn damage_is_refused_with_its_place_and_a_torn_tail_is_cut() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.deliver(&mut source, &["a", "b"]).await;
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    disk.kill(source).await;
    let path = segment_path(&disk.segments()[0]);
    let whole = disk.fs.files()[&path].clone();
    for (what, at, words) in
        [("header", 10, "checksum of its header"), ("frame", 100, "at byte 44 the checksum does not match")]
    {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        disk.fs.put(&path, &changed);
        refused(&disk, disk.config(), Some((1, &state)), &[words, "segment-0000000000000001", "is damaged"]).await;
        assert_eq!(disk.fs.files()[&path], changed, "the {what} is left as it was");
    }
    let mut later = whole.clone();
    later[4] = 9;
    disk.fs.put(&path, &later);
    refused(&disk, disk.config(), Some((1, &state)), &["version 9", "a later release"]).await;
    // Of the last frame only a part is there: what was not durable was not deleted either.
    disk.fs.put(&path, &whole[..whole.len() - 1]);
    refused(&disk, disk.config(), Some((1, &state)), &["which is no place in this log"]).await;
    disk.fs.put(&path, &[&whole[..], &whole[44..100]].concat());
    let mut source = disk.restored(disk.config(), 1, &state).await;
    assert_eq!(disk.rest(&mut source).await, [] as [&str; 0]);
    disk.fs.restart(Loss::Unsynced);
    assert_eq!(disk.fs.files()[&path], whole, "the cut is durable");
}

#[tokio::test]
async fn two_processes_do_not_share_a_log() {
    let disk = Disk::new();
    let source = disk.source().await;
    let error = disk.open(disk.config()).await.expect_err("the lock is held");
    assert_eq!(error.kind, SourceErrorKind::State);
    assert!(error.to_string().contains(&format!("process {} is using the log", std::process::id())), "{error}");
    drop(source);
}

/// From `commit = checkpoint` to `commit = log` with the same state, killed before the first checkpoint with the log.
#[tokio::test]
async fn a_log_may_be_begun_with_a_state_that_had_none() {
    let disk = Disk::new();
    let mut plain = disk.open(World::config()).await.expect("a source");
    disk.deliver(&mut plain, &["a"]).await;
    let state = plain.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    plain.commit(CheckpointId(1)).await.expect("a commit");
    settle().await;
    disk.kill(plain).await;
    for _ in 0..2 {
        let mut source = disk.restored(disk.config(), 1, &state).await;
        disk.world.queue.send("b");
        let lines = disk.rest(&mut source).await;
        assert!(!lines.is_empty() && lines.iter().all(|line| line == "b"), "{lines:?}");
        disk.kill(source).await;
    }
    let mut source = disk.restored(disk.config(), 1, &state).await;
    assert_eq!(disk.rest(&mut source).await, ["b", "b"]);
    disk.world.checkpoint(&mut source, 2).await;
    disk.kill(source).await;
    refused(&disk, disk.config(), Some((1, &state)), &["the state does not speak of it"]).await;
}

/// The queues of all these worlds begin alike: the first message has an id that the states know.
fn known_again(disk: &Disk) {
    disk.world.queue.send("a");
}

#[tokio::test]
async fn a_loss_that_is_accepted_is_no_more_than_it_must_be() {
    let accept = |mut config: SourceConfig| {
        config.accept_loss = true;
        config
    };
    let disk = Disk::new();
    let states = three(&disk).await;
    let files = disk.fs.files();
    let without = |gone: Option<&str>| {
        let other = Disk::new();
        for (path, bytes) in files.iter().filter(|(path, _)| gone.is_none_or(|gone| **path != segment_path(gone))) {
            other.fs.put(path, bytes);
        }
        other
    };
    // An older state: what is left of the log comes again.
    let older = without(None);
    let mut source = older.restored(accept(older.config()), 1, &states[0]).await;
    assert_eq!(older.rest(&mut source).await, ["b", "c"], "b was committed, and is in the log still");
    // No state: all that is left.
    let stateless = without(None);
    let mut source = stateless.open(accept(stateless.config())).await.expect("a source");
    assert_eq!(stateless.rest(&mut source).await, ["b", "c"]);
    // No log: what only it held is lost, and the ledger goes on.
    let bare = Disk::new();
    let mut log = bare.log();
    log.fresh_id = 7;
    let mut source = bare.restored(accept(bare.config().commit_log(log)), 3, &states[2]).await;
    known_again(&bare);
    bare.deliver(&mut source, &["d"]).await;
    bare.world.checkpoint(&mut source, 4).await;
    // A segment that is missing in the middle.
    let names = disk.segments();
    let gap = without(names.first().map(String::as_str));
    let mut source = gap.restored(accept(gap.config()), 2, &states[1]).await;
    assert_eq!(gap.rest(&mut source).await, ["c"], "what follows");
    // A state that has gone on without the log.
    let stale = without(None);
    let mut plain = stale.open(World::config()).await.expect("a source");
    let state = plain.checkpoint(CheckpointId(9)).await.expect("a checkpoint");
    drop(plain);
    settle().await;
    let mut source = stale.restored(accept(stale.config()), 9, &state).await;
    assert_eq!(stale.rest(&mut source).await, [] as [&str; 0]);
    // And back to no log at all.
    let mut source = bare.open(accept(World::config())).await.expect("a source");
    source.restore(CheckpointId(3), states[2].clone()).await.expect("the log is given up");
}
