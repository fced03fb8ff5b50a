//! Whole disks as values: a copy to go on from, and bytes by which a search knows two disks as one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::MemoryFs;
use super::disk::{Change, Disk, Node, ROOT};

impl MemoryFs {
    /// A disk of its own that begins as this one is, faults that are still to come included. Files that are open here, and
    /// locks, stay with this one.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut disk = self.disk().clone();
        disk.locks.clear();
        disk.boots += 1;
        Self { inner: Arc::new(Mutex::new(disk)) }
    }

    /// How many unsynced names and contents there are: as many bits of [`Loss::Chosen`](super::Loss::Chosen) count.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        let unsynced = |node: &Node| match node {
            Node::Dir { unsynced, .. } => unsynced.len(),
            Node::File { now, durable, lost } => usize::from(!*lost && now.len() > durable.len()),
        };
        self.disk().nodes.iter().map(unsynced).sum()
    }

    /// Everything that may ever show of this disk: what is there, what of it a loss of power leaves, and what it may leave.
    /// Names for which `counts` is false are passed over; those must be names of files that nobody reads.
    #[must_use]
    pub fn picture(&self, counts: impl Fn(&str) -> bool) -> Vec<u8> {
        let disk = self.disk();
        let mut picture =
            Picture { disk: &disk, counts: &counts, seen: BTreeMap::new(), out: Vec::with_capacity(1024) };
        picture.node(ROOT);
        picture.out
    }
}

struct Picture<'a> {
    disk: &'a Disk,
    counts: &'a dyn Fn(&str) -> bool,
    // Numbers of nodes are no more than an order of making them: here they count in the order in which they are met.
    seen: BTreeMap<usize, u32>,
    out: Vec<u8>,
}

impl Picture<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend((bytes.len() as u32).to_le_bytes());
        self.out.extend(bytes);
    }

    fn node(&mut self, at: usize) {
        let next = self.seen.len() as u32;
        let known = self.seen.get(&at).copied();
        self.out.extend(known.unwrap_or(next).to_le_bytes());
        if known.is_some() {
            return;
        }
        self.seen.insert(at, next);
        match &self.disk.nodes[at] {
            Node::File { now, durable, lost } => {
                self.out.extend([1, u8::from(*lost)]);
                self.bytes(now);
                self.bytes(durable);
            }
            Node::Dir { now, durable, unsynced } => {
                for names in [now, durable] {
                    self.out.push(2);
                    for (name, node) in names.iter().filter(|(name, _)| (self.counts)(name)) {
                        self.bytes(name.as_bytes());
                        self.node(*node);
                    }
                }
                self.out.push(3);
                unsynced.iter().for_each(|change| self.change(change));
            }
        }
    }

    fn change(&mut self, change: &Change) {
        let (old, new) = match change {
            Change::Add(new, node) => (None, Some((new, *node))),
            Change::Rename(old, new, node) => (Some(old), Some((new, *node))),
            Change::Remove(old) => (Some(old), None),
        };
        let old = old.filter(|name| (self.counts)(name));
        let new = new.filter(|(name, _)| (self.counts)(name));
        if old.is_none() && new.is_none() {
            return;
        }
        self.out.extend([4, u8::from(old.is_some()), u8::from(new.is_some())]);
        if let Some(old) = old {
            self.bytes(old.as_bytes());
        }
        if let Some((new, node)) = new {
            self.bytes(new.as_bytes());
            self.node(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::super::{FileSystem, Loss, NewFile};
    use super::*;

    fn written(fs: &MemoryFs, name: &str, bytes: &[u8]) -> Box<dyn NewFile> {
        let mut file = fs.create(Path::new(name)).unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_fork_is_a_disk_of_its_own() {
        let fs = MemoryFs::new();
        let mut open = written(&fs, "/a", b"one");
        let fork = fs.fork();
        assert_eq!(fork.files(), fs.files());
        open.write_all(b" more").unwrap();
        written(&fork, "/b", b"two");
        assert_eq!(fs.files().into_values().collect::<Vec<_>>(), [b"one more"]);
        assert_eq!(fork.files().into_values().collect::<Vec<_>>(), [b"one", b"two"]);
    }

    #[test]
    fn every_choice_of_what_survives_is_one_of_the_bits() {
        let mut left = Vec::new();
        for bits in 0..4 {
            let fs = MemoryFs::new();
            written(&fs, "/a", b"x");
            assert_eq!(fs.unsynced(), 2, "its name and its content");
            fs.restart(Loss::Chosen(bits));
            left.push(fs.files().into_values().next());
        }
        assert_eq!(left, [None, Some(vec![]), None, Some(b"x".to_vec())]);
    }

    #[test]
    fn disks_that_differ_in_nothing_that_shows_have_one_picture() {
        let picture = |fs: &MemoryFs| fs.picture(|name| !name.starts_with("tmp"));
        let (one, other) = (MemoryFs::new(), MemoryFs::new());
        written(&one, "/tmp-1", b"nobody reads this");
        written(&one, "/a", b"x").sync().unwrap();
        written(&other, "/tmp-2", b"x").sync().unwrap();
        assert_ne!(picture(&one), picture(&other));
        other.rename(Path::new("/tmp-2"), Path::new("/a")).unwrap();
        assert_eq!(picture(&one), picture(&other));
        one.sync_dir(Path::new("/")).unwrap();
        assert_ne!(picture(&one), picture(&other), "what a loss of power leaves");
        other.sync_dir(Path::new("/")).unwrap();
        assert_eq!(picture(&one), picture(&other));
    }
}
