//! docs/options.md is written from the tables that SQL and the builder read. `REWRITE=1 cargo test --test option_reference`
//! writes it anew.

use std::fmt::Write as _;

use headwater::formats::Format;
use headwater::mns::MNS_OPTIONS;
use headwater_queue_source::MetadataKey;

fn row(out: &mut String, name: &str, takes: &str, default: Option<&str>, doc: &str) {
    let default = default.map_or_else(|| "–".to_owned(), |d| format!("`{d}`"));
    writeln!(out, "| `{name}` | {takes} | {default} | {} |", doc.replace('|', "\\|")).expect("a string takes text");
}

fn reference() -> String {
    let mut out = String::from(
        "# Options\n\nWritten from the tables in the code (`REWRITE=1 cargo test --test option_reference`).\n\n\
         ## The `mns` connector\n\nThe same names in `WITH (…)` and in `MnsSource::builder().option(…)`.\n\n\
         | option | takes | default | |\n|---|---|---|---|\n",
    );
    for option in MNS_OPTIONS {
        row(&mut out, option.name, &option.kind.describe(), option.default, option.doc);
    }
    out.push_str("\n## Metadata columns\n\n`name type METADATA [FROM 'key'] [VIRTUAL]`\n\n| key | type |\n|---|---|\n");
    for key in MetadataKey::ALL {
        writeln!(out, "| `{}` | {} |", key.name(), key.types()).expect("a string takes text");
    }
    for format in Format::all() {
        write!(out, "\n## The `{}` format\n\n{}\n\n", format.name, format.doc).expect("a string takes text");
        out.push_str("| option | takes | default | |\n|---|---|---|---|\n");
        for option in format.options {
            let name = format!("{}.{}", format.name, option.key);
            row(&mut out, &name, &option.kind.to_string(), option.default, option.doc);
        }
    }
    out
}

#[test]
fn the_option_reference_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/options.md");
    let expected = reference();
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, &expected).expect("docs/ can be written");
    }
    let actual = std::fs::read_to_string(path).expect("docs/options.md");
    assert!(actual == expected, "docs/options.md is out of date: REWRITE=1 cargo test --test option_reference");
}
