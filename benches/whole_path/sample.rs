//! CPU time between two counts of messages.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Connections of every client: eight hide the round trip, more give nothing.
pub(crate) const CONNECTIONS: usize = 8;

/// What a client used for its messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// CPU microseconds of the process a message, in user and system.
    pub(crate) cpu: f64,
    /// Messages a second by the clock on the wall.
    pub(crate) rate: f64,
}

/// Starts counting after a warm-up of a quarter, ends at `1.25 × messages`.
pub(crate) struct Window {
    from: u64,
    to: u64,
    marks: Mutex<(Option<Mark>, Option<Mark>)>,
}

/// So many messages, and what the process had used by then.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    count: u64,
    cpu: Duration,
    wall: Instant,
}

impl Window {
    pub(crate) fn new(messages: u64) -> Self {
        Self { from: messages / 4, to: messages / 4 + messages, marks: Mutex::default() }
    }

    /// Notes that so many messages are done; false when that is enough.
    pub(crate) fn reached(&self, count: u64) -> bool {
        if count < self.from {
            return true;
        }
        let Ok(mut marks) = self.marks.lock() else { return false };
        let (first, last) = &mut *marks;
        if first.is_none() {
            *first = Some(Mark::now(count));
        } else if count >= self.to && last.is_none() {
            *last = Some(Mark::now(count));
        }
        last.is_none()
    }

    pub(crate) fn sample(&self) -> Option<Sample> {
        let (Some(first), Some(last)) = *self.marks.lock().ok()? else { return None };
        Some(last.since(&first))
    }
}

impl Mark {
    /// What the messages since another mark have cost.
    pub(crate) fn since(&self, first: &Self) -> Sample {
        let messages = (self.count - first.count) as f64;
        let cpu = (self.cpu - first.cpu).as_secs_f64() * 1e6 / messages;
        Sample { cpu, rate: messages / (self.wall - first.wall).as_secs_f64() }
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark's own clock")]
    pub(crate) fn now(count: u64) -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self { count, cpu: Duration::new(cpu.tv_sec as u64, cpu.tv_nsec as u32), wall: Instant::now() }
    }
}
