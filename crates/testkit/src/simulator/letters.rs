//! Dead letters: as they are found in files, and the queue that they may be sent to.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use async_trait::async_trait;
use headwater_core::{CheckpointId, Clock, Committable, Delivery, MessageKey, Sink, SinkError};
use serde_json::Value;

use super::faults::Fault;
use super::invariants;
use super::options::Sabotage;
use super::world::{Sim, World, note};

/// Tries of one letter before the queue counts as gone.
const TRIES_MAX: u32 = 8;

/// A dead letter, as far as it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) deliveries: i64,
    pub(crate) good: i64,
    pub(crate) bad: i64,
    pub(crate) body: String,
}

impl Letter {
    /// Of a line of a file; `None` if that is none.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let number = |name: &str| line[name].as_i64();
        Some(Self {
            id: text("messageId")?,
            reason: text("reason")?,
            deliveries: number("dequeueCount")?,
            good: number("goodRows")?,
            bad: number("badRows")?,
            body: text("body")?,
        })
    }

    fn of(letters: &RecordBatch, row: usize) -> Self {
        let text = |name: &str| letters[name].as_string::<i32>().value(row).to_owned();
        let number = |name: &str| letters[name].as_primitive::<Int64Type>().value(row);
        Self {
            id: text("messageId"),
            reason: text("reason"),
            deliveries: number("dequeueCount"),
            good: number("goodRows"),
            bad: number("badRows"),
            body: text("body"),
        }
    }

    pub(crate) fn key(&self) -> MessageKey {
        MessageKey::of(&self.id)
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.reason == "dequeue-count"
    }
}

/// A queue for dead letters: what is sent is there, and what is sent twice is there twice.
#[derive(Debug)]
pub(crate) struct LetterQueue {
    pub(crate) sim: Arc<Sim>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What becomes of one try to send a letter.
enum Sent {
    Confirmed,
    Unconfirmed,
}

impl LetterQueue {
    /// The process may die at any await, before or after the letter is there.
    async fn send(&self, letter: &Letter) -> Sent {
        let (there, back, lost, unconfirmed) = {
            let mut world = self.sim.lock();
            let rate = if world.now.quiet { 0 } else { world.plan.data.as_ref().map_or(0, |data| data.letters_lost) };
            let luck = &mut world.data_luck;
            let (there, back) = (1 + luck.below(20), 1 + luck.below(20));
            let (goes_wrong, arrives) = (luck.chance(rate), luck.chance(500));
            if goes_wrong {
                world.figures.hit(Fault::LetterLost);
            }
            (there, back, goes_wrong && !arrives, goes_wrong)
        };
        self.clock.sleep(Duration::from_millis(there)).await;
        if !lost {
            let mut world = self.sim.lock();
            if !world.now.dead {
                world.letter_arrives(letter);
            }
        }
        self.clock.sleep(Duration::from_millis(back)).await;
        if unconfirmed { Sent::Unconfirmed } else { Sent::Confirmed }
    }
}

#[async_trait]
impl Sink for LetterQueue {
    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    async fn recover(&mut self, pending: &[Committable]) -> Result<(), SinkError> {
        assert!(pending.is_empty(), "nothing is ever staged");
        Ok(())
    }

    async fn write(&mut self, letters: &RecordBatch) -> Result<(), SinkError> {
        if self.sim.lock().sabotage == Some(Sabotage::DropLetters) {
            return Ok(());
        }
        for row in 0..letters.num_rows() {
            let letter = Letter::of(letters, row);
            let mut tries = 0;
            while let Sent::Unconfirmed = self.send(&letter).await {
                tries += 1;
                if tries == TRIES_MAX {
                    self.sim.lock().now.letters_refused = true;
                    return Err(SinkError::new("the queue does not take it"));
                }
                self.clock.sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    async fn pre_commit(&mut self, _id: CheckpointId) -> Result<Option<Committable>, SinkError> {
        Ok(None)
    }

    async fn commit(&mut self, _committable: &Committable) -> Result<(), SinkError> {
        Ok(())
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl World {
    /// A line of a file of letters; what stands for it in the books.
    pub(crate) fn read_letter(&mut self, line: &str) -> String {
        let Some(letter) = Letter::read(line) else {
            let found = invariants::letter_is_whole(line);
            self.violate(found);
            return line.to_owned();
        };
        self.judge_letter(&letter);
        self.books.letter(&letter)
    }

    fn letter_arrives(&mut self, letter: &Letter) {
        note!(self, "letters", "{} of {}", letter.reason, self.books.name(letter.key()));
        self.judge_letter(letter);
        self.books.letter_arrived(letter);
        self.judge_fates();
    }
}
