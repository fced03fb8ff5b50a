//! docs/options.md and docs/functions.md are written from the tables that SQL and the builder read.
//! `REWRITE=1 cargo test --test option_reference` writes them anew. docs/from-flink.md must know each of Flink's options.

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

fn functions() -> String {
    let mut out = String::from(
        "# Functions\n\nWritten from the tables in the code (`REWRITE=1 cargo test --test option_reference`). Each has Flink's meaning; \
         any other name is refused with\nthis list. Operators: `+ - * / %`, `||`, `= <> < <= > >=`, `AND OR NOT`, `IS [NOT] NULL TRUE \
         FALSE UNKNOWN DISTINCT FROM`, `[NOT] BETWEEN`,\n`[NOT] IN (list)`, `[NOT] LIKE … ESCAPE`, `CASE`, `a[i]`, `m['key']`, `row.field`.\n\n",
    );
    for usage in headwater_sql::function_usages() {
        writeln!(out, "* `{usage}`").expect("a string takes text");
    }
    out
}

fn compare(file: &str, expected: &str) {
    let path = format!("{}/docs/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, expected).expect("docs/ can be written");
    }
    let actual = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "docs/{file} is out of date: REWRITE=1 cargo test --test option_reference");
}

#[test]
fn the_option_reference_is_what_the_code_says() {
    compare("options.md", &reference());
}

#[test]
fn the_function_reference_is_what_the_code_says() {
    compare("functions.md", &functions());
}

/// Options of the SMQ connector: the first of our table, see its documentation.
const OF_FLINK: usize = 11;

#[test]
fn the_guide_from_flink_knows_every_option() {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/from-flink.md")).expect("the guide");
    let connector = MNS_OPTIONS.iter().take(OF_FLINK).map(|o| o.name.to_owned());
    let formats = Format::all().iter().flat_map(|f| f.options.iter().map(move |o| format!("{}.{}", f.name, o.key)));
    let absent: Vec<String> = connector.chain(formats).filter(|name| !guide.contains(&format!("`{name}`"))).collect();
    assert!(absent.is_empty(), "docs/from-flink.md says nothing of {absent:?}");
    for key in MetadataKey::ALL {
        assert!(
            guide.contains(&format!("`{}`", key.name())),
            "docs/from-flink.md does not name the metadata {}",
            key.name()
        );
    }
}
