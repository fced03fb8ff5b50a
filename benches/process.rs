//! What a process has cost so far, as the kernel counts it.

use std::error::Error;
use std::fs;

/// CPU microseconds that the threads of a process have used.
pub(crate) fn cpu(process: u32) -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(nanoseconds / 1_000.0)
}
