//! Bad data: what is said of a bad message, what is counted, and when it is too much.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use headwater_core::{BadRecord, MessageMeta, OptionError, SourceError, SourceErrorKind};
use headwater_ledger::{MessageKey, Mono};

use crate::config::{BadRecords, SourceConfig};

/// Bad messages logged one by one before only counting goes on: enough to find the cause, too few to flood a log.
const BAD_LOGGED: u64 = 20;
/// What is wrong with one message, as far as it is logged. 3: a body of thousands of bad rows mostly has one cause.
const ERRORS_LOGGED: usize = 3;
/// Bad messages named when the budget is exceeded: enough to see whether they have one cause.
const NAMED: usize = 5;
/// Parts of the window, each counted as one: the window slides by a sixtieth of itself.
const SLOTS: u64 = 60;
/// A ratio is taken of at least so many messages: one bad message that comes first is 1 of 100, not all there is.
pub(crate) const RATIO_OF_AT_LEAST: u64 = 100;

/// What the policy needs to remember.
#[derive(Debug)]
pub(crate) struct Bad {
    total: u64,
    window: Window,
    /// Bad messages of the open epoch: each counts once, however often it is complained of.
    counted: HashSet<MessageKey>,
    named: Vec<String>,
}

/// What is wrong with the options about bad data, all at once. `target` says whether dead letters have somewhere to go.
pub(crate) fn check(config: &SourceConfig, target: bool) -> Vec<OptionError> {
    let mut errors = Vec::new();
    let mut wrong = |name: &str, problem: String| errors.push(OptionError::new(name, problem));
    if config.bad_records == BadRecords::DeadLetter && !target {
        wrong("badRecords", "is `dead-letter`: say where to, with `deadLetterPath` or `deadLetterQueue`".into());
    }
    if config.max_dequeue_count.is_some() && !target {
        wrong("maxDequeueCount", "needs somewhere to send messages to: `deadLetterPath` or `deadLetterQueue`".into());
    }
    if config.max_dequeue_count == Some(0) {
        wrong("maxDequeueCount", "is 0, and every message is delivered at least once: use 1 or more".into());
    }
    if let Some(ratio) = config.bad_records_max_ratio
        && !(0.0..=1.0).contains(&ratio)
    {
        wrong("badRecordsMaxRatio", format!("is {ratio}: it takes a number from 0 to 1"));
    }
    if config.bad_records_window.is_zero() {
        wrong("badRecordsWindow", "is 0: a ratio is taken over some time".into());
    }
    errors
}

impl Bad {
    pub(crate) fn new(window: Duration) -> Self {
        Self { total: 0, window: Window::new(window), counted: HashSet::new(), named: Vec::new() }
    }

    /// Bad messages since the start.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Messages are handed out, good or bad.
    pub(crate) fn handed_out(&mut self, messages: u64, now: Mono) {
        self.window.count(now, messages, 0);
    }

    /// Something is wrong with a message that the policy does not fail for. The error if there are too many by now.
    pub(crate) fn found(
        &mut self,
        config: &SourceConfig,
        meta: &MessageMeta,
        errors: &[BadRecord],
        place: Option<&str>,
        now: Mono,
    ) -> Option<SourceError> {
        if !self.counted.insert(meta.key) {
            return None;
        }
        self.total += 1;
        self.window.count(now, 0, 1);
        if self.named.len() < NAMED {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            self.named.push(format!("{} (delivered {} times): {first}", meta.id, meta.dequeue_count));
        }
        if self.total <= BAD_LOGGED {
            for error in errors.iter().take(ERRORS_LOGGED) {
                let to = place.unwrap_or("nowhere: skipped");
                tracing::warn!(queue = %meta.queue, message_id = %meta.id, dequeue_count = meta.dequeue_count, to, %error, "bad data");
            }
        }
        self.exceeded(config, now).map(|what| self.report(config, meta, &what, place))
    }

    /// A barrier was cut: complaints are over, but about the messages `later`.
    pub(crate) fn seal(&mut self, later: &HashSet<MessageKey>) {
        self.counted.retain(|key| later.contains(key));
    }

