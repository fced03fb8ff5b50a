//! Scripts that are none: an error with a place or a script, never a panic, never an end of the stack, and soon.
//!
//! `FUZZ_SECONDS=600 cargo test -p headwater-sql --test hostile -- --nocapture` goes on for so long and says how many scripts
//! that were.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime};

use headwater_sql::{MapVariables, Script};

const SEEDS: &[&str] = &[
    include_str!("../../../examples/sql/oss.sql"),
    include_str!("../../../examples/sql/raw.sql"),
    "CREATE TABLE t (a INT NOT NULL COMMENT 'x', b AS UPPER(`c d`), m STRING METADATA FROM 'message-id' VIRTUAL, \
     r ROW<x INT, y ARRAY<MAP<STRING, DECIMAL(10, 2)>>>, WATERMARK FOR a AS a - INTERVAL '5' SECOND, \
     PRIMARY KEY (a) NOT ENFORCED) COMMENT 'c' PARTITIONED BY (a) WITH ('connector' = 'mns', 'k' = '${v}');",
    "CREATE TEMPORARY VIEW v AS SELECT a, CASE WHEN b > 1e3 THEN 'x''y' ELSE NULL END AS c FROM t WHERE a IN (1, 2) \
     UNION ALL SELECT a, CAST(b AS STRING) FROM u; SET 'delivery' = 'exactly-once'; \
     EXECUTE STATEMENT SET BEGIN INSERT INTO o SELECT * FROM v; INSERT INTO p (a) SELECT TRY_CAST(a AS INT) FROM v; END;",
];

const PIECES: &[&str] = &[
    "(",
    ")",
    "'",
    "`",
    "\"",
    ";",
    ",",
    "--",
    "/*",
    "*/",
    "/*+",
    "${",
    "}",
    "<",
    ">",
    "=",
    "*",
    "1e999",
    "\\",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "é",
    "😀",
    "\n",
    "ROW<",
    "ARRAY<",
    "MAP<",
    "DECIMAL(",
    "CREATE TABLE ",
    "AS ",
    "SELECT ",
    "NOT ",
    "INTERVAL ",
    "X'",
    "U&'",
    "E'",
    "$$",
    "CASE WHEN ",
    "BEGIN ",
    "END",
    "WITH (",
    "WATERMARK FOR ",
    "METADATA ",
];

fn parse(text: &str) {
    let variables: MapVariables = [("v", "1")].into_iter().collect();
    match Script::parse(text, &variables) {
        Ok(script) => _ = script.tables().count(),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// SplitMix64: one seed, one sequence.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap()
    }
}

/// The last place up to here that lies between two characters.
fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn damaged(random: &mut Random) -> String {
    let mut text = SEEDS[random.below(SEEDS.len())].to_owned();
    for _ in 0..=random.below(6) {
        let start = random.below(text.len() + 1);
        let start = boundary(&text, start);
        let end = boundary(&text, (start + random.below(40)).min(text.len()));
        let piece = PIECES[random.below(PIECES.len())];
        match random.below(5) {
            0 => text.replace_range(start..end, ""),
            1 => text.insert_str(start, piece),
            2 => text.replace_range(start..end, piece),
            3 => {
                let again = text[start..end].repeat(1 + random.below(3));
                text.insert_str(start, &again);
            }
            _ => text.truncate(start),
        }
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a fuzzer runs for a time; what it runs does not depend on it")]
fn damaged_scripts_are_an_error_or_a_script() {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let start = SystemTime::now();
    let mut scripts = 0_u64;
    for seed in 0.. {
        let mut random = Random(seed);
        (0..100).for_each(|_| parse(&damaged(&mut random)));
        scripts += 100;
        let over = seconds.map_or(scripts >= 3_000, |seconds| start.elapsed().is_ok_and(|passed| passed > seconds));
        if over {
            break;
        }
    }
    if seconds.is_some() {
        println!("{scripts} scripts");
    }
}

#[test]
fn depth_and_length_have_an_end() {
    let nested = |open: &str, close: &str, times: usize| format!("{}1{}", open.repeat(times), close.repeat(times));
    let select = |expression: &str| format!("INSERT INTO o SELECT {expression} FROM t;");
    let column = |of: &str| format!("CREATE TABLE t (a {of}) WITH ('connector' = 'print');");
    for times in [10, 200, 5_000, 100_000] {
        for text in [
            select(&nested("(", ")", times)),
            select(&nested("-", "", times)),
            select(&nested("NOT ", "", times)),
            select(&nested("ABS(", ")", times)),
            select(&nested("CASE WHEN ", " THEN 1 END", times)),
            select(&format!("1{}", " + 1".repeat(times))),
            select(&format!("a{}", " IS NULL".repeat(times))),
            select(&format!("a{}", "[1]".repeat(times))),
            select(&format!("a IN ({})", "1, ".repeat(times))),
            format!("INSERT INTO o {}SELECT 1 FROM t{};", "SELECT * FROM (".repeat(times), ")".repeat(times)),
            format!("INSERT INTO o SELECT 1 FROM t{};", " UNION ALL SELECT 1 FROM t".repeat(times)),
            column(&format!("{}INT{}", "ARRAY<".repeat(times), ">".repeat(times))),
            column(&format!("{}INT{}", "ROW<a ".repeat(times), ">".repeat(times))),
            column(&format!("INT{}", " ARRAY".repeat(times))),
            column(&format!("INT{}", ", b INT".repeat(times))),
            format!("{}{}", "/*".repeat(times), "*/".repeat(times)),
            format!("{};", "(".repeat(times)),
            ";".repeat(times),
            "'".repeat(times),
            "`".repeat(times),
            "${".repeat(times),
            "BEGIN ".repeat(times),
        ] {
            parse(&text);
        }
    }
}
