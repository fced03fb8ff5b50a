//! Dead letters: what is in them, when they are durable, when they are in their place, and that each is there once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures::FutureExt;
use headwater::job::fs::{Fault, Loss, MemoryFs};
use headwater::job::sinks::filesystem::FilesystemFactory;
use headwater_core::{
    BadRecord, Batch, CheckpointId, Committable, Delivery, Event, JobContext, MessageMeta, Sink, SinkError,
    SinkFactory, SinkRequest, Source, SourceErrorKind, SourceState,
};
use headwater_queue_source::{BadRecords, DeadLetterTarget, QueueSource, SourceConfig, dead_letter_columns};
use headwater_testkit::settle;
use serde_json::Value;

use crate::world::{SECOND, World};

/// The sink of `filesystem` on a simulated disk.
pub(crate) async fn directory(fs: &MemoryFs) -> Box<dyn Sink> {
    let request = SinkRequest {
        table: "dead letters".into(),
        columns: dead_letter_columns(),
        partitioned_by: Vec::new(),
        options: [("path", "/dead"), ("format", "json")].into_iter().collect(),
        context: JobContext::new("job", SECOND),
        lineage: "00ff".into(),
    };
    FilesystemFactory::new(Arc::new(fs.clone())).create(&request).await.expect("a sink")
}

pub(crate) async fn target(fs: &MemoryFs) -> DeadLetterTarget {
    DeadLetterTarget::new(directory(fs).await, "directory /dead")
}

/// The letters that a reader of the directory sees.
pub(crate) fn letters(fs: &MemoryFs) -> Vec<Value> {
    let visible =
        |path: &std::path::Path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let files = fs.files().into_iter().filter(|(path, _)| path.starts_with("/dead") && visible(path));
    let text: String = files.map(|(_, bytes)| String::from_utf8(bytes).expect("UTF-8")).collect();
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// The messages they are about, in the order of the files.
pub(crate) fn ids(fs: &MemoryFs) -> Vec<String> {
    letters(fs).iter().map(|letter| letter["messageId"].as_str().expect("an id").to_owned()).collect()
}

fn config(policy: BadRecords) -> SourceConfig {
    let mut config = World::config();
    config.bad_records = policy;
    config
}

async fn open(world: &World, config: SourceConfig, target: DeadLetterTarget) -> QueueSource {
    let hooks = Arc::clone(&world.hooks);
    QueueSource::open_with(hooks, world.clock(), config, Some(target)).await.expect("a source")
}

async fn batch(world: &World, source: &mut QueueSource) -> Batch {
    match world.next(source, SECOND).await {
        Some(Ok(Some(Event::Batch(batch)))) => batch,
        other => panic!("expected rows, got {other:?}"),
    }
}

fn first(batch: &Batch) -> MessageMeta {
    batch.messages()[0].meta.clone()
}

/// Lets the source take up what is there, although it makes no row.
async fn take_up(world: &World, source: &mut QueueSource) {
    while let Some(event) = world.next(source, SECOND).await {
        assert!(matches!(event, Ok(Some(Event::CheckpointDue(_)))), "no row comes of it: {event:?}");
    }
}

#[tokio::test]
async fn a_letter_says_everything_and_the_good_rows_of_its_message_are_kept() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    assert!(source.guarantee().ends_with("dead letters to directory /dead: exactly-once"), "{}", source.guarantee());
    let some = world.queue.send("a\nbad\nb\nbad");
    let none = world.queue.send(&b"bad\n\xff"[..]);
    assert_eq!(world.lines(&mut source).await, ["a", "b", "\u{fffd}"]);
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    assert!(letters(&fs).is_empty(), "not in its place before the commit");
    assert!(fs.files().keys().any(|path| path.starts_with("/dead")), "but durable");
    assert!(state.parts.iter().any(|part| part.name.starts_with("letters-")), "and in the state: {state:?}");
    settle().await;
    assert!(world.queue.deleted().is_empty());
    source.commit(CheckpointId(1)).await.expect("a commit");
    let found = letters(&fs);
    settle().await;
    assert_eq!(world.queue.deleted().len(), 2);
    assert_eq!(ids(&fs), [&*some, &*none]);
    let letter = &found[0];
    for (name, value) in [
        ("queue", Value::from("orders")),
        ("table", "t".into()),
        ("reason", "undecodable".into()),
        ("dequeueCount", 1.into()),
        ("goodRows", 2.into()),
        ("badRows", 2.into()),
        ("bodyEncoding", "text".into()),
        ("body", "a\nbad\nb\nbad".into()),
    ] {
        assert_eq!(letter[name], value, "{name} in {letter}");
    }
    assert!(letter["enqueueTime"].as_i64() > Some(1_600_000_000_000), "{letter}");
    let error = &letter["errors"][1];
    assert_eq!((&error["row"], &error["column"]), (&Value::from(3), &Value::from("line")), "{letter}");
    assert!(error["cause"].as_str().is_some_and(|cause| cause.contains("is bad")), "{letter}");
    assert_eq!((&found[1]["bodyEncoding"], &found[1]["body"]), (&"base64".into(), &"YmFkCv8=".into()));
    assert_eq!((source.status().bad, source.status().dead_letters), (2, 2));
    // What is in its place needs no place in later states.
    let state = source.checkpoint(CheckpointId(2)).await.expect("a checkpoint");
    assert!(state.parts.iter().all(|part| !part.name.starts_with("letters-")), "{state:?}");
}

