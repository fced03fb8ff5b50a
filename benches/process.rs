//! Processes beside this one: a server in the background, and what a process has cost so far, as the kernel counts it.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// This program once more, with other arguments, in the background: it serves and says where in its first line. Killed when
/// dropped.
pub(crate) struct Background {
    child: Child,
    address: String,
}

impl Background {
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut started = Self {
            child: command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?,
            address: String::new(),
        };
        let out = started.child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut started.address)?;
        started.address.truncate(started.address.trim_end().len());
        if started.address.is_empty() {
            return Err(format!("{arguments:?} ended without a word").into());
        }
        Ok(started)
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU microseconds that the threads of a process have used.
pub(crate) fn cpu(process: u32) -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(nanoseconds / 1_000.0)
}
