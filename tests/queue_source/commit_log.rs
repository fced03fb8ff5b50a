//! `commit = log`: bodies are durable in the source's own log before they are deleted, are handed out in its order, and come out
//! of it again after a crash until their checkpoint is committed. (Random histories: stress.rs.)

#[path = "commit_log/power.rs"]
mod power;
#[path = "commit_log/refusals.rs"]
mod refusals;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater::job::fs::{Fault, Loss, MemoryFs};
use headwater_core::{
    BadRecord, Batch, CheckpointId, DeleteOutcome, Event, MessageMeta, Queue, SharedStr, Source, SourceError,
    SourceErrorKind, SourceState,
};
use headwater_queue_source::{BadRecords, LogConfig, QueueSource, SkippedByTime, SourceConfig};
use headwater_testkit::{Operation, QueueEvent, pass, settle};

use crate::deletes::Watch;
use crate::letters;
use crate::world::{SECOND, START, World};

const HOUR: Duration = Duration::from_secs(3_600);

/// A world with a disk, and a queue that looks at it before every delete.
struct Disk {
    world: World,
    fs: MemoryFs,
    watch: Arc<Watch>,
}

impl Disk {
    fn new() -> Self {
        let (world, fs) = (World::new(), MemoryFs::new());
        let watch = Arc::new(Watch::new(Arc::clone(&world.hooks) as Arc<dyn Queue>, &fs));
        Self { world, fs, watch }
    }

    fn log(&self) -> LogConfig {
        LogConfig::new(Arc::new(self.fs.clone()), "/log", 0xfeed)
    }

    /// Checkpoints an hour apart, far beyond the lease of 30 s.
    fn config(&self) -> SourceConfig {
        let mut config = World::config().commit_log(self.log());
        config.limits.checkpoint_interval = HOUR;
        config
    }

    /// Every record in a segment of its own.
    fn small_segments(&self) -> SourceConfig {
        let mut config = self.config();
        let mut log = self.log();
        (log.segment_bytes, log.group_bytes) = (1, 1);
        config = config.commit_log(log);
        config
    }

    async fn open(&self, config: SourceConfig) -> Result<QueueSource, SourceError> {
        QueueSource::open(Arc::clone(&self.watch) as Arc<dyn Queue>, self.world.clock(), config).await
    }

    async fn source(&self) -> QueueSource {
        self.open(self.config()).await.expect("a source")
    }

    /// The process dies; what it left on the disk stays.
    async fn kill(&self, source: QueueSource) {
        drop(source);
        settle().await;
        self.fs.restart(Loss::Nothing);
    }

    async fn restored(&self, config: SourceConfig, id: u64, state: &SourceState) -> QueueSource {
        let mut source = self.open(config).await.expect("a source");
        source.restore(CheckpointId(id), state.clone()).await.expect("a state that goes with the log");
        source.commit(CheckpointId(id)).await.expect("a commit");
        source
    }

    /// Sends messages one after the other, so that each is written by itself, and takes their rows.
    async fn deliver(&self, source: &mut QueueSource, bodies: &[&str]) {
        for body in bodies {
            self.world.queue.send((*body).to_owned());
            assert_eq!(self.world.lines(source).await, [*body]);
        }
        settle().await;
    }

    /// What comes within a second, without the checkpoints that fall due.
    async fn rest(&self, source: &mut QueueSource) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(event) = self.world.next(source, SECOND).await {
            match event.expect("no failure") {
                Some(Event::Batch(batch)) => lines.extend(lines_of(&batch)),
                Some(_) => {}
                None => break,
            }
        }
        lines
    }

    fn segments(&self) -> Vec<String> {
        let files = self.fs.files();
        let names =
            files.keys().filter_map(|path| path.strip_prefix("/log").ok()).map(|path| path.display().to_string());
        names.filter(|name| name.starts_with("segment-")).collect()
    }

    fn deletes(&self) -> u64 {
        self.world.hooks.calls(Operation::Delete)
    }
}