#[tokio::test]
async fn a_crash_anywhere_leaves_each_letter_once() {
    // What the process had done when it died: staged; staged and saved; committed.
    for (saved, committed) in [(false, false), (true, false), (true, true)] {
        for loss in [Loss::Nothing, Loss::Unsynced, Loss::Seeded(7)] {
            let (world, fs) = (World::new(), MemoryFs::new());
            let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
            world.queue.send("a\nbad");
            assert_eq!(world.lines(&mut source).await, ["a"]);
            let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
            if committed {
                source.commit(CheckpointId(1)).await.expect("a commit");
            }
            drop(source);
            fs.restart(loss);
            let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
            if saved {
                source.restore(CheckpointId(1), state).await.expect("a restore");
                source.commit(CheckpointId(1)).await.expect("a commit");
                assert_eq!(letters(&fs).len(), 1, "{loss:?}");
            }
            world.clock.advance(SECOND * 31);
            if !saved {
                assert_eq!(world.lines(&mut source).await, ["a"], "{loss:?}: it comes again");
            } else {
                take_up(&world, &mut source).await;
            }
            world.checkpoint(&mut source, 2).await;
            let hidden: Vec<_> = fs.files().into_keys().filter(|p| p.to_string_lossy().contains("/.part-")).collect();
            assert_eq!((letters(&fs).len(), hidden), (1, vec![]), "saved {saved}, committed {committed}, {loss:?}");
            assert!(world.queue.remaining().is_empty());
        }
    }
}

#[tokio::test]
async fn an_aborted_checkpoint_leaves_its_letters_to_the_next() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    world.queue.send("bad");
    take_up(&world, &mut source).await;
    let part = |state: &SourceState| state.parts.iter().find(|part| part.name.starts_with("letters-")).cloned();
    let first = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    assert_eq!(source.checkpoint(CheckpointId(1)).await.expect("the same"), first);
    source.abort(CheckpointId(1)).await.expect("an abort");
    world.queue.send("bad");
    take_up(&world, &mut source).await;
    let second = source.checkpoint(CheckpointId(2)).await.expect("a checkpoint");
    assert!(part(&first).is_some() && part(&second).is_some() && part(&first) != part(&second));
    source.commit(CheckpointId(2)).await.expect("a commit");
    assert_eq!(letters(&fs).len(), 2);
    assert!(source.commit(CheckpointId(9)).await.is_err(), "never taken");
}

