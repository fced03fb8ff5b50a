//! What every trial needs: one fresh queue, calls that cannot hang, and receives that find what is there.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use headwater_core::{
    DeleteOutcome, Extended, Handle, Message, Queue, QueueError, ReceiveRequest, Received, SharedStr,
};

use super::harness::{QueueHarness, QueueSettings, TestQueue};
use crate::trial::{Halt, ensure};

/// One fresh queue and the means to try it.
pub(super) struct Bench {
    pub(super) test: Box<dyn TestQueue>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) settings: QueueSettings,
}

impl Bench {
    pub(super) async fn fresh(harness: &(dyn QueueHarness + 'static)) -> Result<Self, Halt> {
        let test = harness.fresh().await?;
        Ok(Self { queue: test.queue(), test, settings: harness.settings() })
    }

    pub(super) async fn send(&self, body: &str) -> Result<String, Halt> {
        Ok(self.test.send(body).await?)
    }

    pub(super) async fn send_many(&self, count: usize) -> Result<Vec<String>, Halt> {
        let mut ids = Vec::new();
        for number in 0..count {
            ids.push(self.send(&format!("message {number}")).await?);
        }
        Ok(ids)
    }

    pub(super) async fn pass(&self, time: Duration) {
        self.test.pass(time).await;
    }

    /// Lets a whole lease pass, and the slack.
    pub(super) async fn outlast_lease(&self) {
        self.pass(self.settings.lease + self.settings.slack).await;
    }

    /// Runs `future` while `limit` passes for the queue; `None` if it has not ended by then.
    pub(super) async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), pin!(self.test.pass(limit))).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }

    /// Runs a call that has nothing to wait for.
    pub(super) async fn promptly<T>(&self, what: &str, call: impl Future<Output = T>) -> Result<T, Halt> {
        let answer = self.within(self.settings.slack, call).await;
        answer.ok_or_else(|| Halt::failed(format!("{what} has not ended after {:?}", self.settings.slack)))
    }

    /// One receive of up to `max`, waiting for up to `wait`.
    pub(super) async fn ask(&self, max: u32, wait: Duration) -> Result<Result<Received, QueueError>, Halt> {
        let limit = wait + self.settings.slack;
        let answer = self.within(limit, self.queue.receive(ReceiveRequest { max, wait })).await;
        answer.ok_or_else(|| Halt::failed(format!("a receive with a wait of {wait:?} has not ended after {limit:?}")))
    }

    /// One receive without a wait; an error ends the trial.
    pub(super) async fn look(&self) -> Result<Vec<Message>, Halt> {
        Ok(self.ask(self.queue.capabilities().max_receive, Duration::ZERO).await??.messages)
    }

    /// Receives, with waits, until `count` messages have come. A queue may give fewer than it has in one answer.
    pub(super) async fn receive(&self, count: usize) -> Result<Vec<Message>, Halt> {
        let max = self.queue.capabilities().max_receive;
        let mut messages: Vec<Message> = Vec::new();
        let mut empty = 0;
        while messages.len() < count {
            let wanted = u32::try_from(count - messages.len()).unwrap_or(max).min(max);
            let received = self.ask(wanted, self.settings.wait).await??;
            ensure!(
                received.messages.len() <= wanted as usize,
                "a receive of at most {wanted} brought {} messages",
                received.messages.len()
            );
            empty = if received.messages.is_empty() { empty + 1 } else { 0 };
            ensure!(empty < 3, "{} of {count} messages came, then none in {empty} polls", messages.len());
            messages.extend(received.messages);
        }
        Ok(messages)
    }

    /// Receives one message.
    pub(super) async fn receive_one(&self) -> Result<Message, Halt> {
        self.receive(1).await?.pop().ok_or_else(|| Halt::failed("a receive of one brought none"))
    }

    /// Sends one message and receives it.
    pub(super) async fn lease_one(&self, body: &str) -> Result<Message, Halt> {
        let id = self.send(body).await?;
        let message = self.receive_one().await?;
        ensure!(*message.id == *id, "sent as {id}, received as {}", message.id);
        Ok(message)
    }

    /// Deletes, and checks that there is one outcome for each handle.
    pub(super) async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, Halt> {
        let outcomes = self.promptly("a delete", self.queue.delete(handles)).await??;
        ensure!(outcomes.len() == handles.len(), "{} handles, {} outcomes", handles.len(), outcomes.len());
        Ok(outcomes)
    }

    /// Deletes one message and expects the outcome.
    pub(super) async fn delete_expecting(
        &self,
        handle: &Handle,
        expected: DeleteOutcome,
        which: &str,
    ) -> Result<(), Halt> {
        let outcomes = self.delete(std::slice::from_ref(handle)).await?;
        ensure!(outcomes == [expected], "deleting with {which}: {outcomes:?}, not {expected:?}");
        Ok(())
    }

    pub(super) async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, Halt> {
        Ok(self.promptly("an extend", self.queue.extend(handle, lease)).await??)
    }

    /// Ends the trial unless nothing can be received now; `why` nothing should be.
    pub(super) async fn expect_nothing(&self, why: &str) -> Result<(), Halt> {
        let messages = self.look().await?;
        ensure!(messages.is_empty(), "{} messages came, but {why}", messages.len());
        Ok(())
    }

    /// Ends the trial unless the queue keeps `count` messages, as far as the harness can tell.
    pub(super) async fn expect_left(&self, count: u64) -> Result<(), Halt> {
        let left = self.test.left().await?;
        ensure!(left.is_none_or(|left| left == count), "the queue keeps {left:?} messages, not {count}");
        Ok(())
    }

    /// Skips the trial unless a stale delete is refused.
    pub(super) fn need_stale_errors(&self) -> Result<(), Halt> {
        let told = self.queue.capabilities().stale_delete_is_error;
        told.then_some(()).ok_or_else(|| Halt::skipped("the queue does not tell a stale delete"))
    }

    /// Skips the trial unless the queue can extend.
    pub(super) fn need_extend(&self) -> Result<(), Halt> {
        let can = self.queue.capabilities().can_extend;
        can.then_some(()).ok_or_else(|| Halt::skipped("the queue cannot extend"))
    }

    /// Skips the trial unless ids are stable.
    pub(super) fn need_stable_ids(&self) -> Result<(), Halt> {
        let stable = self.queue.capabilities().stable_ids;
        stable.then_some(()).ok_or_else(|| Halt::skipped("the queue's ids are not stable"))
    }
}

/// Messages by their ids; fails when one came twice.
pub(super) fn by_id(messages: Vec<Message>) -> Result<BTreeMap<SharedStr, Message>, Halt> {
    let mut all = BTreeMap::new();
    for message in messages {
        let id = message.id.clone();
        ensure!(all.insert(id.clone(), message).is_none(), "{id} came twice within its lease");
    }
    Ok(all)
}
