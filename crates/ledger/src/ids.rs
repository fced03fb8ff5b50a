//! Identifiers and time: newtypes, so that nothing is mixed up.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use crate::text::SharedStr;

/// What identifies a message for its whole life: a 128-bit hash (XXH3, unseeded, so stable across restarts) of the
/// queue's message id.
///
/// 128 bits because a collision would delete an unread message: at 10 million remembered ids the chance that a new id
/// collides is about 3e-32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey(pub u128);

impl MessageKey {
    /// The key of a message id as the queue spells it.
    #[inline]
    #[must_use]
    pub fn of(message_id: &str) -> Self {
        Self(twox_hash::XxHash3_128::oneshot(message_id.as_bytes()))
    }
}

impl fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A receipt handle: what a queue wants back in order to delete or extend one delivery. Opaque; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub SharedStr);

impl Handle {
    /// Wraps a copy of the handle's text. A queue with many handles in one answer may wrap slices of one [`SharedStr`] instead.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(SharedStr::from(text))
    }

    /// The handle's text.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Handle {
    // A handle is a capability to delete a message: its head is enough to tell two apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: String = self.0.chars().take(6).collect();
        write!(f, "{head}…")
    }
}

/// The number of a checkpoint. Grows within a lineage; gaps are allowed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CheckpointId(pub u64);

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of one receive call, in the order in which the calls began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// The number of one delete call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeleteToken(pub u64);

/// A point on a monotonic clock: the time since some start that only the clock's owner knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(pub Duration);

impl Mono {
    /// A point `ms` milliseconds after the start.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    #[inline]
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    #[inline]
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs))
    }
}

/// Milliseconds since 1970 on the *queue's* clock, as read from its answers. Never compared with a local clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ServerMs(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_every_process() {
        // Persisted in every state file: a change of this value makes old states unreadable.
        assert_eq!(MessageKey::of("").0, 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
        assert_ne!(MessageKey::of("A"), MessageKey::of("a"));
    }

    #[test]
    fn a_handle_does_not_show_itself_whole() {
        assert_eq!(format!("{:?}", Handle::new("1-ODU4OTkzNDU5My0x")), "1-ODU4…");
    }
}
