//! The queue against a model that is too simple to be wrong: random histories must have the same outcome in both.
//!
//! What follows from agreement: a message is in exactly one place, a dead handle never deletes, a receive takes the
//! most urgent and oldest messages, counters and times move only when they should.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::HashSet;

use headwater_mns_proto::{NewMessage, QueueSettings};
use headwater_mns_server::random::Random;
use headwater_mns_server::state::{Account, ChangeVisibilityError, Counts, HandleError, Millis, Queue, Quirks};
use proptest::prelude::*;

const START: Millis = 1_795_161_600_000;
const VISIBILITY: Millis = 3_000;
const RETENTION: Millis = 60_000;

#[derive(Debug, Clone)]
enum Step {
    Send {
        delay: u32,
        priority: u32,
    },
    Receive {
        max: usize,
    },
    Peek {
        max: usize,
    },
    /// Any handle ever given out, by its number, live or dead.
    Delete {
        handle: usize,
    },
    Change {
        handle: usize,
        seconds: u32,
    },
    Wait {
        millis: Millis,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u32..4, 1u32..4).prop_map(|(delay, priority)| Step::Send { delay, priority }),
        4 => (1usize..5).prop_map(|max| Step::Receive { max }),
        1 => (1usize..5).prop_map(|max| Step::Peek { max }),
        4 => any::<usize>().prop_map(|handle| Step::Delete { handle }),
        2 => (any::<usize>(), 1u32..6).prop_map(|(handle, seconds)| Step::Change { handle, seconds }),
        3 => prop_oneof![0u64..1_500, Just(3_000), 10_000u64..30_000].prop_map(|millis| Step::Wait { millis }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A message, by its number in the order of sends.
struct Known {
    id: String,
    priority: u32,
    enqueued: Millis,
    first: Millis,
    count: u32,
    /// Hidden until then; visible when that is past.
    hidden_until: Millis,
    handle: Option<usize>,
    deleted: bool,
}

#[derive(Default)]
struct Model {
    now: Millis,
    messages: Vec<Known>,
    /// Every handle ever given out, with its message.
    handles: Vec<(String, usize)>,
}

impl Model {
    fn alive(&self, message: &Known) -> bool {
        !message.deleted && message.enqueued + RETENTION > self.now
    }

    /// The visible messages in the order in which they are due.
    fn visible(&self) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.messages.len())
            .filter(|&number| {
                let message = &self.messages[number];
                self.alive(message) && message.hidden_until <= self.now
            })
            .collect();
        found.sort_by_key(|&number| (self.messages[number].priority, number));
        found
    }

    fn verdict(&self, handle: usize) -> Result<usize, HandleError> {
        let number = self.handles[handle].1;
        let message = &self.messages[number];
        if !self.alive(message) {
            Err(HandleError::Gone)
        } else if message.handle != Some(handle) {
            Err(HandleError::Superseded)
        } else if message.hidden_until <= self.now {
            Err(HandleError::Expired)
        } else {
            Ok(number)
        }
    }

    fn counts(&self) -> (usize, usize, usize) {
        let alive = || self.messages.iter().filter(|message| self.alive(message));
        let hidden = |message: &&Known| message.hidden_until > self.now;
        let leased = alive().filter(hidden).filter(|message| message.count > 0).count();
        let delayed = alive().filter(hidden).filter(|message| message.count == 0).count();
        (alive().count() - leased - delayed, leased, delayed)
    }

    fn new_handle(&mut self, text: &str, message: usize) -> Result<(), TestCaseError> {
        prop_assert!(self.handles.iter().all(|(known, _)| known != text), "a handle was given out twice: {}", text);
        self.handles.push((text.to_owned(), message));
        self.messages[message].handle = Some(self.handles.len() - 1);
        Ok(())
    }

