//! The yardstick beside the formats.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A Python that reads the lines of a file with `json.loads` whenever it is asked to, and says how fast that was.
pub(crate) struct Yardstick {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Rows per second of process CPU time over a twentieth of a second.
const PROGRAM: &str = "\
import json, sys, time
lines = open(sys.argv[1], encoding='utf-8').read().splitlines()
loads = json.loads
for _ in sys.stdin:
    rows, start = 0, time.process_time()
    while time.process_time() - start < 0.05:
        for line in lines:
            loads(line)
        rows += len(lines)
    print(rows / (time.process_time() - start), flush=True)
";

impl Yardstick {
    /// Starts it on a file.
    pub(crate) fn start(lines: &Path) -> Result<Self, Box<dyn Error>> {
        let mut python = Command::new("python3");
        let mut child =
            python.arg("-c").arg(PROGRAM).arg(lines).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let ask = child.stdin.take().ok_or("a piped child has a stdin")?;
        let answers = BufReader::new(child.stdout.take().ok_or("a piped child has a stdout")?);
        Ok(Self { child, ask, answers })
    }

    /// One measurement, now.
    pub(crate) fn rows_a_second(&mut self) -> f64 {
        let mut answer = String::new();
        self.ask.write_all(b"\n").and_then(|()| self.answers.read_line(&mut answer)).expect("the yardstick runs");
        answer.trim().parse().expect("the yardstick prints a number")
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        // It is done, and nobody waits for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
