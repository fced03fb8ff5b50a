//! An answer on its way from a poller to the decoder or to the log: taken apart without the lock, screened under it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::{Message, Received};
use headwater_ledger::{Delivery, Grant, Handle, MessageKey, Mono, ServerMs, Verdict};

use crate::config::SkippedByTime;
use crate::log::Incoming;
use crate::server_clock::sent_at;
use crate::state::{Inbound, Shared, State};

/// The messages of an answer: what the ledger is told of each, and what there is to decode or to log, in the same order. A poller has one,
/// and its lists keep their memory from answer to answer.
pub(crate) struct Answer {
    /// The queue's name, for this poller's messages alone: who counts how often one name is held, for the messages of all pollers, has
    /// the cores wait for each other with every message.
    queue_name: Arc<str>,
    deliveries: Vec<Delivery>,
    verdicts: Vec<Verdict>,
    /// One of the two is empty.
    pub(crate) inbound: VecDeque<Inbound>,
    incoming: VecDeque<Incoming>,
    sent: Mono,
    read: Mono,
    /// The queue's clock when it answered.
    server_time: Option<ServerMs>,
    /// Of all bodies.
    bytes: usize,
    /// The lease as the first delivery of a message tells it, for consumers that may not read attributes.
    pub(crate) first_lease: Option<Duration>,
}

/// What became of an answer's messages.
pub(crate) struct Screened {
    pub(crate) duplicates: u64,
    pub(crate) lapsed: u64,
    /// Messages to be decoded, and their bytes.
    pub(crate) inbound: usize,
    pub(crate) inbound_bytes: usize,
    /// There are some for the source's own log.
    pub(crate) to_log: bool,
}

impl Answer {
    pub(crate) fn new(queue_name: &str) -> Self {
        Self {
            queue_name: queue_name.into(),
            deliveries: Vec::new(),
            verdicts: Vec::new(),
            inbound: VecDeque::new(),
            incoming: VecDeque::new(),
            sent: Mono::default(),
            read: Mono::default(),
            server_time: None,
            bytes: 0,
            first_lease: None,
        }
    }

    /// Takes apart what a call brought that was sent and read then.
    pub(crate) fn take_apart(&mut self, shared: &Shared, received: Received, sent: Mono, read: Mono) {
        let Received { messages, server_time, .. } = received;
        (self.sent, self.read, self.server_time) = (sent, read, server_time);
        self.first_lease = messages.iter().find_map(learnt_lease);
        self.bytes = messages.iter().map(|message| message.body.len()).sum();
        if messages.is_empty() {
            return;
        }
        let (wall, logs) = (shared.clock.wall(), shared.config.log.is_some());
        let (deliveries, queue_name) = (&mut self.deliveries, &self.queue_name);
        if logs {
            self.incoming.extend(messages.into_iter().map(|message| {
                let key = MessageKey::of(&message.id);
                deliveries.push(Said::by(&message).delivery(key, message.handle.clone()));
                Incoming { key, message, received: wall }
            }));
        } else {
            self.inbound.extend(messages.into_iter().map(|message| {
                let (key, said) = (MessageKey::of(&message.id), Said::by(&message));
                let (handle, meta, body) = message.into_parts(key, queue_name, wall);
                deliveries.push(said.delivery(key, handle));
                Inbound { meta, body, place: None }
            }));
        }
    }

    /// Has the ledger say what to do with each message. What is fresh is left in `inbound`, or goes to the log.
    pub(crate) fn screen(&mut self, shared: &Shared, state: &mut State, grant: Grant) -> Screened {
        if let Some(said) = self.server_time {
            state.server_clock.learn(self.read, said);
        }
        state.waited.whole(self.deliveries.iter().map(|delivery| delivery.key));
        self.tell_times(shared, state);
        state.ledger.screen_into(grant.ticket, &mut self.deliveries, &mut self.verdicts);
        let sieve = Sieve { verdicts: &self.verdicts, bytes: self.bytes };
        sieve.fresh(&mut self.inbound, |inbound| &mut inbound.body, |_| true);
        let logged = |incoming: &Incoming| is_logged(shared, state, incoming);
        sieve.fresh(&mut self.incoming, |incoming| &mut incoming.message.body, logged);
        let count = |wanted| self.verdicts.iter().filter(|verdict| **verdict == wanted).count() as u64;
        let (fresh, duplicates) = (count(Verdict::Fresh), count(Verdict::Duplicate));
        let screened = Screened {
            duplicates,
            lapsed: self.verdicts.len() as u64 - fresh - duplicates,
            inbound: self.inbound.len(),
            inbound_bytes: self.inbound.iter().map(|inbound| inbound.body.len()).sum(),
            to_log: !self.incoming.is_empty(),
        };
        state.log.incoming.append(&mut self.incoming);
        self.verdicts.clear();
        screened
    }

