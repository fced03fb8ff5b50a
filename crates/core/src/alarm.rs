//! A timer that is kept: for waits that nearly always end before their time-out.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use headwater_ledger::Mono;

use crate::clock::{Clock, Sleep};

/// A time-out for one wait after the other.
///
/// A [`Clock::sleep_until`] for every wait costs a timer each, made and taken back, which is more than a short wait itself.
/// This keeps one timer. A wait with a later deadline leaves it as it is, and sets it anew only once it has gone off; a
/// thousand calls a second with a time-out of ten seconds set a timer every ten seconds. Only a deadline before the one the
/// timer is set for needs another at once.
///
/// An alarm that nobody waits on stays set; whoever waited last may then be woken once, for nothing.
pub struct Alarm {
    clock: Arc<dyn Clock>,
    timer: Option<Timer>,
}

struct Timer {
    at: Mono,
    sleep: Sleep,
}

impl Alarm {
    /// An alarm that is not set yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, timer: None }
    }

    /// The clock it goes by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A future that is ready once the clock has reached `deadline`, at once if it has.
    #[must_use = "nothing is waited for unless the future is polled"]
    pub fn until(&mut self, deadline: Mono) -> Until<'_> {
        Until { alarm: self, deadline }
    }

    /// A future's output, or `None` if the clock reaches `deadline` first. What is ready is not lost to a late look.
    pub async fn within<T>(&mut self, deadline: Mono, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll_until(context, deadline).map(|()| None),
        })
        .await
    }

    /// Ready once the clock has reached `deadline`; otherwise the task is woken at or before it.
    pub fn poll_until(&mut self, context: &mut Context<'_>, deadline: Mono) -> Poll<()> {
        loop {
            let timer = match &mut self.timer {
                Some(timer) if timer.at <= deadline => timer,
                later => later.insert(Timer { at: deadline, sleep: self.clock.sleep_until(deadline) }),
            };
            // Not ready at `timer.at`, so not at `deadline` either.
            std::task::ready!(timer.sleep.as_mut().poll(context));
            self.timer = None;
            if self.clock.now() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("set_for", &self.timer.as_ref().map(|timer| timer.at)).finish_non_exhaustive()
    }
}

/// The future of [`Alarm::until`].
#[derive(Debug)]
pub struct Until<'a> {
    alarm: &'a mut Alarm,
    deadline: Mono,
}

impl Future for Until<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        self.alarm.poll_until(context, deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::FutureExt;
    use futures::task::noop_waker;

    use super::*;
    use crate::clock::{ManualClock, SystemClock, WallMs};

    /// A manual clock that counts the timers made.
    #[derive(Debug)]
    struct Counting {
        clock: ManualClock,
        timers: AtomicUsize,
    }

    impl Clock for Counting {
        fn now(&self) -> Mono {
            self.clock.now()
        }

        fn wall(&self) -> WallMs {
            self.clock.wall()
        }

        fn sleep_until(&self, deadline: Mono) -> Sleep {
            self.timers.fetch_add(1, Ordering::Relaxed);
            self.clock.sleep_until(deadline)
        }
    }

    fn counting() -> (ManualClock, Arc<Counting>, Alarm) {
        let clock = ManualClock::new(WallMs(0));
        let counting = Arc::new(Counting { clock: clock.clone(), timers: AtomicUsize::new(0) });
        (clock, counting.clone(), Alarm::new(counting))
    }

    fn rings(alarm: &mut Alarm, at_ms: u64) -> bool {
        alarm.until(Mono::from_millis(at_ms)).now_or_never().is_some()
    }

    #[test]
    fn it_rings_at_each_deadline_and_neither_before_nor_after() {
        let (clock, _, mut alarm) = counting();
        for (deadline, now, rung) in [
            (10, 0, false),
            (10, 9, false),
            (10, 10, true),
            (20, 15, false),
            // Later, earlier, and later again than what the timer is set for.
            (30, 19, false),
            (21, 20, false),
            (21, 21, true),
            (22, 21, false),
            (40, 29, false),
            (30, 29, false),
            (30, 31, true),
            (31, 31, true),
            (5, 31, true),
        ] {
            clock.advance(Duration::from_millis(now) - clock.now().since(Mono::default()));
            assert_eq!(rings(&mut alarm, deadline), rung, "{deadline} at {now}");
        }
    }

    #[test]
    fn calls_that_end_in_time_share_a_timer() {
        let (clock, counting, mut alarm) = counting();
        for call in 0..10_000 {
            assert!(!rings(&mut alarm, call + 5_000));
            clock.advance(Duration::from_millis(1));
        }
        // One at the start, one when that went off.
        assert_eq!(counting.timers.load(Ordering::Relaxed), 2);
        assert!(!rings(&mut alarm, 10_001) && rings(&mut alarm, 10_000));
    }

    #[test]
    fn whoever_waits_is_woken_by_a_timer_that_was_set_for_another() {
        let (clock, _, mut alarm) = counting();
        assert!(!rings(&mut alarm, 10));
        let woken = Arc::new(Woken::default());
        let waker = std::task::Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        assert!(alarm.poll_until(&mut context, Mono::from_millis(25)).is_pending());
        let mut polls = 0;
        while clock.now() < Mono::from_millis(25) {
            clock.advance(Duration::from_millis(1));
            if woken.0.swap(0, Ordering::Relaxed) > 0 {
                polls += 1;
                let rung = alarm.poll_until(&mut context, Mono::from_millis(25)).is_ready();
                assert_eq!(rung, clock.now() == Mono::from_millis(25));
            }
        }
        assert_eq!(polls, 2, "at 10, for nothing, and at 25");
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn within_prefers_what_is_ready_to_the_time_that_is_over() {
        let (clock, _, mut alarm) = counting();
        clock.advance(Duration::from_secs(1));
        let late = Mono::from_millis(1);
        assert_eq!(alarm.within(late, std::future::ready(7)).now_or_never(), Some(Some(7)));
        assert_eq!(alarm.within(late, std::future::pending::<()>()).now_or_never(), Some(None));
        let ahead = Mono::from_millis(2_000);
        assert_eq!(alarm.within(ahead, std::future::pending::<()>()).now_or_never(), None);
    }

    #[test]
    fn the_machine_s_clock_rings_it_too() {
        let clock = SystemClock::shared();
        let mut alarm = Alarm::new(clock.clone());
        let far = clock.now() + Duration::from_secs(3_600);
        assert!(alarm.poll_until(&mut Context::from_waker(&noop_waker()), far).is_pending());
        let near = clock.now() + Duration::from_millis(2);
        futures::executor::block_on(alarm.until(near));
        assert!(clock.now() >= near);
    }
}
