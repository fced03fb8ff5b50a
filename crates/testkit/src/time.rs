//! Letting time pass on a manual clock, in the order in which things fall due.

use std::task::Poll;
use std::time::Duration;

use futures::future::poll_fn;
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
}

/// Moves `clock` forward by `by`, stopping at every deadline on the way so that things happen one after the other, as
/// they would in real time.
pub async fn pass(clock: &ManualClock, by: Duration) {
    let end = clock.now() + by;
    settle().await;
    while clock.now() < end {
        let now = clock.now();
        let stop = clock.next_deadline().filter(|deadline| *deadline > now).map_or(end, |deadline| deadline.min(end));
        clock.advance(stop.since(now));
        settle().await;
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
}
