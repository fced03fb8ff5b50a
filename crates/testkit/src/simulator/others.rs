//! Other processes on the state of one that runs, and copies of that state: what is refused, and that it changes nothing.
//!
//! A copy is made of what a reader sees of the directories at one moment, into new ones: a copy of the whole disk cannot be told
//! from the disk.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use headwater_core::fs::{FileSystem, Identity, Listed, Lock, LockError, Metadata, NewFile};
use headwater_core::{CheckpointId, Clock, SourceErrorKind, StoreErrorKind};
use headwater_job::fs::MemoryFs;
use headwater_job::{Lineage, LocalStore, StoreOptions};
use headwater_queue_source::{LogConfig, QueueSource, SourceConfig};

use super::faults::{Fault, FaultSet};
use super::invariants;
use super::options::{Options, Sabotage};
use super::plan::{fork, random_bit};
use super::rows::Lines;
use super::service::Still;
use super::world::{NowLife, World, note};

/// The kinds that are about others.
const KINDS: [Fault; 3] = [Fault::SecondStart, Fault::CopiedState, Fault::SetBack];

/// Which of them a seed has: three seeds in ten have any.
pub(crate) fn draw(seed: u64, options: &Options) -> FaultSet {
    let drawn = fork(seed, 10).chance(300);
    let has = |fault: &Fault| drawn && options.faults.has(*fault) && random_bit(seed, *fault);
    KINDS.into_iter().filter(has).fold(FaultSet::NONE, FaultSet::with)
}

/// The files of a state at one moment, and the newest checkpoint it knows of.
#[derive(Clone, Debug)]
pub(crate) struct Backup {
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
    pub(super) newest: Option<CheckpointId>,
}

/// Where the state is, and the log of the source.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) state: PathBuf,
    pub(crate) log: PathBuf,
    /// They are copies that no start has adopted yet.
    pub(crate) copied: bool,
    copies: u32,
    backup: Option<Backup>,
}

impl Places {
    pub(crate) fn new() -> Self {
        Self { state: "/state".into(), log: "/log".into(), copied: false, copies: 0, backup: None }
    }
}

/// The disk as somebody else sees it: perhaps without working locks, or without identities.
#[derive(Debug)]
struct Other {
    disk: MemoryFs,
    locks: bool,
    identities: bool,
}

/// The one identity of every directory on a disk that has none.
pub(crate) const SAME: Identity = Identity { device: 1, inode: 1, born: None };

