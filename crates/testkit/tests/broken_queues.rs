//! The queue suite must be able to fail: queues that break one rule each, and the trials that must say so.

mod broken;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use broken::{Broken, Flaw};
use futures::executor::block_on;
use headwater_core::{ManualClock, Queue};
use headwater_testkit::Outcome;
use headwater_testkit::queue_conformance::{MemoryHarness, trials};

/// Each flaw, and a trial whose promise it breaks and that must fail for it.
const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::IdentityChanges, "identity_is_constant"),
    (Flaw::CapabilitiesChange, "capabilities_are_constant_and_make_sense"),
    (Flaw::DescribeReceives, "describe_changes_nothing"),
    (Flaw::DescribeTellsAnotherLease, "describe_changes_nothing"),
    (Flaw::DeniedIsForgotten, "denied_describe_is_not_fatal"),
    (Flaw::DeniedIsForEver, "denied_describe_is_not_fatal"),
    (Flaw::HandlesBelongToTheClient, "another_client_may_delete_what_this_one_received"),
    (Flaw::MissingQueueIsEmpty, "receive_from_a_missing_queue_is_fatal"),
    (Flaw::MissingQueueIsEmpty, "delete_from_a_missing_queue_is_fatal"),
    (Flaw::MissingQueueIsTransient, "extend_at_a_missing_queue_is_fatal"),
    (Flaw::EmptyIsAnError, "an_error_says_that_repeating_helps"),
    (Flaw::BringsTooMany, "receive_brings_no_more_than_asked"),
    (Flaw::SecondHandOut, "the_largest_batch_can_be_asked_for"),
    (Flaw::LimitIsTransient, "a_batch_above_the_limit_is_clamped_or_refused"),
    (Flaw::FillsUp, "receive_does_not_wait_to_fill_up"),
    (Flaw::SharesLeases, "every_message_comes_once_within_its_lease"),
    (Flaw::EmptyIsAnError, "an_empty_poll_without_a_wait_is_empty_at_once"),
    (Flaw::NeverEmpty, "an_empty_poll_ends_empty_after_its_wait"),
    (Flaw::SleepsThroughSends, "a_parked_receive_wakes_on_a_send"),
    (Flaw::SharesLeases, "several_parked_receives_get_what_is_sent"),
    (Flaw::SharesLeases, "concurrent_receives_share_no_message"),
    (Flaw::LosesWhenCancelled, "a_receive_cancelled_at_any_step_loses_nothing"),
    (Flaw::LosesWhenCancelledParked, "a_cancelled_parked_receive_loses_nothing"),
    (Flaw::OneConnection, "a_parked_receive_does_not_delay_a_delete"),
    (Flaw::OneConnection, "a_parked_receive_does_not_delay_an_extend"),
    (Flaw::QuotesBodies, "a_plain_body_survives"),
    (Flaw::DropsEmptyBodies, "an_empty_body_survives"),
    (Flaw::Ascii, "unicode_survives"),
    (Flaw::DropsMarkup, "what_xml_escapes_survives"),
    (Flaw::UnescapesTwice, "what_looks_escaped_survives"),
    (Flaw::Trims, "leading_and_trailing_whitespace_survives"),
    (Flaw::NormalisesLineEnds, "every_line_end_survives"),
    (Flaw::DecodesBase64, "what_looks_like_base64_survives"),
    (Flaw::Truncates, "a_body_of_the_largest_size_survives"),
    (Flaw::IdIsTheBody, "the_same_body_twice_is_two_messages"),
    (Flaw::Reappears, "a_leased_message_is_hidden"),
    (Flaw::NeverRedelivers, "a_message_comes_back_when_its_lease_ends"),
    (Flaw::NeverRedelivers, "a_parked_receive_gets_what_comes_back"),
    (Flaw::ChangesIds, "the_id_is_the_one_told_to_the_sender_and_stays"),
    (Flaw::CountStands, "the_dequeue_count_grows_with_every_delivery"),
    (Flaw::BodyOnlyOnce, "the_body_is_the_same_in_every_delivery"),
    (Flaw::OldHandlesLive, "every_delivery_has_its_own_handle"),
    (Flaw::OldHandlesLive, "a_handle_dies_when_its_lease_ends"),
    (Flaw::OldHandlesLive, "a_handle_dies_when_its_message_is_received_again"),
    (Flaw::DeleteDoesNothing, "the_newest_handle_deletes"),
    (Flaw::LeaseEndsInThePast, "the_times_of_a_delivery_make_sense"),
    (Flaw::FirstTimesMove, "the_first_times_stay_in_a_redelivery"),
    (Flaw::ServerTimeStands, "the_server_time_moves_with_time"),
    (Flaw::DeleteDoesNothing, "a_deleted_message_never_comes_back"),
    (Flaw::DeletesOne, "a_full_batch_can_be_deleted"),
    (Flaw::OutcomesAreShort, "a_full_batch_can_be_deleted"),
    (Flaw::OutcomesReversed, "outcomes_are_in_the_order_of_the_handles"),
    (Flaw::ForgetsPartialFailures, "outcomes_are_in_the_order_of_the_handles"),
    (Flaw::PartialFailureStops, "a_partial_failure_leaves_the_others_deleted"),
    (Flaw::PartialFailureIsAnError, "a_batch_of_dead_handles_is_an_answer_not_an_error"),
    (Flaw::ForgetsPartialFailures, "a_second_delete_is_stale"),
    (Flaw::ForgetsPartialFailures, "a_handle_that_never_was_is_not_deleted"),
    (Flaw::EmptyDeleteIsDeleted, "a_delete_of_nothing_does_nothing"),
    (Flaw::DeletesAll, "deleting_one_message_keeps_the_others"),
    (Flaw::ExtendDoesNothing, "an_extended_lease_is_measured_from_the_call"),
    (Flaw::NeverRedelivers, "an_extended_message_comes_back_in_the_end"),
    (Flaw::ExtendReturnsTheOldHandle, "the_handle_an_extend_returns_deletes"),
    (Flaw::ExtendReturnsTheOldHandle, "the_handle_an_extend_returns_extends_again"),
    (Flaw::OldHandlesLive, "a_handle_dies_when_it_is_extended"),
    (Flaw::ExtendIsNeverShort, "the_shortest_extend_makes_a_message_visible_soon"),
    (Flaw::ExtendCounts, "an_extend_does_not_count_as_a_delivery"),
    (Flaw::GoneIsTransient, "extending_after_the_lease_is_gone"),
    (Flaw::GoneIsTransient, "extending_what_was_deleted_is_gone"),
    (Flaw::OldHandlesLive, "extending_with_an_old_handle_is_gone"),
    (Flaw::LimitIsTransient, "a_lease_out_of_range_is_clamped_or_refused"),
    (Flaw::DeleteDoesNothing, "a_consumer_that_repeats_gets_everything_and_leaves_nothing"),
    (Flaw::DeleteDoesNothing, "what_is_confirmed_deleted_stays_deleted"),
    (Flaw::CountStands, "deliveries_stay_true_to_their_message"),
];

