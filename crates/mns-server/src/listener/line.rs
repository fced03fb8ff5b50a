//! Who waits for messages on which queue, first come first served.
//!
//! Only the head of a line may take messages. It is woken when there is something to take or when the queue's next
//! wake-up moved to an earlier time; whoever leaves the head, for whatever reason, wakes the next. A waiter takes
//! messages inside its own request, never on its behalf, so nothing is leased to a client that went away.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::Shared;
use crate::state::{Account, Millis};

/// The waiting lines of all queues.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: BTreeMap<String, Line>,
    next_place: u64,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(u64, Arc<Notify>)>,
    /// When the head wakes by itself to look at the queue; `None` when the queue gave it no time.
    armed: Option<Millis>,
}

impl Lines {
    /// How many wait for `queue`.
    pub(crate) fn waiting(&self, queue: &str) -> usize {
        self.lines.get(queue).map_or(0, |line| line.waiting.len())
    }

    /// How many wait for any queue.
    pub(crate) fn all_waiting(&self) -> usize {
        self.lines.values().map(|line| line.waiting.len()).sum()
    }

    /// Wakes the head if `queue` has something for it, or will have earlier than it expects.
    pub(crate) fn stir(&mut self, queue: &str, account: &mut Account, now: Millis) {
        let Some(line) = self.lines.get(queue) else { return };
        let Some((_, head)) = line.waiting.front() else { return };
        let awaited = match account.queue(queue) {
            Ok(queue) => {
                queue.has_visible(now)
                    || queue.next_wakeup().is_some_and(|next| line.armed.is_none_or(|armed| next < armed))
            }
            // The queue was deleted: the head has to say so.
            Err(_) => true,
        };
        if awaited {
            head.notify_one();
        }
    }

    fn join(&mut self, queue: &str) -> (u64, Arc<Notify>) {
        let place = self.next_place;
        self.next_place += 1;
        let wake = Arc::new(Notify::new());
        let line = self.lines.entry(queue.to_owned()).or_default();
        line.waiting.push_back((place, Arc::clone(&wake)));
        (place, wake)
    }

    fn leave(&mut self, queue: &str, place: u64) {
        let Some(line) = self.lines.get_mut(queue) else { return };
        let was_head = line.waiting.front().is_some_and(|(head, _)| *head == place);
        line.waiting.retain(|(waiting, _)| *waiting != place);
        match line.waiting.front() {
            Some((_, head)) if was_head => {
                line.armed = None;
                head.notify_one();
            }
            Some(_) => {}
            None => {
                self.lines.remove(queue);
            }
        }
    }
}

/// A place in a line, given up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    queue: String,
    place: u64,
    wake: Arc<Notify>,
}

impl Place {
    /// Joins the end of the line for `queue`. The caller holds the lock on `lines`.
    pub(super) fn join(shared: &Arc<Shared>, lines: &mut Lines, queue: &str) -> Self {
        let (place, wake) = lines.join(queue);
        Self { shared: Arc::clone(shared), queue: queue.to_owned(), place, wake }
    }

    /// If this is the head: notes that it will look again at `next`, and says so.
    pub(super) fn arm(&self, lines: &mut Lines, next: Option<Millis>) {
        if let Some(line) = lines.lines.get_mut(&self.queue) {
            line.armed = next;
        }
    }

    pub(super) fn is_head(&self, lines: &Lines) -> bool {
        let head = lines.lines.get(&self.queue).and_then(|line| line.waiting.front());
        head.is_some_and(|(head, _)| *head == self.place)
    }

    /// Ready when it is worth looking again.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().lines.leave(&self.queue, self.place);
        self.shared.changed.send_replace(());
    }
}
