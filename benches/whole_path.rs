//! The whole path, in CPU time: receive, XML, base64, decode to Arrow, deduplicate, checkpoint, delete; beside a client that
//! receives, deletes and throws everything away.
//!
//! `cargo bench -p headwater-benches --bench whole_path`, or `… -- 'json 300 B'` for some of the kinds. The server is a process of its own on the
//! first core; each client is a process of its own, in the first table on the second core alone. The clients take turns
//! (five rounds, medians), so that a busy machine hurts both alike. The difference is what a message costs beyond being moved.
//!
//! `… -- scale` shows that a message costs the same after ten million others, and with any number of pollers.
//! `… -- instructions`, with or without kinds behind it, counts instructions instead, which neighbours hardly change; it needs valgrind.
//!
//! The last tables put other programs beside the connector: `headwater run` with an SQL plan (its release build must be there), and
//! the official Python and Node SDKs, where they are installed.

#[path = "whole_path/bodies.rs"]
mod bodies;
#[path = "whole_path/canned.rs"]
mod canned;
#[path = "whole_path/connector.rs"]
mod connector;
#[path = "whole_path/discard.rs"]
mod discard;
#[path = "whole_path/external.rs"]
mod external;
#[path = "whole_path/instructions.rs"]
mod instructions;
#[path = "process.rs"]
mod process;
#[path = "whole_path/sample.rs"]
mod sample;
#[path = "whole_path/scale.rs"]
mod scale;

use std::error::Error;
use std::process::{Command, Stdio};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use bodies::{KINDS, Kind};
use connector::Checkpoints;
use external::Program;
use process::Background;
use sample::Sample;

const ROUNDS: usize = 5;
/// As many times the messages with two cores: the clock on the wall counts there, which every neighbour shows in, and before
/// 200,000 messages nothing is forgotten yet.
const LONGER: u64 = 3;
const CLIENTS: [&str; 2] = ["discard", "connector"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--serve", kind] => Ok(canned::serve(&Kind::find(kind).ok_or("no such kind")?)?),
        ["--client", client, cores, address, kind] => {
            let sample = client_process(client, cores.parse()?, address, &Kind::find(kind).ok_or("no such kind")?)?;
            println!("{} {}", sample.cpu, sample.rate);
            Ok(())
        }
        ["--read", address, kind, pollers, messages, ref cores @ ..] => {
            let cores = cores.first().map_or(Ok(1), |cores| cores.parse())?;
            scale::read(address, kind, pollers.parse()?, messages.parse()?, cores)
        }
        ["scale"] => scale::compare(),
        ["instructions", ref kinds @ ..] => instructions::compare(&wanted(kinds)),
        _ => compare(&words),
    }
}

/// The kinds whose names have one of these in them, or all.
fn wanted(words: &[&str]) -> Vec<&'static Kind> {
    KINDS.iter().filter(|kind| words.is_empty() || words.iter().any(|part| kind.name.contains(part))).collect()
}

/// Runs every kind that was asked for, on one core and on two.
fn compare(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let kinds = wanted(words);
    println!("CPU microseconds a message, medians of {ROUNDS} rounds, one core for the client:");
    println!("{:<18} {:>9} {:>10} {:>8} {:>7}", "", "discard", "connector", "added", "ratio");
    for kind in &kinds {
        let [discard, connector] = rounds(kind, 1)?.map(median);
        let (d, c) = (discard.cpu, connector.cpu);
        println!("{:<18} {d:>9.2} {c:>10.2} {:>8.2} {:>7.2}", kind.name, c - d, d / c);
    }
    println!(
        "\nMessages a second, two cores for the client (and the server on the same two); the median of the rounds' ratios:"
    );
    println!("{:<18} {:>9} {:>10} {:>7}", "", "discard", "connector", "ratio");
    for kind in &kinds {
        let rounds = rounds(kind, 2)?;
        let ratio = median_ratio(&rounds);
        let [d, c] = rounds.map(|samples| median(samples).rate);
        println!("{:<18} {d:>9.0} {c:>10.0} {ratio:>7.2}", kind.name);
    }
    println!("\nOther programs, CPU microseconds a message on one core, beside the connector:");
    println!("{:<18} {:<26} {:>9} {:>10} {:>7}", "", "", "program", "connector", "times");
    for kind in &kinds {
        let peers: &[Program] =
            if kind.is_first() { &[Program::Run, Program::Python, Program::Node] } else { &[Program::Run] };
        for program in peers {
            match beside(*program, kind) {
                Ok([other, connector]) => {
                    let (o, c) = (other.cpu, connector.cpu);
                    println!("{:<18} {:<26} {o:>9.2} {c:>10.2} {:>7.2}", kind.name, program.name(), o / c);
                }
                Err(why) => println!("{:<18} {:<26} not measured: {why}", kind.name, program.name()),
            }
        }
    }
    Ok(())
}

