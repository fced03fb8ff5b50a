//! The names of everything a filesystem sink makes.

use headwater_core::CheckpointId;
use twox_hash::XxHash3_128;

/// Names of one sink of one lineage. The lineage keeps jobs apart, the tag keeps apart two tables of one job that write
/// into the same directory.
#[derive(Clone, Debug)]
pub(super) struct Names {
    owner: String,
    extension: &'static str,
}

const STAGED: &str = ".part-";
const STAGED_END: &str = ".inprogress";
const DONE: &str = "part-";
const MARKER: &str = ".commit-";

impl Names {
    pub(super) fn new(lineage: &str, table: &str, extension: &'static str) -> Self {
        let tag = (XxHash3_128::oneshot(table.as_bytes()) >> 96) as u32;
        Self { owner: format!("{lineage}-{tag:08x}"), extension }
    }

    /// The file being written, or staged and not committed: hidden from whoever reads the directory.
    pub(super) fn staged(&self, number: u64) -> String {
        format!("{STAGED}{}-{number}{STAGED_END}", self.owner)
    }

    /// A finished file. Its name says which checkpoint it came with.
    pub(super) fn done(&self, checkpoint: CheckpointId, number: usize) -> String {
        format!("{DONE}{}-{:08}-{number:03}.{}", self.owner, checkpoint.0, self.extension)
    }

    /// The file that says that the commit of a checkpoint has begun.
    pub(super) fn marker(&self, checkpoint: CheckpointId) -> String {
        format!("{MARKER}{}-{}", self.owner, checkpoint.0)
    }

    /// The copy by which a finished file gets its name anew, by the name under which it was staged.
    pub(super) fn again(staged: &str) -> String {
        format!("{}-again{STAGED_END}", staged.strip_suffix(STAGED_END).unwrap_or(staged))
    }

    /// The file that says that a commit renames files and has not synced their names, by its marker.
    pub(super) fn trying(marker: &str) -> String {
        format!("{marker}-trying")
    }

    pub(super) fn is_staged(&self, name: &str) -> bool {
        self.own(name, STAGED).is_some_and(|rest| rest.ends_with(STAGED_END))
    }

    pub(super) fn is_marker(&self, name: &str) -> bool {
        self.own(name, MARKER).is_some()
    }

    /// The number of a staged file of this sink.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.own(name, STAGED)?.strip_suffix(STAGED_END)?.parse().ok()
    }

    /// The checkpoint that a finished file of this sink came with.
    pub(super) fn shown(&self, name: &str) -> Option<CheckpointId> {
        let checkpoint = self.own(name, DONE)?.split('-').next()?;
        checkpoint.parse().ok().map(CheckpointId)
    }

    fn own<'a>(&self, name: &'a str, prefix: &str) -> Option<&'a str> {
        name.strip_prefix(prefix)?.strip_prefix(self.owner.as_str())?.strip_prefix('-')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_knows_its_own_names_and_no_others() {
        let names = Names::new("00ff", "out", "csv");
        let (staged, done, marker) = (names.staged(3), names.done(CheckpointId(7), 0), names.marker(CheckpointId(7)));
        assert!(done.starts_with("part-00ff-") && done.ends_with("-00000007-000.csv"), "{done}");
        assert!(names.is_staged(&staged) && !names.is_staged(&done) && !names.is_staged(&marker));
        assert!(names.is_staged(&Names::again(&staged)) && Names::again(&staged) != staged);
        assert!(names.is_marker(&marker) && !names.is_marker(&staged));
        assert!(names.is_marker(&Names::trying(&marker)) && Names::trying(&marker) != marker);
        assert_eq!([&done, &staged, &marker].map(|name| names.shown(name)), [Some(CheckpointId(7)), None, None]);
        assert_eq!([&staged, &Names::again(&staged), &done].map(|name| names.number(name)), [Some(3), None, None]);
        for other in [Names::new("00fe", "out", "csv"), Names::new("00ff", "other", "csv")] {
            assert!(!other.is_staged(&staged) && !other.is_marker(&marker) && other.shown(&done).is_none());
            assert_ne!(other.done(CheckpointId(7), 0), done);
        }
    }
}
