//! What still holds when calls fail at random: the consumer's loop gets everything, and no answer lies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headwater_core::{DeleteOutcome, Handle, Message, ReceiveRequest};

use super::bench::Bench;
use super::harness::QueueHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn QueueHarness, Bench: [] even under faults [
    a_consumer_that_repeats_gets_everything_and_leaves_nothing,
    what_is_confirmed_deleted_stays_deleted,
    deliveries_stay_true_to_their_message,
    an_error_says_that_repeating_helps,
]);

/// Messages in a trial: a few answers' worth.
const COUNT: usize = 40;

/// Turns of a consumer's loop, each a receive and a delete, before a trial gives up: with every second call failing, 40
/// messages need fewer than 200.
const TURNS: usize = 2_000;

async fn a_consumer_that_repeats_gets_everything_and_leaves_nothing(bench: &Bench) -> Result<(), Halt> {
    let sent: BTreeSet<String> = bench.send_many(COUNT).await?.into_iter().collect();
    let mut consumer = Consumer::default();
    for _ in 0..TURNS {
        consumer.turn(bench).await?;
        if consumer.deleted.len() == COUNT || bench.test.left().await? == Some(0) {
            break;
        }
    }
    let unread: Vec<_> = sent.difference(&consumer.seen).collect();
    ensure!(unread.is_empty(), "never delivered in {TURNS} turns: {unread:?}");
    bench.expect_left(0).await
}

async fn what_is_confirmed_deleted_stays_deleted(bench: &Bench) -> Result<(), Halt> {
    bench.send_many(COUNT).await?;
    let mut consumer = Consumer::default();
    let mut after = bench.turns_after();
    for _ in 0..TURNS {
        let deleted = consumer.deleted.clone();
        for message in consumer.turn(bench).await? {
            ensure!(!deleted.contains(&*message.id), "{} was confirmed deleted and came back", message.id);
        }
        if consumer.deleted.len() == COUNT || bench.test.left().await? == Some(0) {
            after -= 1;
            // A lease that was not ended by the delete would end meanwhile.
            bench.pass(bench.settings.lease / 2).await;
        }
        if after == 0 {
            break;
        }
    }
    ensure!(!consumer.deleted.is_empty(), "no delete was ever confirmed");
    Ok(())
}

async fn deliveries_stay_true_to_their_message(bench: &Bench) -> Result<(), Halt> {
    let sent = bench.send_many(COUNT).await?;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut deliveries: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..TURNS {
        let messages = receive(bench).await?.unwrap_or_default();
        ensure!(messages.len() <= bench.queue.capabilities().max_receive as usize, "{} in one answer", messages.len());
        for message in super::bench::by_id(messages)?.into_values() {
            let at = sent.iter().position(|id| **id == *message.id);
            let at = at.ok_or_else(|| Halt::failed(format!("{} was never sent", message.id)))?;
            ensure!(message.body == format!("message {at}").as_bytes(), "{} has another body", message.id);
            let last = counts.insert(message.id.to_string(), message.dequeue_count).unwrap_or(0);
            let grown = message.dequeue_count > last || (message.dequeue_count, last) == (0, 0);
            ensure!(grown, "{}: a delivery counted {} after {last}", message.id, message.dequeue_count);
            *deliveries.entry(message.id.to_string()).or_default() += 1;
        }
        if deliveries.len() == COUNT && deliveries.values().all(|times| *times >= 2) {
            return Ok(());
        }
    }
    Err(Halt::failed(format!("in {TURNS} turns not every message was delivered twice: {deliveries:?}")))
}

async fn an_error_says_that_repeating_helps(bench: &Bench) -> Result<(), Halt> {
    bench.send_many(COUNT).await?;
    let mut consumer = Consumer::default();
    for _ in 0..bench.turns_after() * 2 {
        // A fatal kind ends the trial in here.
        consumer.turn(bench).await?;
        let answer = bench.within(bench.settings.lease, bench.queue.describe()).await;
        if let Some(Err(error)) = answer {
            ensure!(!error.kind.is_fatal(), "describe: {:?}: {error}", error.kind);
            ensure!(!error.to_string().is_empty(), "an error without a word");
        }
    }
    Ok(())
}

impl Bench {
    /// Turns after which nothing new is to be seen: chance needs more of them.
    fn turns_after(&self) -> usize {
        if self.settings.faults { 50 } else { 4 }
    }
}

/// A consumer that deletes what it receives and keeps count.
#[derive(Default)]
struct Consumer {
    seen: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

impl Consumer {
    /// One receive and one delete of what came; what came.
    async fn turn(&mut self, bench: &Bench) -> Result<Vec<Message>, Halt> {
        let Some(messages) = receive(bench).await? else { return Ok(Vec::new()) };
        self.seen.extend(messages.iter().map(|message| message.id.to_string()));
        let handles: Vec<Handle> = messages.iter().map(|message| message.handle.clone()).collect();
        for (chunk, of) in handles.chunks(max_delete(bench)).zip(messages.chunks(max_delete(bench))) {
            let Some(answer) = bench.within(bench.settings.lease, bench.queue.delete(chunk)).await else { continue };
            match answer {
                Ok(outcomes) => {
                    ensure!(outcomes.len() == chunk.len(), "{} handles, {} outcomes", chunk.len(), outcomes.len());
                    let confirmed = of.iter().zip(outcomes).filter(|(_, outcome)| *outcome == DeleteOutcome::Deleted);
                    self.deleted.extend(confirmed.map(|(message, _)| message.id.to_string()));
                }
                Err(error) => ensure!(!error.kind.is_fatal(), "delete: {:?}: {error}", error.kind),
            }
        }
        Ok(messages)
    }
}

fn max_delete(bench: &Bench) -> usize {
    bench.queue.capabilities().max_delete as usize
}

/// One receive; `None` if it failed in a way that repeating helps. Lets a little time pass after a failure.
async fn receive(bench: &Bench) -> Result<Option<Vec<Message>>, Halt> {
    let max = bench.queue.capabilities().max_receive;
    let call = bench.queue.receive(ReceiveRequest { max, wait: bench.settings.wait });
    match bench.within(bench.settings.wait + bench.settings.lease, call).await {
        Some(Ok(received)) => Ok(Some(received.messages)),
        Some(Err(error)) => {
            ensure!(!error.kind.is_fatal(), "receive: {:?}: {error}", error.kind);
            bench.pass(Duration::from_secs(1)).await;
            Ok(None)
        }
        None => Err(Halt::failed("a receive has not ended a whole lease after its wait")),
    }
}