impl FileSystem for Other {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.disk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.disk.list(dir)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let found = self.disk.metadata(path)?;
        Ok(if self.identities { found } else { Metadata { identity: SAME, ..found } })
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        if self.locks { self.disk.lock(path, owner) } else { Ok(Box::new(Unlocked)) }
    }

    fn blocks(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct Unlocked;

impl Lock for Unlocked {}

impl World {
    /// The disk, for somebody who is not the process.
    fn other(&self, locks: bool) -> Arc<Other> {
        let locks = locks && self.sabotage != Some(Sabotage::LockNothing);
        let identities = self.sabotage != Some(Sabotage::NoIdentities);
        Arc::new(Other { disk: self.disk.clone(), locks, identities })
    }

    fn store_options(&self, owner: &str) -> StoreOptions {
        let mut options = StoreOptions::new(Lineage(u128::from(self.plan.seed) << 64 | u128::from(u32::MAX - 1)));
        options.owner = owner.into();
        options
    }

    /// The files under some directories, as a reader sees them.
    fn files_under(&self, places: &[&Path]) -> Vec<(PathBuf, Vec<u8>)> {
        let files = self.disk.files().into_iter();
        files.filter(|(path, _)| places.iter().any(|place| path.starts_with(place))).collect()
    }

    /// Somebody starts on the state, and the log, of the process that runs.
    pub(super) fn second_start(&mut self) {
        if !self.now.has_state || self.now.dead || self.disk.crashed() {
            return;
        }
        self.figures.hit(Fault::SecondStart);
        let places = self.places.clone();
        let before = self.files_under(&[&places.state, &places.log]);
        let opened = LocalStore::open(self.other(true), &places.state, &self.store_options("a second one"));
        let refused = opened.map(drop).map_err(|error| (error.kind == StoreErrorKind::Owned, error.to_string()));
        self.judge_refusal("a second process on the state of one that runs", refused);
        if self.now.has_log {
            let refused = self.start_on_log(&places.log);
            self.judge_refusal("a second process on the log of one that runs", refused);
        }
        let same = before == self.files_under(&[&places.state, &places.log]);
        let found = invariants::unchanged(same, "a second process that was refused");
        self.violate(found);
    }

    /// Opens a source with the log in `dir`, on a queue that does nothing.
    fn start_on_log(&self, dir: &Path) -> Result<(), (bool, String)> {
        let mut config = SourceConfig::new("another", Arc::new(Lines::new()));
        config = config.commit_log(LogConfig::new(self.other(true), dir, 1));
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let opened = QueueSource::open(Arc::new(Still), clock, config).now_or_never();
        let opened = opened.expect("neither the queue nor the disk lets it wait");
        opened.map(drop).map_err(|error| (error.kind == SourceErrorKind::State, error.to_string()))
    }

    /// Where locks do not work, somebody may take over: the process must notice with its next checkpoint.
    pub(super) fn take_over(&mut self) {
        if !self.now.has_state || self.now.dead || self.disk.crashed() {
            return;
        }
        let state = self.places.state.clone();
        let taken = LocalStore::open(self.other(false), state, &self.store_options("a thief"));
        note!(self, "other", "takes over without a lock: {:?}", taken.as_ref().err().map(ToString::to_string));
        self.figures.hit(Fault::SecondStart);
        // One that failed may have come far enough to be noticed.
        (self.now.takeover_tried, self.now.taken_over) = (true, self.now.taken_over || taken.is_ok());
    }

    /// Keeps what the state is now.
    pub(super) fn back_up(&mut self) {
        if self.now.has_state && !self.disk.crashed() {
            let files = self.files_under(&[&self.places.state.clone()]);
            self.places.backup = Some(Backup { files, newest: self.books.newest_durable() });
            note!(self, "other", "copies the state");
        }
    }

    /// Somebody starts on a copy of the state, of now or of an earlier moment.
    pub(super) fn copy_start(&mut self, old: bool) {
        if !self.now.has_state || self.disk.crashed() {
            return;
        }
        let state = self.places.state.clone();
        let files = match self.places.backup.clone().filter(|_| old) {
            Some(backup) => backup.files,
            None => self.files_under(&[&state]),
        };
        let place = self.copy(&files, &state);
        self.refuse_copy(&place);
    }

    /// Puts files of the directory `from` into a new one beside it.
    fn copy(&mut self, files: &[(PathBuf, Vec<u8>)], from: &Path) -> PathBuf {
        self.figures.hit(Fault::CopiedState);
        self.places.copies += 1;
        let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place =
            PathBuf::from(format!("/{}-copy{}", name.split('-').next().unwrap_or_default(), self.places.copies));
        for (path, bytes) in files {
            if let Ok(rest) = path.strip_prefix(from) {
                self.disk.put(&place.join(rest), bytes);
            }
        }
        note!(self, "other", "copies {} to {}", from.display(), place.display());
        place
    }

    fn refuse_copy(&mut self, place: &Path) {
        let before = self.files_under(&[place]);
        let opened = LocalStore::open(self.other(true), place, &self.store_options("the one with the copy"));
        let refused = opened.map(drop).map_err(|error| {
            let told = error.to_string().contains("it is a copy");
            (error.kind == StoreErrorKind::Refused && told, error.to_string())
        });
        self.judge_refusal("a start on a copy", refused);
        let found = invariants::unchanged(before == self.files_under(&[place]), "a start on a copy that was refused");
        self.violate(found);
    }

    /// `Err`: whether it is the refusal that is promised, and what it says.
    fn judge_refusal(&mut self, what: &str, refused: Result<(), (bool, String)>) {
        note!(self, "other", "{what}: {refused:?}");
        // A disk that fails is reason enough not to start.
        let refused = refused.map_err(|(as_promised, text)| (as_promised || self.now.disk_failed, text));
        let found =
            invariants::refuses(what, refused.as_ref().map_err(|(as_promised, text)| (*as_promised, text.as_str())));
        self.violate(found);
    }

    /// While nothing runs the directories are copied elsewhere, and from here on the copy is the state.
    pub(super) fn move_state(&mut self) {
        let Places { state, log, .. } = self.places.clone();
        let files = self.files_under(&[&state, &log]);
        if !files.iter().any(|(path, _)| path.ends_with("manifest")) {
            return;
        }
        let place = self.copy(&files, &state);
        self.refuse_copy(&place);
        self.places.state = place;
        if files.iter().any(|(path, _)| path.starts_with(&log)) {
            self.places.log = self.copy(&files, &log);
        }
        (self.places.copied, self.places.backup) = (true, None);
    }

    /// The process has its state open: if that was a copy, it is none any more.
    pub(super) fn has_state(&mut self) {
        (self.now.has_state, self.places.copied) = (true, false);
    }

    /// Puts an old state in its place, on a copy of the disk; how many calls were made that take or change messages.
    pub(super) fn set_back(&mut self, backup: &Backup) -> u64 {
        self.figures.hit(Fault::SetBack);
        let disk = self.disk.fork();
        for (path, _) in self.files_under(&[&self.places.state.clone()]) {
            // A disk in memory removes what is there.
            let _ = disk.remove(&path);
        }
        backup.files.iter().for_each(|(path, bytes)| disk.put(path, bytes));
        note!(self, "other", "puts the state of checkpoint {:?} back", backup.newest);
        self.elsewhere = Some(disk);
        self.calls.changing()
    }

    /// Nothing was taken or changed, and the promised refusal was given.
    pub(super) fn judge_set_back(&mut self, refused: Result<(), (bool, String)>, calls: u64) {
        self.elsewhere = None;
        self.now = NowLife::default();
        self.judge_refusal("a start on a state that was set back", refused);
        let found = invariants::unchanged(self.calls.changing() == calls, "a start on a state that was set back");
        self.violate(found);
    }

    /// An old state, if there is one that must be told: a sink shows a later checkpoint than it knows of.
    pub(super) fn old_state(&mut self) -> Option<Backup> {
        // What a disk that failed shows is not known for certain.
        let backup = self.places.backup.take().filter(|_| !self.disk_ever_failed)?;
        let shown = self.books.newest_shown();
        (shown > backup.newest).then_some(backup)
    }
}