fn lines_of(batch: &Batch) -> Vec<String> {
    use arrow_array::cast::AsArray;
    batch.records().column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

async fn batch(disk: &Disk, source: &mut QueueSource) -> Batch {
    match disk.world.next(source, SECOND).await {
        Some(Ok(Some(Event::Batch(batch)))) => batch,
        other => panic!("expected rows, got {other:?}"),
    }
}

fn first(batch: &Batch) -> MessageMeta {
    batch.messages()[0].meta.clone()
}

#[tokio::test]
async fn messages_are_deleted_at_once_and_come_out_of_the_log_after_a_crash() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.deliver(&mut source, &["a", "b"]).await;
    assert_eq!(disk.world.queue.remaining().len(), 0, "deleted, an hour before their checkpoint");
    assert!(disk.watch.early().is_empty());
    disk.kill(source).await;

    let mut source = disk.source().await;
    assert_eq!(disk.rest(&mut source).await, ["a", "b"], "no checkpoint: all of it, in the order of the log");
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    disk.deliver(&mut source, &["c"]).await;
    disk.kill(source).await;

    let mut source = disk.restored(disk.config(), 1, &state).await;
    assert_eq!(disk.rest(&mut source).await, ["c"], "what the checkpoint holds is not handed out again");
    disk.deliver(&mut source, &["d"]).await;
    assert_eq!(disk.world.queue.remaining().len(), 0);
}

#[tokio::test]
async fn nothing_is_received_before_the_log_is_handed_out() {
    let disk = Disk::new();
    let mut config = disk.config();
    config.batch_rows = 1;
    let mut source = disk.open(config.clone()).await.expect("a source");
    disk.deliver(&mut source, &["a", "b", "c"]).await;
    disk.kill(source).await;
    disk.world.queue.send("d");
    let receives = disk.world.hooks.calls(Operation::Receive);
    config.batch_bytes = 1;
    let mut source = disk.open(config).await.expect("a source");
    for line in ["a", "b"] {
        assert_eq!(lines_of(&batch(&disk, &mut source).await), [line]);
        settle().await;
        assert_eq!(disk.world.hooks.calls(Operation::Receive), receives, "the log comes first");
    }
    assert_eq!(disk.rest(&mut source).await, ["c", "d"]);
}

#[tokio::test]
async fn a_stop_while_the_log_is_read_back_leaves_the_rest_and_says_so() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.deliver(&mut source, &["a", "b", "c"]).await;
    disk.kill(source).await;
    let mut config = disk.config();
    (config.batch_rows, config.batch_bytes) = (1, 1);
    let mut source = disk.open(config).await.expect("a source");
    assert_eq!(lines_of(&batch(&disk, &mut source).await), ["a"]);
    source.stop().await;
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    source.commit(CheckpointId(1)).await.expect("a commit");
    let report = disk.world.drain(&mut source).await.expect("a report");
    assert_eq!((report.in_log, report.released), (2, 0));
    drop(source);
    settle().await;
    let mut source = disk.restored(disk.config(), 1, &state).await;
    assert_eq!(source.status().buffered, 2);
    assert_eq!(disk.rest(&mut source).await, ["b", "c"]);
}

#[tokio::test]
async fn a_stop_hands_out_and_commits_everything_that_was_received() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.world.queue.send("a");
    disk.world.queue.send("b");
    let mut lines = Vec::new();
    // Polls begin, and are stopped at once.
    if let Some(Ok(Some(Event::Batch(batch)))) = disk.world.next(&mut source, Duration::ZERO).await {
        lines.extend(lines_of(&batch));
    }
    disk.world.queue.send("c");
    source.stop().await;
    while let Ok(Some(event)) = disk.world.next(&mut source, Duration::from_secs(60)).await.expect("an end") {
        if let Event::Batch(batch) = event {
            lines.extend(lines_of(&batch));
        }
    }
    disk.world.checkpoint(&mut source, 1).await;
    let report = disk.world.drain(&mut source).await.expect("a report");
    assert_eq!((report.in_log, report.left), (0, 0));
    assert_eq!(lines.len() + disk.world.queue.remaining().len(), 3, "{lines:?}");
    assert!(disk.watch.early().is_empty());
}

