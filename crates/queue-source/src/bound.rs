//! How much a source may remember and hold, by its configuration, and how much it does (G4).

use headwater_ledger::LogLimits;

use crate::config::SourceConfig;

/// Ids remembered, and bytes of bodies held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Footprint {
    /// Ids of messages: received, uncommitted, being deleted, unconfirmed, deleted and remembered for a while.
    pub ids: u64,
    /// Bytes of bodies from the receive that may carry them until their epoch is committed.
    pub bytes: u64,
}

impl Footprint {
    /// Whether this fits under `bound`.
    #[must_use]
    pub const fn fits(&self, bound: &Self) -> bool {
        self.ids <= bound.ids && self.bytes <= bound.bytes
    }
}

impl SourceConfig {
    /// The most that a source with this configuration remembers and holds:
    ///
    /// ```text
    /// ids   <= undeleted_max + (ledger_max_ids - 1) + (grace_max_ids - 1)
    /// bytes <= bytes_max
    /// ```
    ///
    /// An id is new only under a permit, and permits are given while fewer than `undeleted_max` messages are received and not
    /// deleted, fewer than `ledger_max_ids` are unconfirmed and fewer than `grace_max_ids` deleted ones are remembered. After that it only
    /// changes its place. What receives on their way may bring (`pollers` × `batch_max` at most) is inside of `undeleted_max` and of
    /// `bytes_max`, because it is reserved before they begin; so the number of pollers does not appear.
    ///
    /// With a log of the source's own, what is received is held with everything that the log says of it until it is handed out: up to
    /// `record_overhead` bytes more for each of `undeleted_max` messages. What a start finds in the log is like a restored state.
    ///
    /// A restored state that was saved under larger limits may hold more; nothing is received then until it fits. A message larger than the queue's own
    /// limit is taken all the same, and counted: bytes are over the bound until its epoch is committed. Not in here: what a client holds of an answer while it reads
    /// it, of which there are at most `pollers` at once.
    #[must_use]
    pub fn bound(&self) -> Footprint {
        let limits = &self.limits;
        let ids = u64::from(limits.undeleted_max)
            + u64::from(limits.ledger_max_ids.saturating_sub(1))
            + u64::from(limits.grace_max_ids.saturating_sub(1));
        let logged = self.log.as_ref().map_or(0, |log| LogLimits::new(log.bytes_max).record_overhead);
        Footprint { ids, bytes: limits.bytes_max + u64::from(limits.undeleted_max) * logged }
    }
}

#[cfg(test)]
mod tests {
    use headwater_formats::{Format, RowType};

    use super::*;

    #[test]
    fn the_bound_of_the_defaults_is_what_the_documents_say() {
        let columns: RowType = "a STRING".parse().expect("a row type");
        let config = SourceConfig::new("t", Format::json().factory(&columns).expect("a decoder"));
        assert_eq!(config.bound(), Footprint { ids: 1_203_998, bytes: 67_108_864 });
    }
}
