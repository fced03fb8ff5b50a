//! Disks with what runs on them, as values. Store and sink cannot be copied, so a disk is the one its process began with, and
//! what the process has done since; whoever goes on from it does that again. What comes of an operation, and what a death in
//! the middle of it leaves, is found out once for all histories that lead to the same disk.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use headwater_core::JobState;
use headwater_job::fs::{Fault, Loss, MemoryFs};

use crate::broken::Broken;
use crate::print::Printer;
use crate::process::{Answer, Op, Process, times};
use crate::watched::Watched;

/// How many unsynced names and contents there may be at a death: every choice of them is tried.
const UNSYNCED_MAX: usize = 12;

/// How often each message is shown: to a reader now, and to one after a loss of power that takes everything unsynced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) now: [u8; 2],
    pub(crate) durable: [u8; 2],
}

impl Shown {
    fn of(fs: &MemoryFs) -> Self {
        Self { now: times(&fs.files()), durable: times(&fs.durable_files()) }
    }
}

/// A disk and the process that runs on it.
pub(crate) struct Disk {
    pub(crate) print: u128,
    pub(crate) shown: Shown,
    /// The disk when the process started.
    boot: MemoryFs,
    /// What it has done since, and which file operation of each failed.
    done: Vec<(Op, Option<(Fault, u64)>)>,
}

/// A disk that nothing runs on.
pub(crate) struct Image {
    pub(crate) print: u128,
    pub(crate) shown: Shown,
    fs: MemoryFs,
}

impl Image {
    /// A new disk.
    pub(crate) fn empty() -> Self {
        image_of(MemoryFs::new())
    }
}

/// What came of an operation.
pub(crate) struct Ran {
    pub(crate) answer: Answer,
    pub(crate) disk: Arc<Disk>,
}

/// What came of a start.
pub(crate) struct Started {
    pub(crate) disk: Arc<Disk>,
    pub(crate) state: Option<JobState>,
}

/// One end of a process: before which changing file operation of what it was doing, and what of the unsynced the power left.
pub(crate) struct Death {
    pub(crate) operation: u8,
    /// One bit for each; `None` if only the process died.
    pub(crate) kept: Option<u16>,
    pub(crate) image: Arc<Image>,
}

/// One failed file operation: the `nth` of its kind.
pub(crate) struct Failure {
    pub(crate) what: Fault,
    pub(crate) nth: u8,
    pub(crate) ran: Arc<Ran>,
}

/// What was found out before.
struct Memo<K, V>(Mutex<HashMap<K, V>>);

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get(&self, key: K, find: impl FnOnce() -> V) -> V {
        let known = |memo: &Self| memo.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known(self) {
            return known;
        }
        let found = find();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        found
    }
}

type Start = Result<Arc<Started>, String>;

/// All that was found out about disks in one search.
pub(crate) struct Disks {
    broken: Option<Broken>,
    starts: Memo<u128, Start>,
    ran: Memo<(u128, u128), Arc<Ran>>,
    deaths: Memo<(u128, u128, bool), Arc<Vec<Death>>>,
    failures: Memo<(u128, u128), Arc<Vec<Failure>>>,
    secured: Memo<u128, Start>,
}

/// Stands for no operation.
const NOTHING: u128 = 0;

impl Disks {
    pub(crate) fn new(broken: Option<Broken>) -> Self {
        Self {
            broken,
            starts: Memo::new(),
            ran: Memo::new(),
            deaths: Memo::new(),
            failures: Memo::new(),
            secured: Memo::new(),
        }
    }

    /// Starts a process on a disk.
    pub(crate) fn start(&self, image: &Image) -> Start {
        self.starts.get(image.print, || {
            let (process, state) = Process::start(Watched::new(image.fs.fork()), self.broken)?;
            let disk = Arc::new(disk_of(&process, image.fs.clone(), Vec::new()));
            Ok(Arc::new(Started { disk, state }))
        })
    }

    /// Lets the process do something.
    pub(crate) fn run(&self, disk: &Disk, op: &Op) -> Arc<Ran> {
        self.ran.get((disk.print, op.print()), || Arc::new(self.try_run(disk, op, None)))
    }

