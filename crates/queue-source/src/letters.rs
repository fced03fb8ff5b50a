//! Dead letters: gathered while an epoch is open, durable before its state is returned, in their place with its commit.
//!
//! # SUBTLE: futures that are dropped
//! `checkpoint` and `commit` of a source may be dropped and repeated; a sink's calls may not. So a call to the sink, once
//! begun, is kept here with the sink inside, and whoever comes next finishes it first. A sink that has failed stays failed:
//! a later checkpoint would cover messages whose letters are nowhere.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_core::{
    BadRecord, CheckpointId, Delivery, MessageMeta, MessageRef, Sink, SinkError, SourceError, SourceErrorKind,
    StatePart,
};
use headwater_ledger::MessageKey;

use crate::letter_rows::LetterRows;
use crate::letter_state::{self, Staged};

/// What is wrong with one message, as far as its letter says it in detail. 16: the rest is in the body, which is whole.
const ERRORS_KEPT: usize = 16;
/// Bytes of bodies turned into rows at a time: what the sink holds besides the letters themselves.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_LETTERS: usize = 1_024;

/// Where messages go that cannot be processed: a sink that takes rows of [`dead_letter_columns`](crate::dead_letter_columns),
/// one per message.
///
/// It is written to, staged and committed with the source's checkpoints, before any message of theirs is deleted. With a
/// sink that is exactly-once, so are dead letters.
#[derive(Debug)]
pub struct DeadLetterTarget {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) place: String,
}

impl DeadLetterTarget {
    /// A target; `place` names it in messages, as in `directory /var/dead`.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>, place: impl Into<String>) -> Self {
        Self { sink, place: place.into() }
    }
}

/// Why a message went to the dead letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    Undecodable,
    DequeueCount,
    Rejected,
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::DequeueCount => "dequeue-count",
            Self::Rejected => "rejected",
        }
    }
}

/// One message that cannot be processed.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) meta: MessageMeta,
    pub(crate) body: Bytes,
    pub(crate) reason: Reason,
    /// The first of what is wrong, and how much there is in all.
    pub(crate) errors: Vec<BadRecord>,
    pub(crate) wrong: usize,
    /// Rows of it that were handed out all the same.
    pub(crate) rows: usize,
}

/// A message of the open epoch, which may still be rejected.
#[derive(Debug)]
struct Held {
    meta: MessageRef,
    body: Bytes,
    rows: usize,
    letter: Option<u64>,
}

/// The dead letters of one source. Bounded by the permits of their messages, which are held until the commit.
#[derive(Debug)]
pub(crate) struct Letters {
    rows: LetterRows,
    place: String,
    delivery: Delivery,
    target: Target,
    recovered: bool,
    held: HashMap<MessageKey, Held>,
    held_bytes: u64,
    /// The letters of the open epoch, in the order of their making.
    open: BTreeMap<u64, DeadLetter>,
    /// Bytes of the bodies of letters that are not durable.
    letter_bytes: u64,
    next: u64,
    /// Cut by a barrier, not staged yet.
    sealed: VecDeque<(CheckpointId, Vec<DeadLetter>)>,
    /// Durable, not in their place yet.
    staged: Vec<Staged>,
    delivered: u64,
}

enum Target {
    Idle(Box<dyn Sink>),
    Busy(BoxFuture<'static, (Box<dyn Sink>, Result<Done, SinkError>)>),
    Broken(SourceError),
}

enum Done {
    Recovered,
    Staged(Staged),
    Committed,
    Closed,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Idle(sink) => write!(f, "Idle({sink:?})"),
            Self::Busy(_) => f.write_str("Busy"),
            Self::Broken(error) => write!(f, "Broken({error})"),
        }
    }
}

impl Letters {
    pub(crate) fn new(target: DeadLetterTarget, job: &str, table: &str) -> Self {
        Self {
            rows: LetterRows::new(job, table),
            place: target.place,
            delivery: target.sink.delivery(),
            target: Target::Idle(target.sink),
            recovered: false,
            held: HashMap::new(),
            held_bytes: 0,
            open: BTreeMap::new(),
            letter_bytes: 0,
            next: 0,
            sealed: VecDeque::new(),
            staged: Vec::new(),
            delivered: 0,
        }
    }

