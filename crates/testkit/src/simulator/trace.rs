//! What happened, line by line: hashed always, kept when asked for.

use std::fmt::{self, Write};

use headwater_core::Mono;

/// Lines kept at most: a run that goes on for ever must not take all memory.
const LINES_MAX: usize = 200_000;

/// The trace of one world.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    keep: bool,
    lines: Vec<String>,
    line: String,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, keep, lines: Vec::new(), line: String::new() }
    }

    pub(crate) fn note(&mut self, now: Mono, actor: &str, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.line, "{:>12.3} {actor:<8} {what}", now.0.as_secs_f64());
        for byte in self.line.bytes() {
            // FNV-1a: the same on every machine and release, which the standard hasher does not promise.
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.events += 1;
        if self.keep && self.lines.len() < LINES_MAX {
            self.lines.push(self.line.clone());
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}