#[tokio::test]
async fn a_barrier_inside_a_batch_brings_the_rest_again() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    for body in ["a", "b", "c"] {
        disk.world.queue.send(body);
    }
    let handed = batch(&disk, &mut source).await;
    let keys: Vec<_> = handed.messages().iter().map(|message| message.meta.key).collect();
    assert_eq!(keys.len(), 3);
    let refused = source.checkpoint_before(CheckpointId(1), &keys[..1]).await.expect_err("others come after it");
    assert_eq!(refused.kind, SourceErrorKind::Unsupported, "{refused}");
    let state = source.checkpoint_before(CheckpointId(1), &keys[1..]).await.expect("a checkpoint");
    assert_eq!(source.checkpoint(CheckpointId(1)).await.expect("the same"), state);
    source.commit(CheckpointId(1)).await.expect("a commit");
    disk.kill(source).await;
    let mut source = disk.restored(disk.config(), 1, &state).await;
    assert_eq!(disk.rest(&mut source).await, ["b", "c"]);
}

#[tokio::test]
async fn a_segment_goes_once_everything_in_it_is_committed_and_not_before() {
    let disk = Disk::new();
    let mut source = disk.open(disk.small_segments()).await.expect("a source");
    disk.deliver(&mut source, &["a", "b", "c"]).await;
    let all = disk.segments();
    assert!(all.len() >= 3, "{all:?}");
    source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    assert_eq!(disk.segments(), all, "not committed");
    source.abort(CheckpointId(1)).await.expect("an abort");
    let state = source.checkpoint(CheckpointId(2)).await.expect("a checkpoint");
    disk.deliver(&mut source, &["d"]).await;
    let with_d = disk.segments();
    source.commit(CheckpointId(2)).await.expect("a commit");
    let left = disk.segments();
    assert!(left.len() < with_d.len() && left.last() == with_d.last(), "{with_d:?} → {left:?}");
    assert!(left.len() <= 2, "what is committed is gone: {left:?}");
    // What is gone is gone durably, and what is left is whole.
    disk.fs.restart(Loss::Unsynced);
    assert_eq!(disk.segments(), left);
    drop(source);
    settle().await;
    disk.fs.restart(Loss::Nothing);
    let mut source = disk.restored(disk.small_segments(), 2, &state).await;
    assert_eq!(disk.rest(&mut source).await, ["d"]);
}

#[tokio::test]
async fn a_segment_that_cannot_be_removed_goes_with_the_next_commit() {
    let disk = Disk::new();
    let mut source = disk.open(disk.small_segments()).await.expect("a source");
    disk.deliver(&mut source, &["a", "b", "c"]).await;
    disk.fs.fail(Fault::Remove, 0, ErrorKind::PermissionDenied);
    disk.world.checkpoint(&mut source, 1).await;
    let stuck = disk.segments();
    disk.deliver(&mut source, &["d"]).await;
    disk.world.checkpoint(&mut source, 2).await;
    let left = disk.segments();
    assert!(!left.contains(&stuck[0]), "{stuck:?} → {left:?}");
}

#[tokio::test]
async fn a_full_log_receives_nothing_until_something_is_committed() {
    let disk = Disk::new();
    let mut log = disk.log();
    // A message of the queue's largest size, 64 KiB, with what a record may add: two have room.
    (log.bytes_max, log.segment_bytes) = (150_000, 1);
    let mut source = disk.open(disk.config().commit_log(log)).await.expect("a source");
    let body = "x".repeat(50_000);
    disk.deliver(&mut source, &[&body, &body]).await;
    disk.world.queue.send("small");
    let receives = disk.world.hooks.calls(Operation::Receive);
    let event = disk.world.next(&mut source, SECOND * 60).await;
    assert!(matches!(event, Some(Ok(Some(Event::CheckpointDue(_))))), "it is due although the interval is not over");
    assert!(disk.world.next(&mut source, SECOND * 60).await.is_none(), "nothing more has room");
    assert_eq!(disk.world.hooks.calls(Operation::Receive), receives, "nothing is asked for that could not be written");
    disk.world.checkpoint(&mut source, 1).await;
    assert_eq!(disk.rest(&mut source).await, ["small"]);
}

