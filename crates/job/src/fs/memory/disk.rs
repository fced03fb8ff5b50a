//! What the simulated disk holds, and what a loss of power leaves of it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use super::{Fault, Loss};

#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) nodes: Vec<Node>,
    // What the power has gone off and on how often: handles and locks from before are dead.
    pub(super) boots: u64,
    pub(super) operations: u64,
    pub(super) crash_before: Option<u64>,
    pub(super) faults: Vec<(Fault, u64, ErrorKind)>,
    pub(super) capacity: Option<u64>,
    pub(super) locks: BTreeMap<PathBuf, String>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Dir { now: BTreeMap<String, usize>, durable: BTreeMap<String, usize>, unsynced: Vec<Change> },
    File { now: Vec<u8>, durable: Vec<u8>, lost: bool },
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Add(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

pub(super) const ROOT: usize = 0;

impl Disk {
    pub(super) fn crashed(&self) -> bool {
        self.crash_before.is_some_and(|at| self.operations >= at)
    }

    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.crashed() {
            return Err(power_failed());
        }
        self.operations += 1;
        Ok(())
    }

    /// Counts an operation of this kind; the error it shall have, if it shall have one.
    pub(super) fn due(&mut self, kind: Fault) -> Option<ErrorKind> {
        let mut due = None;
        self.faults.retain_mut(|(fault, left, error)| {
            if *fault != kind {
                return true;
            }
            if *left == 0 && due.is_none() {
                due = Some(*error);
                return false;
            }
            *left = left.saturating_sub(1);
            true
        });
        due
    }

    pub(super) fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn dir(&self, at: usize) -> io::Result<(&BTreeMap<String, usize>, &[Change])> {
        match &self.nodes[at] {
            Node::Dir { now, unsynced, .. } => Ok((now, unsynced)),
            Node::File { .. } => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn dir_mut(&mut self, at: usize) -> io::Result<(&mut BTreeMap<String, usize>, &mut Vec<Change>)> {
        match &mut self.nodes[at] {
            Node::Dir { now, unsynced, .. } => Ok((now, unsynced)),
            Node::File { .. } => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<usize> {
        names(path)
            .iter()
            .try_fold(ROOT, |at, name| self.dir(at)?.0.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into()))
    }

    pub(super) fn parent(&self, path: &Path) -> io::Result<(usize, String)> {
        let mut names = names(path);
        let name = names.pop().ok_or(ErrorKind::InvalidInput)?;
        let parent = names.iter().collect::<PathBuf>();
        Ok((self.find(&parent)?, name))
    }

    pub(super) fn link(&mut self, parent: usize, name: String, node: usize) -> io::Result<()> {
        let (now, unsynced) = self.dir_mut(parent)?;
        if now.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        now.insert(name.clone(), node);
        unsynced.push(Change::Add(name, node));
        Ok(())
    }

    pub(super) fn enter(&mut self, parent: usize, name: &str, node: usize) {
        if let Node::Dir { now, durable, .. } = &mut self.nodes[parent] {
            now.insert(name.to_owned(), node);
            durable.insert(name.to_owned(), node);
        }
    }

    pub(super) fn used(&self) -> u64 {
        let mut sum = 0;
        self.walk(ROOT, &mut PathBuf::new(), &mut |_, bytes| sum += bytes.len() as u64);
        sum
    }

    pub(super) fn walk(&self, at: usize, path: &mut PathBuf, visit: &mut dyn FnMut(&Path, &[u8])) {
        match &self.nodes[at] {
            Node::File { now, .. } => visit(path, now),
            Node::Dir { now, .. } => {
                for (name, node) in now {
                    path.push(name);
                    self.walk(*node, path, visit);
                    path.pop();
                }
            }
        }
    }

    pub(super) fn walk_durable(&self, at: usize, path: &mut PathBuf, visit: &mut dyn FnMut(&Path, &[u8])) {
        match &self.nodes[at] {
            Node::File { durable, .. } => visit(path, durable),
            Node::Dir { durable, .. } => {
                for (name, node) in durable {
                    path.push(name);
                    self.walk_durable(*node, path, visit);
                    path.pop();
                }
            }
        }
    }
}

impl Node {
    pub(super) fn lose(&mut self, loss: Loss, dice: &mut Dice) {
        match (self, loss) {
            (_, Loss::Nothing) => {}
            (Self::Dir { now, durable, unsynced }, _) => {
                for change in std::mem::take(unsynced) {
                    let survives = match loss {
                        Loss::Chosen(_) => dice.bit(),
                        _ => loss != Loss::Unsynced && dice.roll(2) == 0,
                    };
                    if survives {
                        change.apply(durable);
                    }
                }
                now.clone_from(durable);
            }
            (Self::File { now, durable, lost }, _) => {
                let tail = now.len() - durable.len();
                let may_survive = loss != Loss::Unsynced && !*lost && tail > 0;
                if may_survive && matches!(loss, Loss::Chosen(_)) {
                    if dice.bit() {
                        durable.clone_from(now);
                    }
                } else if may_survive {
                    let kept = match dice.roll(4) {
                        0 => 0,
                        1 => tail,
                        _ => dice.roll(tail as u64) as usize,
                    };
                    let start = durable.len();
                    durable.extend_from_slice(&now[start..start + kept]);
                    // The length was written, the pages were not.
                    if dice.roll(4) == 0 {
                        durable.resize(now.len(), 0);
                    }
                }
                now.clone_from(durable);
                *lost = false;
            }
        }
    }
}

impl Change {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Rename(old, new, node) => {
                if names.get(old) == Some(node) {
                    names.remove(old);
                }
                names.insert(new.clone(), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

/// SplitMix64: small, and the same on every machine. Or the bits of a choice, one after the other.
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides.max(1)
    }

    const fn bit(&mut self) -> bool {
        let bit = self.0 & 1 == 1;
        self.0 >>= 1;
        bit
    }
}

pub(super) fn empty_dir() -> Node {
    Node::Dir { now: BTreeMap::new(), durable: BTreeMap::new(), unsynced: Vec::new() }
}

pub(super) fn names(path: &Path) -> Vec<String> {
    let normal = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    };
    path.components().filter_map(normal).collect()
}

pub(super) fn power_failed() -> io::Error {
    io::Error::other("the power has failed")
}
