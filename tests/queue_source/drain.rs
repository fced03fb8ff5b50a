//! How a source ends: nothing stays hidden that could be released, deadlines are kept, a dropped drain can be repeated.

use std::time::Duration;

use headwater_core::{Clock, Event, QueueErrorKind, Source, SourceErrorKind};
use headwater_testkit::{Operation, pass};

use crate::hooked::Act;
use crate::world::{SECOND, World};

#[tokio::test]
async fn what_is_not_committed_is_visible_again_and_never_handed_out_after() {
    let world = World::new();
    let mut config = World::config();
    config.batch_rows = 1;
    let mut source = world.source(config).await;
    (0..3).for_each(|n| _ = world.queue.send(format!("{n}")));
    assert_eq!(world.lines(&mut source).await, ["0"]);
    let report = world.drain(&mut source).await.expect("a drain");
    assert_eq!((report.released, report.left), (3, 0), "one handed out, two waiting");
    assert_eq!(world.visible_soon(), 3);
    while let Some(event) = world.next(&mut source, SECOND).await.expect("an event").expect("no failure") {
        assert!(matches!(event, Event::CheckpointDue(_)), "released messages are not handed out: {event:?}");
    }
}

#[tokio::test]
async fn a_message_that_failed_the_source_is_released_with_the_rest() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    ["bad", "good"].into_iter().for_each(|body| _ = world.queue.send(body));
    assert_eq!(world.failure(&mut source, SECOND).await.kind, SourceErrorKind::BadData);
    let report = world.drain(&mut source).await.expect("a drain");
    assert_eq!((report.released, report.left), (2, 0));
    assert_eq!(world.visible_soon(), 2);
}

#[tokio::test]
async fn a_dropped_drain_goes_on_where_it_was() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    (0..20).for_each(|n| _ = world.queue.send(format!("{n}")));
    world.lines(&mut source).await;
    world.hooks.make(Operation::Extend, Act::Hang);
    tokio::select! { biased; _ = source.drain(SECOND * 40) => panic!("no release was answered"), () = pass(&world.clock, SECOND * 12) => {} }
    assert!(world.hooks.calls(Operation::Extend) > 0, "it was releasing");
    world.hooks.mend(Operation::Extend);
    let report = world.drain(&mut source).await.expect("a drain");
    assert_eq!((report.released, report.left), (20, 0));
    assert_eq!(world.visible_soon(), 20);
}

#[tokio::test]
async fn a_deadline_shorter_than_a_poll_still_releases() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.queue.send("a");
    world.lines(&mut source).await;
    assert!(world.next(&mut source, SECOND).await.is_none(), "both polls are parked for 10 s");
    world.hooks.make(Operation::Extend, Act::Late(Duration::from_millis(100)));
    let report = world.drain_within(&mut source, SECOND * 4).await.expect("a drain");
    assert_eq!((report.released, report.left), (1, 0));
    assert_eq!(world.visible_soon(), 1);
}

#[tokio::test]
async fn deletes_that_fail_do_not_keep_other_messages_hidden() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.queue.send("committed");
    world.lines(&mut source).await;
    world.hooks.make(Operation::Delete, Act::Fail(QueueErrorKind::Transient));
    world.checkpoint(&mut source, 1).await;
    world.queue.send("uncommitted");
    world.lines(&mut source).await;
    world.hooks.make(Operation::Extend, Act::Late(Duration::from_millis(100)));
    let report = world.drain_within(&mut source, SECOND * 3).await.expect("a drain");
    assert_eq!((report.deleted, report.unconfirmed, report.released), (0, 1, 1));
}

#[tokio::test]
async fn a_delete_that_hangs_does_not_hold_a_drain_beyond_its_deadline() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.queue.send("committed");
    world.lines(&mut source).await;
    world.hooks.make(Operation::Delete, Act::Hang);
    world.checkpoint(&mut source, 1).await;
    let report = world.drain_within(&mut source, SECOND * 15).await.expect("a drain");
    assert_eq!((report.deleted, report.unconfirmed), (0, 1));
    assert_eq!(world.drain(&mut source).await.expect("the same again"), report);
}

#[tokio::test]
async fn a_denied_receive_is_no_reason_to_keep_what_is_committed() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    let id = world.queue.send("a");
    world.lines(&mut source).await;
    world.queue.deny(Operation::Receive);
    let error = world.failure(&mut source, SECOND * 11).await;
    assert_eq!(error.kind, SourceErrorKind::Denied);
    source.checkpoint(headwater_core::CheckpointId(1)).await.expect("a checkpoint");
    source.commit(headwater_core::CheckpointId(1)).await.expect("a commit");
    let report = world.drain(&mut source).await.expect("a drain");
    assert_eq!((report.deleted, report.unconfirmed), (1, 0));
    assert_eq!(world.queue.deleted(), [id]);
}

#[tokio::test]
async fn a_refused_delete_ends_the_drain_with_its_cause_and_without_waiting() {
    for kind in [QueueErrorKind::Denied, QueueErrorKind::NoSuchQueue, QueueErrorKind::Credentials] {
        let world = World::new();
        let mut config = World::config();
        config.wait = SECOND;
        let mut source = world.source(config).await;
        world.queue.send("a");
        world.lines(&mut source).await;
        world.hooks.make(Operation::Delete, Act::Fail(kind));
        world.checkpoint(&mut source, 1).await;
        let began = world.clock.now();
        let error = world.drain(&mut source).await.expect_err("a drain must not hide it");
        assert!(error.to_string().contains("deleting from queue orders was refused"), "{error}");
        assert!(world.clock.now().since(began) <= SECOND * 2, "{kind:?}: nothing more can be deleted");
    }
}

#[tokio::test]
async fn a_stop_cuts_pauses_short() {
    let world = World::new();
    let mut config = World::config();
    (config.backoff_min, config.backoff_max) = (SECOND * 300, SECOND * 300);
    let mut source = world.source(config).await;
    world.hooks.make(Operation::Receive, Act::FailLate(QueueErrorKind::Transient));
    assert!(world.next(&mut source, SECOND * 5).await.is_none());
    // The polls are running; they fail only after the stop.
    source.stop().await;
    let end = world.next(&mut source, Duration::from_secs(6)).await;
    assert!(matches!(end, Some(Ok(None))), "{end:?}");
}

#[tokio::test]
async fn a_stop_before_the_first_call_receives_nothing() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.queue.send("a");
    source.stop().await;
    assert!(matches!(world.next(&mut source, SECOND).await, Some(Ok(None))));
    assert_eq!(world.hooks.calls(Operation::Receive), 0);
    assert_eq!(world.drain(&mut source).await.expect("a drain").released, 0);
}

#[tokio::test]
async fn what_arrives_after_the_stop_is_still_handed_out() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    assert!(world.next(&mut source, SECOND).await.is_none());
    source.stop().await;
    world.queue.send("late");
    assert_eq!(world.lines(&mut source).await, ["late"]);
    let end = world.next(&mut source, SECOND * 10).await;
    assert!(matches!(end, Some(Ok(None) | Ok(Some(Event::CheckpointDue(_))))), "{end:?}");
}