#[tokio::test]
async fn a_full_log_goes_on_screening_for_what_is_not_deleted_for_certain() {
    let disk = Disk::new();
    let mut log = disk.log();
    (log.bytes_max, log.segment_bytes) = (150_000, 1);
    let mut config = disk.config().commit_log(log);
    config.pollers = 1;
    config.limits.batch_max = 1;
    let mut source = disk.open(config).await.expect("a source");
    let body = "x".repeat(50_000);
    let known = disk.world.queue.send(body.clone());
    disk.world.hooks.make(Operation::Delete, crate::hooked::Act::Hang);
    assert_eq!(disk.world.lines(&mut source).await, [body.as_str()]);
    // Its lease ends while the delete hangs.
    disk.world.queue.reveal(&known);
    disk.kill(source).await;
    disk.world.hooks.mend(Operation::Delete);

    let mut log = disk.log();
    (log.bytes_max, log.segment_bytes) = (100_000, 1);
    let mut source = disk.open(disk.config().commit_log(log)).await.expect("a source");
    assert_eq!(disk.world.lines(&mut source).await, [body.as_str()]);
    pass(&disk.world.clock, SECOND * 40).await;
    assert_eq!(
        disk.world.queue.remaining(),
        [] as [SharedStr; 0],
        "a stale delete, then found and deleted by its new handle"
    );
}

#[tokio::test]
async fn a_logged_message_that_comes_back_is_deleted_and_not_handed_out() {
    let disk = Disk::new();
    disk.world.hooks.make(Operation::Delete, crate::hooked::Act::Hang);
    let mut source = disk.source().await;
    let id = disk.world.queue.send("a");
    assert_eq!(disk.world.lines(&mut source).await, ["a"]);
    disk.world.queue.reveal(&id);
    assert_eq!(disk.rest(&mut source).await, [] as [&str; 0], "a duplicate");
    disk.kill(source).await;
    disk.world.hooks.mend(Operation::Delete);
    disk.world.queue.reveal(&id);
    let mut source = disk.source().await;
    assert_eq!(disk.rest(&mut source).await, ["a"], "once, from the log");
    pass(&disk.world.clock, SECOND * 40).await;
    assert_eq!(disk.world.queue.remaining().len(), 0);
    assert!(disk.watch.early().is_empty());
}

#[tokio::test]
async fn what_the_log_says_is_deleted_is_not_deleted_again_at_a_start() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.deliver(&mut source, &["a", "b", "c"]).await;
    disk.kill(source).await;
    let before = disk.deletes();
    let mut source = disk.source().await;
    assert_eq!(disk.rest(&mut source).await, ["a", "b", "c"]);
    pass(&disk.world.clock, SECOND * 5).await;
    assert_eq!(disk.deletes() - before, 1, "only the last one: the log says nothing of its delete");
    let journal = disk.world.queue.journal();
    let Some(QueueEvent::Deleted(last)) =
        journal.iter().rev().map(|entry| &entry.event).find(|event| matches!(event, QueueEvent::Deleted(_)))
    else {
        panic!("a delete")
    };
    assert_eq!(last.iter().map(|(_, outcome)| *outcome).collect::<Vec<_>>(), [DeleteOutcome::Stale]);
    assert_eq!(source.status().unconfirmed, 1);
}

#[tokio::test]
async fn a_failed_sync_ends_the_source_and_deletes_nothing_for_it() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.deliver(&mut source, &["a"]).await;
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    source.commit(CheckpointId(1)).await.expect("a commit");
    disk.fs.fail(Fault::Sync, 0, ErrorKind::Other);
    let lost = disk.world.queue.send("b");
    let error = disk.world.failure(&mut source, SECOND).await;
    assert_eq!(error.kind, SourceErrorKind::Failed);
    assert!(error.to_string().contains("cannot sync `/log/segment-"), "{error}");
    assert_eq!(disk.world.queue.remaining(), std::slice::from_ref(&lost));
    drop(source);
    settle().await;
    // The next sync of the same file would say that all is well; what is read back then is written anew.
    disk.fs.restart(Loss::Nothing);
    let mut source = disk.restored(disk.config(), 1, &state).await;
    assert_eq!(disk.rest(&mut source).await, ["b"]);
    pass(&disk.world.clock, SECOND * 40).await;
    assert!(disk.watch.early().is_empty() && disk.world.queue.remaining().is_empty());
    drop(source);
    settle().await;
    disk.fs.restart(Loss::Unsynced);
    let mut source = disk.restored(disk.config(), 1, &state).await;
    assert_eq!(disk.rest(&mut source).await, ["b"], "durable before it was deleted");
}

