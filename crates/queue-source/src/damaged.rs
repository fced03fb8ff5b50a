//! Messages that came damaged: what came is neither read nor deleted, for nobody knows what it was. They come back when
//! their lease ends, nearly always whole; that one never does is not left at log lines for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_core::{Damaged, SourceError, SourceErrorKind};
use headwater_ledger::{MessageKey, Mono};

use crate::state::{Shared, known_lease};

/// Ids remembered at most: what came damaged and not whole since. 1,000 is far more than a bad line brings about within ten leases,
/// and soon reached where every message looks damaged.
const IDS: usize = 1_000;

/// Leases after which a message that could not be read is not waited for any more, or its damage taken for another: it comes back after
/// one, and there may be others to receive first. 10. The same for an answer that cannot be read, which may be one message come back.
pub(crate) const LEASES: u32 = 10;

/// What came damaged and has not come whole since.
#[derive(Debug, Default)]
pub(crate) struct Waited {
    ids: BTreeMap<MessageKey, Seen>,
}

#[derive(Debug)]
struct Seen {
    times: u32,
    last: Mono,
}

/// Why it is not waited any longer.
#[derive(Debug, PartialEq, Eq)]
enum TooMuch {
    Times(u32),
    Ids,
}

impl Waited {
    /// These came whole. Nearly always nothing is waited for.
    pub(crate) fn whole(&mut self, keys: impl Iterator<Item = MessageKey>) {
        if !self.ids.is_empty() {
            keys.for_each(|key| _ = self.ids.remove(&key));
        }
    }

    fn came(&mut self, key: MessageKey, most: u32, now: Mono, lease: Duration) -> Result<(), TooMuch> {
        let long = |seen: &Seen| now.since(seen.last) > lease.saturating_mul(LEASES);
        if self.ids.len() >= IDS && !self.ids.contains_key(&key) {
            self.ids.retain(|_, seen| !long(seen));
            if self.ids.len() >= IDS {
                return Err(TooMuch::Ids);
            }
        }
        let seen = self.ids.entry(key).or_insert(Seen { times: 0, last: now });
        seen.times = if long(seen) { 1 } else { seen.times + 1 };
        seen.last = now;
        if seen.times >= most { Err(TooMuch::Times(seen.times)) } else { Ok(()) }
    }
}

/// Counts and logs what came damaged; ends the source if that is no accident any more. To be called before the answer is screened, so
/// that nothing more is asked for then.
pub(crate) fn note(shared: &Shared, damaged: &[Damaged]) {
    if damaged.is_empty() {
        return;
    }
    shared.meter.damaged.increment(damaged.len() as u64);
    let now = shared.clock.now();
    let (mut state, mut failure) = (shared.lock(), None);
    let lease = known_lease(state.lease);
    // They are leased, and nothing else is known of when they are back.
    state.maybe_leased(now);
    for one in damaged {
        let Damaged { id, dequeue_count, told, found, .. } = one;
        tracing::warn!(
            queue = %shared.queue_name, message_id = %id, dequeue_count, told, found,
            "a message came damaged: its body is not what its checksum says. It is left to come again"
        );
        let came = state.waited.came(MessageKey::of(id), shared.config.unreadable_max, now, lease);
        failure = failure.or(came.err().map(|too_much| too_much.error(&shared.queue_name, one)));
    }
    drop(state);
    if let Some(failure) = failure {
        shared.fail(failure);
    }
}

impl TooMuch {
    fn error(&self, queue: &str, last: &Damaged) -> SourceError {
        let Damaged { id, dequeue_count, told, found, .. } = last;
        let what = match self {
            Self::Times(times) => format!("message {id} came damaged {times} times and never whole"),
            Self::Ids => format!("{IDS} messages came damaged and have not come whole since, the last of them {id}"),
        };
        let text = format!(
            "queue {queue}: {what}: its checksum is `{told}`, that of the body that came `{found}` (delivered {dequeue_count} times). \
             Nothing of it was read, and it is still in the queue. If the log shows the same two every time, it lies there so: look at it \
             (`headwater peek`) and delete it, or set `verifyBodyMd5` to `false`; else something on the way to the queue changes bodies"
        );
        SourceError::new(SourceErrorKind::BadData, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn key(n: usize) -> MessageKey {
        MessageKey::of(&format!("m{n}"))
    }

    /// What becomes of one message: `x` damaged, `m` whole, each a `pause` after what was before.
    fn ends(comes: &str, pause: Duration) -> Option<usize> {
        let (mut waited, mut now) = (Waited::default(), Mono::default());
        comes.chars().position(|how| {
            now = now + pause;
            if how == 'x' {
                return waited.came(key(1), 5, now, LEASE).is_err();
            }
            waited.whole([key(2), key(1)].into_iter());
            false
        })
    }

    #[test]
    fn a_message_is_waited_for_five_times_in_a_row() {
        assert_eq!(ends("xxxxxx", LEASE), Some(4));
        assert_eq!(ends("xxxxmxxxxmxxxx", LEASE), None);
        assert_eq!(ends("xxmxxxxx", LEASE), Some(7));
        assert_eq!(ends("xxxxxxxx", LEASE * 10), Some(4));
        assert_eq!(ends("xxxxxxxx", LEASE * 10 + Duration::from_nanos(1)), None, "each for itself");
    }

    #[test]
    fn so_many_are_waited_for_and_not_more() {
        let mut waited = Waited::default();
        let at = |seconds| Mono::default() + Duration::from_secs(seconds);
        for n in 0..IDS {
            assert_eq!(waited.came(key(n), 5, at(n as u64 / 2), LEASE), Ok(()));
        }
        assert_eq!(
            waited.came(key(IDS), 5, at(500), LEASE),
            Ok(()),
            "those of the first 200 s are not waited for any more"
        );
        assert_eq!(waited.ids.len(), 601);
        for n in IDS + 1..IDS + 400 {
            assert_eq!(waited.came(key(n), 5, at(500), LEASE), Ok(()));
        }
        assert_eq!(waited.came(key(2 * IDS), 5, at(500), LEASE), Err(TooMuch::Ids));
        assert_eq!(waited.came(key(IDS), 5, at(500), LEASE), Ok(()), "it is one of them");
        waited.whole([key(1_000)].into_iter());
        assert_eq!(waited.came(key(2 * IDS), 5, at(500), LEASE), Ok(()));
    }
}