    /// A message that cannot be complained of any more.
    pub(crate) fn let_go(&mut self, key: MessageKey) {
        self.counted.remove(&key);
    }

    fn exceeded(&mut self, config: &SourceConfig, now: Mono) -> Option<String> {
        if let Some(max) = config.bad_records_max_count.filter(|max| self.total > *max) {
            return Some(format!("{} messages since the start, more than badRecordsMaxCount = {max}", self.total));
        }
        let ratio = config.bad_records_max_ratio?;
        let (all, bad) = self.window.sums(now);
        let of = all.max(RATIO_OF_AT_LEAST);
        (bad as f64 > ratio * of as f64).then(|| {
            let period = config.bad_records_window;
            format!("{bad} of the {all} messages of the last {period:?} (a ratio is taken of at least {RATIO_OF_AT_LEAST}), more than badRecordsMaxRatio = {ratio}")
        })
    }

    fn report(&self, config: &SourceConfig, meta: &MessageMeta, what: &str, place: Option<&str>) -> SourceError {
        let mut text = format!("table {}: too much bad data in queue {}: {what}. The first:", config.table, meta.queue);
        for named in &self.named {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  message {named}");
        }
        let letters = match place {
            Some(place) => format!("Dead letters of committed checkpoints are in {place}; all other messages stay"),
            None => "What was skipped under committed checkpoints is gone; all other messages stay".to_owned(),
        };
        let keeper = keeper(config);
        let _ = write!(text, "\n{letters} in {keeper}. Mend the schema or the sender, or raise the budget");
        SourceError::new(SourceErrorKind::BadData, text)
    }
}

/// What is wrong with a message that comes too often.
pub(crate) fn too_often(config: &SourceConfig, meta: &MessageMeta) -> BadRecord {
    let max = config.max_dequeue_count.unwrap_or_default();
    let text = format!("was delivered {} times, more than maxDequeueCount = {max}, and not read", meta.dequeue_count);
    BadRecord::new(text)
}

/// The error under [`BadRecords::Fail`].
pub(crate) fn failure(config: &SourceConfig, meta: &MessageMeta, errors: &[BadRecord], excerpt: &str) -> SourceError {
    let more =
        if errors.len() > 1 { format!(" (and {} more bad rows in it)", errors.len() - 1) } else { String::new() };
    let shown = errors.first().map(ToString::to_string).unwrap_or_default();
    let text = format!(
        "table {}: message {} of queue {} (delivered {} times) cannot be decoded: {shown}{excerpt}{more}. Nothing is lost: it \
         stays in {}. Mend the schema, or set `badRecords` to `skip` or `dead-letter`",
        config.table,
        meta.id,
        meta.queue,
        meta.dequeue_count,
        keeper(config)
    );
    SourceError::new(SourceErrorKind::BadData, text)
}

/// Where a message is that no committed checkpoint covers.
fn keeper(config: &SourceConfig) -> String {
    match &config.log {
        Some(log) => format!("the source's log in {}, and is met again at the next start", log.dir.display()),
        None => "the queue".to_owned(),
    }
}

/// How many messages there were, and how many of them bad, in the last while.
#[derive(Debug)]
struct Window {
    slot: Duration,
    /// By number, oldest first: all, bad. At most [`SLOTS`] of them.
    slots: VecDeque<(u64, u64, u64)>,
}

impl Window {
    fn new(length: Duration) -> Self {
        let slot = length / u32::try_from(SLOTS).unwrap_or(1);
        Self { slot: slot.max(Duration::from_millis(1)), slots: VecDeque::new() }
    }

    fn number(&self, now: Mono) -> u64 {
        u64::try_from(now.0.as_nanos() / self.slot.as_nanos()).unwrap_or(u64::MAX)
    }

    fn count(&mut self, now: Mono, all: u64, bad: u64) {
        let number = self.number(now);
        match self.slots.back_mut() {
            // A clock that goes back would only shorten the window.
            Some(slot) if slot.0 >= number => (slot.1, slot.2) = (slot.1 + all, slot.2 + bad),
            _ => {
                self.forget(number);
                self.slots.push_back((number, all, bad));
            }
        }
    }

