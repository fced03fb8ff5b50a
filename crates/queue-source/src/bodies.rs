//! Counts what was undone around bodies before the format, and why some could not be opened.

use headwater_formats::{BodyForm, DecodeError, DecodeErrorKind, EnvelopeKind, OpenedBody};
use metrics::{Counter, Label};

/// One counter for each outcome of opening a body: every body that was decoded is counted in exactly one.
#[derive(Clone)]
pub(crate) struct Bodies {
    /// By envelope (none first, then as [`EnvelopeKind::ALL`]), each plain and from base64.
    opened: Vec<[Counter; 2]>,
    not_base64: Counter,
    pointers: Counter,
    envelopes: Counter,
}

/// How a body was opened, noted before its bytes go to the format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Opened(Option<EnvelopeKind>, BodyForm),
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    NotBase64,
    Pointer,
    Envelope,
}

impl Outcome {
    pub(crate) fn of(result: &Result<OpenedBody<'_>, DecodeError>) -> Self {
        match result {
            Ok(opened) => Self::Opened(opened.envelope(), opened.form),
            Err(error) => Self::Refused(match error.kind() {
                DecodeErrorKind::Pointer(_) => Refusal::Pointer,
                DecodeErrorKind::Encoding(_) => Refusal::NotBase64,
                _ => Refusal::Envelope,
            }),
        }
    }
}

impl Bodies {
    pub(crate) fn new(labels: &[Label]) -> Self {
        let with = |name: &'static str, more: &[(&'static str, &'static str)]| {
            let more = more.iter().map(|(key, value)| Label::new(*key, *value));
            let all: Vec<Label> = labels.iter().cloned().chain(more).collect();
            metrics::counter!(name, all.iter())
        };
        let opened = |envelope| {
            ["raw", "base64"]
                .map(|encoding| with("headwater_bodies_total", &[("encoding", encoding), ("envelope", envelope)]))
        };
        let refused = |reason| with("headwater_refused_bodies_total", &[("reason", reason)]);
        Self {
            opened: std::iter::once("none").chain(EnvelopeKind::ALL.map(EnvelopeKind::name)).map(opened).collect(),
            not_base64: refused("encoding"),
            pointers: refused("oversized-pointer"),
            envelopes: refused("envelope"),
        }
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Opened(envelope, form) => {
                let place = envelope.and_then(|kind| EnvelopeKind::ALL.iter().position(|k| *k == kind));
                &self.opened[place.map_or(0, |place| place + 1)][usize::from(form == BodyForm::Base64)]
            }
            Outcome::Refused(Refusal::NotBase64) => &self.not_base64,
            Outcome::Refused(Refusal::Pointer) => &self.pointers,
            Outcome::Refused(Refusal::Envelope) => &self.envelopes,
        };
        counter.increment(1);
    }
}
