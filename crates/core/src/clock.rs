//! The one module that reads a clock. Everything else takes the time as an argument or asks a [`Clock`].

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headwater_ledger::Mono;

/// A future that is ready at a deadline. Needs no particular runtime.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Milliseconds since 1970 on a wall clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WallMs(pub i64);

/// A source of time.
pub trait Clock: Send + Sync + Debug + 'static {
    /// A point on a monotonic clock.
    fn now(&self) -> Mono;

    /// The time of day, for showing, signing and comparing with other machines; it may jump.
    fn wall(&self) -> WallMs;

    /// Ready when [`now`](Self::now) has reached `deadline`; at once if it has.
    fn sleep_until(&self, deadline: Mono) -> Sleep;

    /// Ready after `pause`.
    fn sleep(&self, pause: Duration) -> Sleep {
        self.sleep_until(self.now() + pause)
    }
}

/// The machine's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the monotonic clock is read")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// The same, shared.
    #[must_use]
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Mono {
        Mono(self.start.elapsed())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    fn wall(&self) -> WallMs {
        let now = SystemTime::now();
        let ms = match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        WallMs(ms)
    }

    fn sleep_until(&self, deadline: Mono) -> Sleep {
        let pause = deadline.since(self.now());
        if pause.is_zero() { Box::pin(std::future::ready(())) } else { Box::pin(futures_timer::Delay::new(pause)) }
    }
}

/// A clock that moves only when told to: tests advance it instead of waiting.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Debug, Default)]
struct ManualState {
    now: Mono,
    wall: WallMs,
    next_timer: u64,
    timers: BTreeMap<(Mono, u64), Option<Waker>>,
}

impl ManualClock {
    /// A clock at monotonic zero and the given wall time.
    #[must_use]
    pub fn new(wall: WallMs) -> Self {
        Self { state: Arc::new(Mutex::new(ManualState { wall, ..ManualState::default() })) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        // A panic elsewhere cannot leave the state half changed: every change below is complete on its own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves both clocks forward and wakes everything whose deadline has come, earliest first.
    pub fn advance(&self, by: Duration) {
        let due = {
            let mut state = self.lock();
            state.now = state.now + by;
            state.wall = WallMs(state.wall.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)));
            let after = state.now + Duration::from_nanos(1);
            let later = state.timers.split_off(&(after, 0));
            std::mem::replace(&mut state.timers, later)
        };
        for waker in due.into_values().flatten() {
            waker.wake();
        }
    }

    /// Makes the wall clock jump without any time passing.
    pub fn set_wall(&self, wall: WallMs) {
        self.lock().wall = wall;
    }

    /// The earliest deadline somebody sleeps towards.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.lock().timers.keys().next().map(|(at, _)| *at)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Mono {
        self.lock().now
    }

    fn wall(&self) -> WallMs {
        self.lock().wall
    }

    fn sleep_until(&self, deadline: Mono) -> Sleep {
        let mut state = self.lock();
        let id = state.next_timer;
        state.next_timer += 1;
        drop(state);
        Box::pin(ManualSleep { clock: self.clone(), deadline, id })
    }
}

struct ManualSleep {
    clock: ManualClock,
    deadline: Mono,
    id: u64,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.deadline {
            state.timers.remove(&(self.deadline, self.id));
            return Poll::Ready(());
        }
        state.timers.insert((self.deadline, self.id), Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        self.clock.lock().timers.remove(&(self.deadline, self.id));
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::{FutureExt, join};

    use super::*;

    #[test]
    fn a_manual_clock_wakes_only_what_is_due() {
        let clock = ManualClock::new(WallMs(1_000));
        let mut early = clock.sleep(Duration::from_secs(1));
        let mut late = clock.sleep(Duration::from_secs(2));
        assert!((&mut early).now_or_never().is_none());
        assert!((&mut late).now_or_never().is_none());
        assert_eq!(clock.next_deadline(), Some(Mono::from_millis(1_000)));
        clock.advance(Duration::from_secs(1));
        assert!((&mut early).now_or_never().is_some());
        assert!((&mut late).now_or_never().is_none());
        assert_eq!((clock.now(), clock.wall()), (Mono::from_millis(1_000), WallMs(2_000)));
        drop(late);
        assert_eq!(clock.next_deadline(), None);
    }

    #[test]
    fn a_system_sleep_ends() {
        let clock = SystemClock::new();
        let start = clock.now();
        block_on(join(clock.sleep(Duration::from_millis(2)), clock.sleep_until(start)));
        assert!(clock.now().since(start) >= Duration::from_millis(2));
    }
}
