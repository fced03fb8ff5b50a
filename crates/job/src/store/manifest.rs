//! The manifest: the one file that says what is durable. Text, so that it can be read by whoever has to.

use headwater_core::CheckpointId;

use super::Lineage;
use super::files::{Named, Sum};
use crate::fs::Identity;

pub(super) const FILE: &str = "manifest";
/// The version of the state written. Readers take every version up to this one.
pub(super) const STATE_VERSION: u32 = 1;
const TITLE: &str = "headwater-state";

/// What the manifest says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Manifest {
    pub(super) lineage: Lineage,
    /// The fencing epoch: how often the directory was opened.
    pub(super) epoch: u64,
    pub(super) checkpoint: Option<Named>,
    /// The latest id that may have been used, durable or not.
    pub(super) last_id: u64,
    pub(super) identity: Identity,
}

/// Why bytes are no usable manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unusable {
    Newer(u32),
    Damaged(&'static str),
}

impl Manifest {
    pub(super) fn encode(&self) -> Vec<u8> {
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".into());
        let checkpoint = self.checkpoint;
        let mut text = format!("{TITLE} {STATE_VERSION}\n");
        let lines = [
            ("lineage", self.lineage.to_string()),
            ("epoch", self.epoch.to_string()),
            ("checkpoint", or_none(checkpoint.map(|named| named.id.to_string()))),
            ("checkpoint-bytes", or_none(checkpoint.map(|named| named.sum.len.to_string()))),
            ("checkpoint-hash", or_none(checkpoint.map(|named| format!("{:032x}", named.sum.hash)))),
            ("last-id", self.last_id.to_string()),
            ("directory-device", self.identity.device.to_string()),
            ("directory-inode", self.identity.inode.to_string()),
            ("directory-born", or_none(self.identity.born.map(|at| at.to_string()))),
        ];
        for (name, value) in lines {
            text += &format!("{name} {value}\n");
        }
        let hash = Sum::of(text.as_bytes()).hash;
        text += &format!("hash {hash:032x}\n");
        text.into_bytes()
    }

    /// What the run of this manifest leaves behind when it ends cleanly. Under the manifest of any other run it is void.
    pub(super) fn end_note(&self) -> Vec<u8> {
        let text = format!("headwater-ended 1\nlineage {}\nepoch {}\n", self.lineage, self.epoch);
        let hash = Sum::of(text.as_bytes()).hash;
        format!("{text}hash {hash:032x}\n").into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unusable> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unusable::Damaged("it is not text"))?;
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix(TITLE)?.strip_prefix(' ')?.parse().ok());
        match version {
            Some(STATE_VERSION) => {}
            Some(newer) if newer > STATE_VERSION => return Err(Unusable::Newer(newer)),
            _ => return Err(Unusable::Damaged("it does not begin with a version")),
        }
        let end = text.rfind("\nhash ").map(|at| at + 1).ok_or(Unusable::Damaged("it is cut off"))?;
        let (body, hash) = text.split_at(end);
        if hash != format!("hash {:032x}\n", Sum::of(body.as_bytes()).hash) {
            return Err(Unusable::Damaged("its checksum is wrong"));
        }
        Self::fields(lines).ok_or(Unusable::Damaged("a line of it is wrong"))
    }

    fn fields<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut next = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let lineage = Lineage(u128::from_str_radix(next("lineage")?, 16).ok()?);
        let epoch = next("epoch")?.parse().ok()?;
        let checkpoint = (next("checkpoint")?, next("checkpoint-bytes")?, next("checkpoint-hash")?);
        let checkpoint = match checkpoint {
            ("none", "none", "none") => None,
            (id, len, hash) => Some(Named {
                id: CheckpointId(id.parse().ok()?),
                sum: Sum { len: len.parse().ok()?, hash: u128::from_str_radix(hash, 16).ok()? },
            }),
        };
        let last_id = next("last-id")?.parse().ok()?;
        let device = next("directory-device")?.parse().ok()?;
        let inode = next("directory-inode")?.parse().ok()?;
        let born = match next("directory-born")? {
            "none" => None,
            at => Some(at.parse().ok()?),
        };
        Some(Self { lineage, epoch, checkpoint, last_id, identity: Identity { device, inode, born } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            lineage: Lineage(0xabc),
            epoch: 3,
            checkpoint: Some(Named { id: CheckpointId(7), sum: Sum { len: 10, hash: 0x11 } }),
            last_id: 9,
            identity: Identity { device: 1, inode: 2, born: None },
        }
    }

    #[test]
    fn it_reads_what_it_writes() {
        let first = Manifest { checkpoint: None, ..manifest() };
        for manifest in [manifest(), first] {
            assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let bytes = manifest().encode();
        for cut in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Manifest::decode(&changed).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn a_newer_version_is_recognised_whatever_follows() {
        assert_eq!(Manifest::decode(b"headwater-state 2\nsomething else"), Err(Unusable::Newer(2)));
        assert!(matches!(Manifest::decode(b"headwater-state 0\n"), Err(Unusable::Damaged(_))));
    }
}