    /// Every way in which one failed file operation changes what comes of it.
    pub(crate) fn failures(&self, disk: &Disk, op: &Op) -> Arc<Vec<Failure>> {
        self.failures.get((disk.print, op.print()), || {
            let mut process = self.again(disk);
            self.go(&mut process, op, false);
            let mut counts: Vec<(Fault, u8)> = Vec::new();
            for what in process.disk.noted().asked {
                match counts.iter_mut().find(|(kind, _)| *kind == what) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((what, 1)),
                }
            }
            let mut seen = BTreeSet::from([(self.run(disk, op).disk.print, true)]);
            let mut out = Vec::new();
            for (what, nth) in counts.into_iter().flat_map(|(what, count)| (0..count).map(move |nth| (what, nth))) {
                let ran = self.try_run(disk, op, Some((what, u64::from(nth))));
                let done = matches!(ran.answer, Answer::Done | Answer::Staged(..));
                if seen.insert((ran.disk.print, done)) {
                    out.push(Failure { what, nth, ran: Arc::new(ran) });
                }
            }
            Arc::new(out)
        })
    }

    /// Every disk that a death may leave: now, or before any file operation of what is being done. If no death can follow,
    /// of those which a start makes the same one is enough.
    pub(crate) fn deaths(&self, disk: &Disk, op: Option<&Op>, last: bool) -> Arc<Vec<Death>> {
        self.deaths.get((disk.print, op.map_or(NOTHING, Op::print), last), || {
            let mut process = self.again(disk);
            let before = match op {
                None => vec![process.disk.fs.fork()],
                Some(op) => {
                    self.go(&mut process, op, true);
                    process.disk.noted().before.unwrap_or_default()
                }
            };
            Arc::new(self.left(&before, last))
        })
    }

    /// As [`deaths`](Self::deaths), in the middle of a start.
    pub(crate) fn deaths_of_a_start(&self, image: &Image, last: bool) -> Arc<Vec<Death>> {
        self.deaths.get((image.print, NOTHING, last), || {
            let watched = Watched::new(image.fs.fork());
            watched.watch(true, None);
            // A start that is refused is found by the one that nothing interrupts.
            drop(Process::start(watched.clone(), self.broken));
            Arc::new(self.left(&watched.noted().before.unwrap_or_default(), last))
        })
    }

    /// The disk of a process that ends by itself.
    pub(crate) fn exit(&self, disk: &Disk) -> Arc<Image> {
        let fs = self.again(disk).disk.fs.fork();
        fs.restart(Loss::Nothing);
        Arc::new(image_of(fs))
    }

    /// What a start would make of what is durable now.
    pub(crate) fn secured(&self, disk: &Disk) -> Start {
        self.secured.get(disk.print, || {
            let fs = self.again(disk).disk.fs.fork();
            fs.restart(Loss::Unsynced);
            self.start(&image_of(fs))
        })
    }

    /// The disks that are left, of those at which a process may have died.
    fn left(&self, before: &[MemoryFs], last: bool) -> Vec<Death> {
        let (mut images, mut starts) = (BTreeSet::new(), BTreeSet::new());
        let mut out = Vec::new();
        for (operation, fs) in (0..).zip(before) {
            let unsynced = fs.unsynced();
            assert!(unsynced <= UNSYNCED_MAX, "{unsynced} names and contents are not synced: too many choices");
            for kept in std::iter::once(None).chain((0..1u16 << unsynced).map(Some)) {
                let fs = fs.fork();
                fs.restart(kept.map_or(Loss::Nothing, |kept| Loss::Chosen(u64::from(kept))));
                let image = image_of(fs);
                let is_new = images.insert(image.print)
                    && (!last || starts.insert(self.start(&image).map(|started| started.disk.print)));
                if is_new {
                    out.push(Death { operation, kept, image: Arc::new(image) });
                }
            }
        }
        out
    }

    fn try_run(&self, disk: &Disk, op: &Op, fault: Option<(Fault, u64)>) -> Ran {
        let mut process = self.again(disk);
        if let Some((what, nth)) = fault {
            process.disk.fs.fail(what, nth, ErrorKind::Other);
        }
        let answer = self.go(&mut process, op, false);
        let done = disk.done.iter().cloned().chain([(op.clone(), fault)]).collect();
        Ran { answer, disk: Arc::new(disk_of(&process, disk.boot.clone(), done)) }
    }

    /// The process as it was, from its start.
    fn again(&self, disk: &Disk) -> Process {
        let started = Process::start(Watched::new(disk.boot.fork()), self.broken);
        let (mut process, _) = started.expect("it started before, on the same disk");
        for (op, fault) in &disk.done {
            if let Some((what, nth)) = fault {
                process.disk.fs.fail(*what, *nth, ErrorKind::Other);
            }
            self.go(&mut process, op, false);
        }
        process
    }

    fn go(&self, process: &mut Process, op: &Op, copies: bool) -> Answer {
        let left_out = match (self.broken, op) {
            (Some(Broken::StageUnsynced(n)), Op::Stage(_))
            | (Some(Broken::SaveUnsynced(n)), Op::Save(_))
            | (Some(Broken::CommitUnsynced(n)), Op::Commit(_)) => Some(usize::from(n)),
            _ => None,
        };
        process.disk.watch(copies, left_out);
        process.run(op)
    }
}

/// Files that are only written in order to be renamed: nobody reads them, and a start removes them.
fn counts(name: &str) -> bool {
    !name.starts_with("tmp-")
}

fn disk_of(process: &Process, boot: MemoryFs, done: Vec<(Op, Option<(Fault, u64)>)>) -> Disk {
    let mut out = Printer::default();
    out.bytes(&process.disk.fs.picture(counts));
    process.print(&mut out);
    Disk { print: out.finish(), shown: Shown::of(&process.disk.fs), boot, done }
}

fn image_of(fs: MemoryFs) -> Image {
    let mut out = Printer::default();
    out.bytes(&fs.picture(counts));
    Image { print: out.finish(), shown: Shown::of(&fs), fs }
}
