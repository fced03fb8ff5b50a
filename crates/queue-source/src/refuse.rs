//! Messages that are bad, or unwanted: as decoding found them, and as the consumer says.

use std::collections::HashSet;
use std::time::Duration;

use headwater_core::{BadRecord, CheckpointId, MessageMeta, SourceError, SourceErrorKind};
#[cfg(feature = "traps")]
use headwater_ledger::Trap;
use headwater_ledger::{MessageKey, Mono};

use crate::config::BadRecords;
use crate::decode::Decoded;
use crate::letters::Reason;
use crate::source::QueueSource;

impl QueueSource {
    /// Notes what may still be rejected and what is bad already, of messages that are handed out in the same step. The error
    /// if that is too much.
    pub(crate) fn note(&mut self, decoded: &Decoded, now: Mono) -> Option<SourceError> {
        let config = &self.shared.config;
        let messages = decoded.batch.messages();
        self.bad.handed_out(messages.len() as u64, now);
        if let Some(letters) = &mut self.letters {
            for (at, (message, body)) in messages.iter().zip(&decoded.bodies).enumerate() {
                if let Some(meta) = decoded.batch.message(at) {
                    letters.hold(meta, body.clone(), message.rows.len());
                }
            }
        }
        let mut exceeded = None;
        for (at, reason, wrong) in &decoded.bad {
            let meta = &decoded.batch.messages()[*at].meta;
            let dead = *reason == Reason::DequeueCount || config.bad_records == BadRecords::DeadLetter;
            let letters = self.letters.as_mut().filter(|_| dead);
            let too_much = self.bad.found(config, meta, wrong, letters.as_ref().map(|l| l.place()), now);
            exceeded = exceeded.or(too_much);
            if let Some(letters) = letters {
                letters.add(meta.key, *reason, wrong.clone());
            }
        }
        exceeded
    }

    /// [`Source::reject`](headwater_core::Source::reject).
    pub(crate) fn refuse(&mut self, message: &MessageMeta, reason: BadRecord) -> Result<(), SourceError> {
        self.must_be_open(message)?;
        let config = &self.shared.config;
        let letters = self.letters.as_mut().filter(|_| config.bad_records != BadRecords::Skip);
        if letters.is_none() && config.bad_records != BadRecords::Skip {
            let text = format!(
                "message {} is rejected ({reason}), and there is nowhere for it to go: set `badRecords` to `dead-letter`, or to \
                 `skip` to only count it",
                message.id
            );
            return Err(SourceError::new(SourceErrorKind::Configuration, text));
        }
        self.shared.meter.bad_rows.increment(1);
        let reasons = [reason];
        let now = self.shared.clock.now();
        let exceeded = self.bad.found(config, message, &reasons, letters.as_ref().map(|l| l.place()), now);
        if let Some(letters) = letters {
            letters.add(message.key, Reason::Rejected, reasons.into());
        }
        self.note_kept();
        exceeded.map_or(Ok(()), |error| {
            self.shared.fail(error.clone());
            Err(error)
        })
    }

    /// [`Source::retry_later`](headwater_core::Source::retry_later).
    pub(crate) fn give_back(&mut self, message: &MessageMeta, delay: Duration) -> Result<(), SourceError> {
        self.refuse_to_give_back(message, delay)?;
        self.must_be_open(message)?;
        #[cfg(feature = "traps")]
        if self.has_trap(Trap::GivenBackCommitted) {
            return Ok(());
        }
        self.shared.lock().ledger.retract(message.key);
        if let Some(letters) = &mut self.letters {
            letters.withdraw(message.key);
        }
        self.returns.add(message.key, delay);
        Ok(())
    }

    /// A new barrier was cut: what is known of the messages before it is fixed, the messages `later` are still open.
    pub(crate) fn seal(&mut self, id: CheckpointId, later: &[MessageKey]) {
        let later: HashSet<MessageKey> = later.iter().copied().collect();
        self.bad.seal(&later);
        self.returns.seal(id);
        if let Some(letters) = &mut self.letters {
            letters.seal(id, &later);
        }
    }

    /// Refuses to touch a message of an epoch that is sealed.
    fn must_be_open(&self, message: &MessageMeta) -> Result<(), SourceError> {
        let (open, in_time) = self.open_for_complaints(message.key);
        #[cfg(feature = "traps")]
        let open = open || self.has_trap(Trap::SealedRejected);
        if open {
            return Ok(());
        }
        let text = format!("message {} is not in the open epoch: reject it or give it back {in_time}", message.id);
        Err(SourceError::new(SourceErrorKind::Unsupported, text))
    }
}