    /// Fills in what depends on what earlier answers said: when the messages were sent, and when their leases end.
    fn tell_times(&mut self, shared: &Shared, state: &State) {
        let retention = state.ledger.limits().retention;
        let server_now = self.server_time.max(state.server_clock.likely(self.read));
        let lease = Lease {
            longest: shared.queue.capabilities().lease_range.1,
            margin: shared.config.lease_margin,
            otherwise: state.lease.map(|lease| self.sent + lease),
            clocks: self.server_time.map(|now| (now, self.read)),
        };
        let mut end = lease.ends();
        for delivery in &mut self.deliveries {
            delivery.enqueued = sent_at(told(delivery.enqueued), server_now, retention);
            delivery.lease_end = end(delivery.next_visible);
        }
    }
}

/// A time that the queue told. 0 says that it did not.
fn told(time: ServerMs) -> Option<ServerMs> {
    Some(time).filter(|time| time.0 != 0)
}

/// What is kept of an answer of so many bytes of bodies. A verdict that is missing is none: its receive had ended before.
struct Sieve<'a> {
    verdicts: &'a [Verdict],
    bytes: usize,
}

impl Sieve<'_> {
    /// Drops what is not fresh, and of that what does not stay.
    fn fresh<T>(
        &self,
        messages: &mut VecDeque<T>,
        body: impl Fn(&mut T) -> &mut Bytes,
        mut stays: impl FnMut(&T) -> bool,
    ) {
        let (before, mut verdicts) = (messages.len(), self.verdicts.iter());
        messages.retain(|message| verdicts.next() == Some(&Verdict::Fresh) && stays(message));
        if messages.len() < before {
            unpin(messages.iter_mut().map(body), self.bytes);
        }
    }
}

/// Copies the bodies of a few messages that are left of an answer of so many `bytes`. They may be slices of one buffer, and are
/// held until they are decoded, or longer: a message must not hold much more memory than it has a permit for.
fn unpin<'a>(bodies: impl Iterator<Item = &'a mut Bytes>, bytes: usize) {
    let bodies: Vec<&mut Bytes> = bodies.collect();
    if bodies.iter().map(|body| body.len()).sum::<usize>() < bytes / 2 {
        bodies.into_iter().for_each(|body| *body = Bytes::copy_from_slice(body));
    }
}

/// Whether a fresh message goes to the source's own log. If not, it is left in the queue, to be skipped that way: what is logged is deleted.
fn is_logged(shared: &Shared, state: &mut State, incoming: &Incoming) -> bool {
    let config = &shared.config;
    let enqueued = incoming.message.enqueued;
    let early = config.start_time.is_some_and(|start| enqueued.is_some_and(|enqueued| enqueued.0 < start));
    if early && config.skipped_by_time == SkippedByTime::Leave {
        shared.meter.skipped_by_time.increment(1);
        state.ledger.leave(incoming.key);
        return false;
    }
    true
}

/// What a message says of itself that the ledger is told.
struct Said {
    dequeue_count: u32,
    next_visible: ServerMs,
    enqueued: ServerMs,
    bytes: u64,
}

impl Said {
    #[inline]
    fn by(message: &Message) -> Self {
        // Its properties are kept with it, and a sender may make them larger than the body.
        let properties: usize = message.properties.iter().map(|p| p.name.len() + p.value.len()).sum();
        Self {
            dequeue_count: message.dequeue_count,
            next_visible: message.next_visible.unwrap_or_default(),
            enqueued: message.enqueued.unwrap_or_default(),
            bytes: (message.body.len() + properties) as u64,
        }
    }

    #[inline]
    fn delivery(self, key: MessageKey, handle: Handle) -> Delivery {
        let Self { dequeue_count, next_visible, enqueued, bytes } = self;
        Delivery { key, handle, dequeue_count, next_visible, enqueued, lease_end: None, bytes }
    }
}

/// How the ends of an answer's leases are told.
struct Lease {
    /// No lease is longer, whatever an answer says.
    longest: Duration,
    margin: Duration,
    /// The end by the sending of the call, if the lease is known.
    otherwise: Option<Mono>,
    /// The queue's clock when it answered, and ours when that was read.
    clocks: Option<(ServerMs, Mono)>,
}

impl Lease {
    /// The end of a lease on our monotonic clock: by the queue's own two clocks where it tells them, else from the sending of
    /// the call. A hint; nothing safe depends on it.
    fn end(&self, visible: Option<ServerMs>) -> Option<Mono> {
        let end = match (visible, self.clocks) {
            (Some(end), Some((now, read))) => read + between(now, end).min(self.longest),
            _ => self.otherwise?,
        };
        Some(end - self.margin)
    }

