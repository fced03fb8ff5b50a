//! How far a lineage has come, kept apart from its state: what tells that a saved state was set back.

use std::fmt;
use std::str::FromStr;

use headwater_ledger::{CheckpointId, MessageKey};

use crate::source::SourceState;

/// Begins the text form; the number is its version.
const TITLE: &str = "headwater-marker-1";

/// The newest checkpoint that a source's embedder may have committed, in a line of text to keep *elsewhere* than the state.
///
/// What was committed is being deleted from the queue. If the state is then set back (a restored backup, a rolled-back disk),
/// messages that it does not know are emitted a second time when they are redelivered, and nothing in the state itself can
/// tell. A marker in another place can, because it was not set back along with the state:
///
/// 1. `checkpoint(N)`, save the state durably;
/// 2. save the marker of N durably, in place of the one before;
/// 3. commit the sinks, `commit(N)`.
///
/// At a restart the marker is given to the source ([`check`](Self::check) is what it does with it). A state that is newer than
/// the marker is fine: the process died between 1 and 2.
///
/// ```
/// use headwater_core::{CheckpointId, LineageMarker, SourceState};
///
/// let state = SourceState::new("mns:1/orders".into(), vec![]);
/// let text = LineageMarker::of(CheckpointId(7), &state).to_string();
/// let marker: LineageMarker = text.parse()?;
/// assert!(marker.check(CheckpointId(7), &state).is_ok());
/// assert!(marker.check(CheckpointId(6), &state).is_err());
/// # Ok::<(), headwater_core::MarkerError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineageMarker {
    identity: String,
    checkpoint: CheckpointId,
    /// Of the names of the state's parts, which are unique to their contents.
    hash: u128,
}

/// Why a state does not go with a marker, or a text is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkerError {
    /// The state is older than what was committed.
    #[error(
        "the saved state is checkpoint {found}, and the marker says that checkpoint {marked} was committed: the state was set \
         back. Put the newest state back; or, to accept that rows after checkpoint {found} are repeated or missing, open the \
         source without a marker"
    )]
    Rewound {
        /// The checkpoint of the state.
        found: CheckpointId,
        /// The checkpoint of the marker.
        marked: CheckpointId,
    },
    /// There is no state, and something was committed.
    #[error(
        "there is no saved state, and the marker says that checkpoint {marked} was committed: put the state back and restore \
         it before the first `next`; or, to accept that rows are repeated, open the source without a marker"
    )]
    Missing {
        /// The checkpoint of the marker.
        marked: CheckpointId,
    },
    /// The state belongs to another queue, or to another history of the same one.
    #[error("the marker is of another state ({marked}): use the marker that was saved with this state, or none")]
    Other {
        /// Whose marker it is.
        marked: String,
    },
    /// The text is not one that [`LineageMarker`] writes.
    #[error("this is no marker: it is one line that begins with `{TITLE}`, as it was written")]
    Unreadable,
}

impl LineageMarker {
    /// The marker of a state that was just saved under `checkpoint`.
    #[must_use]
    pub fn of(checkpoint: CheckpointId, state: &SourceState) -> Self {
        let stored = state.stored.iter().map(|part| part.name.as_str());
        let names: Vec<&str> = stored.chain(state.parts.iter().map(|part| part.name.as_str())).collect();
        Self { identity: state.identity.clone(), checkpoint, hash: MessageKey::of(&names.join("\n")).0 }
    }

    /// The checkpoint that may have been committed.
    #[must_use]
    pub const fn checkpoint(&self) -> CheckpointId {
        self.checkpoint
    }

    /// Whether a saved state may be restored: it is of the same queue, and not older than this.
    ///
    /// # Errors
    /// Why not, and the way out.
    pub fn check(&self, checkpoint: CheckpointId, state: &SourceState) -> Result<(), MarkerError> {
        let found = Self::of(checkpoint, state);
        if found.identity != self.identity || (found.checkpoint == self.checkpoint && found.hash != self.hash) {
            return Err(MarkerError::Other {
                marked: format!("queue {}, checkpoint {}", self.identity, self.checkpoint),
            });
        }
        if checkpoint < self.checkpoint {
            return Err(MarkerError::Rewound { found: checkpoint, marked: self.checkpoint });
        }
        Ok(())
    }
}

impl fmt::Display for LineageMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TITLE} {} {:032x} {}", self.checkpoint, self.hash, self.identity)
    }
}

impl FromStr for LineageMarker {
    type Err = MarkerError;

    fn from_str(text: &str) -> Result<Self, MarkerError> {
        let read = || {
            let mut words = text.trim_end_matches(['\n', '\r']).splitn(4, ' ');
            if words.next()? != TITLE {
                return None;
            }
            let checkpoint = CheckpointId(words.next()?.parse().ok()?);
            let hash = words.next().filter(|hash| hash.len() == 32)?;
            let hash = u128::from_str_radix(hash, 16).ok()?;
            Some(Self { identity: words.next()?.to_owned(), checkpoint, hash })
        };
        read().ok_or(MarkerError::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::StatePart;

    fn state(identity: &str, part: &str) -> SourceState {
        SourceState::new(identity.into(), vec![StatePart { name: part.into(), bytes: b"x"[..].into() }])
    }

    #[test]
    fn older_states_and_other_histories_are_told_apart() {
        let own = state("mns:1/orders", "7-a");
        let marker = LineageMarker::of(CheckpointId(7), &own);
        assert_eq!(marker.check(CheckpointId(7), &own), Ok(()));
        assert_eq!(marker.check(CheckpointId(9), &state("mns:1/orders", "9-b")), Ok(()), "saved, and not yet marked");
        let rewound = MarkerError::Rewound { found: CheckpointId(6), marked: CheckpointId(7) };
        assert_eq!(marker.check(CheckpointId(6), &state("mns:1/orders", "6-a")), Err(rewound));
        for other in [state("mns:1/orders", "7-c"), state("mns:2/orders", "7-a")] {
            let error = marker.check(CheckpointId(7), &other).unwrap_err();
            assert!(error.to_string().contains("queue mns:1/orders, checkpoint 7"), "{error}");
        }
    }

    #[test]
    fn its_text_is_read_back_and_other_text_is_not() {
        let marker = LineageMarker::of(CheckpointId(u64::MAX), &state("mns:1/a queue", "p"));
        let text = marker.to_string();
        assert_eq!(text.parse(), Ok(marker.clone()));
        assert_eq!(format!("{text}\n").parse(), Ok(marker), "as a file has it");
        let cut = &text[..text.len() - "mns:1/a queue".len() - 2];
        for wrong in ["", "headwater-marker-2 1 0 q", cut, &text.replace(' ', "  ")] {
            assert_eq!(wrong.parse::<LineageMarker>(), Err(MarkerError::Unreadable), "{wrong:?}");
        }
    }
}
