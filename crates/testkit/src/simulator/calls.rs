//! Calls on their way: what becomes of each is drawn when it is made.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;
use std::time::Duration;

use headwater_core::{
    DeleteOutcome, Description, Extended, Handle, Message, MessageKey, Mono, QueueError, QueueErrorKind,
    ReceiveRequest, Received,
};

use super::fate::Fate;
use super::faults::Fault;
use super::options::Sabotage;
use super::plan::Call;
use super::service::Quirk;
use super::world::{Happening, World, note};
use crate::random::Random;

/// A ghost is read at the latest so long before it may be forgotten: those who read it may step aside.
const GHOST_MARGIN: Duration = Duration::from_millis(500);

/// Ghosts come only where so many deleted ids are remembered: fewer may be forgotten for their number alone.
const GHOST_IDS: u32 = 1_000;

/// What is asked of the service.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Describe,
    Receive(ReceiveRequest),
    Delete(Vec<Handle>),
    Extend(Handle, Duration),
}

/// What comes back.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Description(Description),
    Received(Received),
    Deleted(Vec<DeleteOutcome>),
    Extended(Extended),
    Failed(QueueError),
}

impl Asked {
    pub(crate) const fn kind(&self) -> Call {
        match self {
            Self::Describe => Call::Describe,
            Self::Receive(_) => Call::Receive,
            Self::Delete(_) => Call::Delete,
            Self::Extend(..) => Call::Extend,
        }
    }

    /// What the caller knows after a call without a readable answer.
    pub(crate) fn unknown(&self, kind: QueueErrorKind, what: &str) -> Answer {
        match self {
            // A delete that may have happened has no error: every entry is unknown.
            Self::Delete(handles) => Answer::Deleted(vec![DeleteOutcome::Unknown; handles.len()]),
            _ => Answer::Failed(error(kind, what)),
        }
    }
}

pub(crate) fn error(kind: QueueErrorKind, what: &str) -> QueueError {
    QueueError::new(kind, format!("simulated: {what}"))
}

/// All calls that are not over.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: BTreeMap<u64, Open>,
    /// Receives that wait at the service for a message.
    pub(crate) parked: Vec<u64>,
    made: BTreeMap<Call, u64>,
    next: u64,
    keys: BTreeMap<String, (MessageKey, usize)>,
    seen: BTreeMap<MessageKey, u32>,
    newest: BTreeMap<MessageKey, Message>,
    /// Messages that were deleted a short time ago, and when.
    ghosts: VecDeque<(Mono, Message)>,
    consumption: Consumption,
}

#[derive(Debug)]
struct Open {
    asked: Asked,
    fate: Fate,
    /// The answer has arrived: nothing is to come any more.
    answered: bool,
    /// Its caller still waits.
    waited_for: bool,
    waker: Option<Waker>,
    /// What will be known when the answer arrives, and then what is.
    coming: Option<Answer>,
    here: Option<Answer>,
}

#[derive(Debug, Default)]
struct Consumption {
    held: u64,
    since: Option<Mono>,
    second: u64,
}

impl Calls {
    /// The key of the message that a handle was given for.
    pub(crate) fn key_of(&self, handle: &Handle) -> Option<MessageKey> {
        self.keys.get(handle.as_str()).map(|(key, _)| *key)
    }

    pub(crate) fn number_of(&self, handle: &Handle) -> String {
        self.keys.get(handle.as_str()).map_or("?".into(), |(_, number)| format!("m{number}"))
    }

    fn names(&self, handles: &[Handle]) -> String {
        handles.iter().map(|handle| self.number_of(handle)).collect::<Vec<_>>().join(" ")
    }

    /// Calls made so far that take or change messages.
    pub(crate) fn changing(&self) -> u64 {
        self.made.iter().filter(|(call, _)| **call != Call::Describe).map(|(_, made)| made).sum()
    }

    /// Receives that somebody waits for.
    pub(crate) fn receives(&self) -> u64 {
        let waited_for = |open: &&Open| open.waited_for && matches!(open.asked, Asked::Receive(_));
        self.open.values().filter(waited_for).count() as u64
    }

    /// Takes what has arrived for a caller; else remembers whom to wake.
    pub(crate) fn poll(&mut self, call: u64, waker: &Waker) -> Option<Answer> {
        let open = self.open.get_mut(&call)?;
        if open.here.is_none() {
            open.waker = Some(waker.clone());
        }
        open.here.take()
    }

