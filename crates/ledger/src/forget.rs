//! Forgetting: the only two ways in which an id leaves the ledger for good.

use std::time::Duration;

use crate::entry::{Operation, Stage};
use crate::ids::{MessageKey, Mono, ServerMs};
use crate::ledger::Ledger;

/// How often unconfirmed ids are compared with the end of retention. Retention is days, so minutes do.
pub(crate) const RETENTION_SCAN_PERIOD: Duration = Duration::from_secs(600);

/// Added to the retention: clocks of a service's machines differ, and a message may be handed out at the last moment.
const RETENTION_MARGIN: Duration = Duration::from_secs(3600);

impl Ledger {
    /// Lets time pass: forgets what cannot come back.
    ///
    /// `server_now` is a time that has certainly come on the queue's clock: one too late forgets an id that can come back, one
    /// too early only keeps it longer. A caller must not take a single answer's word for it. `None` leaves what was last said;
    /// an earlier time than before corrects it.
    ///
    /// Returns how many ids were forgotten.
    pub fn tick(&mut self, now: Mono, server_now: Option<ServerMs>) -> u64 {
        if let Some(server_now) = server_now {
            self.server_now = server_now;
        }
        #[cfg(feature = "traps")]
        if self.limits.has_trap(crate::traps::Trap::RestoredForAMinute) {
            self.forget_restored(now);
        }
        self.forget_deleted(now) + self.forget_expired(now)
    }

    /// An id whose delete is confirmed goes when every receive that began before the confirmation has ended, and the
    /// grace for service-side duplicates is over (or too many wait in it).
    fn forget_deleted(&mut self, now: Mono) -> u64 {
        let oldest = self.receives.keys().next().copied();
        let mut forgotten = 0;
        while let Some(burial) = self.graves.oldest() {
            let carried = oldest.is_some_and(|oldest| oldest < burial.ticket);
            // As many of the group that shares this burial as are too many.
            let crowd = (self.counts.deleted + 1).saturating_sub(u64::from(self.limits.grace_max_ids));
            let most = if now < burial.at + self.limits.grace { crowd } else { u64::MAX };
            if carried || most == 0 {
                break;
            }
            #[cfg(feature = "traps")]
            if self.limits.has_trap(crate::traps::Trap::NeverPruned) {
                break;
            }
            let before = self.forgotten.len();
            let gone = self.graves.forget_oldest(most, &mut self.forgotten);
            if self.unlisted(burial.checkpoint) {
                self.forgotten.truncate(before);
            }
            self.counts.deleted -= gone;
            forgotten += gone;
        }
        if forgotten > 0 {
            self.compact_changed();
        }
        forgotten
    }

    /// When the oldest deleted id may go; `None` while a receive may still carry it, since then its end is the event.
    pub(crate) fn forget_deadline(&self) -> Option<Mono> {
        let burial = self.graves.oldest()?;
        let carried = self.receives.keys().next().is_some_and(|oldest| *oldest < burial.ticket);
        let crowded = self.counts.deleted >= u64::from(self.limits.grace_max_ids);
        (!carried).then(|| if crowded { burial.at } else { burial.at + self.limits.grace })
    }

    /// An unconfirmed id goes when the queue itself must have dropped the message: send time + largest retention seen
    /// + 1 h, all on the queue's clock.
    fn forget_expired(&mut self, now: Mono) -> u64 {
        if self.counts.unconfirmed == 0 || now < self.last_scan + RETENTION_SCAN_PERIOD {
            return 0;
        }
        self.last_scan = now;
        let lived =
            i64::try_from(self.limits.retention.saturating_add(RETENTION_MARGIN).as_millis()).unwrap_or(i64::MAX);
        let horizon = self.server_now.0.saturating_sub(lived);
        let dropped = |enqueued: ServerMs| enqueued.0 > 0 && enqueued.0 < horizon;
        let entries = self
            .entries
            .iter()
            .filter(|(_, e)| matches!(e.stage, Stage::Committed(_)) && e.handle.is_none())
            .filter(|(_, e)| e.operation == Operation::None && dropped(e.enqueued))
            .map(|(key, _)| *key);
        let packed = self.compact.iter().filter(|id| dropped(id.enqueued)).map(|id| id.key);
        let mut expired: Vec<MessageKey> = entries.chain(packed).collect();
        expired.sort_unstable();
        for key in &expired {
            self.forget(*key);
        }
        if !expired.is_empty() {
            self.note_freed(now);
        }
        expired.len() as u64
    }
}