/// The medians of a program and of the connector, in turns.
fn beside(program: Program, kind: &Kind) -> Result<[Sample; 2], Box<dyn Error>> {
    let server = serve(kind, 1)?;
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let mut job = program.job(server.address(), kind)?;
        let child =
            on_core(1, || job.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn())?;
        samples[0].push(external::measure(child, server.address(), program.messages(kind))?);
        samples[1].push(measure(program.rival(), 1, server.address(), kind)?);
    }
    Ok(samples.map(median))
}

/// Starts something that stays on one core.
fn on_core<T>(core: usize, start: impl FnOnce() -> std::io::Result<T>) -> Result<T, Box<dyn Error>> {
    let before = sched_getaffinity(None)?;
    pin(core)?;
    let started = start();
    sched_setaffinity(None, &before)?;
    Ok(started?)
}

/// Each client's samples, round by round.
fn rounds(kind: &Kind, cores: usize) -> Result<[Vec<Sample>; 2], Box<dyn Error>> {
    let server = serve(kind, cores)?;
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (client, samples) in CLIENTS.iter().zip(&mut samples) {
            samples.push(measure(client, cores, server.address(), kind)?);
        }
    }
    Ok(samples)
}

/// The median of the rates' ratios: the two samples of a round follow each other, those of two rounds may be of different hours.
fn median_ratio([discard, connector]: &[Vec<Sample>; 2]) -> f64 {
    let mut ratios: Vec<f64> = connector.iter().zip(discard).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn median(mut samples: Vec<Sample>) -> Sample {
    samples.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    let cpu = samples[samples.len() / 2].cpu;
    samples.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    Sample { cpu, rate: samples[samples.len() / 2].rate }
}

fn measure(client: &str, cores: usize, address: &str, kind: &Kind) -> Result<Sample, Box<dyn Error>> {
    let arguments = ["--client", client, &cores.to_string(), address, kind.name];
    let out = Command::new(std::env::current_exe()?).args(arguments).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(out.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(cpu)), Some(Ok(rate))) => Ok(Sample { cpu, rate }),
        _ => Err(format!("{client} on {} failed", kind.name).into()),
    }
}

/// One client, in its own process.
fn client_process(client: &str, cores: usize, address: &str, kind: &Kind) -> Result<Sample, Box<dyn Error>> {
    let runtime = runtime(cores)?;
    let messages = kind.messages * if cores == 1 { 1 } else { LONGER };
    match client {
        "discard" => runtime.block_on(discard::run(address, messages)),
        _ => {
            let checkpoints = match client {
                "library" => Checkpoints::in_directory()?,
                _ => Checkpoints::in_memory(),
            };
            runtime.block_on(connector::run(address, kind, messages, sample::CONNECTIONS, checkpoints))
        }
    }
}

/// A runtime of one thread on the second core, or of as many threads as there are cores.
fn runtime(cores: usize) -> Result<tokio::runtime::Runtime, Box<dyn Error>> {
    if cores == 1 {
        pin(1)?;
    }
    let mut runtime = match cores {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    Ok(runtime.enable_all().build()?)
}

fn pin(core: usize) -> Result<(), Box<dyn Error>> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Starts the canned server, with one core on the first.
fn serve(kind: &Kind, cores: usize) -> Result<Background, Box<dyn Error>> {
    let server = Background::start(&["--serve", kind.name])?;
    if cores == 1 {
        let mut set = CpuSet::new();
        set.set(0);
        sched_setaffinity(rustix::process::Pid::from_raw(i32::try_from(server.id())?), &set)?;
    }
    Ok(server)
}