    /// The caller is gone. What it asked for may happen all the same.
    pub(crate) fn leave(&mut self, call: u64) {
        if self.open.get(&call).is_some_and(|open| open.answered) {
            self.open.remove(&call);
        } else if let Some(open) = self.open.get_mut(&call) {
            (open.waited_for, open.waker, open.here) = (false, None, None);
            // Half of the time the service notices that nobody waits any more, and does not keep the poll.
            if let Some(at) = self.parked.iter().position(|parked| *parked == call)
                && open.fate.random.chance(500)
            {
                self.parked.remove(at);
            }
        }
    }
}

impl World {
    /// A call is made.
    pub(crate) fn call(&mut self, asked: Asked) -> u64 {
        let number = self.calls.made.entry(asked.kind()).or_default();
        *number += 1;
        let label = *number * 8 + asked.kind() as u64;
        self.calls.next += 1;
        let call = self.calls.next;
        self.figures.calls += 1;
        self.judge_request(&asked);
        let fate = self.draw_fate(label, &asked);
        match &asked {
            Asked::Describe => note!(self, "source", "#{call} asks for the attributes"),
            Asked::Receive(request) => note!(self, "source", "#{call} receives up to {}", request.max),
            Asked::Delete(handles) => note!(self, "source", "#{call} deletes {}", self.calls.names(handles)),
            Asked::Extend(handle, lease) => {
                note!(self, "source", "#{call} extends {} by {lease:?}", self.calls.number_of(handle));
            }
        }
        let now = self.mono();
        if fate.lost {
            if !fate.silent {
                let answer = asked.unknown(QueueErrorKind::Transient, "the request was lost");
                self.open(call, asked, fate, Some(answer));
                self.schedule(now + Duration::from_millis(40), Happening::Answer(call));
                return call;
            }
        } else {
            self.schedule(now + fate.there, Happening::Arrive(call));
        }
        self.open(call, asked, fate, None);
        call
    }

    fn open(&mut self, call: u64, asked: Asked, fate: Fate, coming: Option<Answer>) {
        let open = Open { asked, fate, answered: false, waited_for: true, waker: None, coming, here: None };
        self.calls.open.insert(call, open);
    }

    /// What must hold of every request.
    fn judge_request(&mut self, asked: &Asked) {
        let Asked::Delete(handles) = asked else { return };
        self.figures.delete_requests += handles.len() as u64;
        for handle in handles {
            if let Some(key) = self.calls.key_of(handle) {
                self.judge_delete(key);
            }
        }
    }

    /// A call reaches the service.
    pub(crate) fn arrive(&mut self, call: u64) {
        let Some(open) = self.calls.open.get(&call) else { return };
        let asked = open.asked.clone();
        let refused = open.fate.refused;
        if self.is_denied(&asked) {
            return self.reply(call, Answer::Failed(error(QueueErrorKind::Denied, "denied")));
        }
        if let Some((fault, kind)) = refused {
            return self.reply(call, Answer::Failed(error(kind, fault.name())));
        }
        let now = self.server_now();
        match asked {
            Asked::Describe => {
                let description = self.service.describe();
                self.reply(call, Answer::Description(description));
            }
            Asked::Receive(request) => self.arrive_receive(call, request),
            Asked::Delete(handles) => {
                let outcomes = self.delete(call, &handles);
                self.reply(call, Answer::Deleted(outcomes));
            }
            Asked::Extend(handle, lease) => {
                let answer = match self.service.extend(now, &handle, lease) {
                    Some(extended) => {
                        if let Some(known) = self.calls.keys.get(handle.as_str()).copied() {
                            self.calls.keys.insert(extended.handle.as_str().to_owned(), known);
                        }
                        Answer::Extended(extended)
                    }
                    None => Answer::Failed(error(QueueErrorKind::Gone, "the handle is dead")),
                };
                self.reply(call, answer);
            }
        }
    }