    /// Where they go.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) const fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Letters that are in their place for good, since the start.
    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// A message was handed out in the open epoch.
    pub(crate) fn hold(&mut self, meta: MessageRef, body: Bytes, rows: usize) {
        self.held_bytes += body.len() as u64;
        self.held.insert(meta.key, Held { meta, body, rows, letter: None });
    }

    /// Something is wrong with a message of the open epoch. Whatever more is found goes into the same letter.
    pub(crate) fn add(&mut self, key: MessageKey, reason: Reason, wrong: Vec<BadRecord>) {
        let Some(held) = self.held.get_mut(&key) else { return };
        let number = *held.letter.get_or_insert(self.next);
        let letter = self.open.entry(number).or_insert_with(|| {
            self.next += 1;
            self.letter_bytes += held.body.len() as u64;
            let (meta, body, rows) = (held.meta.detached(), Bytes::copy_from_slice(&held.body), held.rows);
            DeadLetter { meta, body, reason, errors: Vec::new(), wrong: 0, rows }
        });
        letter.wrong += wrong.len();
        let room = ERRORS_KEPT.saturating_sub(letter.errors.len());
        letter.errors.extend(wrong.into_iter().take(room));
    }

    /// A message that cannot be rejected any more; a letter of it stays.
    pub(crate) fn let_go(&mut self, key: MessageKey) {
        if let Some(held) = self.held.remove(&key) {
            self.held_bytes -= held.body.len() as u64;
        }
    }

    /// Bytes of the bodies that are kept here; those of bad messages that may still be complained of count twice.
    pub(crate) const fn body_bytes(&self) -> u64 {
        self.held_bytes + self.letter_bytes
    }

    /// A message leaves the open epoch again, with its letter.
    pub(crate) fn withdraw(&mut self, key: MessageKey) {
        let Some(held) = self.held.remove(&key) else { return };
        self.held_bytes -= held.body.len() as u64;
        if let Some(letter) = held.letter.and_then(|number| self.open.remove(&number)) {
            self.letter_bytes -= letter.body.len() as u64;
        }
    }

    /// The barrier of a new checkpoint was cut. The messages `later` belong to the epoch after it.
    pub(crate) fn seal(&mut self, id: CheckpointId, later: &HashSet<MessageKey>) {
        self.held.retain(|key, _| later.contains(key));
        self.held_bytes = self.held.values().map(|held| held.body.len() as u64).sum();
        let open = std::mem::take(&mut self.open);
        let (cut, still) = open.into_iter().partition(|(_, letter)| !later.contains(&letter.meta.key));
        self.open = still;
        let cut: BTreeMap<u64, DeadLetter> = cut;
        if !cut.is_empty() {
            self.sealed.push_back((id, cut.into_values().collect()));
        }
    }

    /// Removes what an earlier process staged and no checkpoint lists; `staged` is what the restored one does. The first
    /// call counts, later ones return at once.
    pub(crate) async fn recover(&mut self, staged: Vec<Staged>) -> Result<(), SourceError> {
        if self.recovered {
            return Ok(());
        }
        self.settle().await?;
        if !self.recovered {
            self.staged = staged;
            let pending: Vec<_> = self.staged.iter().filter_map(|staged| staged.committable.clone()).collect();
            self.begin(|mut sink| {
                Box::pin(async move {
                    let result = sink.recover(&pending).await;
                    (sink, result.map(|()| Done::Recovered))
                })
            });
            self.settle().await?;
        }
        Ok(())
    }

    /// Makes everything durable that barriers have cut, and says what a state has to hold of it.
    pub(crate) async fn stage(&mut self) -> Result<Option<StatePart>, SourceError> {
        self.recover(Vec::new()).await?;
        self.settle().await?;
        while let Some((id, letters)) = self.sealed.pop_front() {
            self.letter_bytes -= letters.iter().map(|letter| letter.body.len() as u64).sum::<u64>();
            let rows = self.rows.clone();
            self.begin(|mut sink| {
                Box::pin(async move {
                    let result = write(&mut *sink, &rows, &letters, id).await;
                    (sink, result.map(Done::Staged))
                })
            });
            self.settle().await?;
        }
        Ok(letter_state::part(&self.staged))
    }