    /// The same for many that follow each other: messages of one answer have been leased at the same moment.
    fn ends(&self) -> impl FnMut(ServerMs) -> Option<Mono> {
        let mut last = None;
        move |visible| {
            let end = last.filter(|(same, _)| *same == visible).map_or_else(|| self.end(told(visible)), |(_, end)| end);
            last = Some((visible, end));
            end
        }
    }
}

/// The lease as the first delivery of a message tells it.
fn learnt_lease(message: &Message) -> Option<Duration> {
    let (end, first) = (message.next_visible?, message.first_dequeued?);
    (message.dequeue_count == 1).then(|| between(first, end)).filter(|lease| !lease.is_zero())
}

/// The time from one point on the queue's clock to another; zero if it is the other way round.
fn between(from: ServerMs, to: ServerMs) -> Duration {
    Duration::from_millis(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_when_its_message_says_or_else_when_the_queues_own_does() {
        let at = Mono::from_millis;
        let mut lease = Lease {
            longest: Duration::from_secs(30),
            margin: Duration::from_secs(1),
            otherwise: Some(at(20_000)),
            clocks: Some((ServerMs(500_000), at(5_000))),
        };
        // As the queue's clock says it, 0 where it says nothing; and on ours. It is 500 s there and 5 s here.
        let table = [
            (0, 19_000),
            (0, 19_000),
            (510_000, 14_000),
            (510_000, 14_000),
            (0, 19_000),
            (512_000, 16_000),
            (510_000, 14_000),
            (499_000, 4_000),
            (900_000, 34_000),
        ];
        let mut end = lease.ends();
        for (nth, (visible, wanted)) in table.into_iter().enumerate() {
            assert_eq!(end(ServerMs(visible)), Some(at(wanted)), "message {nth}");
        }
        drop(end);
        (lease.otherwise, lease.clocks) = (None, None);
        assert_eq!([0, 510_000].map(|visible| lease.ends()(ServerMs(visible))), [None, None]);
    }

    #[test]
    fn what_is_not_fresh_is_dropped_and_so_is_what_has_no_verdict() {
        let answer = Bytes::from(b"abcd".to_vec());
        let lies_in_it = |body: &Bytes| answer.as_ptr_range().contains(&body.as_ptr());
        // What is kept, and how much of that still lies in the answer.
        let staying = |verdicts: &[Verdict], stays: fn(&Bytes) -> bool| {
            let mut messages: VecDeque<Bytes> = (0..4).map(|nth| answer.slice(nth..nth + 1)).collect();
            Sieve { verdicts, bytes: answer.len() }.fresh(&mut messages, |body| body, stays);
            let there = messages.iter().filter(|body| lies_in_it(body)).count();
            (messages.into_iter().map(|body| char::from(body[0])).collect::<String>(), there)
        };
        let kept = |verdicts: &[Verdict]| staying(verdicts, |_| true);
        let (fresh, known, lapse) = (Verdict::Fresh, Verdict::Duplicate, Verdict::Lapse);
        assert_eq!(kept(&[fresh; 4]), ("abcd".into(), 4));
        assert_eq!(kept(&[known, fresh, lapse, fresh]), ("bd".into(), 2));
        assert_eq!(kept(&[known, fresh, lapse, known]), ("b".into(), 0), "a part would hold all of it");
        assert_eq!(kept(&[known, known, lapse, lapse]), (String::new(), 0));
        assert_eq!(kept(&[]), (String::new(), 0), "its receive had been given up");
        assert_eq!(kept(&[fresh, fresh]), ("ab".into(), 2));
        assert_eq!(staying(&[fresh; 4], |body| body[0] == b'd'), ("d".into(), 0), "the others were left in the queue");
    }

    /// Bodies of ten bytes, slices of the hundred bytes of their answer.
    #[test]
    fn a_few_fresh_bodies_do_not_keep_the_answer_they_came_with() {
        for (fresh, copied) in [(4, true), (5, false)] {
            let answer = Bytes::from(vec![b'x'; 100]);
            let mut bodies: Vec<Bytes> = (0..fresh).map(|n| answer.slice(n * 10..n * 10 + 10)).collect();
            unpin(bodies.iter_mut(), answer.len());
            assert_eq!(bodies, vec![Bytes::from_static(b"xxxxxxxxxx"); fresh]);
            drop(bodies.split_off(1));
            // Whoever is the only one left may write where it lies.
            drop(answer);
            let room = bodies.remove(0).try_into_mut().map(|body| body.capacity());
            assert_eq!(room.is_ok_and(|room| room < 100), copied, "{fresh} of 10");
        }
    }
}