    fn arrive_receive(&mut self, call: u64, request: ReceiveRequest) {
        let empty = |world: &Self| Answer::Received(Received::new(Vec::new(), Some(world.server_now())));
        let Some(open) = self.calls.open.get(&call) else { return };
        if open.fate.spoilt == Some(Fault::EmptyEarly) {
            let answer = empty(self);
            return self.reply(call, answer);
        }
        if self.consumes_abnormally() {
            self.figures.hit(Fault::Consumption);
            return self.reply(call, Answer::Failed(error(QueueErrorKind::Throttled, "abnormal consumption")));
        }
        if self.receive(call, request.max) {
            return;
        }
        if !self.now.quiet && self.plan.parked_max.is_some_and(|max| self.calls.parked.len() >= max) {
            self.figures.hit(Fault::ParkedPolls);
            let answer = empty(self);
            return self.reply(call, answer);
        }
        let end = self.mono() + request.wait;
        self.calls.parked.push(call);
        self.schedule(end, Happening::PollEnds(call));
    }

    /// Who holds more than so much, or for longer than so long without a delete, gets one receive a second.
    fn consumes_abnormally(&mut self) -> bool {
        let Some(limit) = self.plan.consumption.filter(|_| !self.now.quiet) else { return false };
        let now = self.mono();
        let consumption = &mut self.calls.consumption;
        let long = consumption.since.is_some_and(|since| now.since(since) > limit.held);
        if !long && consumption.held <= limit.undeleted {
            return false;
        }
        let admitted = std::mem::replace(&mut consumption.second, now.0.as_secs()) != now.0.as_secs();
        !admitted
    }

    /// Answers a receive with what is visible; `false` if there is nothing.
    fn receive(&mut self, call: u64, max: u32) -> bool {
        let Some(open) = self.calls.open.get_mut(&call) else { return false };
        let mut random = open.fate.random.clone();
        let (quiet, plan) = (self.now.quiet, self.plan.clone());
        let hit = |random: &mut Random, fault: Fault| random.chance(plan.rate(fault)) && !quiet;
        let mut quirk = Quirk::default();
        if hit(&mut random, Fault::Duplicate) {
            quirk.duplicates = 1 + u32::try_from(random.below(3)).unwrap_or(0);
        }
        if hit(&mut random, Fault::ShortLease) {
            let share = u32::try_from(random.below(100)).unwrap_or(0);
            quirk.lease = Some((self.plan.lease * share / 100).max(Duration::from_millis(1)));
            quirk.lease_told = random.chance(300);
        }
        let now = self.server_now();
        if quirk.duplicates == 0 && !self.service.has_visible(now) {
            return false;
        }
        let mut messages = self.service.receive(now, max, quirk);
        if messages.is_empty() {
            return false;
        }
        if hit(&mut random, Fault::Ghost) && messages.len() < max as usize {
            messages.extend(self.ghost(call));
        }
        self.note_deliveries(call, &messages, quirk);
        self.reply(call, Answer::Received(Received::new(messages, Some(now))));
        true
    }

    /// A message that was deleted, once more: its answer must be read while the source still has to remember it.
    fn ghost(&mut self, call: u64) -> Option<Message> {
        let limits = &self.plan.quiet.job.limits;
        let back = self.calls.open.get(&call)?.fate.back;
        let read = self.mono() + back + GHOST_MARGIN;
        if limits.grace_max_ids < GHOST_IDS {
            return None;
        }
        let (grace, ghosts) = (limits.grace, &mut self.calls.ghosts);
        while ghosts.front().is_some_and(|(deleted, _)| *deleted + grace < read) {
            ghosts.pop_front();
        }
        let (_, mut message) = ghosts.pop_front()?;
        message.handle = Handle::new(&format!("ghost-{call}"));
        message.dequeue_count += 1;
        self.figures.hit(Fault::Ghost);
        Some(message)
    }

    fn note_deliveries(&mut self, call: u64, messages: &[Message], quirk: Quirk) {
        let mut text = String::new();
        let mut again = 0;
        for message in messages {
            let key = MessageKey::of(&message.id);
            let number = self.books.number(key).unwrap_or(usize::MAX);
            self.calls.keys.insert(message.handle.as_str().to_owned(), (key, number));
            let times = self.calls.seen.entry(key).or_default();
            *times += 1;
            again += u64::from(*times > 1);
            self.calls.consumption.held += u64::from(*times == 1);
            self.delivered(&message.handle, key);
            self.calls.newest.insert(key, message.clone());
            text.push_str(&format!(" m{number}/{}", message.dequeue_count));
        }
        let now = self.mono();
        self.calls.consumption.since.get_or_insert(now);
        self.figures.deliveries += messages.len() as u64;
        self.figures.redeliveries += again;
        self.figures.hit_often(Fault::Duplicate, u64::from(quirk.duplicates.min(messages.len() as u32)));
        if quirk.lease.is_some() {
            self.figures.hit(Fault::ShortLease);
        }
        let lease = quirk.lease.map_or(String::new(), |lease| format!(" for {lease:?} (told: {})", quirk.lease_told));
        note!(self, "service", "#{call} leases{text}{lease}");
    }

