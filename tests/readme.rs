//! The README says what the code does: its commands are the ones CI runs, its code is the compiled example of the facade.

use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The fenced blocks of a Markdown text, with their language.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language, body.join("\n")));
        }
    }
    blocks
}

#[test]
fn the_first_block_is_the_two_commands_that_ci_runs() {
    let readme = read("README.md");
    let (language, commands) = &blocks(&readme)[0];
    assert_eq!(*language, "");
    let commands: Vec<&str> = commands.lines().collect();
    assert_eq!(commands.len(), 2);
    let ci = read(".ci/run");
    for command in commands {
        assert!(ci.lines().any(|line| line.trim() == command), "CI does not run `{command}`");
    }
}

#[test]
fn the_program_is_the_compiled_example_of_the_facade() {
    let readme = read("README.md");
    let shown = blocks(&readme).into_iter().find(|(language, _)| *language == "rust").expect("a program").1;
    let facade = read("crates/headwater/src/lib.rs");
    let doc: String = facade
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let compiled = blocks(&doc).into_iter().find(|(language, _)| language.starts_with("no_run")).expect("an example").1;
    let compiled: Vec<&str> = compiled.lines().filter(|line| !line.starts_with("# ")).collect();
    assert_eq!(shown, compiled.join("\n"), "README.md and the example in crates/headwater/src/lib.rs differ");
}

#[test]
fn links_lead_somewhere() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") {
                assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{page} links to {link}");
            }
        }
    }
}
