//! Bodies that are not what their MessageBodyMD5 says, with `verifyBodyMd5` and without.

use std::sync::atomic::{AtomicU64, Ordering};

use headwater::formats::Format;
use headwater::{CheckpointId, MnsSource, SourceErrorKind};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::*;

const LEASE: Duration = Duration::from_secs(10);
const MESSAGES: usize = 20;

/// Counts damaged messages.
#[derive(Clone, Default)]
pub(super) struct Damaged(Arc<AtomicU64>);

impl Damaged {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Recorder for Damaged {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() == "headwater_damaged_messages_total" {
            return Counter::from_arc(Arc::clone(&self.0));
        }
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

struct Bench {
    clock: ManualClock,
    server: ServerHandle,
    damaged: Damaged,
    life: Life,
    ids: Vec<String>,
    checkpoints: u64,
}

fn body(n: usize) -> String {
    format!("the body of message {n:02}, as it was sent")
}

impl Bench {
    /// A queue with some messages, and a source on it.
    async fn start(messages: usize, faults: Faults, options: &[(&str, &str)]) -> Self {
        let clock = ManualClock::new(START);
        let settings = QueueSettings { visibility_timeout: Some(10), ..QueueSettings::default() };
        let server = Server::builder().manual_clock(clock.clone()).queue_with(QUEUE, settings).start().await;
        let server = server.expect("a server");
        let sent = server.put(QUEUE, (0..messages).map(|n| NewMessage::new(body(n)))).expect("the queue is there");
        server.set_faults(faults);
        let mut builder = MnsSource::builder()
            .endpoint(server.endpoint())
            .queue(QUEUE)
            .credentials(Credentials::key("testid", "testsecret"))
            .schema("line STRING".parse().expect("a column"))
            .format(Format::named("raw"))
            .option("messageEncoding", "raw")
            .option("pollingWaitTime", "1s")
            .option("undeletedMax", "100")
            .clock(Arc::new(clock.clone()));
        for (name, value) in options {
            builder = builder.option(*name, *value);
        }
        let damaged = Damaged::default();
        let source = {
            let _counts = metrics::set_default_local_recorder(&damaged);
            within(&clock, &server, SECOND, Box::pin(builder.build())).await.expect("it opens").expect("a source")
        };
        let ids = sent.iter().map(|sent| sent.id.to_string()).collect();
        Self { clock, server, damaged, life: Life { source, open: Vec::new() }, ids, checkpoints: 0 }
    }

    /// Rows for so long, each checkpoint committed at once.
    async fn work(&mut self, time: Duration) -> Result<(), String> {
        let end = self.clock.now() + time;
        while self.clock.now() < end {
            let Some(event) = within(&self.clock, &self.server, SECOND, self.life.source.next()).await else {
                continue;
            };
            take(&mut self.life, event)?;
            self.checkpoints += 1;
            let id = CheckpointId(self.checkpoints);
            self.life.source.checkpoint(id).await.map_err(|e| text("checkpoint", &e))?;
            self.life.source.commit(id).await.map_err(|e| text("commit", &e))?;
        }
        Ok(())
    }

    fn whole(&self) -> usize {
        self.life.open.iter().filter(|row| (0..MESSAGES).any(|n| **row == body(n))).count()
    }

