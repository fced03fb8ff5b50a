//! The promises of Headwater as named checks over what the outside world saw. Those of the ledger itself are
//! [`Ledger::check`](headwater_ledger::Ledger::check).
//!
//! | id | promise |
//! |---|---|
//! | `G1` | nothing early: a delete is asked for only when the message's checkpoint is durable and committed, and what is deleted is shown |
//! | `G2` | nothing twice: no row is shown twice |
//! | `G3` | nothing lost: in the end every row is shown and the queue is empty |
//! | `G4` | bounded and alive: ids stay within their formula, and there is always something that can happen |
//! | `G5` | honest: what calls itself exactly-once is, and a run fails only for a reason that it was given |
//!
//! A message that is bad or rejected is treated by the policy: its dead letter, where there are any, is a row that must be
//! there before the message is deleted (`G1`), once where letters are files (`G2`), in the end (`G3`), and true (`G5`).

use std::time::Duration;

use headwater_core::{CheckpointId, Delivery, MessageKey};
use headwater_ledger::{Counts, Violation};
use headwater_queue_source::Footprint;

use super::books::Books;
use super::letters::Letter;

fn require(ok: bool, id: &'static str, seen: impl FnOnce() -> String) -> Result<(), Violation> {
    if ok { Ok(()) } else { Err(Violation { id, seen: seen() }) }
}

/// `G1` as it must hold when a delete of `key` is asked for.
///
/// # Errors
/// The message is not in a durable checkpoint whose sinks have committed.
pub fn nothing_early(books: &Books, key: MessageKey) -> Result<(), Violation> {
    require(books.is_committed(key), "G1", || {
        format!("a delete is asked for {}, which is in no durable, committed checkpoint", books.name(key))
    })
}

/// `G1` as it must hold after every life, whatever the disk lost: every row of a deleted message is shown. (With `commit = log`:
/// shown, or in the source's own log. After a failed sync: shown, or staged for the next life to show.)
///
/// # Errors
/// `lost` is a message of which that is not so.
pub fn deleted_is_safe(books: &Books, lost: Option<MessageKey>) -> Result<(), Violation> {
    let Some(lost) = lost else { return Ok(()) };
    let row = books.number(lost).and_then(|number| books.missing_row(number)).unwrap_or_default();
    require(false, "G1", || format!("{row} is deleted, and is not shown"))
}

/// `G1`: the dead letter of a message is in its place before a delete of the message is asked for.
///
/// # Errors
/// It is not.
pub fn letter_first(books: &Books, key: MessageKey) -> Result<(), Violation> {
    require(!books.lacks_letter(key), "G1", || {
        format!("a delete is asked for {}, and its dead letter is not in its place", books.name(key))
    })
}

/// `G2`: a message goes to the dead letters unread, or its rows are shown.
///
/// # Errors
/// A row of one that is there unread.
pub fn one_fate(books: &Books) -> Result<(), Violation> {
    let both = books.read_and_unread();
    require(both.is_none(), "G2", || {
        format!(
            "row {} is shown, and its message is among the dead letters as one that nobody read",
            both.unwrap_or_default()
        )
    })
}

/// `G5`: a letter is of a message for which there is a reason, and says of it what is so.
///
/// # Errors
/// What it says, and what is so.
pub(crate) fn letter_is_true(books: &Books, letter: &Letter, dequeue_max: Option<u32>) -> Result<(), Violation> {
    let seen = |problem: &str| format!("a letter {problem}: {letter:?}");
    let Some(number) = books.number(letter.key()) else {
        return require(false, "G5", || seen("is of a message that was never sent"));
    };
    let content = books.content(number);
    let is_given = match letter.reason.as_str() {
        "undecodable" => content.bad > 0,
        "rejected" => content.has_letter(),
        "dequeue-count" => dequeue_max.is_some_and(|most| letter.deliveries > i64::from(most)),
        _ => false,
    };
    require(is_given, "G5", || seen("has a reason that there is not"))?;
    let good = if letter.is_unread() { 0 } else { i64::from(content.decoded) };
    let is_true = letter.body == content.body && letter.good == good && letter.bad >= i64::from(content.bad.max(1));
    require(is_true, "G5", || seen(&format!("is not true of m{number}, {content:?}")))
}