    fn delete(&mut self, call: u64, handles: &[Handle]) -> Vec<DeleteOutcome> {
        let now = self.server_now();
        let Some(open) = self.calls.open.get(&call) else { return Vec::new() };
        let mut random = open.fate.random.clone();
        let (quiet, plan) = (self.now.quiet, self.plan.clone());
        let partial = random.chance(plan.rate(Fault::PartialDelete)) && !quiet;
        let wrong = random.chance(plan.rate(Fault::WrongDelete)) && !quiet;
        let mut outcomes = Vec::with_capacity(handles.len());
        for handle in handles {
            let unlucky = random.chance(400);
            if partial && unlucky {
                self.figures.hit(Fault::PartialDelete);
                outcomes.push(DeleteOutcome::Failed);
                continue;
            }
            let done = self.service.delete(now, handle);
            if done {
                self.calls.consumption.held = self.calls.consumption.held.saturating_sub(1);
                self.calls.consumption.since = None;
                let at = self.mono();
                let newest = self.calls.key_of(handle).and_then(|key| self.calls.newest.remove(&key));
                self.calls.ghosts.extend(newest.map(|message| (at, message)));
                self.deleted(handle);
            }
            let lie = self.sabotage == Some(Sabotage::ConfirmBlindly);
            outcomes.push(match done {
                true if wrong && unlucky => {
                    self.figures.hit(Fault::WrongDelete);
                    DeleteOutcome::Failed
                }
                true => DeleteOutcome::Deleted,
                false if lie => DeleteOutcome::Deleted,
                false => DeleteOutcome::Stale,
            });
        }
        note!(self, "service", "#{call} deletes {}: {outcomes:?}", self.calls.names(handles));
        outcomes
    }

    /// Sends an answer on its way back.
    fn reply(&mut self, call: u64, answer: Answer) {
        let now = self.mono();
        let Some(open) = self.calls.open.get_mut(&call) else { return };
        if !open.waited_for {
            self.calls.open.remove(&call);
            return;
        }
        let answer = match open.fate.spoilt {
            Some(Fault::Unreadable) => {
                self.now.was_unreadable = true;
                open.asked.unknown(QueueErrorKind::Unreadable, "a page of HTML")
            }
            Some(Fault::ResponseLost) => {
                if open.fate.silent {
                    return;
                }
                open.asked.unknown(QueueErrorKind::Transient, "the answer was lost")
            }
            _ => answer,
        };
        open.coming = Some(answer);
        let at = now + open.fate.back;
        self.schedule(at, Happening::Answer(call));
    }

    /// An answer reaches its caller.
    pub(crate) fn answer(&mut self, call: u64) {
        let Some(open) = self.calls.open.get_mut(&call) else { return };
        if !open.waited_for {
            self.calls.open.remove(&call);
            return;
        }
        open.here = open.coming.take();
        open.answered = true;
        if let Some(waker) = open.waker.take() {
            waker.wake();
        }
        note!(self, "network", "#{call} is answered");
    }

    /// The wait of a receive is over.
    pub(crate) fn poll_ends(&mut self, call: u64) {
        let Some(at) = self.calls.parked.iter().position(|parked| *parked == call) else { return };
        self.calls.parked.remove(at);
        let now = self.server_now();
        self.reply(call, Answer::Received(Received::new(Vec::new(), Some(now))));
    }

    /// Answers parked polls as far as there are messages, in the order of the seed.
    pub(crate) fn serve_parked(&mut self) {
        while !self.calls.parked.is_empty() {
            let now = self.server_now();
            if !self.service.has_visible(now) {
                return;
            }
            let at = self.draw_parked();
            let call = self.calls.parked.remove(at);
            let Some(Open { asked: Asked::Receive(request), .. }) = self.calls.open.get(&call) else { continue };
            let max = request.max;
            self.receive(call, max);
        }
    }
}