#[tokio::test]
async fn a_full_disk_ends_the_source_with_the_way_out_and_loses_nothing() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.deliver(&mut source, &["a"]).await;
    disk.fs.set_capacity(Some(disk.fs.used() + 20));
    disk.world.queue.send("b");
    let error = disk.world.failure(&mut source, SECOND).await;
    assert!(error.to_string().contains("no room left"), "{error}");
    assert_eq!(disk.world.queue.remaining().len(), 1);
    disk.kill(source).await;
    disk.fs.set_capacity(None);
    let mut source = disk.source().await;
    pass(&disk.world.clock, SECOND * 31).await;
    assert_eq!(disk.rest(&mut source).await, ["a", "b"]);
}

#[tokio::test]
async fn a_bad_message_stays_in_the_log_and_is_met_again() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    disk.deliver(&mut source, &["a"]).await;
    disk.world.queue.send("bad");
    for _ in 0..2 {
        let error = disk.world.failure(&mut source, SECOND * 2).await;
        assert_eq!(error.kind, SourceErrorKind::BadData);
        for part in ["stays in the source's log in /log", "met again at the next start", "`badRecords`"] {
            assert!(error.to_string().contains(part), "`{part}` is missing in {error}");
        }
        settle().await;
        disk.kill(source).await;
        source = disk.source().await;
        assert_eq!(disk.world.lines(&mut source).await, ["a"]);
    }
    disk.kill(source).await;
    assert!(disk.world.queue.remaining().is_empty(), "it is in the log only");
    let mut config = disk.config();
    config.bad_records = BadRecords::Skip;
    let mut source = disk.open(config).await.expect("a source");
    assert_eq!(disk.rest(&mut source).await, ["a"]);
}

#[tokio::test]
async fn what_was_handed_out_a_while_ago_cannot_be_rejected_and_nothing_can_be_given_back() {
    let disk = Disk::new();
    let mut config = disk.config();
    config.bad_records = BadRecords::DeadLetter;
    let target = letters::target(&disk.fs).await;
    let queue = Arc::clone(&disk.watch) as Arc<dyn Queue>;
    let mut source = QueueSource::open_with(queue, disk.world.clock(), config, Some(target)).await.expect("a source");
    disk.world.queue.send("old");
    let old = first(&batch(&disk, &mut source).await);
    let refused = source.retry_later(&old, SECOND).expect_err("it is deleted");
    assert!(refused.kind == SourceErrorKind::Unsupported && refused.to_string().contains("deleted from the queue"));
    for n in 0..16 {
        disk.deliver(&mut source, &[&format!("m{n}")]).await;
    }
    let refused = source.reject(&old, BadRecord::new("is unwanted")).expect_err("17 batches ago");
    assert!(refused.to_string().contains("within a few batches"), "{refused}");
    disk.world.queue.send("new");
    let new = first(&batch(&disk, &mut source).await);
    source.reject(&new, BadRecord::new("is unwanted")).expect("it was handed out last");
    disk.world.checkpoint(&mut source, 1).await;
    assert_eq!(letters::ids(&disk.fs), [new.id.to_string()]);
    let refused = source.reject(&new, BadRecord::new("is unwanted")).expect_err("sealed");
    assert_eq!(refused.kind, SourceErrorKind::Unsupported);
}

#[tokio::test]
async fn a_skipped_message_is_left_in_the_queue_or_logged_with_the_others() {
    for (how, left) in [(SkippedByTime::Leave, 1), (SkippedByTime::Delete, 0)] {
        let disk = Disk::new();
        disk.world.queue.send("old");
        disk.world.clock.advance(SECOND * 60);
        let mut config = disk.config();
        config.start_time = Some(START.0 + 30_000);
        config.skipped_by_time = how;
        let mut source = disk.open(config).await.expect("a source");
        disk.deliver(&mut source, &["new"]).await;
        assert_eq!(disk.world.queue.remaining().len(), left, "{how:?}");
        // What is in the log is not in the queue any more, whatever the options of the next run are.
        disk.kill(source).await;
        let mut config = disk.config();
        config.start_time = Some(START.0 + 3_600_000);
        config.skipped_by_time = SkippedByTime::Leave;
        let mut source = disk.open(config).await.expect("a source");
        assert_eq!(disk.rest(&mut source).await, [] as [&str; 0]);
        disk.world.checkpoint(&mut source, 1).await;
        assert_eq!(source.status().uncommitted, 0);
    }
}

