//! Operations on messages.

use std::borrow::Cow;

use headwater_mns_proto::{
    Answer, ChangedVisibility, DeleteFailure, ErrorCode, Message, NewMessage, Received, SendFailure, SentMessage,
    ServiceError,
};

use super::{Context, Done, Outcome, Poll, Response, Router, argument, error};
use crate::state::{ChangeVisibilityError, Delivery, HandleError, Millis, Peeked, Sent};

impl Router {
    pub(super) fn send(&mut self, now: Millis, queue: &str, message: NewMessage) -> Done<'static> {
        let Ok(queue) = self.account.queue(queue) else { return error(ErrorCode::QueueNotExist) };
        match queue.send(now, vec![message]) {
            Ok(sent) => match sent.into_iter().next() {
                Some(sent) => Done::with(1, Answer::Sent(written(sent))),
                None => error(ErrorCode::InternalError),
            },
            Err(refusal) => argument(refusal.to_string()),
        }
    }

    pub(super) fn batch_send(&mut self, now: Millis, queue: &str, messages: Vec<NewMessage>) -> Done<'static> {
        let Ok(queue) = self.account.queue(queue) else { return error(ErrorCode::QueueNotExist) };
        let failed: Vec<bool> = messages.iter().map(|_| self.plan.fails_send_entry()).collect();
        let kept: Vec<NewMessage> =
            messages.into_iter().zip(&failed).filter(|(_, failed)| !**failed).map(|(message, _)| message).collect();
        let mut sent = match kept.len() {
            0 => Vec::new(),
            _ => match queue.send(now, kept) {
                Ok(sent) => sent,
                Err(refusal) => return argument(refusal.to_string()),
            },
        }
        .into_iter();
        let failure =
            || SendFailure { code: ErrorCode::InternalError, message: ErrorCode::InternalError.text().to_owned() };
        let outcomes: Vec<_> = failed
            .iter()
            .map(|failed| if *failed { None } else { sent.next() }.map(written).ok_or_else(failure))
            .collect();
        Done::with(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), Answer::BatchSent(outcomes))
    }

    /// The first attempt of a receive, and what follows when it finds nothing.
    pub(super) fn begin_receive(
        &mut self,
        now: Millis,
        context: Context,
        name: String,
        batch: Option<u32>,
        wait_seconds: Option<u32>,
        parked: usize,
    ) -> Outcome {
        let Ok(queue) = self.account.queue(&name) else {
            return Outcome::Answer(self.finish(now, context, error(ErrorCode::QueueNotExist)));
        };
        let wait = u64::from(wait_seconds.unwrap_or(queue.attributes().polling_wait_seconds)) * 1_000;
        let undeleted = queue.counts(now).undeleted as u64;
        if !self.plan.admits(&name, now, undeleted) {
            return Outcome::Answer(self.throttled(now, context));
        }
        let full = self.plan.faults().max_parked_polls.is_some_and(|most| parked >= most);
        let empty = self.plan.empty_receive();
        let quirks = self.plan.quirks();
        let max = batch.unwrap_or(1) as usize;
        let poll = Poll { queue: name, wait, max, batch: batch.is_some(), quirks, context };
        if empty {
            return Outcome::Answer(self.give_up(now, poll));
        }
        // A poll that may wait does not overtake those that wait already.
        let waits_its_turn = parked > 0 && wait > 0;
        if !waits_its_turn && let Some(response) = self.try_receive(now, &poll) {
            return Outcome::Answer(response);
        }
        if wait == 0 || full { Outcome::Answer(self.give_up(now, poll)) } else { Outcome::Park(poll) }
    }

    pub(super) fn try_receive(&mut self, now: Millis, poll: &Poll) -> Option<Response> {
        let Ok(queue) = self.account.queue(&poll.queue) else {
            return Some(self.finish(now, poll.context.clone(), error(ErrorCode::QueueNotExist)));
        };
        let max = self.plan.cut(poll.max, queue.counts(now).visible);
        let deliveries = queue.receive(now, max, poll.quirks);
        if deliveries.is_empty() {
            return None;
        }
        self.plan.received(&poll.queue, now, deliveries.len());
        let mut received: Vec<Received<'_>> = deliveries.iter().map(leased).collect();
        for (Received { message, .. }, sent) in received.iter_mut().zip(&deliveries) {
            if let Some(body) = self.plan.damaged(&sent.message.content.body) {
                message.body = Cow::Owned(body.into_bytes());
            }
        }
        let count = received.len();
        let answer = match received.pop() {
            Some(only) if !poll.batch => Answer::Received(only),
            last => {
                received.extend(last);
                Answer::BatchReceived(received)
            }
        };
        Some(self.finish(now, poll.context.clone(), Done::with(count, answer)))
    }

    pub(super) fn peek(&mut self, now: Millis, context: Context, name: &str, batch: Option<u32>) -> Response {
        let Ok(queue) = self.account.queue(name) else {
            return self.finish(now, context, error(ErrorCode::QueueNotExist));
        };
        let seen = queue.peek(now, batch.unwrap_or(1) as usize);
        let done = match (seen.first(), batch) {
            (None, _) => error(ErrorCode::MessageNotExist),
            (Some(only), None) => Done::with(1, Answer::Peeked(message(only))),
            (Some(_), Some(_)) => Done::with(seen.len(), Answer::BatchPeeked(seen.iter().map(message).collect())),
        };
        self.finish(now, context, done)
    }

    pub(super) fn delete(&mut self, now: Millis, name: &str, handle: &str) -> Done<'static> {
        let Ok(queue) = self.account.queue(name) else { return error(ErrorCode::QueueNotExist) };
        match queue.delete(now, handle) {
            Ok(id) => {
                self.plan.deleted(name, now, 1);
                self.journal.record_delete(name, id);
                Done::with(1, Answer::Done)
            }
            Err(refusal) => Answer::Error(self.dead(refusal)).into(),
        }
    }

    pub(super) fn batch_delete(&mut self, now: Millis, name: &str, handles: Vec<String>) -> Done<'static> {
        if self.account.queue(name).is_err() {
            return error(ErrorCode::QueueNotExist);
        }
        let count = handles.len();
        let mut failures = Vec::new();
        for receipt_handle in handles {
            let refusal = if self.plan.fails_delete_entry() {
                Some(ServiceError::new(ErrorCode::InternalError))
            } else {
                match self.delete(now, name, &receipt_handle).answer {
                    Answer::Error(refusal) => Some(refusal),
                    _ => None,
                }
            };
            if let Some(ServiceError { code, message, .. }) = refusal {
                failures.push(DeleteFailure { receipt_handle, code, message });
            }
        }
        let deleted = count - failures.len();
        let answer = if failures.is_empty() { Answer::Done } else { Answer::DeleteFailures(failures) };
        Done::with(deleted, answer)
    }

    pub(super) fn change_visibility(&mut self, now: Millis, name: &str, handle: &str, seconds: u32) -> Done<'static> {
        let Ok(queue) = self.account.queue(name) else { return error(ErrorCode::QueueNotExist) };
        match queue.change_visibility(now, handle, seconds) {
            Ok((receipt_handle, next_visible_time)) => {
                Answer::VisibilityChanged(ChangedVisibility { receipt_handle, next_visible_time }).into()
            }
            Err(ChangeVisibilityError::Handle(refusal)) => Answer::Error(self.dead(refusal)).into(),
            Err(refusal) => argument(refusal.to_string()),
        }
    }

    /// What a handle that does not work is answered with.
    fn dead(&mut self, refusal: HandleError) -> ServiceError {
        let code = match refusal {
            HandleError::Malformed => ErrorCode::ReceiptHandleError,
            _ => self.plan.dead_handle(),
        };
        if refusal == HandleError::Expired && code == ErrorCode::ReceiptHandleError {
            // The sentence of a log of 2018; the code's own says "not valid".
            return ServiceError::with_message(code, "The receipt handle you provided has expired.");
        }
        ServiceError::new(code)
    }
}

fn written(sent: Sent) -> SentMessage {
    SentMessage { id: sent.id.to_string(), body_md5: sent.body_md5, receipt_handle: sent.handle }
}

fn leased(delivery: &Delivery) -> Received<'_> {
    Received {
        receipt_handle: Cow::Borrowed(&delivery.handle),
        next_visible_time: delivery.next_visible,
        message: message(&delivery.message),
    }
}

fn message(peeked: &Peeked) -> Message<'_> {
    let content = &*peeked.content;
    Message {
        id: Cow::Owned(peeked.id.to_string()),
        body_md5: Cow::Borrowed(&content.body_md5),
        body: Cow::Borrowed(content.body.as_bytes()),
        enqueue_time: peeked.enqueued,
        first_dequeue_time: peeked.first_dequeued,
        dequeue_count: peeked.dequeue_count,
        priority: peeked.priority,
        message_group_id: content.message_group_id.as_deref().map(Cow::Borrowed),
        user_properties: content.user_properties.clone(),
        system_properties: content.system_properties.clone(),
    }
}
