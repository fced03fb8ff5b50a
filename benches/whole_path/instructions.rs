//! What a message costs in instructions, counted by valgrind: nearly the same on a busy machine as on a quiet one.

use std::error::Error;
use std::process::Command;

use crate::bodies::Kind;
use crate::process::Background;
use crate::sample::CONNECTIONS;

/// Messages after which everything has been made that is made once, and those that are counted after them.
const BEFORE: u64 = 20_000;
const COUNTED: u64 = 40_000;

/// Prints the table.
pub(crate) fn compare(kinds: &[&Kind]) -> Result<(), Box<dyn Error>> {
    println!("Instructions a message, of the client's process in user mode:");
    println!("{:<18} {:>9} {:>10} {:>8}", "", "discard", "connector", "added");
    for kind in kinds {
        let server = Background::start(&["--serve", kind.name])?;
        // The client goes on for a quarter more than it measures.
        let discard = counted(&["--client", "discard", "1", server.address(), kind.name])? / (kind.messages * 5 / 4);
        let read = |messages: u64| {
            let (pollers, messages) = (CONNECTIONS.to_string(), messages.to_string());
            counted(&["--read", server.address(), kind.name, &pollers, &messages])
        };
        let connector = (read(BEFORE + COUNTED)? - read(BEFORE)?) / COUNTED;
        println!("{:<18} {discard:>9} {connector:>10} {:>8}", kind.name, connector - discard);
    }
    Ok(())
}

/// The instructions of this program with other arguments, from its start to its end.
fn counted(arguments: &[&str]) -> Result<u64, Box<dyn Error>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    let out = valgrind.args(arguments).output().map_err(|error| format!("valgrind cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&out.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, number)) if out.status.success() => Ok(number.trim().parse()?),
        _ => Err(format!("{arguments:?} failed under valgrind: {said}").into()),
    }
}
