//! What a newcomer sees first: help, the version, and what is said about a slip.

mod support;

use support::run;

#[test]
fn help_names_commands_and_exit_codes_on_standard_output() {
    for args in [vec!["--help"], vec!["help"], vec!["-h"]] {
        let help = run(args).code(0).stdout.join("\n");
        for part in [
            "run",
            "demo",
            "server",
            "decode",
            "infer",
            "send",
            "peek",
            "doctor",
            "--log-format",
            "Exit codes:",
            "130",
            "RUST_LOG",
        ] {
            assert!(help.contains(part), "{part:?} is not in\n{help}");
        }
    }
    let help = run(["server", "--help"]).code(0).stdout.join("\n");
    for part in ["Examples:", "--faults", "VisibilityTimeout", "testid"] {
        assert!(help.contains(part), "{part:?} is not in\n{help}");
    }
}

#[test]
fn the_version_is_one_line() {
    let version = run(["--version"]).code(0).stdout;
    assert_eq!(version, [format!("headwater {}", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn slips_are_usage_errors_on_standard_error() {
    let finished = run(["serve"]).code(2).says(["server"]);
    assert!(finished.stdout.is_empty());
    run(["server", "--queu", "a"]).code(2).says(["--queue"]);
    run::<&str>([]).code(2).says(["Usage:"]);
}
