//! Draws the faults: what happens to this request, this entry, this receive.

use std::collections::BTreeMap;

use headwater_mns_proto::{ErrorCode, Operation};

use super::consumption::Consumption;
use super::{DeadHandle, Dose, Faults, PerOperation, ShortLease, Span};
use crate::random::Random;
use crate::state::{Millis, Quirks};

/// The service holds a call for about so long before it answers 429 ("Throttling policy" page).
const HOLD: Millis = 500;

/// What happens to a request on its way in and to its answer on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Transport {
    /// Waited before the effect.
    pub(crate) before: Millis,
    /// Waited between effect and answer.
    pub(crate) after: Millis,
    /// Closed before the effect.
    pub(crate) drop_request: bool,
    /// Closed after the effect.
    pub(crate) lose_answer: bool,
    /// Answered in place of the effect.
    pub(crate) refusal: Option<Refusal>,
}

/// An answer in place of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooManyRequests,
    InternalError,
    Unavailable,
}

/// The knobs with what is left of their counts and where their draws stand.
#[derive(Debug)]
pub(crate) struct FaultPlan {
    faults: Faults,
    random: BTreeMap<Knob, Random>,
    consumption: BTreeMap<String, Consumption>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Knob {
    Latency,
    AnswerLatency,
    DropRequest,
    LoseAnswer,
    TooManyRequests,
    InternalError,
    Unavailable,
    CloseOnError,
    Duplicate,
    FailDeleteEntry,
    FailSendEntry,
    ShortLease,
    EmptyReceive,
    FewerMessages,
    DeadHandle,
    DamageBody,
}

impl FaultPlan {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { faults, random: BTreeMap::new(), consumption: BTreeMap::new() }
    }

    /// The knobs as they stand now: counts show what is left of them.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Drawn once for each request that is let in.
    pub(crate) fn transport(&mut self, operation: Operation) -> Transport {
        let mut drawn = Transport {
            before: self.span(Knob::Latency, |faults| faults.latency_millis),
            after: self.span(Knob::AnswerLatency, |faults| faults.answer_latency_millis),
            drop_request: self.per_operation(Knob::DropRequest, operation, |faults| &mut faults.drop_request),
            ..Transport::default()
        };
        if drawn.drop_request {
            return drawn;
        }
        drawn.refusal = if self.per_operation(Knob::TooManyRequests, operation, |faults| &mut faults.too_many_requests)
        {
            Some(Refusal::TooManyRequests)
        } else if self.per_operation(Knob::InternalError, operation, |faults| &mut faults.internal_error) {
            Some(Refusal::InternalError)
        } else if self.per_operation(Knob::Unavailable, operation, |faults| &mut faults.unavailable) {
            Some(Refusal::Unavailable)
        } else {
            None
        };
        drawn.lose_answer = drawn.refusal.is_none()
            && self.per_operation(Knob::LoseAnswer, operation, |faults| &mut faults.lose_answer);
        drawn
    }

    /// How long a 429 is held.
    pub(crate) fn hold(&self) -> Millis {
        self.faults.hold_millis.unwrap_or(HOLD)
    }

    /// Whether this error answer closes its connection.
    pub(crate) fn closes(&mut self) -> bool {
        self.dose(Knob::CloseOnError, |faults| &mut faults.close_on_error)
    }

    /// Whether this receive is answered empty whatever the queue holds.
    pub(crate) fn empty_receive(&mut self) -> bool {
        self.dose(Knob::EmptyReceive, |faults| &mut faults.empty_receive)
    }

    /// How many messages a receive of up to `max` may take where `visible` are there.
    pub(crate) fn cut(&mut self, max: usize, visible: usize) -> usize {
        let could = max.min(visible);
        if could > 1 && self.dose(Knob::FewerMessages, |faults| &mut faults.fewer_messages) {
            return 1 + self.random(Knob::FewerMessages).below(could - 1);
        }
        max
    }

    /// How this receive departs from the ordinary.
    pub(crate) fn quirks(&mut self) -> Quirks {
        let duplicates = usize::from(self.dose(Knob::Duplicate, |faults| &mut faults.duplicate));
        let short = self.dose(Knob::ShortLease, |faults| &mut faults.short_lease.dose);
        let ShortLease { millis, told, .. } = self.faults.short_lease;
        Quirks { duplicates, lease: short.then_some(millis), lease_told: short && told }
    }

    /// Whether this entry of a batch delete fails though it could succeed.
    pub(crate) fn fails_delete_entry(&mut self) -> bool {
        self.dose(Knob::FailDeleteEntry, |faults| &mut faults.fail_delete_entry)
    }

    /// Whether this entry of a batch send fails though it could succeed.
    pub(crate) fn fails_send_entry(&mut self) -> bool {
        self.dose(Knob::FailSendEntry, |faults| &mut faults.fail_send_entry)
    }

