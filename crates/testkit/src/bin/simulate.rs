//! Simulates seeds of a whole job in a world that fails, and prints what happened. See `--help`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use headwater_core::{Clock, SystemClock};
use headwater_testkit::simulator::{FAULTS, Figures, Options, Outcome, Sabotage, shrink, simulate};

const HELP: &str = "\
Simulates a whole job (queue, source, ledger, checkpoint store, file sink, runner) in a world that fails, on a virtual
clock. One seed gives one history. Every promise is checked after every step.

usage: simulate [--seeds N] [--from N] [options]     N seeds (default 500), from seed N on (default 0)
       simulate --seed N [options]                   one seed

options
  --threads N      threads, each with seeds of its own (default 2)
  --messages N     at most N messages in a history
  --lives N        at most N lives of the process before the quiet one at the end
  --cut MS         the trouble ends after so many virtual milliseconds
  --skip-before MS the source skips what was sent in the first so many virtual milliseconds
  --rates PERCENT  how often faults happen, of what the seed draws (default 100)
  --only LIST      only these kinds of faults, with commas; `none` for none
  --without LIST   all but these kinds of faults
  --trace          with --seed: print every event (virtual seconds, who, what)
  --trace-hash     with --seed: print the hash of the trace
  --no-shrink      do not look for the shortest history of a seed that fails
  --break NAME     break a part of the world on purpose, to see whether it is seen
  --list           print the kinds of faults and what can be broken
  --help           this

Exit code: 0 if every promise was kept, 1 if one was broken (the seed, the command that repeats it and the shortest trace
are printed), 2 for arguments that make no sense.";

struct Arguments {
    from: u64,
    seeds: u64,
    one: bool,
    threads: u64,
    trace_hash: bool,
    shrink: bool,
    options: Options,
}

fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}\ntry --help");
            return ExitCode::from(2);
        }
    };
    if arguments.one { one(&arguments) } else { many(&arguments) }
}

fn read(arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut read = Arguments {
        from: 0,
        seeds: 500,
        one: false,
        threads: 2,
        trace_hash: false,
        shrink: true,
        options: Options::default(),
    };
    let mut arguments = arguments.peekable();
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("`{text}` is no number"));
        let small = |text: String| text.parse::<u32>().map_err(|_| format!("`{text}` is no small number"));
        match name.as_str() {
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(None);
            }
            "--list" => {
                list();
                return Ok(None);
            }
            "--seed" => (read.from, read.seeds, read.one) = (number(value()?)?, 1, true),
            "--seeds" => read.seeds = number(value()?)?,
            "--from" => read.from = number(value()?)?,
            "--threads" => read.threads = number(value()?)?.max(1),
            "--messages" => read.options.messages = Some(small(value()?)?),
            "--lives" => read.options.lives = Some(small(value()?)?),
            "--cut" => read.options.cut = Some(Duration::from_millis(number(value()?)?)),
            "--skip-before" => read.options.skip_before = Some(Duration::from_millis(number(value()?)?)),
            "--rates" => read.options.rates = u16::try_from(small(value()?)?).map_err(|error| error.to_string())?,
            "--only" => read.options.faults = value()?.parse()?,
            "--without" => {
                let without: headwater_testkit::simulator::FaultSet = value()?.parse()?;
                read.options.faults = without.iter().fold(read.options.faults, |set, fault| set.without(fault));
            }
            "--trace" => read.options.trace = true,
            "--trace-hash" => read.trace_hash = true,
            "--no-shrink" => read.shrink = false,
            "--break" => {
                let name = value()?;
                let known = Sabotage::ALL.into_iter().find(|sabotage| sabotage.name() == name);
                read.options.sabotage = Some(known.ok_or_else(|| format!("`{name}` cannot be broken; see --list"))?);
            }
            other => return Err(format!("`{other}` is no argument")),
        }
    }
    Ok(Some(read))
}

fn list() {
    println!("faults:");
    for (_, name, says) in FAULTS {
        println!("  {name:<15} {says}");
    }
    let names: Vec<_> = Sabotage::ALL.iter().map(|sabotage| sabotage.name()).collect();
    println!("--break: {}", names.join(", "));
}

fn one(arguments: &Arguments) -> ExitCode {
    let outcome = simulate(arguments.from, &arguments.options);
    if arguments.options.trace {
        outcome.trace.iter().for_each(|line| println!("{line}"));
    }
    if arguments.trace_hash {
        println!("{:016x}", outcome.trace_hash);
        return if outcome.violation.is_some() { ExitCode::from(1) } else { ExitCode::SUCCESS };
    }
    println!("{}", outcome.figures);
    if outcome.violation.is_none() {
        return ExitCode::SUCCESS;
    }
    report(arguments, &outcome);
    ExitCode::from(1)
}

/// Every thread takes the next seed that nobody has taken; the first failure ends all of them.
fn many(arguments: &Arguments) -> ExitCode {
    let clock = SystemClock::new();
    let began = clock.now();
    let (next, stop) = (AtomicU64::new(arguments.from), AtomicBool::new(false));
    let end = arguments.from.saturating_add(arguments.seeds);
    let sum = Mutex::new((Figures::default(), Vec::<Outcome>::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = simulate(seed, &arguments.options);
                    let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    sum.0 += outcome.figures;
                    if outcome.violation.is_some() {
                        stop.store(true, Ordering::Relaxed);
                        sum.1.push(outcome);
                    }
                }
            });
        }
    });
    let (figures, mut failed) = sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let took = clock.now().since(began);
    println!("{figures}");
    println!("{:.1} s on {} threads", took.as_secs_f64(), arguments.threads);
    failed.sort_by_key(|outcome| outcome.seed);
    match failed.first() {
        None => {
            println!("every promise was kept");
            ExitCode::SUCCESS
        }
        Some(outcome) => {
            report(arguments, outcome);
            ExitCode::from(1)
        }
    }
}

fn report(arguments: &Arguments, outcome: &Outcome) {
    let Some(violation) = &outcome.violation else { return };
    let (seed, command) = (outcome.seed, "cargo run -p headwater-testkit --release --bin simulate --");
    println!("seed {seed} breaks a promise: {violation}");
    println!("to repeat it: {command} --seed {seed}{} --trace", arguments.options);
    if !arguments.shrink {
        return;
    }
    if let Some(shrunk) = shrink(seed, &arguments.options) {
        println!("the shortest history found in {} tries:", shrunk.tries);
        shrunk.outcome.trace.iter().for_each(|line| println!("{line}"));
        if let Some(violation) = &shrunk.outcome.violation {
            println!("{violation}");
        }
        println!("to repeat it: {command} --seed {seed}{} --trace", shrunk.options);
    }
}
