//! Metrics, through the `metrics` facade. Labels: job, table, queue; never ids.

use std::time::Duration;

use headwater_core::Clock;
use headwater_ledger::{ExtendOutcome, Mono};
use metrics::{Counter, Gauge};

use crate::bodies::Bodies;
use crate::bound::Footprint;
use crate::state::State;

/// How old gauges may be while they change with every answer. 10 ms: a scraper comes every few seconds.
const GAUGES_EVERY: Duration = Duration::from_millis(10);

/// The handles of one source's metrics.
#[derive(Clone)]
pub(crate) struct Meter {
    pub(crate) received: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) deleted: Counter,
    pub(crate) failed_deletes: Counter,
    pub(crate) deserialization_errors: Counter,
    pub(crate) bad_rows: Counter,
    pub(crate) dead_letters: Counter,
    pub(crate) emitted_rows: Counter,
    pub(crate) emitted_bytes: Counter,
    pub(crate) empty_polls: Counter,
    pub(crate) early_empty_polls: Counter,
    pub(crate) left_to_lapse: Counter,
    pub(crate) damaged: Counter,
    pub(crate) skipped_by_time: Counter,
    pub(crate) bodies: Bodies,
    pub(crate) calls_receive: Counter,
    pub(crate) calls_delete: Counter,
    pub(crate) calls_extend: Counter,
    pub(crate) active_pollers: Gauge,
    extended: Counter,
    extend_gone: Counter,
    extend_failed: Counter,
    extend_unknown: Counter,
    extend_denied: Counter,
    buffered: Gauge,
    uncommitted: Gauge,
    unconfirmed: Gauge,
    ledger_entries: Gauge,
    ledger_bytes: Gauge,
    oldest_uncommitted: Gauge,
    undeleted: Gauge,
    ledger_entries_bound: Gauge,
    held_bytes_bound: Gauge,
    held_bytes: Gauge,
    log_bytes: Gauge,
    log_limit: Gauge,
    pub(crate) log_syncs: Counter,
    pub(crate) lag: Gauge,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter")
    }
}

impl Meter {
    pub(crate) fn new(job: &str, table: &str, queue: &str) -> Self {
        let labels =
            [("job", job), ("table", table), ("queue", queue)].map(|(k, v)| metrics::Label::new(k, v.to_owned()));
        let counter = |name: &'static str| metrics::counter!(name, labels.iter());
        let gauge = |name: &'static str| metrics::gauge!(name, labels.iter());
        let kind = |name: &'static str, key: &'static str, kind: &'static str| {
            let mut all = labels.to_vec();
            all.push(metrics::Label::new(key, kind));
            metrics::counter!(name, all.iter())
        };
        let call = |operation| kind("headwater_billed_calls_total", "operation", operation);
        let extension = |outcome| kind("headwater_extensions_total", "outcome", outcome);
        Self {
            received: counter("headwater_received_messages_total"),
            duplicates: counter("headwater_duplicate_messages_total"),
            deleted: counter("headwater_deleted_messages_total"),
            failed_deletes: counter("headwater_failed_deletes_total"),
            deserialization_errors: counter("headwater_deserialization_errors_total"),
            bad_rows: counter("headwater_bad_rows_total"),
            dead_letters: counter("headwater_dead_letters_total"),
            emitted_rows: counter("headwater_emitted_rows_total"),
            emitted_bytes: counter("headwater_emitted_bytes_total"),
            empty_polls: counter("headwater_empty_polls_total"),
            early_empty_polls: counter("headwater_early_empty_polls_total"),
            left_to_lapse: counter("headwater_left_to_lapse_messages_total"),
            damaged: counter("headwater_damaged_messages_total"),
            skipped_by_time: counter("headwater_start_time_skipped_messages_total"),
            bodies: Bodies::new(&labels),
            calls_receive: call("receive"),
            calls_delete: call("delete"),
            calls_extend: call("extend"),
            active_pollers: gauge("headwater_active_pollers"),
            extended: extension("extended"),
            extend_gone: extension("gone"),
            extend_failed: extension("failed"),
            extend_unknown: extension("unknown"),
            extend_denied: extension("denied"),
            buffered: gauge("headwater_buffered_messages"),
            uncommitted: gauge("headwater_uncommitted_messages"),
            unconfirmed: gauge("headwater_unconfirmed_messages"),
            ledger_entries: gauge("headwater_ledger_entries"),
            ledger_bytes: gauge("headwater_ledger_bytes"),
            oldest_uncommitted: gauge("headwater_oldest_uncommitted_seconds"),
            ledger_entries_bound: gauge("headwater_ledger_entries_bound"),
            held_bytes_bound: gauge("headwater_held_bytes_bound"),
            undeleted: gauge("headwater_undeleted_messages"),
            held_bytes: gauge("headwater_held_bytes"),
            log_bytes: gauge("headwater_log_bytes"),
            log_limit: gauge("headwater_log_limit_bytes"),
            log_syncs: counter("headwater_log_syncs_total"),
            lag: gauge("headwater_lag_seconds"),
        }
    }

    /// What the gauges of what is remembered and held stay under.
    pub(crate) fn bound(&self, bound: Footprint) {
        self.ledger_entries_bound.set(bound.ids as f64);
        self.held_bytes_bound.set(bound.bytes as f64);
    }

    /// Counts an extension by its outcome.
    pub(crate) fn extension(&self, outcome: &ExtendOutcome) {
        let counter = match outcome {
            ExtendOutcome::Extended { .. } => &self.extended,
            ExtendOutcome::Gone => &self.extend_gone,
            ExtendOutcome::Failed => &self.extend_failed,
            ExtendOutcome::Denied => &self.extend_denied,
            _ => &self.extend_unknown,
        };
        counter.increment(1);
    }

    /// Sets the gauges, unless that was a moment ago: for changes after which more is to come, until somebody who waits
    /// [sets them for certain](Self::gauges_if_stale).
    pub(crate) fn gauges_soon(&self, state: &mut State, now: Mono) {
        state.gauges_stale = true;
        if now.since(state.gauges_set) >= GAUGES_EVERY {
            self.gauges(state, now);
        }
    }

    /// Sets the gauges if something has changed since they were.
    pub(crate) fn gauges_if_stale(&self, state: &mut State, clock: &dyn Clock) {
        if state.gauges_stale {
            self.gauges(state, clock.now());
        }
    }

    /// Sets the gauges.
    pub(crate) fn gauges(&self, state: &mut State, now: Mono) {
        (state.gauges_set, state.gauges_stale) = (now, false);
        let counts = state.ledger.counts();
        self.ledger_bytes.set(state.ledger.memory_bytes() as f64);
        self.oldest_uncommitted.set(state.ages.oldest().map_or(0.0, |since| now.since(since).as_secs_f64()));
        let log = state.ledger.log_counts();
        self.buffered.set((counts.buffered + log.waiting) as f64);
        self.uncommitted.set((counts.uncommitted + log.uncommitted) as f64);
        self.unconfirmed.set(counts.unconfirmed as f64);
        self.ledger_entries.set(counts.ids() as f64);
        self.undeleted.set((counts.undeleted() - counts.reserved) as f64);
        self.held_bytes.set(state.ledger.held_bytes() as f64);
        if let Some(log) = &state.ledger.limits().log {
            self.log_bytes.set(state.log.used() as f64);
            self.log_limit.set(log.bytes_max as f64);
        }
    }
}