    /// Refuses a commit of what was cut and not staged: its messages would be deleted while their letters are nowhere.
    pub(crate) fn may_commit(&self, id: CheckpointId) -> Result<(), SourceError> {
        if self.sealed.front().is_none_or(|(sealed, _)| *sealed > id) {
            return Ok(());
        }
        let text = format!(
            "checkpoint {id} was not finished, and dead letters of it are nowhere yet: repeat `checkpoint` with this id and save \
             what it returns, then commit"
        );
        Err(SourceError::new(SourceErrorKind::Failed, text))
    }

    /// Puts everything in its place that was staged up to checkpoint `id`. Says how many letters that were.
    pub(crate) async fn commit(&mut self, id: CheckpointId) -> Result<u64, SourceError> {
        let before = self.delivered;
        self.settle().await?;
        while let Some(first) = self.staged.first().filter(|staged| staged.checkpoint <= id) {
            let Some(committable) = first.committable.clone() else {
                self.delivered += first.letters;
                self.staged.remove(0);
                continue;
            };
            self.begin(|mut sink| {
                Box::pin(async move {
                    let result = sink.commit(&committable).await;
                    (sink, result.map(|()| Done::Committed))
                })
            });
            self.settle().await?;
        }
        Ok(self.delivered - before)
    }

    /// Ends the sink, unless a call to it was left on its way: nobody may wait for that any more. What is staged and not
    /// committed is the next run's.
    pub(crate) async fn close(&mut self) -> Result<(), SourceError> {
        if !matches!(self.target, Target::Idle(_)) {
            return Ok(());
        }
        self.begin(|mut sink| {
            Box::pin(async move {
                let result = sink.close().await;
                (sink, result.map(|()| Done::Closed))
            })
        });
        self.settle().await
    }

    fn begin(
        &mut self,
        call: impl FnOnce(Box<dyn Sink>) -> BoxFuture<'static, (Box<dyn Sink>, Result<Done, SinkError>)>,
    ) {
        let lost = SourceError::new(SourceErrorKind::Failed, "the sink of the dead letters was lost in a panic");
        match std::mem::replace(&mut self.target, Target::Broken(lost)) {
            Target::Idle(sink) => self.target = Target::Busy(call(sink)),
            other => self.target = other,
        }
    }

    /// Finishes the call that is on its way.
    async fn settle(&mut self) -> Result<(), SourceError> {
        if let Target::Busy(call) = &mut self.target {
            let (sink, result) = call.await;
            match result {
                Ok(done) => {
                    self.target = Target::Idle(sink);
                    self.take(done);
                }
                Err(error) => {
                    let text = format!(
                        "dead letters cannot be put into {}: {error}. Nothing is lost: their messages come again",
                        self.place
                    );
                    let kind = if error.is_denied() { SourceErrorKind::Denied } else { SourceErrorKind::Failed };
                    self.target = Target::Broken(SourceError::new(kind, text).with_source(error));
                }
            }
        }
        match &self.target {
            Target::Broken(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Recovered => self.recovered = true,
            Done::Staged(staged) => self.staged.push(staged),
            // It is the oldest one that was committed; the loop over them takes it off the list.
            Done::Committed => {
                if let Some(first) = self.staged.first_mut() {
                    first.committable = None;
                }
            }
            Done::Closed => {}
        }
    }
}

async fn write(
    sink: &mut dyn Sink,
    rows: &LetterRows,
    letters: &[DeadLetter],
    id: CheckpointId,
) -> Result<Staged, SinkError> {
    let mut rest = letters;
    while !rest.is_empty() {
        let mut bytes = 0;
        let full = |letter: &DeadLetter| {
            bytes += letter.body.len();
            bytes > CHUNK_BYTES
        };
        let many = rest.iter().position(full).unwrap_or(rest.len()).clamp(1, CHUNK_LETTERS);
        let (chunk, after) = rest.split_at(many);
        sink.write(&rows.batch(chunk)?).await?;
        rest = after;
    }
    let committable = sink.pre_commit(id).await?;
    Ok(Staged { checkpoint: id, letters: letters.len() as u64, committable })
}