/// `G3`: what is shown as a letter is one.
pub(crate) fn letter_is_whole(line: &str) -> Result<(), Violation> {
    require(false, "G3", || format!("a file of dead letters has the line `{line}`, which is none"))
}

/// `G3`: a message of the open epoch can be rejected and given back.
///
/// # Errors
/// Why it was refused.
pub fn complaint_is_heard(books: &Books, key: MessageKey, what: &str, problem: Option<&str>) -> Result<(), Violation> {
    require(problem.is_none(), "G3", || {
        let problem = problem.unwrap_or_default();
        format!("{} was handed out in this epoch, and cannot be {what}: {problem}", books.name(key))
    })
}

/// `G1`: what a barrier has sealed stays as it is.
///
/// # Errors
/// It was rejected or given back after its barrier.
pub fn sealed_is_sealed(books: &Books, key: MessageKey, refused: bool) -> Result<(), Violation> {
    require(refused, "G1", || format!("{} is of an epoch that is sealed, and was taken back", books.name(key)))
}

/// `G2` as it must hold at any time.
///
/// # Errors
/// The first row that is shown more than once.
pub fn nothing_twice(books: &Books) -> Result<(), Violation> {
    let twice = books.shown_twice();
    require(twice.is_none(), "G2", || {
        let (row, files) = twice.unwrap_or_default();
        format!("{row} is shown more than once: in {files}")
    })
}

/// `G2`: a file that was shown stays as it is.
///
/// # Errors
/// Which file is gone.
pub fn nothing_taken_back(gone: Option<&str>) -> Result<(), Violation> {
    require(gone.is_none(), "G2", || format!("{} was shown, and is gone", gone.unwrap_or_default()))
}

/// `G3` as it must hold at the quiet end of a world.
///
/// # Errors
/// What is missing, or left over.
pub fn nothing_lost(books: &Books, left_in_queue: u64) -> Result<(), Violation> {
    let missing = books.messages().find_map(|message| books.missing_row(message));
    require(missing.is_none(), "G3", || format!("{} was sent, and is not shown", missing.unwrap_or_default()))?;
    require(left_in_queue == 0, "G3", || {
        format!("{left_in_queue} messages are left in the queue, none was deleted twice")
    })?;
    let strange = books.strange_row();
    require(strange.is_none(), "G3", || format!("{} is shown, and was never sent", strange.unwrap_or_default()))
}

/// `G3`: what was saved can be restored.
///
/// # Errors
/// It cannot.
pub fn restorable(id: CheckpointId, problem: &str) -> Result<(), Violation> {
    require(problem.is_empty(), "G3", || format!("checkpoint {id} was saved, and cannot be restored: {problem}"))
}

/// `G2`: one owner, and no second branch: whoever comes second, or with a copy, is refused.
///
/// # Errors
/// `what` was let in, or refused for another reason (`Err`: whether it is the promised one, and its text).
pub fn refuses(what: &str, refused: Result<&(), (bool, &str)>) -> Result<(), Violation> {
    require(refused.is_err(), "G2", || format!("{what} is let in"))?;
    let (as_promised, text) = refused.err().unwrap_or_default();
    require(as_promised, "G2", || format!("{what} is refused for another reason: {text}"))
}

/// `G2`: a refusal changes nothing.
///
/// # Errors
/// It did.
pub fn unchanged(same: bool, what: &str) -> Result<(), Violation> {
    require(same, "G2", || format!("{what} has changed files"))
}