    fn step(&mut self, queue: &mut Queue, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Send { delay, priority } => self.send(queue, delay, priority)?,
            Step::Receive { max } => self.receive(queue, max)?,
            Step::Peek { max } => {
                let seen: Vec<String> =
                    queue.peek(self.now, max).iter().map(|message| message.id.to_string()).collect();
                let due: Vec<String> =
                    self.visible().iter().take(max).map(|&number| self.messages[number].id.clone()).collect();
                prop_assert_eq!(seen, due);
            }
            Step::Delete { handle } if !self.handles.is_empty() => {
                let handle = handle % self.handles.len();
                let expected = self.verdict(handle);
                let got = queue.delete(self.now, &self.handles[handle].0).map(|id| id.to_string());
                prop_assert_eq!(&got, &expected.map(|number| self.messages[number].id.clone()));
                if let Ok(number) = expected {
                    self.messages[number].deleted = true;
                }
            }
            Step::Change { handle, seconds } if !self.handles.is_empty() => {
                let handle = handle % self.handles.len();
                let got = queue.change_visibility(self.now, &self.handles[handle].0, seconds);
                match self.verdict(handle) {
                    Err(error) => prop_assert_eq!(got, Err(ChangeVisibilityError::Handle(error))),
                    Ok(number) => {
                        let until = self.now + u64::from(seconds) * 1_000;
                        let (text, told) = got.map_err(|error| TestCaseError::fail(format!("{error}")))?;
                        prop_assert_eq!(told, until);
                        self.messages[number].hidden_until = until;
                        self.new_handle(&text, number)?;
                    }
                }
            }
            Step::Delete { .. } | Step::Change { .. } => {}
            Step::Wait { millis } => self.now += millis,
        }
        let Counts { visible, leased, delayed, .. } = queue.counts(self.now);
        prop_assert_eq!((visible, leased, delayed), self.counts());
        let wakeups = self.messages.iter().filter(|message| self.alive(message) && message.hidden_until > self.now);
        prop_assert_eq!(queue.next_wakeup(), wakeups.map(|message| message.hidden_until).min());
        Ok(())
    }

    fn send(&mut self, queue: &mut Queue, delay: u32, priority: u32) -> Result<(), TestCaseError> {
        let mut message = NewMessage::new(self.messages.len().to_string());
        message.delay_seconds = Some(delay);
        message.priority = Some(priority);
        let sent = queue.send(self.now, vec![message]).map_err(|error| TestCaseError::fail(format!("{error}")))?;
        prop_assert_eq!(sent[0].handle.is_some(), delay > 0);
        let id = sent[0].id.to_string();
        let upper_hex = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
        prop_assert!(id.len() == 32 && id.chars().all(upper_hex), "{}", id);
        self.messages.push(Known {
            id,
            priority,
            enqueued: self.now,
            first: 0,
            count: 0,
            hidden_until: self.now + u64::from(delay) * 1_000,
            handle: None,
            deleted: false,
        });
        match &sent[0].handle {
            Some(handle) => self.new_handle(handle, self.messages.len() - 1),
            None => Ok(()),
        }
    }

    fn receive(&mut self, queue: &mut Queue, max: usize) -> Result<(), TestCaseError> {
        let due: Vec<usize> = self.visible().into_iter().take(max).collect();
        let got = queue.receive(self.now, max, Quirks::default());
        prop_assert_eq!(got.len(), due.len());
        for (delivery, number) in got.iter().zip(due) {
            let now = self.now;
            let known = &mut self.messages[number];
            known.count += 1;
            known.first = if known.count == 1 { now } else { known.first };
            known.hidden_until = now + VISIBILITY;
            let message = &delivery.message;
            prop_assert_eq!(message.id.to_string(), known.id.clone());
            prop_assert_eq!(&message.content.body, &number.to_string());
            prop_assert_eq!(message.dequeue_count, known.count);
            prop_assert_eq!(
                (message.enqueued, message.first_dequeued, delivery.next_visible),
                (known.enqueued, known.first, known.hidden_until)
            );
            self.new_handle(&delivery.handle, number)?;
        }
        Ok(())
    }
}

fn queue(account: &mut Account) -> &mut Queue {
    let settings = QueueSettings {
        visibility_timeout: Some((VISIBILITY / 1_000) as u32),
        message_retention_period: Some((RETENTION / 1_000) as u32),
        ..QueueSettings::default()
    };
    account.create_queue(START, "q", &settings).unwrap();
    account.queue("q").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_comes_out_as_in_the_model(steps in steps(), seed in any::<u64>()) {
        let mut account = Account::new(Random::seeded(seed));
        let queue = queue(&mut account);
        let mut model = Model { now: START, ..Model::default() };
        for step in &steps {
            model.step(queue, step)?;
        }
        let ids: HashSet<&str> = model.messages.iter().map(|message| message.id.as_str()).collect();
        prop_assert_eq!(ids.len(), model.messages.len(), "an id was given out twice");
    }

    #[test]
    fn one_seed_gives_one_trace(steps in steps(), seed in any::<u64>()) {
        let trace = |seed| {
            let mut account = Account::new(Random::seeded(seed));
            let queue = queue(&mut account);
            let mut model = Model { now: START, ..Model::default() };
            for step in &steps {
                model.step(queue, step)?;
            }
            let ids: Vec<String> = model.messages.into_iter().map(|message| message.id).collect();
            Ok::<_, TestCaseError>((ids, model.handles))
        };
        prop_assert_eq!(trace(seed)?, trace(seed)?);
    }

    #[test]
    fn duplicates_never_leave_two_live_handles(rounds in proptest::collection::vec((1usize..5, 0usize..4), 1..30)) {
        let mut account = Account::new(Random::seeded(9));
        let queue = queue(&mut account);
        let mut handles = Vec::new();
        for (max, duplicates) in rounds {
            queue.send(START, vec![NewMessage::default()]).unwrap();
            let quirks = Quirks { duplicates, ..Quirks::default() };
            let got = queue.receive(START, max, quirks);
            let ids: HashSet<_> = got.iter().map(|delivery| delivery.message.id).collect();
            prop_assert_eq!(ids.len(), got.len(), "one answer must not hold a message twice");
            handles.extend(got.into_iter().map(|delivery| (delivery.message.id, delivery.handle)));
        }
        let mut deleted = HashSet::new();
        for (id, handle) in handles {
            if queue.delete(START, &handle).is_ok() {
                prop_assert!(deleted.insert(id), "two handles deleted {}", id);
            }
        }
        prop_assert_eq!(queue.counts(START).leased, 0, "the newest handle of each lease works");
    }
}