    /// The body as it arrives, where this delivery of it is damaged.
    pub(crate) fn damaged(&mut self, body: &str) -> Option<String> {
        if body.is_empty() || !self.dose(Knob::DamageBody, |faults| &mut faults.damage_body) {
            return None;
        }
        let mut characters: Vec<char> = body.chars().collect();
        let at = self.random(Knob::DamageBody).below(characters.len());
        characters[at] = if characters[at] == '0' { '1' } else { '0' };
        Some(characters.into_iter().collect())
    }

    /// The code a dead handle is refused with.
    pub(crate) fn dead_handle(&mut self) -> ErrorCode {
        let gone = match self.faults.dead_handle {
            DeadHandle::ReceiptHandleError => false,
            DeadHandle::MessageNotExist => true,
            DeadHandle::Either => self.random(Knob::DeadHandle).chance(0.5),
        };
        if gone { ErrorCode::MessageNotExist } else { ErrorCode::ReceiptHandleError }
    }

    /// Whether a receive on `queue` passes the throttle of abnormal consumption.
    pub(crate) fn admits(&mut self, queue: &str, now: Millis, undeleted: u64) -> bool {
        let Some(limits) = self.faults.abnormal_consumption else { return true };
        self.consumption.entry(queue.to_owned()).or_default().admit(&limits, now, undeleted)
    }

    /// Tells the throttle what was received.
    pub(crate) fn received(&mut self, queue: &str, now: Millis, messages: usize) {
        if self.faults.abnormal_consumption.is_some() {
            self.consumption.entry(queue.to_owned()).or_default().received(now, messages as u64);
        }
    }

    /// Tells the throttle what was deleted.
    pub(crate) fn deleted(&mut self, queue: &str, now: Millis, messages: usize) {
        if self.faults.abnormal_consumption.is_some() {
            self.consumption.entry(queue.to_owned()).or_default().deleted(now, messages as u64);
        }
    }

    /// Forgets a queue that was deleted.
    pub(crate) fn forget(&mut self, queue: &str) {
        self.consumption.remove(queue);
    }

    fn random(&mut self, knob: Knob) -> &mut Random {
        random(&mut self.random, self.faults.seed, knob)
    }

    fn dose(&mut self, knob: Knob, pick: impl FnOnce(&mut Faults) -> &mut Dose) -> bool {
        let seed = self.faults.seed;
        pick(&mut self.faults).draw(random(&mut self.random, seed, knob))
    }

    fn span(&mut self, knob: Knob, pick: impl FnOnce(&Faults) -> Span) -> Millis {
        let span = pick(&self.faults);
        let width = span.max.saturating_sub(span.min);
        if width == 0 { span.min } else { span.min + self.random(knob).below(width as usize + 1) as Millis }
    }

    fn per_operation(
        &mut self,
        knob: Knob,
        operation: Operation,
        pick: impl FnOnce(&mut Faults) -> &mut PerOperation,
    ) -> bool {
        let seed = self.faults.seed;
        pick(&mut self.faults).draw(operation, random(&mut self.random, seed, knob))
    }
}

/// The draws of one knob, started on first use.
fn random(all: &mut BTreeMap<Knob, Random>, seed: u64, knob: Knob) -> &mut Random {
    all.entry(knob).or_insert_with(|| Random::seeded(seed).fork(knob as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(faults: &Faults) -> Vec<Transport> {
        let mut plan = FaultPlan::new(faults.clone());
        (0..200).map(|_| plan.transport(Operation::SendMessage)).collect()
    }

    #[test]
    fn one_seed_gives_one_plan_and_knobs_do_not_disturb_each_other() {
        let mut faults = Faults { seed: 5, lose_answer: Dose::Rate(0.3).into(), ..Faults::default() };
        let first = drawn(&faults);
        assert_eq!(first, drawn(&faults));
        faults.latency_millis = Span { min: 10, max: 20 };
        let slower = drawn(&faults);
        assert!(slower.iter().all(|one| (10..=20).contains(&one.before)));
        let lost = |plan: &[Transport]| plan.iter().map(|one| one.lose_answer).collect::<Vec<_>>();
        assert_eq!(lost(&first), lost(&slower));
        faults.seed = 6;
        assert_ne!(lost(&first), lost(&drawn(&faults)));
    }

    #[test]
    fn a_refused_request_has_one_fault_only() {
        let mut plan = FaultPlan::new(Faults {
            too_many_requests: Dose::ALWAYS.into(),
            lose_answer: Dose::ALWAYS.into(),
            ..Faults::default()
        });
        let expected = Transport { refusal: Some(Refusal::TooManyRequests), ..Transport::default() };
        assert_eq!(plan.transport(Operation::SendMessage), expected);
    }

    #[test]
    fn a_cut_receive_still_gets_something() {
        let mut plan = FaultPlan::new(Faults { fewer_messages: Dose::ALWAYS, ..Faults::default() });
        assert!((0..100).map(|_| plan.cut(16, 5)).all(|max| (1..5).contains(&max)));
        assert_eq!((plan.cut(16, 1), plan.cut(16, 0)), (16, 16));
    }
}
