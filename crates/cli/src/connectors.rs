//! The connectors of this binary, and their options as help text.

use std::fmt::Write as _;
use std::sync::Arc;

use headwater::MnsSourceFactory;
use headwater::formats::Format;
use headwater::job::sinks::blackhole::BlackholeFactory;
use headwater::job::sinks::filesystem::FilesystemFactory;
use headwater::job::sinks::print::PrintFactory;
use headwater::job::sinks::{SinkOption, csv, filesystem, print};
use headwater::mns::MNS_OPTIONS;
use headwater_core::{Clock, Connectors};

/// Every connector, with this one for `print`.
pub(crate) fn connectors(clock: &Arc<dyn Clock>, print: PrintFactory) -> Connectors {
    Connectors {
        sources: vec![Arc::new(MnsSourceFactory::with_clock(Arc::clone(clock)))],
        sinks: vec![Arc::new(print), Arc::new(BlackholeFactory), Arc::new(FilesystemFactory::default())],
    }
}

/// All options of all connectors and formats, from the tables the code itself reads them by.
pub(crate) fn options_help() -> String {
    let mut help = String::from("Options of the connector `mns` (a source):\n");
    for option in MNS_OPTIONS {
        push(&mut help, option.name, &option.kind.describe(), option.default, option.doc);
    }
    for format in Format::all() {
        let _ = write!(help, "\nOptions of the format `{}`: {}\n", format.name, format.doc);
        for option in format.options {
            push(
                &mut help,
                &format!("{}.{}", format.name, option.key),
                &option.kind.to_string(),
                option.default,
                option.doc,
            );
        }
    }
    for (title, options) in [
        ("the connector `print` (a sink)", print::OPTIONS),
        ("the connector `filesystem` (a sink)", filesystem::OPTIONS),
        ("the format `csv` of files", csv::OPTIONS),
        ("the format `parquet` of files", filesystem::PARQUET_OPTIONS),
    ] {
        let _ = write!(help, "\nOptions of {title}:\n");
        for SinkOption { name, kind, default, doc } in options {
            push(&mut help, name, kind, *default, doc);
        }
    }
    help.push_str("\nThe connector `blackhole` (a sink) has no options.\n");
    help
}

/// Columns of help text.
const WIDTH: usize = 112;
const INDENT: usize = 6;

fn push(help: &mut String, name: &str, kind: &str, default: Option<&str>, doc: &str) {
    let default = default.map_or(String::new(), |default| format!(", default {default}"));
    // Writing to a String cannot fail.
    let _ = writeln!(help, "  {name}: {kind}{default}");
    let mut column = 0;
    for word in doc.split_whitespace() {
        if column == 0 || column + 1 + word.len() > WIDTH {
            if column > 0 {
                help.push('\n');
            }
            help.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else {
            help.push(' ');
            column += 1;
        }
        help.push_str(word);
        column += word.len();
    }
    help.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_the_help() {
        let help = options_help();
        for name in
            ["queueName", "accessKeySecret", "json.ignore-parse-errors", "raw.charset", "path", "parquet.compression"]
        {
            assert!(help.contains(&format!("  {name}: ")), "{name} is not in\n{help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 140), "{help}");
    }
}