#[tokio::test]
async fn a_barrier_inside_of_a_batch_leaves_later_letters_to_the_next() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    let (early, late) = (world.queue.send("a\nbad"), world.queue.send("b\nbad"));
    let handed = batch(&world, &mut source).await;
    let later = &handed.messages()[1].meta;
    source.checkpoint_before(CheckpointId(1), &[later.key]).await.expect("a checkpoint");
    source.commit(CheckpointId(1)).await.expect("a commit");
    assert_eq!(ids(&fs), [&*early]);
    source.reject(later, BadRecord::new("no such customer")).expect("its epoch is open");
    world.checkpoint(&mut source, 2).await;
    assert_eq!((ids(&fs), &letters(&fs)[1]["badRows"]), (vec![early.to_string(), late.to_string()], &2.into()));
}

#[tokio::test]
async fn a_state_with_letters_on_their_way_needs_a_place_for_them() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    world.queue.send("bad");
    take_up(&world, &mut source).await;
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    drop(source);
    let mut without = world.source(config(BadRecords::Skip)).await;
    let error = without.restore(CheckpointId(1), state).await.expect_err("refused");
    assert_eq!(error.kind, SourceErrorKind::State);
    assert!(error.to_string().contains("deadLetterPath"), "{error}");
}

#[tokio::test]
async fn a_state_that_is_refused_costs_no_letter() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    let mut states = Vec::new();
    let mut bad = Vec::new();
    for n in 1..=2 {
        bad.push(world.queue.send("bad").to_string());
        take_up(&world, &mut source).await;
        states.push(source.checkpoint(CheckpointId(n)).await.expect("a checkpoint"));
        if n == 1 {
            source.commit(CheckpointId(n)).await.expect("a commit");
        }
    }
    drop(source);
    // The wrong state first: what checkpoint 2 has staged must survive that.
    let mut wrong = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    let error = wrong.restore(CheckpointId(2), states[0].clone()).await.expect_err("the state of checkpoint 1");
    assert_eq!(error.kind, SourceErrorKind::State);
    drop(wrong);
    let mut right = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    right.restore(CheckpointId(2), states.remove(1)).await.expect("the right one");
    right.commit(CheckpointId(2)).await.expect("a commit");
    assert_eq!(ids(&fs), bad);
}

#[tokio::test]
async fn a_letter_that_cannot_be_written_fails_the_source_and_nothing_is_deleted() {
    for fault in [Fault::Create, Fault::Sync, Fault::SyncDir] {
        let (world, fs) = (World::new(), MemoryFs::new());
        let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
        world.queue.send("bad");
        take_up(&world, &mut source).await;
        fs.fail(fault, 0, std::io::ErrorKind::StorageFull);
        let error = source.checkpoint(CheckpointId(1)).await.expect_err("a failure");
        assert!(error.to_string().contains("directory /dead") && error.to_string().contains("come again"), "{error}");
        assert_eq!(world.failure(&mut source, SECOND).await.to_string(), error.to_string());
        for id in [1, 2] {
            assert!(source.checkpoint(CheckpointId(id)).await.is_err(), "it would cover a letter that is nowhere");
        }
        world.drain(&mut source).await.expect("a drain");
        assert_eq!(world.queue.remaining().len(), 1);
    }
}

#[tokio::test]
async fn a_commit_that_fails_deletes_nothing_and_the_next_run_finishes_it() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    world.queue.send("bad");
    take_up(&world, &mut source).await;
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    fs.fail(Fault::Rename, 0, std::io::ErrorKind::PermissionDenied);
    source.commit(CheckpointId(1)).await.expect_err("a failure");
    settle().await;
    assert!(world.queue.deleted().is_empty());
    world.drain(&mut source).await.expect("a drain");
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    source.restore(CheckpointId(1), state).await.expect("a restore");
    source.commit(CheckpointId(1)).await.expect("a commit");
    take_up(&world, &mut source).await;
    assert_eq!((letters(&fs).len(), world.queue.remaining().len()), (1, 0));
}

/// A sink whose first call of each kind stops in the middle until the test lets it go on.
#[derive(Debug)]
struct Halting {
    inner: Box<dyn Sink>,
    go: Arc<AtomicBool>,
}

