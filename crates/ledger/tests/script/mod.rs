//! The runner of the scripts: reads a file, carries out its commands on a real ledger, compares the answers.

mod commands;

use std::fmt::Write;
use std::path::Path;

use commands::Stage;

/// Runs one script, or rewrites its answers when `REWRITE` is set.
pub(crate) fn run(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut stage = Stage::default();
    let mut rewritten = String::new();
    let mut differences = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let _ = writeln!(rewritten, "{line}");
        let Some(command) = line.strip_prefix("> ") else { continue };
        let mut expected = Vec::new();
        while let Some((_, answer)) = lines.next_if(|(_, l)| l.starts_with("  ") && !l.trim().is_empty()) {
            expected.push(answer.trim().to_owned());
        }
        let place = format!("{}:{}: > {command}", path.display(), number + 1);
        let answer = stage.obey(command).unwrap_or_else(|e| panic!("{place}\n  {e}"));
        if let Err(violation) = stage.check() {
            panic!("{place}\n  after this, {violation}");
        }
        for line in &answer {
            let _ = writeln!(rewritten, "  {line}");
        }
        if answer != expected {
            let _ = writeln!(differences, "{place}\n  expected {expected:?}\n  got      {answer:?}");
        }
    }
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, rewritten).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    } else {
        assert!(differences.is_empty(), "\n{differences}");
    }
}