    fn delivered(&self) -> u64 {
        self.server.journal().messages(Operation::BatchReceiveMessage)
    }
}

#[tokio::test]
async fn what_came_damaged_is_neither_read_nor_deleted_and_comes_back_whole() {
    let faults = Faults { damage_body: Dose::Count(7), ..Faults::default() };
    let mut bench = Bench::start(MESSAGES, faults, &[("verifyBodyMd5", "true")]).await;
    bench.work(SECOND * 5).await.expect("it goes on");
    assert_eq!((bench.life.open.len(), bench.whole()), (MESSAGES - 7, MESSAGES - 7), "those beside them pass");
    assert_eq!(bench.server.deleted(QUEUE).len(), MESSAGES - 7);
    assert_eq!(bench.damaged.count(), 7);
    bench.work(LEASE).await.expect("it goes on");
    let mut rows = bench.life.open.clone();
    rows.sort();
    assert_eq!(rows, (0..MESSAGES).map(body).collect::<Vec<_>>(), "each once, and as it was sent");
    assert_eq!(bench.server.deleted(QUEUE).len(), MESSAGES);
    assert_eq!((bench.delivered(), bench.damaged.count()), (MESSAGES as u64 + 7, 7));
    assert_eq!(bench.life.source.status().received, bench.delivered());
}

/// A source gives up where a thousand messages are damaged at a time; not over two times 600, of which the first have come whole.
#[tokio::test]
async fn what_has_come_whole_is_not_waited_for_any_more() {
    let mut bench = Bench::start(0, Faults::default(), &[("verifyBodyMd5", "true"), ("undeletedMax", "1000")]).await;
    for before in [0, 600] {
        bench.server.set_faults(Faults { damage_body: Dose::Count(600), ..Faults::default() });
        let sent = (before..before + 600).map(|n| NewMessage::new(body(n)));
        bench.server.put(QUEUE, sent).expect("the queue is there");
        bench.work(LEASE / 2).await.expect("it goes on");
        assert_eq!((bench.damaged.count() as usize, bench.life.open.len()), (before + 600, before));
        bench.work(LEASE).await.expect("it goes on");
        assert_eq!((bench.damaged.count() as usize, bench.life.open.len()), (before + 600, before + 600));
    }
}

#[tokio::test]
async fn without_the_option_nothing_is_compared() {
    for options in [&[][..], &[("verifyBodyMd5", "false")]] {
        let faults = Faults { damage_body: Dose::Count(7), ..Faults::default() };
        let mut bench = Bench::start(MESSAGES, faults, options).await;
        bench.work(SECOND * 5).await.expect("it goes on");
        assert_eq!((bench.life.open.len(), bench.whole()), (MESSAGES, MESSAGES - 7), "what came is what is read");
        assert_eq!((bench.server.deleted(QUEUE).len(), bench.damaged.count()), (MESSAGES, 0));
    }
}

#[tokio::test]
async fn a_message_that_never_comes_whole_ends_the_source_which_says_what_to_do() {
    let faults = Faults { damage_body: Dose::ALWAYS, ..Faults::default() };
    let mut bench = Bench::start(1, faults, &[("verifyBodyMd5", "true")]).await;
    bench.work(LEASE * 4 - SECOND).await.expect("four times may be an accident");
    assert_eq!(bench.delivered(), 4);
    let status = bench.life.source.status();
    assert!(status.busy_until.is_some_and(|until| until > bench.clock.now()), "it is leased: {status:?}");
    let error = loop {
        match within(&bench.clock, &bench.server, LEASE * 2, bench.life.source.next()).await {
            Some(Err(error)) => break error,
            Some(Ok(_)) => {}
            None => panic!("it circles for ever: {} deliveries", bench.delivered()),
        }
    };
    assert_eq!((error.kind, bench.delivered()), (SourceErrorKind::BadData, 5));
    let told = headwater_mns_proto::message_body_md5(body(0));
    for part in
        [QUEUE, &bench.ids[0], "damaged 5 times", &told, "delivered 5 times", "`verifyBodyMd5`", "headwater peek"]
    {
        assert!(error.to_string().contains(part), "`{part}` is missing in: {error}");
    }
    assert!(!error.to_string().contains("the body of message"), "{error}");
    assert!(bench.server.deleted(QUEUE).is_empty() && bench.life.open.is_empty());
}

/// Four times in a row may be an accident, and for another message again.
#[tokio::test]
async fn accidents_that_mend_end_nothing() {
    let mut bench = Bench::start(0, Faults::default(), &[("verifyBodyMd5", "true")]).await;
    for round in 0..4 {
        bench.server.put(QUEUE, [NewMessage::new(body(round))]).expect("the queue is there");
        bench.server.set_faults(Faults { damage_body: Dose::Count(4), ..Faults::default() });
        bench.work(LEASE * 5).await.expect("it goes on");
    }
    assert_eq!((bench.whole(), bench.server.deleted(QUEUE).len()), (4, 4));
    assert_eq!(bench.damaged.count(), 16);
}
