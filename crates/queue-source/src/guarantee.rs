//! What a source promises, in one sentence with the numbers behind it.

use headwater_core::{Delivery, Source};

use crate::config::Rewind;
use crate::source::QueueSource;

impl QueueSource {
    /// [`Source::guarantee`].
    pub(crate) fn sentence(&self) -> String {
        let limits = &self.shared.config.limits;
        let letters = self.letters.as_ref();
        let letters = letters.map_or(String::new(), |l| {
            format!("; dead letters to {}: {}", l.place(), l.delivery().min(self.delivery()))
        });
        let leases = self.shared.lock().leases.sentence(&self.shared.config);
        if self.delivery() == Delivery::AtLeastOnce {
            return format!(
                "queue {}: at-least-once, because its message ids change on redelivery; {leases}{letters}",
                self.shared.queue_name
            );
        }
        let kept = self.log_sentence().unwrap_or_else(|| {
            format!(
                "deleted only after a checkpoint (every {:?} or {} messages), at most {} undeleted and {} unconfirmed ids remembered",
                limits.checkpoint_interval, limits.checkpoint_max_messages, limits.undeleted_max, limits.ledger_max_ids,
            )
        });
        format!(
            "queue {}: exactly-once by message id; {kept}; {leases}; {}{letters}",
            self.shared.queue_name,
            match self.shared.config.rewind {
                Rewind::Undetected => "rewind of a saved state is not detected by the source",
                Rewind::Marked(_) => "a saved state that was set back is refused, by its marker",
            }
        )
    }

    /// What the guarantee says of a log; `None` without one.
    fn log_sentence(&self) -> Option<String> {
        let config = self.shared.config.log.as_ref()?;
        let limits = &self.shared.config.limits;
        Some(format!(
            "written to the log in {} (at most {} bytes) and deleted from the queue at once: until their checkpoint (every {:?}, or \
             when half of the log is handed out) these messages live on this disk only; at most {} undeleted and {} unconfirmed ids \
             remembered",
            config.dir.display(),
            config.bytes_max,
            limits.checkpoint_interval,
            limits.undeleted_max,
            limits.ledger_max_ids
        ))
    }
}
