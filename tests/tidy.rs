//! Style that a machine can check: files people can read, a word at the top of each, nothing left unfinished.

use std::path::{Path, PathBuf};

/// Production lines of a file: what comes before its test module.
const FILE_MAX: usize = 500;
/// Lines of a function body, signature included.
const FUNCTION_MAX: usize = 70;

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.expect("a directory entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Test modules in files of their own: tables of cases may be long.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn production(text: &str) -> &str {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    &text[..end]
}

fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for crate_dir in std::fs::read_dir(root.join("crates")).expect("crates/").flatten() {
        sources(&crate_dir.path().join("src"), &mut files);
    }
    assert!(files.len() > 20, "the sources were not found");
    let relative = |p: &Path| p.strip_prefix(root).unwrap_or(p).display().to_string();
    files.iter().map(|p| (relative(p), std::fs::read_to_string(p).expect("a readable source"))).collect()
}

#[test]
fn every_file_is_short_and_says_what_it_is() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let lines = production(&text).lines().count();
        if lines > FILE_MAX && !is_test(&path) {
            wrong.push(format!("{path}: {lines} production lines, at most {FILE_MAX}"));
        }
        if !text.starts_with("//!") && !text.starts_with("#!") {
            wrong.push(format!("{path}: does not begin with a //! line"));
        }
        if path.ends_with("/utils.rs") || path.ends_with("/common.rs") {
            wrong.push(format!("{path}: say what it is for"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a line begins a function, whatever its visibility and qualifiers.
fn is_function(line: &str) -> bool {
    let words = line.split_once("fn ").map(|(before, _)| before.split_whitespace());
    let qualifier = |word: &str| {
        matches!(word, "pub" | "async" | "const" | "unsafe" | "extern")
            || word.starts_with("pub(")
            || word.ends_with(')')
    };
    words.is_some_and(|mut words| words.all(qualifier))
}

#[test]
fn a_function_is_recognised_by_its_head() {
    for head in ["fn a(", "pub(super) async fn a<T>(", "pub(in crate::x) const fn a()", "pub const unsafe fn a()"] {
        assert!(is_function(head), "{head}");
    }
    for other in ["let f = |x| fn_call(x)", "// fn a(", "type F = fn (u8)", "call(fn a)", "pub struct Fn "] {
        assert!(!is_function(other), "{other}");
    }
}

#[test]
fn functions_fit_a_screen_and_nothing_is_left_unfinished() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let mut function: Option<(usize, usize, &str)> = None;
        for (number, line) in production(&text).lines().enumerate() {
            for word in ["todo!(", "unimplemented!(", "FIXME"] {
                if line.contains(word) {
                    wrong.push(format!("{path}:{}: {word}", number + 1));
                }
            }
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start();
            if function.is_none() && is_function(head) && !head.ends_with(';') {
                function = Some((number, indent, head));
            }
            if let Some((start, depth, head_line)) = function
                && line.starts_with(&format!("{}}}", " ".repeat(depth)))
            {
                let length = number - start + 1;
                if length > FUNCTION_MAX && !is_test(&path) {
                    wrong.push(format!("{path}:{}: {length} lines in `{head_line}`", start + 1));
                }
                function = None;
            }
            if let Some((start, _, _)) = function
                && number == start
                && (head.ends_with('}') || head.ends_with(';'))
            {
                function = None;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
