//! Whether a message costs the same after ten million others, and with any number of pollers; and the memory all that takes.

use std::cell::RefCell;
use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};

use crate::bodies::{KINDS, Kind};
use crate::connector::{self, Checkpoints};
use crate::sample::{CONNECTIONS, Mark};
use crate::{runtime, serve};

/// What has been read by the end of each stretch; the stretch begins at half of it. The first begins when connections are open.
const STRETCHES: [u64; 5] = [2_000, 10_000, 100_000, 1_000_000, 10_000_000];
/// Messages for each number of pollers; a first stretch of as many is not measured.
const EACH: u64 = 200_000;
/// `pollers` of a table that says nothing of it.
const DEFAULT: usize = 4;

/// Prints both tables.
pub(crate) fn compare() -> Result<(), Box<dyn Error>> {
    let (small, large) = (KINDS[0].name, "json 48 KB");
    println!("CPU microseconds a message of 300 B, {CONNECTIONS} pollers, one process, by the messages before it:");
    run(small, CONNECTIONS, STRETCHES[STRETCHES.len() - 1], 1)?;
    println!("\nThe same by pollers:");
    for pollers in [1, 2, 4, 8, 16, 32, 64] {
        print!("{pollers:>3} pollers, ");
        run(small, pollers, 2 * EACH, 1)?;
    }
    println!();
    for (pollers, cores) in [(CONNECTIONS, 1), (DEFAULT, 2), (CONNECTIONS, 2)] {
        print!("{large}, bodies of 64 KB on the wire, {pollers} pollers on {cores} cores, ");
        run(large, pollers, EACH, cores)?;
    }
    Ok(())
}

/// One process that reads so many messages, and says what they cost.
fn run(kind: &str, pollers: usize, messages: u64, cores: usize) -> Result<(), Box<dyn Error>> {
    let server = serve(&Kind::find(kind).ok_or("no such kind")?, cores)?;
    let mut client = Command::new(std::env::current_exe()?);
    client.args(["--read", server.address(), kind, &pollers.to_string(), &messages.to_string(), &cores.to_string()]);
    let out = client.stderr(Stdio::inherit()).output()?;
    print!("{}", String::from_utf8(out.stdout)?);
    if out.status.success() { Ok(()) } else { Err("the client failed".into()) }
}

/// The client: reads so many messages on one core or more.
pub(crate) fn read(
    address: &str,
    kind: &str,
    pollers: usize,
    messages: u64,
    cores: usize,
) -> Result<(), Box<dyn Error>> {
    let kind = Kind::find(kind).ok_or("no such kind")?;
    let runtime = runtime(cores)?;
    let ends: Vec<u64> = STRETCHES.iter().copied().filter(|end| *end < messages).chain([messages]).collect();
    let wanted: Vec<u64> = ends.iter().flat_map(|end| [end / 2, *end]).collect();
    let marks: RefCell<Vec<(Mark, u64)>> = RefCell::new(Vec::new());
    runtime.block_on(connector::read(address, &kind, pollers, Checkpoints::in_memory(), |rows| {
        let mut marks = marks.borrow_mut();
        while wanted.get(marks.len()).is_some_and(|at| rows >= *at) {
            marks.push((Mark::now(rows), peak().unwrap_or_default()));
        }
        marks.len() < wanted.len()
    }))?;
    let marks = marks.into_inner();
    let shown = if messages > 2 * EACH { 1 } else { ends.len() - 1 };
    for (end, pair) in ends.iter().zip(marks.chunks(2)).skip(shown) {
        let [(first, _), (last, peak)] = pair else { return Err("too few messages".into()) };
        println!("{end:>10} messages: {:.2} µs, resident at most {peak} MiB", last.since(first).cpu);
    }
    Ok(())
}

/// The most memory this process has had, in MiB.
fn peak() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1_024)
}