/// `G2`: a process whose state somebody else has taken over saves nothing more.
///
/// # Errors
/// It has.
pub fn fenced(taken_over: bool, id: CheckpointId) -> Result<(), Violation> {
    require(!taken_over, "G2", || format!("checkpoint {id} is saved, and another process has taken over the state"))
}

/// `G4`, the formula of the documentation, [`SourceConfig::bound`](headwater_queue_source::SourceConfig::bound): after a
/// restart under smaller limits, the largest so far.
///
/// # Errors
/// How many ids there are, or bytes.
pub fn bounded(counts: &Counts, bound: &Footprint, undeleted_max: u32) -> Result<(), Violation> {
    let undeleted = counts.undeleted();
    require(undeleted <= u64::from(undeleted_max), "G4", || {
        format!("{undeleted} messages are received and not deleted, at most {undeleted_max}: {counts:?}")
    })?;
    let (ids, bytes) = (counts.ids(), counts.held_bytes + counts.reserved_bytes);
    require(ids <= bound.ids, "G4", || format!("{ids} ids are remembered, at most {}: {counts:?}", bound.ids))?;
    require(bytes <= bound.bytes, "G4", || format!("{bytes} bytes are held, at most {}: {counts:?}", bound.bytes))
}

/// `G4`: a permit is held by a receive that runs, and by nothing that has ended.
///
/// # Errors
/// The ledger waits for answers that nobody waits for.
pub fn no_leaked_permit(receives: u64, running: u64) -> Result<(), Violation> {
    require(receives <= running, "G4", || format!("permits of {receives} receives are held, and {running} are running"))
}

/// `G4`: some permitted action is always enabled.
///
/// # Errors
/// Everything sleeps and nobody will wake it.
pub fn enabled(next: Option<Duration>) -> Result<(), Violation> {
    require(next.is_some(), "G4", || "every task sleeps, and there is no timer and no answer to come".into())
}

/// `G4`: what was told to end, or has nothing left to do, ends.
///
/// # Errors
/// It has not, after so long.
pub fn ends(waited: Duration, patience: Duration, what: &str) -> Result<(), Violation> {
    require(waited <= patience, "G4", || format!("{what}: it has not ended after {waited:?}"))
}

/// `G4`: no work goes on for ever at one moment.
///
/// # Errors
/// So many steps were taken without any time passing.
pub fn no_busy_loop(steps: u64, most: u64) -> Result<(), Violation> {
    require(steps <= most, "G4", || format!("{steps} steps while no time passed: a busy loop"))
}

/// `G5`: the level is the least of the parts.
///
/// # Errors
/// It claims more, or less.
pub fn honest(claimed: Delivery, parts: &[Delivery]) -> Result<(), Violation> {
    let least = parts.iter().copied().min().unwrap_or(Delivery::ExactlyOnce);
    require(claimed == least, "G5", || format!("the job claims {claimed}, and its parts give {least}"))
}

/// `G5`: what the source calls deleted is.
///
/// # Errors
/// It counts more than the queue has deleted.
pub fn counts_honestly(claimed: u64, deleted: u64) -> Result<(), Violation> {
    require(claimed <= deleted, "G5", || {
        format!("{claimed} deletes are called confirmed, and the queue has done {deleted}")
    })
}

/// `G5`: a run fails only for a reason that it was given.
///
/// # Errors
/// There was none.
pub fn failed_for_a_reason(error: &str, given: bool) -> Result<(), Violation> {
    require(given, "G5", || format!("the job failed, and nothing was done to it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_that_outlives_its_receive_is_seen() {
        for (receives, running) in [(0, 0), (2, 2), (1, 2)] {
            assert_eq!(
                no_leaked_permit(receives, running),
                Ok(()),
                "an answer that is on its way is a receive that runs"
            );
        }
        let leaked = no_leaked_permit(2, 1).expect_err("nobody waits for the second answer");
        assert_eq!(leaked.id, "G4");
        assert!(leaked.seen.contains("permits of 2 receives are held, and 1 are running"), "{leaked}");
    }
}
