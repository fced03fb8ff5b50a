//! The source suite must be able to fail: sources that break one promise each, and the trials that must say so.

mod broken_source;

use std::collections::BTreeSet;
use std::time::Duration;

use broken_source::{Flaw, encode, open};
use futures::FutureExt;
use headwater_testkit::Outcome;
use headwater_testkit::source_conformance::{MemorySourceHarness, run_all, trials};

/// Each flaw, and a trial whose promise it breaks and that must fail for it.
const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::IdentityChanges, "identity_schema_and_delivery_are_constant"),
    (Flaw::SaysNothing, "the_guarantee_is_put_into_words"),
    (Flaw::Boasts, "without_stable_ids_it_promises_less"),
    (Flaw::ReversesRows, "rows_come_once_in_order_and_whole"),
    (Flaw::SplitsMessages, "rows_come_once_in_order_and_whole"),
    (Flaw::SchemaLies, "rows_come_once_in_order_and_whole"),
    (Flaw::LosesEmptyMessages, "messages_without_rows_are_deleted_like_others"),
    (Flaw::NeverAnnounces, "a_stream_of_messages_without_rows_is_checkpointed"),
    (Flaw::DeletesOnHandOut, "handing_out_deletes_nothing"),
    (Flaw::DeletesOnCheckpoint, "a_checkpoint_alone_deletes_nothing"),
    (Flaw::DeletesOnAbort, "an_abort_deletes_nothing"),
    (Flaw::DeletesOnlyInNext, "a_commit_deletes_without_further_calls"),
    (Flaw::CommitsTheOpenEpoch, "a_commit_deletes_only_what_came_before_its_checkpoint"),
    (Flaw::CutsBehindTheBatch, "a_checkpoint_may_be_cut_inside_a_batch"),
    (Flaw::CommitsItsOwnEpochOnly, "a_commit_implies_every_earlier_one"),
    (Flaw::CommitOnlyOnce, "a_commit_may_be_repeated"),
    (Flaw::AcceptsUnknownCommits, "an_unknown_commit_is_refused"),
    (Flaw::CheckpointRecuts, "a_checkpoint_repeated_gives_the_same_state"),
    (Flaw::AcceptsOldIds, "checkpoint_ids_must_grow"),
    (Flaw::EmptyCheckpointFails, "a_checkpoint_of_nothing_is_one"),
    (Flaw::AbortSilences, "an_aborted_checkpoint_is_announced_and_covered_again"),
    (Flaw::AnnouncesAlways, "nothing_is_announced_while_a_checkpoint_is_undecided"),
    (Flaw::AnnouncesAlways, "nothing_is_announced_when_nothing_has_changed"),
    (Flaw::NeverAnnounces, "one_message_and_then_silence_is_checkpointed_and_deleted"),
    (Flaw::NeverAnnounces, "epoch_after_epoch_is_deleted"),
    (Flaw::EmitsRedeliveries, "a_redelivery_before_its_checkpoint_is_suppressed"),
    (Flaw::EmitsRedeliveries, "a_redelivery_between_checkpoint_and_commit_is_suppressed"),
    (Flaw::EmitsRedeliveries, "a_redelivery_of_what_waits_for_the_consumer_is_suppressed"),
    (Flaw::NeverRearms, "a_message_redelivered_many_times_is_deleted_in_the_end"),
    (Flaw::NeverRearms, "a_delete_that_is_lost_is_made_up_for_by_the_redelivery"),
    (Flaw::StallsOnLostAnswers, "a_delete_whose_answer_is_lost_does_not_stop_the_stream"),
    (Flaw::EmitsRedeliveries, "a_consumer_that_stalls_for_leases_neither_loses_nor_repeats"),
    (Flaw::DropsOnCancel, "a_dropped_next_loses_nothing"),
    (Flaw::DroppedCheckpointIsStuck, "a_dropped_checkpoint_may_be_repeated"),
    (Flaw::CommitDroppedIsDone, "a_dropped_commit_may_be_repeated"),
    (Flaw::DroppedDrainIsStuck, "a_dropped_drain_may_be_repeated"),
    (Flaw::RestoreCommits, "a_restored_checkpoint_is_not_deleted_before_its_commit"),
    (Flaw::RestoreForgetsDeletes, "what_was_committed_before_is_deleted_at_once_after_a_restore"),
    (Flaw::RestoreIsIgnored, "a_state_holds_every_id_not_yet_deleted"),
    (Flaw::RestoreIsIgnored, "what_was_saved_and_aborted_does_not_come_again"),
    (Flaw::RestoreIsIgnored, "what_was_durable_does_not_come_again"),
    (Flaw::RestoreIsIgnored, "a_crash_between_save_and_commit_repeats_nothing"),
    (Flaw::TrustsTheDequeueCount, "what_was_not_durable_comes_again"),
    (Flaw::AcceptsAnyState, "a_state_of_another_source_is_refused"),
    (Flaw::AcceptsAnyState, "a_state_under_another_id_is_refused"),
    (Flaw::AcceptsAnyState, "a_damaged_state_is_refused"),
    (Flaw::AcceptsAnyState, "a_restore_comes_first_or_not_at_all"),
    (Flaw::AcceptsOldIds, "ids_grow_over_a_restart"),
    (Flaw::NamesRepeat, "parts_of_one_name_have_one_content"),
    (Flaw::Unbounded, "a_slow_consumer_stops_receives"),
    (Flaw::Unbounded, "a_consumer_that_never_commits_is_bounded_too"),
    (Flaw::NeverAnnounces, "a_backlog_larger_than_every_bound_gets_through"),
    (Flaw::FailsOnTransient, "receives_that_fail_for_a_while_end_nothing"),
    (Flaw::ForgetsItsFailure, "a_denied_receive_ends_the_source_for_good"),
    (Flaw::HidesDenied, "a_denied_delete_ends_the_source"),
    (Flaw::DiesWhole, "what_was_handed_out_may_be_committed_after_a_failure"),
    (Flaw::StopDropsWhatIsBuffered, "a_stopped_source_hands_out_what_it_holds_and_ends"),
    (Flaw::StopGoesOn, "a_stopped_source_receives_nothing"),
    (Flaw::StopBeforeTheStartHangs, "a_source_may_be_stopped_before_it_begins"),
    (Flaw::DrainDoesNothing, "a_drain_deletes_what_is_committed"),
    (Flaw::ReleasesNothing, "a_drain_makes_the_rest_visible_again"),
    (Flaw::DrainCommits, "a_drain_commits_nothing"),
    (Flaw::DrainOnlyOnce, "a_drain_may_be_repeated"),
    (Flaw::OutlivesItsDrop, "a_dropped_source_stops"),
    (Flaw::StatusStands, "the_status_adds_up"),
    (Flaw::AlwaysIdle, "a_source_with_nothing_to_do_is_idle"),
    (Flaw::EmitsRedeliveries, "random_histories_are_exactly_once"),
    (Flaw::RestoreIsIgnored, "random_histories_are_exactly_once"),
];

fn harness(flaw: Flaw) -> MemorySourceHarness {
    MemorySourceHarness::new(format!("{flaw:?}"), move |on| open(on, flaw).boxed(), encode)
}

#[tokio::test]
async fn a_source_without_a_flaw_is_accepted() {
    let report = run_all(&harness(Flaw::None)).await;
    report.assert_passed();
    assert!(report.skipped().is_empty(), "{:?}", report.skipped());
}

#[tokio::test]
async fn every_broken_source_is_rejected() {
    let trials = trials();
    let mut wrong = Vec::new();
    for (flaw, name) in FLAWS {
        let trial = trials.iter().find(|trial| trial.name() == *name).expect(name);
        let outcome = trial.run(&harness(*flaw), Duration::from_secs(60)).await;
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
