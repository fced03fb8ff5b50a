//! What the simulator looks at, and when: after every step, at every delete, after every life.

use std::collections::BTreeSet;

use headwater_core::MessageKey;
use headwater_ledger::Violation;
use headwater_queue_source::SourceConfig;

use super::faults::Fault;
use super::invariants;
use super::letters::Letter;
use super::world::World;

impl World {
    /// A message is deleted, or is to be: it must be safe.
    pub(crate) fn judge_delete(&mut self, key: MessageKey) {
        let logged = self.plan.log.is_some() && !self.books.is_committed(key) && self.is_logged(key);
        let early = if logged { Ok(()) } else { invariants::nothing_early(&self.books, key) };
        let letter = if logged { Ok(()) } else { self.letter_first(key) };
        self.violate(early.and(letter));
    }

    /// The letter of a message is in its place, or the message still in the log.
    fn letter_first(&mut self, key: MessageKey) -> Result<(), Violation> {
        let found = invariants::letter_first(&self.books, key);
        // What was shown may be taken back where a directory could not be synced: then it is looked for after the life.
        if found.is_ok() || self.now.disk_failed {
            return Ok(());
        }
        self.logged.remove(&key);
        if self.plan.log.is_some() && self.is_logged(key) { Ok(()) } else { found }
    }

    /// A letter says what is so.
    pub(crate) fn judge_letter(&mut self, letter: &Letter) {
        self.figures.letters += 1;
        if letter.is_unread() {
            self.figures.hit(Fault::TooOften);
        }
        let most = self.plan.data.as_ref().and_then(|data| data.max_dequeue_count);
        let found = invariants::letter_is_true(&self.books, letter, most);
        self.violate(found);
    }

    /// What went to the dead letters unread is not shown.
    pub(crate) fn judge_fates(&mut self) {
        let found = invariants::one_fate(&self.books);
        self.violate(found);
    }

    /// Whether a message is in what a loss of power would leave of the source's own log.
    pub(crate) fn is_logged(&mut self, key: MessageKey) -> bool {
        if self.logged.contains(&key) {
            return true;
        }
        let Some(id) = self.books.id(key) else { return false };
        // As a record holds it: its length, its bytes.
        let needle: Vec<u8> =
            u32::try_from(id.len()).unwrap_or(0).to_le_bytes().into_iter().chain(id.bytes()).collect();
        let files = self.disk.durable_files();
        let mut log = files.iter().filter(|(path, _)| path.starts_with(&self.places.log)).map(|(_, bytes)| bytes);
        let found = log.any(|bytes| bytes.windows(needle.len()).any(|window| window == needle));
        if found {
            self.logged.insert(key);
        }
        found
    }

    /// After a life every deleted message is shown, or in the source's own log. Where a directory could not be synced, what
    /// was shown may have been taken back: it is `staged`, and the next life shows it again.
    pub(crate) fn judge_deleted(&mut self, staged: &[BTreeSet<String>]) {
        let missing: Vec<MessageKey> = self.books.deleted_and_missing(staged);
        // What was in the log before is looked for again.
        missing.iter().for_each(|key| _ = self.logged.remove(key));
        let lost = missing.into_iter().find(|key| self.plan.log.is_none() || !self.is_logged(*key));
        let found = invariants::deleted_is_safe(&self.books, lost);
        self.violate(found);
    }

    /// Bounds of one more life.
    pub(crate) fn widen(&mut self, config: &SourceConfig) {
        let bound = config.bound();
        let (widest, undeleted) = self.bounds.get_or_insert((bound, 0));
        (widest.ids, widest.bytes) = (widest.ids.max(bound.ids), widest.bytes.max(bound.bytes));
        *undeleted = (*undeleted).max(config.limits.undeleted_max);
        if config.log.is_some() {
            // What is logged and not committed is limited by the bytes of the log alone.
            (widest.ids, *undeleted) = (u64::MAX, u32::MAX);
        }
    }

    /// Looks at the source from inside.
    pub(crate) fn judge_inside(&mut self) {
        let Some(watch) = &self.now.watch else { return };
        let mut found = watch.check().and_then(|()| watch.check_idle());
        let deleted = self.figures.deleted - self.now.deleted_before;
        // A handle that was spoilt may be confirmed by a service that breaks its word.
        if found.is_ok() && self.sabotage.is_none() {
            found = invariants::counts_honestly(watch.deleted(), deleted);
        }
        if let (Ok(()), Some((bound, undeleted))) = (&found, &self.bounds) {
            let counts = watch.counts();
            found = invariants::bounded(&counts, bound, *undeleted)
                .and_then(|()| invariants::no_leaked_permit(counts.receives, self.calls.receives()));
        }
        self.violate(found);
    }
}
