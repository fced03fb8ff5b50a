//! A consumer that stalls for minutes, with a lease of ten seconds, over HTTP.

use super::*;

const MESSAGES: usize = 60;

/// What a stall of five minutes came to.
struct Stall {
    rows: Vec<String>,
    delivered: u64,
    extended: u64,
    deleted: Vec<String>,
    duplicates: u64,
}

fn stall(policy: LeasePolicy, faults: Faults) -> Stall {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let clock = ManualClock::new(START);
        let settings = QueueSettings { visibility_timeout: Some(10), ..QueueSettings::default() };
        let server = Server::builder().manual_clock(clock.clone()).queue_with(QUEUE, settings).start().await;
        let server = server.expect("a server");
        let bodies = (0..MESSAGES).map(|n| NewMessage::new(format!("{n:02}")));
        server.put(QUEUE, bodies).expect("the queue is there");
        let client = client(&server, &clock);
        let mut config = SourceConfig::new("t", Lines::factory());
        config.encoding = MessageEncoding::Raw;
        config.lease_policy = policy;
        config.batch_rows = 1;
        config.limits.checkpoint_interval = SECOND * 5;
        (config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (1_000, 500);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let opening = QueueSource::open(Arc::new(client), shared, config);
        let source = within(&clock, &server, SECOND, opening).await.expect("it opens").expect("a source");
        let mut life = Life { source, open: Vec::new() };
        let first = within(&clock, &server, SECOND, life.source.next()).await.expect("a batch");
        take(&mut life, first).expect("rows");
        server.set_faults(faults);

        // Nobody calls the source: it holds one message handed out and the others buffered.
        pass(&clock, &server, SECOND * 300).await;
        life.source.check().expect("the invariants hold");
        server.set_faults(Faults::default());

        let mut checkpoint = 1;
        let end = clock.now() + SECOND * 600;
        while server.deleted(QUEUE).len() < MESSAGES {
            assert!(clock.now() < end, "{:?}: {:?}", server.counts(QUEUE), life.source.status());
            let Some(event) = within(&clock, &server, SECOND * 5, life.source.next()).await else { continue };
            if take(&mut life, event).expect("an event") {
                let id = headwater_core::CheckpointId(checkpoint);
                checkpoint += 1;
                life.source.checkpoint(id).await.expect("a checkpoint");
                life.source.commit(id).await.expect("a commit");
            }
        }
        let journal = server.journal();
        Stall {
            rows: life.open,
            delivered: journal.messages(Operation::BatchReceiveMessage) + journal.messages(Operation::ReceiveMessage),
            extended: journal.requests(Operation::ChangeMessageVisibility),
            deleted: server.deleted(QUEUE),
            duplicates: life.source.status().duplicates,
        }
    })
}

fn whole(stall: &Stall) {
    let mut rows = stall.rows.clone();
    rows.sort();
    assert_eq!(rows, (0..MESSAGES).map(|n| format!("{n:02}")).collect::<Vec<_>>(), "each row once");
    let mut deleted = stall.deleted.clone();
    deleted.sort();
    deleted.dedup();
    assert_eq!((stall.deleted.len(), deleted.len()), (MESSAGES, MESSAGES), "each message deleted once");
}

#[test]
fn extended_leases_outlast_a_stalled_consumer() {
    let stall = stall(LeasePolicy::Extend, Faults::default());
    whole(&stall);
    assert_eq!((stall.delivered, stall.duplicates), (MESSAGES as u64, 0), "every dequeue count stayed 1");
    assert!(stall.extended >= MESSAGES as u64 * 30, "{} extensions in thirty leases", stall.extended);
}

#[test]
fn extended_leases_outlast_a_stalled_consumer_and_a_service_that_refuses_now_and_then() {
    let all = |rate| PerOperation::all(Dose::Rate(rate));
    let faults = Faults { seed: 5, internal_error: all(0.05), too_many_requests: all(0.05), ..Faults::default() };
    let stall = stall(LeasePolicy::Auto, faults);
    whole(&stall);
    assert_eq!(stall.delivered, MESSAGES as u64, "what is refused is tried again before the lease ends");
}

#[test]
fn absorbed_leases_come_back_and_are_neither_lost_nor_repeated() {
    let stall = stall(LeasePolicy::Absorb, Faults::default());
    whole(&stall);
    assert_eq!(stall.extended, 0);
    assert!(stall.duplicates > MESSAGES as u64 * 10, "{} duplicates in thirty leases", stall.duplicates);
}

#[test]
fn lost_answers_of_extensions_neither_lose_nor_repeat() {
    let lost = PerOperation::default().on(Operation::ChangeMessageVisibility, Dose::Rate(0.3));
    let faults = Faults { seed: 6, lose_answer: lost, dead_handle: DeadHandle::Either, ..Faults::default() };
    let stall = stall(LeasePolicy::Extend, faults);
    whole(&stall);
    assert!(stall.duplicates > 0, "a handle that was lost is found again with the next delivery");
}