#[test]
fn every_broken_queue_is_rejected() {
    let trials = trials();
    let mut wrong = Vec::new();
    for (flaw, name) in FLAWS {
        let wrap =
            |queue, clock: &ManualClock| -> Arc<dyn Queue> { Arc::new(Broken::new(queue, clock.clone(), *flaw)) };
        let harness = MemoryHarness::wrapped(format!("{flaw:?}"), wrap);
        let trial = trials.iter().find(|trial| trial.name() == *name).expect(name);
        let outcome = block_on(trial.run(&harness, Duration::from_secs(60)));
        println!("{flaw:?}, {name}: {outcome:?}");
        if !matches!(outcome, Outcome::Failed(_)) {
            wrong.push(format!("{flaw:?} is not rejected by {name}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_trial_is_known_to_fail_for_somebody() {
    let expected: BTreeSet<_> = FLAWS.iter().map(|(_, trial)| *trial).collect();
    let blind: Vec<_> = trials().iter().map(|trial| trial.name()).filter(|name| !expected.contains(name)).collect();
    assert!(blind.is_empty(), "no flaw is known to break: {blind:?}");
    let names: BTreeSet<_> = trials().iter().map(|trial| trial.name()).collect();
    let unknown: Vec<_> = expected.difference(&names).collect();
    assert!(unknown.is_empty(), "no such trials: {unknown:?}");
}