    fn forget(&mut self, number: u64) {
        while self.slots.front().is_some_and(|slot| slot.0 + SLOTS <= number) {
            self.slots.pop_front();
        }
    }

    fn sums(&mut self, now: Mono) -> (u64, u64) {
        self.forget(self.number(now));
        self.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.1, sum.1 + slot.2))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use headwater_core::{Handle, Message, WallMs};
    use headwater_formats::Format;

    use super::*;

    fn config() -> SourceConfig {
        let columns = "a INT".parse().unwrap();
        let mut config = SourceConfig::new("t", Format::json().factory(&columns).unwrap());
        config.bad_records = BadRecords::Skip;
        config.bad_records_window = Duration::from_secs(60);
        config
    }

    fn meta(n: u64) -> MessageMeta {
        let message = Message::new(format!("m{n}"), Handle::new("h"), Bytes::new());
        MessageMeta::of(&message, &Arc::from("q"), WallMs(0))
    }

    /// Hands out messages of which the numbered are bad, one every `pause`; the number of the one that was too much.
    fn first_too_many(config: &SourceConfig, pause: Duration, of: u64, bad: impl Fn(u64) -> bool) -> Option<u64> {
        let mut state = Bad::new(config.bad_records_window);
        (0..of).find(|n| {
            let now = Mono(pause * u32::try_from(*n).unwrap());
            state.handed_out(1, now);
            bad(*n) && state.found(config, &meta(*n), &[BadRecord::new("is bad")], None, now).is_some()
        })
    }

    #[test]
    fn a_count_is_of_messages_since_the_start() {
        let mut config = config();
        config.bad_records_max_count = Some(2);
        assert_eq!(first_too_many(&config, Duration::from_secs(3_600), 10, |n| n % 2 == 0), Some(4));
        config.bad_records_max_count = Some(0);
        assert_eq!(first_too_many(&config, Duration::ZERO, 10, |n| n == 7), Some(7));
    }

    #[test]
    fn a_ratio_is_of_the_window_and_of_a_hundred_messages_at_least() {
        let mut config = config();
        config.bad_records_max_ratio = Some(0.1);
        let quick = Duration::from_millis(1);
        assert_eq!(first_too_many(&config, quick, 1_000, |n| n < 10), None, "the first ten are 10 of 100");
        assert_eq!(first_too_many(&config, quick, 1_000, |n| n < 11), Some(10));
        assert_eq!(first_too_many(&config, quick, 2_000, |n| n % 10 == 0), Some(100), "one more than a tenth");
        assert_eq!(first_too_many(&config, quick, 2_000, |n| n % 11 == 0), None);
        assert_eq!(first_too_many(&config, Duration::from_secs(7), 1_000, |_| true), None, "9 in a minute");
        assert_eq!(first_too_many(&config, Duration::from_secs(5), 1_000, |_| true), Some(10), "12 in a minute");
        config.bad_records_max_ratio = Some(0.0);
        assert_eq!(first_too_many(&config, quick, 10, |n| n == 3), Some(3));
        config.bad_records_max_ratio = Some(1.0);
        assert_eq!(first_too_many(&config, quick, 1_000, |_| true), None);
    }

    #[test]
    fn a_message_counts_once_in_its_epoch_and_the_report_names_the_first() {
        let mut config = config();
        config.bad_records_max_count = Some(6);
        let mut bad = Bad::new(config.bad_records_window);
        let wrong = [BadRecord::new("is bad").at_row(4).in_column("a")];
        let mut error = None;
        for n in 0..7 {
            for _ in 0..3 {
                assert!(error.is_none(), "message {n} is one");
                error = bad.found(&config, &meta(n), &wrong, Some("directory /x"), Mono::default());
                if error.is_some() {
                    break;
                }
            }
        }
        let text = error.unwrap().to_string();
        for part in [
            "7 messages",
            "badRecordsMaxCount = 6",
            "message m0 ",
            "message m4 ",
            "row 4, column `a`: is bad",
            "directory /x",
        ] {
            assert!(text.contains(part), "`{part}` is missing in {text}");
        }
        assert!(!text.contains("m5"), "{text}");
    }
}
