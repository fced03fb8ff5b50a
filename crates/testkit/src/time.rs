//! Letting time pass on a manual clock, in the order in which things fall due.

use std::task::Poll;
use std::time::Duration;

use futures::future::{FutureExt, poll_fn};
use headwater_core::{Clock, ManualClock};

/// How often [`settle`] steps aside. Each time, every task that is ready runs once; 64 is far more than the longest chain
/// of wake-ups between a queue, a source's tasks and its consumer.
const SETTLE_ROUNDS: u32 = 64;

/// Lets every task that can run do so, until nothing is left to do at the present moment.
///
/// Works on any single-threaded executor (`futures::executor::block_on`, tokio's `current_thread`). Tasks on other threads
/// are not waited for: use wall time with those.
pub async fn settle() {
    for _ in 0..SETTLE_ROUNDS {
        step_aside().await;
    }
}

/// Lets every task that is ready run once.
async fn step_aside() {
    let mut stepped_aside = false;
    poll_fn(|cx| {
        if stepped_aside {
            return Poll::Ready(());
        }
        stepped_aside = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Moves `clock` forward by `by`, stopping at every deadline on the way so that things happen one after the other, as
/// they would in real time.
///
/// Several may run side by side, in time with each other: none moves the clock past the end of another, and one that
/// ends leaves its caller half a [`settle`] to act before another moves on.
pub async fn pass(clock: &ManualClock, by: Duration) {
    let end = clock.now() + by;
    // A sleeper of our own, so that the others stop at our end too.
    let mut alarm = clock.sleep_until(end);
    _ = (&mut alarm).now_or_never();
    let mut seen = clock.now();
    let mut quiet = 0;
    loop {
        step_aside().await;
        let now = clock.now();
        quiet = if now == seen { quiet + 1 } else { 0 };
        seen = now;
        if now >= end && quiet >= SETTLE_ROUNDS / 2 {
            return;
        }
        if now < end && quiet >= SETTLE_ROUNDS {
            let next = clock.next_deadline().filter(|deadline| *deadline > now);
            clock.advance(next.map_or(end, |deadline| deadline.min(end)).since(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::join;
    use headwater_core::{Mono, WallMs};

    use super::*;

    #[test]
    fn deadlines_on_the_way_are_met_one_by_one() {
        let clock = ManualClock::new(WallMs(0));
        let mut seen = Vec::new();
        let ticker = async {
            for _ in 0..3 {
                clock.sleep(Duration::from_secs(2)).await;
                seen.push(clock.now());
            }
        };
        block_on(join(ticker, pass(&clock, Duration::from_secs(7))));
        assert_eq!(seen, [2_000, 4_000, 6_000].map(Mono::from_millis));
        assert_eq!(clock.now(), Mono::from_millis(7_000));
    }

    #[test]
    fn two_side_by_side_stop_at_each_others_ends() {
        let clock = ManualClock::new(WallMs(0));
        let short = async {
            pass(&clock, Duration::from_secs(2)).await;
            clock.now()
        };
        let (_, ended) = block_on(join(pass(&clock, Duration::from_secs(5)), short));
        assert_eq!((ended, clock.now()), (Mono::from_millis(2_000), Mono::from_millis(5_000)));
    }
}
