//! What the metrics say is what the source holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_core::{QueueErrorKind, Source};
use headwater_queue_source::{Objective, QueueSource};
use headwater_testkit::{Operation, pass};
use metrics::{Counter, Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::hooked::Act;
use crate::lines::Lines;
use crate::world::{SECOND, World};

/// Keeps every counter and gauge by name and first special label.
#[derive(Clone, Default)]
struct Readings {
    counters: Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>,
    gauges: Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>,
}

fn name(key: &Key) -> String {
    let kind = key.labels().find(|label| ["operation", "encoding", "outcome"].contains(&label.key()));
    kind.map_or_else(|| key.name().to_owned(), |label| format!("{} {}", key.name(), label.value()))
}

impl Recorder for Readings {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(self.counters.lock().expect("counters").entry(name(key)).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(self.gauges.lock().expect("gauges").entry(name(key)).or_default()))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

impl Readings {
    fn counter(&self, name: &str) -> u64 {
        let (name, kind) = name.split_once(' ').unwrap_or((name, ""));
        let name = format!("headwater_{name}_total {kind}");
        self.counters.lock().expect("counters")[name.trim_end()].load(Ordering::Relaxed)
    }

    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.gauges.lock().expect("gauges")[&format!("headwater_{name}")].load(Ordering::Relaxed))
    }

    fn held(&self) -> [f64; 5] {
        ["buffered_messages", "uncommitted_messages", "unconfirmed_messages", "undeleted_messages", "held_bytes"]
            .map(|name| self.gauge(name))
    }
}

#[tokio::test]
async fn an_idle_source_is_billed_for_one_receive_in_each_wait() {
    for (objective, polls) in [(Objective::Throughput, 1), (Objective::Latency, 2), (Objective::Cost, 1)] {
        let readings = Readings::default();
        let world = World::new();
        let mut config = World::config();
        (config.pollers, config.objective) = (64, objective);
        let bound = config.bound();
        let mut source = {
            let _guard = metrics::set_default_local_recorder(&readings);
            world.source(config).await
        };
        assert!(world.next(&mut source, SECOND * 95).await.is_none());
        // Nine waits of ten seconds are over, the tenth is on.
        assert_eq!(readings.counter("billed_calls receive"), 10 * polls, "{objective:?}");
        assert_eq!(readings.gauge("active_pollers"), polls as f64, "{objective:?}");
        assert_eq!(readings.gauge("ledger_entries_bound"), bound.ids as f64);
        assert_eq!(readings.gauge("held_bytes_bound"), bound.bytes as f64);
    }
}

/// Two messages five seconds old, of which the second does not fit beside the first: one is handed out.
async fn one_of_two_handed_out() -> (Readings, World, QueueSource) {
    let readings = Readings::default();
    let world = World::new();
    let mut config = World::config();
    config.decoder = Lines::capped(3);
    let mut source = {
        let _guard = metrics::set_default_local_recorder(&readings);
        world.source(config).await
    };
    ["ab", "cd"].into_iter().for_each(|body| _ = world.queue.send(body));
    world.clock.advance(SECOND * 5);
    world.lines(&mut source).await;
    (readings, world, source)
}

#[tokio::test]
async fn gauges_and_counters_follow_a_message_to_its_end() {
    let (readings, world, mut source) = one_of_two_handed_out().await;
    assert_eq!(readings.held(), [1.0, 1.0, 0.0, 2.0, 4.0], "the second does not fit beside the first");
    assert_eq!((readings.counter("emitted_bytes"), readings.counter("bodies raw")), (2, 1), "and is not counted yet");
    assert_eq!(readings.gauge("lag_seconds"), 5.0);
    world.lines(&mut source).await;
    world.checkpoint(&mut source, 1).await;
    assert_eq!(readings.held(), [0.0; 5]);
    assert_eq!(readings.gauge("ledger_entries"), 2.0, "deleted ids are remembered for a while");
    for (name, value) in [("received_messages", 2), ("deleted_messages", 2), ("emitted_rows", 2), ("emitted_bytes", 4)]
    {
        assert_eq!(readings.counter(name), value, "{name}");
    }
    // The grace of a minute goes by, polls come back empty: nothing is left, and the source has caught up.
    let mut checkpoint = 1;
    while world.next(&mut source, SECOND * 80).await.is_some() {
        checkpoint += 1;
        world.checkpoint(&mut source, checkpoint).await;
    }
    assert_eq!((readings.gauge("ledger_entries"), readings.gauge("lag_seconds")), (0.0, 0.0));
    assert!(readings.counter("empty_polls") > 0);

    world.queue.send("ef");
    world.lines(&mut source).await;
    world.drain(&mut source).await.expect("a drain");
    assert_eq!(readings.counter("billed_calls extend"), 1);
    assert_eq!(source.status().uncommitted, 1, "released, and still not committed");
}

#[tokio::test]
async fn a_source_with_something_left_to_hand_out_has_not_caught_up() {
    let (readings, world, _source) = one_of_two_handed_out().await;
    pass(&world.clock, SECOND * 11).await;
    assert!(readings.counter("empty_polls") > 0);
    assert_eq!(readings.gauge("lag_seconds"), 5.0, "the second did not fit beside the first");
}

#[tokio::test]
async fn extensions_are_counted_by_their_outcome() {
    let readings = Readings::default();
    let world = World::new();
    let mut source = {
        let _guard = metrics::set_default_local_recorder(&readings);
        world.source(World::config()).await
    };
    world.queue.send("a");
    world.lines(&mut source).await;
    let after = |fault: Option<QueueErrorKind>, time: Duration| {
        match fault {
            Some(kind) => world.hooks.make(Operation::Extend, Act::Fail(kind)),
            None => world.hooks.mend(Operation::Extend),
        }
        pass(&world.clock, time)
    };
    after(None, SECOND * 15).await;
    after(Some(QueueErrorKind::Throttled), Duration::from_millis(14_300)).await;
    after(Some(QueueErrorKind::Transient), SECOND).await;
    after(Some(QueueErrorKind::Gone), SECOND * 2).await;
    for outcome in ["extended", "failed", "unknown", "gone"] {
        assert_eq!(readings.counter(&format!("extensions {outcome}")), 1, "{outcome}");
    }
    assert_eq!((readings.counter("extensions denied"), readings.counter("billed_calls extend")), (0, 4));
    assert!(readings.gauge("oldest_uncommitted_seconds") > 25.0, "polls keep it up to date");
}