#[tokio::test]
async fn metadata_comes_out_of_the_log_as_it_went_in() {
    let disk = Disk::new();
    let mut source = disk.source().await;
    let outgoing = headwater_testkit::Outgoing { body: "a".into(), priority: Some(3), ..Default::default() };
    disk.world.queue.send_message(outgoing);
    let before = first(&batch(&disk, &mut source).await);
    disk.kill(source).await;
    let mut source = disk.source().await;
    assert_eq!(first(&batch(&disk, &mut source).await), before);
    assert_eq!(before.priority, Some(3));
}

#[tokio::test]
async fn the_guarantee_says_where_messages_live() {
    let disk = Disk::new();
    let source = disk.source().await;
    let sentence = source.guarantee();
    for part in [
        "exactly-once",
        "written to the log in /log",
        "deleted from the queue at once",
        "live on this disk only",
        "3600s",
    ] {
        assert!(sentence.contains(part), "`{part}` is missing in: {sentence}");
    }
}

/// A consumer that is late does not keep messages from the log: they are to be deleted before anything else happens.
#[tokio::test]
async fn what_waits_for_the_consumer_is_logged_all_the_same() {
    let disk = Disk::new();
    let mut config = disk.config();
    config.batch_bytes = 100;
    let mut source = disk.open(config).await.expect("a source");
    disk.world.queue.send("first");
    assert_eq!(batch(&disk, &mut source).await.messages().len(), 1);
    (0..200).for_each(|_| _ = disk.world.queue.send("x".repeat(100)));
    for _ in 0..100 {
        disk.world.clock.advance(SECOND / 100);
        settle().await;
    }
    assert_eq!(disk.world.queue.deleted().len(), 201);
}

/// A small batch with every message in memory, a checkpoint is not due for their sake, and permits are free again.
#[tokio::test]
async fn uncommitted_messages_do_not_hold_permits() {
    let disk = Disk::new();
    let mut config = disk.config();
    config.limits.undeleted_max = 2;
    config.limits.bytes_max = 64 << 10;
    config.limits.checkpoint_max_bytes = 10;
    let mut source = disk.open(config).await.expect("a source");
    let bodies: Vec<String> = (0..50).map(|n| format!("line {n}")).collect();
    disk.deliver(&mut source, &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!((source.status().uncommitted, disk.world.queue.remaining().len()), (50, 0));
    assert!(source.check().is_ok());
}

/// What was taken to be decoded and had no room in a batch is handed out after it, or by the next run.
#[tokio::test]
async fn a_drain_that_is_dropped_passes_nothing_over() {
    for polls in 0..6 {
        let disk = Disk::new();
        let mut config = disk.config();
        config.batch_rows = 2;
        let mut source = disk.open(config).await.expect("a source");
        let sent: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        sent[..6].iter().for_each(|body| _ = disk.world.queue.send(body.clone()));
        let mut rows = lines_of(&batch(&disk, &mut source).await);
        sent[6..].iter().for_each(|body| _ = disk.world.queue.send(body.clone()));
        settle().await;
        source.stop().await;
        pass(&disk.world.clock, SECOND * 11).await;
        {
            let mut drain = std::pin::pin!(source.drain(SECOND * 40));
            for _ in 0..polls {
                if futures::FutureExt::now_or_never(drain.as_mut()).is_some() {
                    break;
                }
                settle().await;
            }
        }
        rows.extend(disk.rest(&mut source).await);
        let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
        source.commit(CheckpointId(1)).await.expect("a commit");
        disk.kill(source).await;
        let mut source = disk.restored(disk.config(), 1, &state).await;
        rows.extend(disk.rest(&mut source).await);
        assert_eq!(rows, sent, "dropped after {polls} polls");
    }
}

fn segment_path(name: &str) -> std::path::PathBuf {
    Path::new("/log").join(name)
}
