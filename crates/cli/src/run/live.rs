//! The line at the bottom of a person's terminal: how fast, how much is open, how far behind.

use std::time::Duration;

use headwater_core::Mono;

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Rows handed out since the start.
    pub(crate) rows: u64,
    /// Messages handed out and not committed.
    pub(crate) uncommitted: u64,
    /// Ids the ledger holds.
    pub(crate) ledger: u64,
    /// From the newest message's enqueue time to its receipt.
    pub(crate) lag: Option<Duration>,
}

/// Turns readings into a line.
#[derive(Debug)]
pub(crate) struct Live {
    before: (Mono, u64),
}

impl Live {
    /// Begins counting.
    pub(crate) fn from(now: Mono) -> Self {
        Self { before: (now, 0) }
    }

    /// The line at `now`.
    pub(crate) fn line(&mut self, now: Mono, reading: &Reading) -> String {
        let (then, rows) = self.before;
        let seconds = now.since(then).as_secs_f64();
        let rate = if seconds > 0.0 { reading.rows.saturating_sub(rows) as f64 / seconds } else { 0.0 };
        self.before = (now, reading.rows);
        let lag = reading.lag.map_or_else(|| "-".to_owned(), |lag| format!("{:.1} s", lag.as_secs_f64()));
        format!(
            "{rate:.0} rows/s, {} rows, {} uncommitted, {} ids in the ledger, lag {lag}",
            reading.rows, reading.uncommitted, reading.ledger
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_last_stretch() {
        let mut live = Live::from(Mono::from_millis(0));
        let mut reading = Reading { rows: 500, uncommitted: 3, ledger: 9, lag: None };
        assert_eq!(
            live.line(Mono::from_millis(1_000), &reading),
            "500 rows/s, 500 rows, 3 uncommitted, 9 ids in the ledger, lag -"
        );
        reading.rows = 600;
        reading.lag = Some(Duration::from_millis(1_250));
        assert_eq!(
            live.line(Mono::from_millis(3_000), &reading),
            "50 rows/s, 600 rows, 3 uncommitted, 9 ids in the ledger, lag 1.2 s"
        );
        assert!(live.line(Mono::from_millis(3_000), &reading).starts_with("0 rows/s"));
    }
}