impl Halting {
    async fn halt(&mut self) {
        while !self.go.swap(false, Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Sink for Halting {
    fn delivery(&self) -> Delivery {
        self.inner.delivery()
    }
    async fn recover(&mut self, pending: &[Committable]) -> Result<(), SinkError> {
        self.inner.recover(pending).await
    }
    async fn write(&mut self, records: &RecordBatch) -> Result<(), SinkError> {
        self.halt().await;
        self.inner.write(records).await
    }
    async fn pre_commit(&mut self, id: CheckpointId) -> Result<Option<Committable>, SinkError> {
        self.inner.pre_commit(id).await
    }
    async fn commit(&mut self, committable: &Committable) -> Result<(), SinkError> {
        self.halt().await;
        self.inner.commit(committable).await
    }
    async fn close(&mut self) -> Result<(), SinkError> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn dropped_checkpoints_and_commits_go_on_where_they_were() {
    let (world, fs, go) = (World::new(), MemoryFs::new(), Arc::new(AtomicBool::new(false)));
    let sink = Halting { inner: directory(&fs).await, go: Arc::clone(&go) };
    let target = DeadLetterTarget::new(Box::new(sink), "directory /dead");
    let mut source = open(&world, config(BadRecords::DeadLetter), target).await;
    let early = world.queue.send("bad");
    take_up(&world, &mut source).await;
    assert!(source.checkpoint(CheckpointId(1)).now_or_never().is_none(), "it waits for the sink");
    // The next epoch's letter must not slip into the checkpoint that is being repeated.
    let late = world.queue.send("bad");
    take_up(&world, &mut source).await;
    go.store(true, Ordering::SeqCst);
    source.checkpoint(CheckpointId(1)).await.expect("the same checkpoint");
    assert!(source.commit(CheckpointId(1)).now_or_never().is_none(), "it waits for the sink");
    settle().await;
    assert!(world.queue.deleted().is_empty(), "nothing is deleted before its letter is in its place");
    go.store(true, Ordering::SeqCst);
    source.commit(CheckpointId(1)).await.expect("the same commit");
    settle().await;
    assert_eq!((ids(&fs), world.queue.deleted()), (vec![early.to_string()], vec![early.clone()]));
    for _ in 0..2 {
        go.store(true, Ordering::SeqCst);
        let _ = source.checkpoint(CheckpointId(2)).await.expect("a checkpoint");
        go.store(true, Ordering::SeqCst);
        source.commit(CheckpointId(2)).await.expect("a commit");
    }
    assert_eq!(ids(&fs), [&*early, &*late]);
}

#[tokio::test]
async fn a_checkpoint_that_was_dropped_and_not_repeated_cannot_be_committed() {
    let (world, fs, go) = (World::new(), MemoryFs::new(), Arc::new(AtomicBool::new(false)));
    let sink = Halting { inner: directory(&fs).await, go: Arc::clone(&go) };
    let target = DeadLetterTarget::new(Box::new(sink), "directory /dead");
    let mut source = open(&world, config(BadRecords::DeadLetter), target).await;
    let mut bad = Vec::new();
    for n in 1..=2 {
        bad.push(world.queue.send("bad").to_string());
        take_up(&world, &mut source).await;
        assert!(source.checkpoint(CheckpointId(n)).now_or_never().is_none(), "it waits for the sink");
    }
    let error = source.commit(CheckpointId(2)).now_or_never().expect("at once").expect_err("refused");
    assert!(error.to_string().contains("repeat `checkpoint`"), "{error}");
    settle().await;
    assert!(world.queue.deleted().is_empty(), "the second letter is nowhere");
    for _ in 0..8 {
        go.store(true, Ordering::SeqCst);
        let _ = source.checkpoint(CheckpointId(2)).now_or_never();
    }
    for _ in 0..8 {
        go.store(true, Ordering::SeqCst);
        let _ = source.commit(CheckpointId(2)).now_or_never();
    }
    settle().await;
    assert_eq!((ids(&fs), world.queue.deleted().len()), (bad, 2));
}

#[tokio::test]
async fn a_message_that_keeps_coming_goes_unread_and_one_that_was_handed_out_does_not() {
    let (world, fs) = (World::new(), MemoryFs::new());
    // The policy for data is another matter.
    let mut limited = config(BadRecords::Fail);
    limited.max_dequeue_count = Some(2);
    let poison = world.queue.send("panic");
    for life in 0..2 {
        let mut source = open(&world, limited.clone(), target(&fs).await).await;
        let next = std::panic::AssertUnwindSafe(world.next(&mut source, SECOND));
        assert!(next.catch_unwind().await.is_err(), "life {life}: the decoder panics");
        drop(source);
        world.clock.advance(SECOND * 31);
    }
    let mut source = open(&world, limited, target(&fs).await).await;
    take_up(&world, &mut source).await;
    let good = world.queue.send("a");
    assert_eq!(world.lines(&mut source).await, ["a"]);
    // Its lease ends before its checkpoint, again and again.
    for _ in 0..4 {
        world.queue.reveal(&good);
        take_up(&world, &mut source).await;
    }
    world.checkpoint(&mut source, 1).await;
    let found = letters(&fs);
    assert_eq!(ids(&fs), [&*poison]);
    assert_eq!((&found[0]["reason"], &found[0]["dequeueCount"]), (&"dequeue-count".into(), &3.into()), "{found:?}");
    assert_eq!(found[0]["body"], "panic");
    assert!(world.queue.remaining().is_empty());
}

#[tokio::test]
async fn what_is_rejected_after_the_hand_out_goes_to_the_dead_letters() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    world.queue.send("a\nbad\nb");
    let handed = batch(&world, &mut source).await;
    let meta = first(&handed);
    source.reject(&meta, BadRecord::new("no such customer").at_row(0).in_column("customer")).expect("rejected");
    source.reject(&meta, BadRecord::new("no such customer").at_row(2)).expect("and once more");
    world.checkpoint(&mut source, 1).await;
    let found = letters(&fs);
    assert_eq!((found.len(), &found[0]["badRows"], source.status().bad), (1, &3.into(), 1), "{found:?}");
    let text = found[0]["errors"].to_string();
    assert!(text.contains("is bad") && text.contains("no such customer") && text.contains("customer"), "{text}");
    let error = source.reject(&meta, BadRecord::new("too late")).expect_err("its epoch is sealed");
    assert!(error.to_string().contains("before the next checkpoint"), "{error}");
    assert!(world.next(&mut source, SECOND).await.is_none(), "a refusal is no failure of the source");
    assert!(world.queue.remaining().is_empty());
}

#[tokio::test]
async fn without_a_place_a_rejection_counts_or_is_refused() {
    for (policy, taken) in [(BadRecords::Skip, true), (BadRecords::Fail, false)] {
        let world = World::new();
        let mut source = world.source(config(policy)).await;
        world.queue.send("a");
        let meta = first(&batch(&world, &mut source).await);
        let result = source.reject(&meta, BadRecord::new("no such customer"));
        assert_eq!(result.is_ok(), taken, "{result:?}");
        if let Err(error) = result {
            assert_eq!(error.kind, SourceErrorKind::Configuration);
        }
        world.checkpoint(&mut source, 1).await;
        assert_eq!((source.status().bad, world.queue.remaining().len()), (u64::from(taken), 0));
    }
}

#[tokio::test]
async fn what_is_given_back_comes_again_after_the_commit_and_the_delay() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut source = open(&world, config(BadRecords::DeadLetter), target(&fs).await).await;
    let later = world.queue.send("later\nbad");
    let kept = world.queue.send("kept");
    let handed = batch(&world, &mut source).await;
    source.retry_later(&first(&handed), SECOND * 20).expect("given back");
    assert!(source.retry_later(&first(&handed), SECOND).is_err(), "once");
    // Its lease ends before the checkpoint: it is still ours.
    world.queue.reveal(&later);
    take_up(&world, &mut source).await;
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted(), [kept]);
    assert!(letters(&fs).is_empty(), "its letter went back with it");
    world.clock.advance(SECOND * 18);
    assert!(world.queue.visible().is_empty(), "hidden for the delay");
    take_up(&world, &mut source).await;
    world.clock.advance(SECOND * 2);
    assert_eq!(world.lines(&mut source).await, ["later"]);
    world.checkpoint(&mut source, 2).await;
    assert_eq!((letters(&fs).len(), world.queue.remaining().len()), (1, 0));
}

#[tokio::test]
async fn what_is_given_back_makes_a_checkpoint_due_and_survives_a_crash_and_a_drain() {
    for crash in [true, false] {
        let world = World::new();
        let mut source = world.source(World::config()).await;
        world.queue.send("a");
        let handed = batch(&world, &mut source).await;
        source.retry_later(&first(&handed), SECOND * 20).expect("given back");
        let due = world.next(&mut source, SECOND * 11).await;
        assert!(matches!(due, Some(Ok(Some(Event::CheckpointDue(_))))), "{due:?}");
        let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
        if crash {
            drop(source);
            world.clock.advance(SECOND * 31);
        } else {
            let report = world.drain(&mut source).await.expect("a drain");
            assert_eq!(report.released, 1, "it never waited for the commit");
            world.clock.advance(SECOND);
        }
        let mut source = world.source(World::config()).await;
        source.restore(CheckpointId(1), state).await.expect("a restore");
        source.commit(CheckpointId(1)).await.expect("a commit");
        assert_eq!(world.lines(&mut source).await, ["a"]);
        world.checkpoint(&mut source, 2).await;
        assert!(world.queue.remaining().is_empty());
    }
}

#[tokio::test]
async fn a_budget_ends_the_source_with_a_report() {
    let (world, fs) = (World::new(), MemoryFs::new());
    let mut limited = config(BadRecords::DeadLetter);
    limited.bad_records_max_count = Some(2);
    let mut source = open(&world, limited, target(&fs).await).await;
    let bad: Vec<_> = (0..2).map(|_| world.queue.send("bad")).collect();
    take_up(&world, &mut source).await;
    world.checkpoint(&mut source, 1).await;
    world.queue.send("good\nbad");
    assert_eq!(world.lines(&mut source).await, ["good"], "its good rows are handed out");
    let error = world.failure(&mut source, SECOND).await;
    assert_eq!(error.kind, SourceErrorKind::BadData);
    let text = error.to_string();
    for part in
        ["table t", "queue orders", "3 messages", "badRecordsMaxCount = 2", &*bad[0], "directory /dead", "row 0"]
    {
        assert!(text.contains(part), "`{part}` is missing in {text}");
    }
    world.drain(&mut source).await.expect("a drain");
    assert_eq!((letters(&fs).len(), world.queue.remaining().len()), (2, 1));
}

#[tokio::test]
async fn rejections_count_towards_the_budget() {
    let world = World::new();
    let mut limited = config(BadRecords::Skip);
    limited.bad_records_max_ratio = Some(0.0);
    let mut source = world.source(limited).await;
    world.queue.send("a");
    let meta = first(&batch(&world, &mut source).await);
    let error = source.reject(&meta, BadRecord::new("no such customer")).expect_err("too many");
    assert_eq!(error.kind, SourceErrorKind::BadData, "{error}");
    assert_eq!(world.failure(&mut source, SECOND).await.to_string(), error.to_string());
}

#[tokio::test]
async fn a_failure_shows_a_piece_of_the_body_only_where_that_is_wanted() {
    for shown in [false, true] {
        let world = World::new();
        let mut config = config(BadRecords::Fail);
        config.bad_records_excerpt = shown;
        let mut source = world.source(config).await;
        world.queue.send("bad\nsecret");
        let text = world.failure(&mut source, SECOND).await.to_string();
        assert_eq!(text.contains("secret"), shown, "{text}");
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_with_everything_at_once() {
    let world = World::new();
    let mut wrong = config(BadRecords::DeadLetter);
    wrong.max_dequeue_count = Some(0);
    wrong.bad_records_max_ratio = Some(1.5);
    wrong.bad_records_window = Duration::ZERO;
    let hooks = Arc::clone(&world.hooks);
    let error = QueueSource::open(hooks, world.clock(), wrong).await.expect_err("refused");
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    let text = error.to_string();
    for part in [
        "`badRecords` is `dead-letter`",
        "`maxDequeueCount` is 0",
        "`maxDequeueCount` needs",
        "`badRecordsMaxRatio` is 1.5",
        "`badRecordsWindow` is 0",
    ] {
        assert!(text.contains(part), "`{part}` is missing in {text}");
    }
}
