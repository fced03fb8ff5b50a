//! The store and the sinks of a job, watched, slowed down, and sometimes broken on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use headwater_core::fs::FileSystem;
use headwater_core::{
    CheckpointId, CheckpointStore, Clock, Committable, Delivery, JobState, MessageKey, Mono, Sink, SinkError,
    StoreError,
};
use headwater_job::LocalStore;
use headwater_ledger::{Ledger, Limits, Segment};

use super::invariants;
use super::letters::Letter;
use super::options::Sabotage;
use super::world::{Sim, note};

/// Where sink number `sink` shows its files.
pub(crate) fn place(sink: usize) -> PathBuf {
    PathBuf::from(format!("/data/t{sink}"))
}

/// The store.
#[derive(Debug)]
pub(crate) struct SimStore {
    pub(crate) sim: Arc<Sim>,
    pub(crate) inner: LocalStore,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Which stalls a part waits for.
#[derive(Clone, Copy)]
enum Part {
    Store,
    Sink,
}

/// Waits until a stall is over, and now and then a moment, so that everything else can come in between.
async fn pause(sim: &Sim, clock: &dyn Clock, part: Part) {
    let left = {
        let mut world = sim.lock();
        let short = Duration::from_millis(u64::from(world.steps_aside()) * 5);
        let until = match part {
            Part::Store => world.store_stalls,
            Part::Sink => world.sink_stalls,
        };
        let stalled = until.since(world.mono());
        world.now.was_stalled |= !stalled.is_zero();
        stalled.max(short)
    };
    if !left.is_zero() {
        clock.sleep(left).await;
    }
}

/// The parts of a state that are the ledger's: what else a source keeps has names of its own.
fn is_ledgers(name: &str) -> bool {
    !name.starts_with("log-") && !name.starts_with("letters-")
}

/// The ids in a saved state, by what a restart would make of it. Parts that are only named were saved before.
fn keys(state: &JobState, known: &mut BTreeMap<String, Arc<[u8]>>) -> Result<BTreeSet<MessageKey>, String> {
    let mut keys = BTreeSet::new();
    for source in &state.sources {
        known.extend(source.parts.iter().map(|part| (part.name.clone(), Arc::clone(&part.bytes))));
        let names = source.stored.iter().map(|part| &part.name).chain(source.parts.iter().map(|part| &part.name));
        let segments: Result<Vec<_>, String> = names
            .filter(|name| is_ledgers(name))
            .map(|name| {
                let bytes = known.get(name).ok_or_else(|| format!("nobody has part {name}"))?;
                Segment::from_bytes(bytes).map_err(|error| error.to_string())
            })
            .collect();
        let segments = segments?;
        let mut ledger = Ledger::new(Limits::default(), Mono::default()).map_err(|errors| format!("{errors:?}"))?;
        ledger.restore(state.checkpoint, &segments, Mono::default()).map_err(|error| error.to_string())?;
        keys.extend(ledger.ids().into_iter().map(|id| id.key));
    }
    Ok(keys)
}

impl SimStore {
    fn durable(&self, state: &JobState) {
        let mut world = self.sim.lock();
        let keys = keys(state, &mut world.parts);
        // An old state says nothing of what is.
        if world.now.dead || world.elsewhere.is_some() {
            return;
        }
        match keys {
            Ok(keys) => {
                note!(world, "store", "checkpoint {} is durable, with {} ids", state.checkpoint, keys.len());
                let owed = state.pending.iter().map(|(sink, staged)| (sink.clone(), staged.checkpoint));
                world.books.durable(state.checkpoint, keys, owed);
            }
            Err(problem) => {
                let found = invariants::restorable(state.checkpoint, &problem);
                world.violate(found);
            }
        }
    }
}

impl SimStore {
    fn note_saved(&self, state: &JobState, saved: &Result<(), StoreError>) {
        let mut world = self.sim.lock();
        if let Err(error) = saved {
            world.figures.failed_checkpoints += 1;
            return note!(world, "store", "checkpoint {} is not saved: {error}", state.checkpoint);
        }
        world.figures.checkpoints += 1;
        let found = invariants::fenced(world.now.taken_over, state.checkpoint);
        world.violate(found);
        drop(world);
        self.durable(state);
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CheckpointStore for SimStore {
    async fn newest(&mut self) -> Result<Option<JobState>, StoreError> {
        let newest = self.inner.newest().await?;
        if let Some(state) = &newest {
            self.durable(state);
        }
        Ok(newest)
    }

    fn next_id(&self) -> CheckpointId {
        self.inner.next_id()
    }

    fn keeps_parts(&self) -> bool {
        self.inner.keeps_parts()
    }

    async fn save(&mut self, state: &JobState) -> Result<(), StoreError> {
        note!(self.sim.lock(), "store", "saves checkpoint {}", state.checkpoint);
        pause(&self.sim, &*self.clock, Part::Store).await;
        let sabotage = self.sim.lock().sabotage;
        if sabotage == Some(Sabotage::AcknowledgeUnsaved) && state.checkpoint.0 % 4 == 3 {
            return Ok(());
        }
        let mut state = state.clone();
        if sabotage == Some(Sabotage::ForgetStaged) {
            state.pending.clear();
        }
        let saved = self.inner.save(&state).await;
        self.note_saved(&state, &saved);
        pause(&self.sim, &*self.clock, Part::Store).await;
        saved
    }

    async fn note_clean_end(&mut self) -> Result<(), StoreError> {
        self.inner.note_clean_end().await
    }
}

/// A sink.
#[derive(Debug)]
pub(crate) struct SimSink {
    pub(crate) sim: Arc<Sim>,
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) inner: Box<dyn Sink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) writes: u64,
}

/// Reads what a sink shows, and judges it.
pub(crate) fn look(sim: &Sim, sink: usize) {
    let dir = place(sink);
    let Ok(listed) = sim.disk.list(&dir) else { return };
    let names: BTreeSet<String> =
        listed.into_iter().map(|entry| entry.name).filter(|name| !name.starts_with('.')).collect();
    let mut world = sim.lock();
    let gone = world.books.gone(sink, &names).map(str::to_owned);
    world.violate(invariants::nothing_taken_back(gone.as_deref()));
    for name in &names {
        let is_letters = world.books.is_letters(sink);
        if is_letters && world.books.shows(sink, name) {
            continue;
        }
        let lines = || rows(sim, &dir.join(name));
        if is_letters {
            let letters = lines();
            let letters: Vec<String> = letters.iter().map(|line| world.read_letter(line)).collect();
            world.books.file(sink, name, || letters);
        } else {
            world.books.file(sink, name, lines);
        }
    }
    let twice = invariants::nothing_twice(&world.books);
    world.violate(twice);
    world.judge_fates();
}

/// The rows that a sink keeps in hidden files.
pub(crate) fn staged(sim: &Sim, sink: usize) -> BTreeSet<String> {
    let dir = place(sink);
    let listed = sim.disk.list(&dir).unwrap_or_default();
    let hidden = listed.iter().filter(|entry| entry.name.starts_with('.'));
    let rows = hidden.flat_map(|entry| rows(sim, &dir.join(&entry.name)));
    let world = sim.lock();
    if !world.books.is_letters(sink) {
        return rows.collect();
    }
    // What was torn is no letter.
    rows.filter_map(|line| Letter::read(&line)).map(|letter| world.books.letter_of(&letter)).collect()
}

fn rows(sim: &Sim, path: &Path) -> Vec<String> {
    let bytes = headwater_core::fs::read(&sim.disk, path, u64::MAX).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

// What is not passed on would take its default, and nobody would notice.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Sink for SimSink {
    fn delivery(&self) -> Delivery {
        self.inner.delivery()
    }

    async fn newest_shown(&mut self) -> Result<Option<CheckpointId>, SinkError> {
        self.inner.newest_shown().await
    }

    async fn recover(&mut self, pending: &[Committable]) -> Result<(), SinkError> {
        note!(self.sim.lock(), "sink", "{} recovers with {} epochs staged", self.name, pending.len());
        self.inner.recover(pending).await
    }

    async fn write(&mut self, records: &RecordBatch) -> Result<(), SinkError> {
        pause(&self.sim, &*self.clock, Part::Sink).await;
        self.writes += 1;
        let sabotage = self.sim.lock().sabotage;
        if sabotage == Some(Sabotage::DropRows) && self.writes.is_multiple_of(16) {
            return Ok(());
        }
        note!(self.sim.lock(), "sink", "{} takes {} rows", self.name, records.num_rows());
        self.inner.write(records).await?;
        if sabotage == Some(Sabotage::WriteTwice) && self.writes.is_multiple_of(16) {
            self.inner.write(records).await?;
        }
        Ok(())
    }

    async fn pre_commit(&mut self, id: CheckpointId) -> Result<Option<Committable>, SinkError> {
        pause(&self.sim, &*self.clock, Part::Sink).await;
        let staged = self.inner.pre_commit(id).await?;
        note!(self.sim.lock(), "sink", "{} stages {id}: {}", self.name, staged.is_some());
        if self.sim.lock().sabotage == Some(Sabotage::ShowEarly)
            && let Some(staged) = &staged
        {
            self.inner.commit(staged).await?;
            look(&self.sim, self.number);
        }
        Ok(staged)
    }

    async fn commit(&mut self, committable: &Committable) -> Result<(), SinkError> {
        pause(&self.sim, &*self.clock, Part::Sink).await;
        self.inner.commit(committable).await?;
        let mut world = self.sim.lock();
        if world.now.dead {
            return Ok(());
        }
        note!(world, "sink", "{} has committed {}", self.name, committable.checkpoint);
        if !world.books.is_letters(self.number) {
            world.books.sink_committed(&self.name, committable.checkpoint);
        }
        drop(world);
        look(&self.sim, self.number);
        Ok(())
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        self.inner.close().await
    }
}
