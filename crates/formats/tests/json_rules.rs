//! The JSON rules as tables: every lexical form against every type, strictly and with ignore-parse-errors, by the
//! default decoder and the older one; and that a value means the same wherever it stands.

#[allow(dead_code, unused_imports, reason = "answers are compared with Flink's elsewhere")]
mod corpus_support;

use corpus_support::load;
use corpus_support::render::rows;
use headwater_formats::{Format, OnBadRow, RowType};
use serde_json::{Value, json};

/// What became of a value: its text, `-` for NULL, `!` for an error.
fn outcome(format: &Format, columns: &str, body: impl AsRef<[u8]>) -> Result<Vec<Value>, String> {
    let columns: RowType = columns.parse().unwrap_or_else(|e| panic!("{columns}: {e}"));
    let factory = format.factory(&columns).unwrap_or_else(|e| panic!("{columns}: {e}"));
    let mut decoder = factory.decoder();
    decoder.decode(body.as_ref(), OnBadRow::Fail).map_err(|e| format!("{:?}", e.kind()))?;
    Ok(rows(&decoder.flush(), &columns))
}

fn shown(format: &Format, t: &str, text: &str) -> String {
    // A column behind it, so that a decoder out of step with the text is noticed.
    match outcome(format, &format!("f {t}, tail INT"), format!("{{\"f\":{text},\"tail\":7}}")) {
        Err(_) => "!".to_owned(),
        Ok(rows) => {
            assert_eq!((rows.len(), &rows[0]["tail"]), (1, &Value::from(7)), "{t} {text}");
            match &rows[0]["f"] {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        }
    }
}

fn tree(format: Format) -> Format {
    format.option("decode.json-parser.enabled", "false")
}

fn ignoring(format: Format) -> Format {
    format.option("ignore-parse-errors", "true")
}

const TYPES: [&str; 10] =
    ["BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(10, 2)", "STRING", "BYTES"];

/// A JSON text and what it is as each of [`TYPES`].
const VALUES: &[(&str, [&str; 10])] = &[
    ("null", ["-"; 10]),
    ("0", ["false", "0", "0", "0", "0", "0.0", "0.0", "0.00", "0", "!"]),
    ("1", ["false", "1", "1", "1", "1", "1.0", "1.0", "1.00", "1", "!"]),
    ("-0", ["false", "0", "0", "0", "0", "-0.0", "-0.0", "0.00", "-0", "!"]),
    ("-0.0", ["false", "!", "!", "0", "0", "-0.0", "-0.0", "0.00", "-0.0", "!"]),
    ("-1", ["false", "-1", "-1", "-1", "-1", "-1.0", "-1.0", "-1.00", "-1", "!"]),
    ("127", ["false", "127", "127", "127", "127", "127.0", "127.0", "127.00", "127", "!"]),
    ("128", ["false", "!", "128", "128", "128", "128.0", "128.0", "128.00", "128", "!"]),
    ("-128", ["false", "-128", "-128", "-128", "-128", "-128.0", "-128.0", "-128.00", "-128", "!"]),
    ("-129", ["false", "!", "-129", "-129", "-129", "-129.0", "-129.0", "-129.00", "-129", "!"]),
    ("32767", ["false", "!", "32767", "32767", "32767", "32767.0", "32767.0", "32767.00", "32767", "!"]),
    ("32768", ["false", "!", "!", "32768", "32768", "32768.0", "32768.0", "32768.00", "32768", "!"]),
    (
        "-2147483648",
        ["false", "!", "!", "-2147483648", "-2147483648", "-2147483648.0", "-2147483648.0", "-", "-2147483648", "!"],
    ),
    ("2147483648", ["false", "!", "!", "!", "2147483648", "2147483648.0", "2147483648.0", "-", "2147483648", "!"]),
    ("2147483647.5", ["false", "!", "!", "!", "2147483647", "2147483648.0", "2147483647.5", "-", "2147483647.5", "!"]),
    (
        "9223372036854775808",
        ["false", "!", "!", "!", "!", "9.223372036854776e18", "9.223372036854776e18", "-", "9223372036854775808", "!"],
    ),
    (
        "9223372036854775808.0",
        [
            "false",
            "!",
            "!",
            "!",
            "9223372036854775807",
            "9.223372036854776e18",
            "9.223372036854776e18",
            "-",
            "9223372036854775808.0",
            "!",
        ],
    ),
    ("1.5", ["false", "!", "!", "1", "1", "1.5", "1.5", "1.50", "1.5", "!"]),
    ("1.50", ["false", "!", "!", "1", "1", "1.5", "1.5", "1.50", "1.50", "!"]),
    ("2.0", ["false", "!", "!", "2", "2", "2.0", "2.0", "2.00", "2.0", "!"]),
    ("-1.9", ["false", "!", "!", "-1", "-1", "-1.899999976158142", "-1.9", "-1.90", "-1.9", "!"]),
    ("1.015", ["false", "!", "!", "1", "1", "1.0149999856948853", "1.015", "1.02", "1.015", "!"]),
    ("-1.015", ["false", "!", "!", "-1", "-1", "-1.0149999856948853", "-1.015", "-1.02", "-1.015", "!"]),
    (
        "99999999.995",
        ["false", "!", "!", "99999999", "99999999", "100000000.0", "99999999.995", "-", "99999999.995", "!"],
    ),
    ("1e2", ["false", "!", "!", "100", "100", "100.0", "100.0", "100.00", "1e2", "!"]),
    ("15E-1", ["false", "!", "!", "1", "1", "1.5", "1.5", "1.50", "15E-1", "!"]),
    ("0.9999999999999999999", ["false", "!", "!", "1", "1", "1.0", "1.0", "1.00", "0.9999999999999999999", "!"]),
    ("1e30", ["false", "!", "!", "!", "!", "1.0000000150474662e30", "1e30", "-", "1e30", "!"]),
    ("1e400", ["false", "!", "!", "!", "!", "Infinity", "Infinity", "-", "1e400", "!"]),
    ("-1e400", ["false", "!", "!", "!", "!", "-Infinity", "-Infinity", "-", "-1e400", "!"]),
    ("1e-400", ["false", "!", "!", "0", "0", "0.0", "0.0", "0.00", "1e-400", "!"]),
    ("true", ["true", "!", "!", "!", "!", "!", "!", "!", "true", "!"]),
    ("false", ["false", "!", "!", "!", "!", "!", "!", "!", "false", "!"]),
    (r#""7""#, ["false", "7", "7", "7", "7", "7.0", "7.0", "7.00", "7", "!"]),
    (r#"" 7 ""#, ["false", "7", "7", "7", "7", "7.0", "7.0", "7.00", " 7 ", "!"]),
    (r#""\t7\n""#, ["false", "7", "7", "7", "7", "7.0", "7.0", "7.00", "\t7\n", "!"]),
    (r#""+5""#, ["false", "5", "5", "5", "5", "5.0", "5.0", "5.00", "+5", "!"]),
    (r#""-5""#, ["false", "-5", "-5", "-5", "-5", "-5.0", "-5.0", "-5.00", "-5", "!"]),
    (r#""007""#, ["false", "7", "7", "7", "7", "7.0", "7.0", "7.00", "007", "!"]),
    (r#""٣""#, ["false", "3", "3", "3", "3", "!", "!", "3.00", "٣", "!"]),
    (r#""５""#, ["false", "5", "5", "5", "5", "!", "!", "5.00", "５", "!"]),
    (r#""\u0037""#, ["false", "7", "7", "7", "7", "7.0", "7.0", "7.00", "7", "!"]),
    (r#""\u00a07""#, ["false", "!", "!", "!", "!", "!", "!", "!", "\u{a0}7", "!"]),
    (r#""128""#, ["false", "!", "128", "128", "128", "128.0", "128.0", "128.00", "128", "!"]),
    (r#""32768""#, ["false", "!", "!", "32768", "32768", "32768.0", "32768.0", "32768.00", "32768", "!"]),
    (r#""""#, ["false", "!", "!", "!", "!", "!", "!", "!", "", ""]),
    (r#""  ""#, ["false", "!", "!", "!", "!", "!", "!", "!", "  ", ""]),
    (r#""5.0""#, ["false", "!", "!", "!", "!", "5.0", "5.0", "5.00", "5.0", "!"]),
    (r#""1e2""#, ["false", "!", "!", "!", "!", "100.0", "100.0", "100.00", "1e2", "!"]),
    (r#"".5""#, ["false", "!", "!", "!", "!", "0.5", "0.5", "0.50", ".5", "!"]),
    (r#""5.""#, ["false", "!", "!", "!", "!", "5.0", "5.0", "5.00", "5.", "!"]),
    (r#""1.5f""#, ["false", "!", "!", "!", "!", "1.5", "1.5", "!", "1.5f", "!"]),
    (r#""0x1p3""#, ["false", "!", "!", "!", "!", "8.0", "8.0", "!", "0x1p3", "!"]),
    (r#""0x10""#, ["false", "!", "!", "!", "!", "!", "!", "!", "0x10", "0x10"]),
    (r#""1_0""#, ["false", "!", "!", "!", "!", "!", "!", "!", "1_0", "!"]),
    (r#""1,0""#, ["false", "!", "!", "!", "!", "!", "!", "!", "1,0", "!"]),
    (r#""NaN""#, ["false", "!", "!", "!", "!", "NaN", "NaN", "!", "NaN", "!"]),
    (r#""nan""#, ["false", "!", "!", "!", "!", "!", "!", "!", "nan", "!"]),
    (r#""-Infinity""#, ["false", "!", "!", "!", "!", "-Infinity", "-Infinity", "!", "-Infinity", "!"]),
    (r#""null""#, ["false", "!", "!", "!", "!", "!", "!", "!", "null", "null"]),
    (r#""true""#, ["true", "!", "!", "!", "!", "!", "!", "!", "true", "true"]),
    (r#"" TrUe ""#, ["true", "!", "!", "!", "!", "!", "!", "!", " TrUe ", "TrUe"]),
    (r#""yes""#, ["false", "!", "!", "!", "!", "!", "!", "!", "yes", "!"]),
    (r#""aGVs bG8=""#, ["false", "!", "!", "!", "!", "!", "!", "!", "aGVs bG8=", "aGVsbG8="]),
    (r#""aGVs-G8=""#, ["false", "!", "!", "!", "!", "!", "!", "!", "aGVs-G8=", "!"]),
    ("[]", ["!", "!", "!", "!", "!", "!", "!", "!", "[]", "!"]),
    ("[1,[2.50]]", ["!", "!", "!", "!", "!", "!", "!", "!", "[1,[2.5]]", "!"]),
    ("{}", ["false", "!", "!", "!", "!", "!", "!", "!", "{}", "!"]),
    (r#"{"tail":1,"x":{"tail":[2]},"x":-0}"#, ["false", "!", "!", "!", "!", "!", "!", "!", r#"{"tail":1,"x":0}"#, "!"]),
];

/// Where the older decoder differs: the text, the type, and what it is there.
const OLDER: &[(&str, &str, &str)] = &[
    ("-0", "FLOAT", "0.0"),
    ("-0", "DOUBLE", "0.0"),
    ("-0", "STRING", "0"),
    ("1.50", "STRING", "1.5"),
    ("1e2", "STRING", "100.0"),
    ("15E-1", "STRING", "1.5"),
    ("0.9999999999999999999", "STRING", "1.0"),
    ("99999999.995", "STRING", "9.9999999995E7"),
    ("2147483647.5", "STRING", "2.1474836475E9"),
    ("9223372036854775808.0", "STRING", "9.223372036854776E18"),
    ("1e30", "STRING", "1.0E30"),
    ("1e400", "STRING", "Infinity"),
    ("-1e400", "STRING", "-Infinity"),
    ("1e-400", "STRING", "0.0"),
    (r#"" 7 ""#, "DECIMAL(10, 2)", "!"),
    (r#""\t7\n""#, "DECIMAL(10, 2)", "!"),
    ("[]", "BOOLEAN", "false"),
    ("[1,[2.50]]", "BOOLEAN", "false"),
];

#[test]
fn every_form_as_every_type() {
    let mut wrong = Vec::new();
    for (text, expected) in VALUES {
        for (t, expected) in TYPES.iter().zip(expected) {
            let older = match OLDER.iter().find(|(of, as_type, _)| of == text && as_type == t) {
                Some((_, _, older)) => older,
                // BYTES from anything but a string are NULL, never an error.
                None if *t == "BYTES" && !text.starts_with('"') => "-",
                None => expected,
            };
            let lenient = |outcome: &str| if outcome == "!" { "-".to_owned() } else { outcome.to_owned() };
            for (format, expected) in [
                (Format::json(), (*expected).to_owned()),
                (ignoring(Format::json()), lenient(expected)),
                (tree(Format::json()), older.to_owned()),
                (tree(ignoring(Format::json())), lenient(older)),
            ] {
                let ours = shown(&format, t, text);
                if ours != expected {
                    wrong.push(format!("{text} as {t} with {:?}: {ours:?}, expected {expected:?}", format.given()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused = OLDER.iter().filter(|(text, t, _)| !VALUES.iter().any(|(of, _)| of == text) || !TYPES.contains(t));
    assert_eq!(unused.count(), 0);
}

/// Dates and times: a text, and what it is as DATE, TIME(3), TIMESTAMP(3), TIMESTAMP_LTZ(3), and the last two by
/// ISO-8601.
const TIMES: &[(&str, [&str; 6])] = &[
    ("2024-03-10", ["2024-03-10", "!", "!", "!", "!", "!"]),
    ("2024-02-29", ["2024-02-29", "!", "!", "!", "!", "!"]),
    ("2023-02-29", ["!"; 6]),
    ("1582-10-10", ["1582-10-10", "!", "!", "!", "!", "!"]),
    ("0000-01-01", ["0000-01-01", "!", "!", "!", "!", "!"]),
    ("-0001-01-01", ["-0001-01-01", "!", "!", "!", "!", "!"]),
    ("+10000-01-01", ["+10000-01-01", "!", "!", "!", "!", "!"]),
    ("10000-01-01", ["!"; 6]),
    ("+2024-01-01", ["!"; 6]),
    ("2024-3-10", ["!"; 6]),
    ("2024-13-01", ["!"; 6]),
    ("2024-00-01", ["!"; 6]),
    ("2024-01-00", ["!"; 6]),
    ("2024-01-32", ["!"; 6]),
    (" 2024-03-10", ["!"; 6]),
    ("2024-03-10 ", ["!"; 6]),
    ("20240310", ["!"; 6]),
    ("10/03/2024", ["!"; 6]),
    ("", ["!"; 6]),
    ("null", ["!"; 6]),
    ("1710074096789", ["!"; 6]),
    ("12:34:56", ["!", "12:34:56.000", "!", "!", "!", "!"]),
    ("12:34:56.", ["!", "12:34:56.000", "!", "!", "!", "!"]),
    ("12:34:56.7891", ["!", "12:34:56.789", "!", "!", "!", "!"]),
    ("12:34:56.123456789", ["!", "12:34:56.123", "!", "!", "!", "!"]),
    ("12:34:56.1234567890", ["!"; 6]),
    ("23:59:59", ["!", "23:59:59.000", "!", "!", "!", "!"]),
    ("24:00:00", ["!", "00:00:00.000", "!", "!", "!", "!"]),
    ("24:00:01", ["!"; 6]),
    ("25:00:00", ["!"; 6]),
    ("12:60:00", ["!"; 6]),
    ("12:34:60", ["!"; 6]),
    ("12:34", ["!"; 6]),
    ("1:02:03", ["!"; 6]),
    ("12:34:56Z", ["!"; 6]),
    (" 12:34:56", ["!"; 6]),
    ("2024-03-10 12:34:56", ["!", "!", "2024-03-10T12:34:56.000000000", "!", "!", "!"]),
    ("2024-03-10 12:34:56.", ["!", "!", "2024-03-10T12:34:56.000000000", "!", "!", "!"]),
    ("2024-03-10 12:34:56.7", ["!", "!", "2024-03-10T12:34:56.700000000", "!", "!", "!"]),
    ("2024-03-10 12:34:56.789", ["!", "!", "2024-03-10T12:34:56.789000000", "!", "!", "!"]),
    ("2024-03-10 12:34:56.123456789", ["!", "!", "2024-03-10T12:34:56.123000000", "!", "!", "!"]),
    ("2024-03-10 12:34:56.1234567890", ["!"; 6]),
    ("2023-02-29 12:34:56", ["!", "!", "2023-02-28T12:34:56.000000000", "!", "!", "!"]),
    ("2024-04-31 00:00:00", ["!", "!", "2024-04-30T00:00:00.000000000", "!", "!", "!"]),
    ("2024-04-32 00:00:00", ["!"; 6]),
    ("2024-03-10 24:00:00", ["!", "!", "2024-03-11T00:00:00.000000000", "!", "!", "!"]),
    ("2024-03-10 24:00:01", ["!"; 6]),
    ("2016-12-31 23:59:60", ["!"; 6]),
    ("1969-12-31 23:59:59.5", ["!", "!", "1969-12-31T23:59:59.500000000", "!", "!", "!"]),
    ("0001-01-01 00:00:00", ["!", "!", "0001-01-01T00:00:00.000000000", "!", "!", "!"]),
    ("9999-12-31 23:59:59.999", ["!", "!", "9999-12-31T23:59:59.999000000", "!", "!", "!"]),
    ("2024-03-10  12:34:56", ["!"; 6]),
    (" 2024-03-10 12:34:56", ["!"; 6]),
    ("2024-03-10 12:34", ["!"; 6]),
    ("2024-03-10 12:34:56+08:00", ["!"; 6]),
    ("2024-03-10 12:34:56Z", ["!", "!", "!", "2024-03-10T12:34:56.000000000Z", "!", "!"]),
    ("2024-03-10 12:34:56.789Z", ["!", "!", "!", "2024-03-10T12:34:56.789000000Z", "!", "!"]),
    ("2023-02-29 24:00:00Z", ["!", "!", "!", "2023-03-01T00:00:00.000000000Z", "!", "!"]),
    ("2024-03-10 12:34:56z", ["!"; 6]),
    ("2024-03-10 12:34:56 Z", ["!"; 6]),
    ("2024-03-10 12:34Z", ["!"; 6]),
    ("2024-03-10T12:34:56", ["!", "!", "!", "!", "2024-03-10T12:34:56.000000000", "!"]),
    ("2024-03-10t12:34:56", ["!", "!", "!", "!", "2024-03-10T12:34:56.000000000", "!"]),
    ("2024-03-10T12:34:56.", ["!", "!", "!", "!", "2024-03-10T12:34:56.000000000", "!"]),
    ("2024-03-10T12:34", ["!", "!", "!", "!", "2024-03-10T12:34:00.000000000", "!"]),
    ("2023-02-29T00:00:00", ["!"; 6]),
    ("2024-03-10T24:00:00", ["!"; 6]),
    ("2024-03-10T12:34:56+08:00", ["!"; 6]),
    ("2024-03-10T12:34:56+00:00", ["!"; 6]),
    ("2024-03-10T12:34:56Z", ["!", "!", "!", "!", "!", "2024-03-10T12:34:56.000000000Z"]),
    ("2024-03-10T12:34Z", ["!", "!", "!", "!", "!", "2024-03-10T12:34:00.000000000Z"]),
    ("2023-02-29T24:00:00Z", ["!", "!", "!", "!", "!", "2023-03-01T00:00:00.000000000Z"]),
    ("2024-03-10t12:34:56Z", ["!"; 6]),
    ("2024-03-10T12:34:56z", ["!"; 6]),
];

#[test]
fn every_form_of_dates_and_times() {
    let iso = || Format::json().option("timestamp-format.standard", "ISO-8601");
    let mut wrong = Vec::new();
    for (text, expected) in TIMES {
        let columns = [
            (Format::json(), "DATE"),
            (Format::json(), "TIME(3)"),
            (Format::json(), "TIMESTAMP(3)"),
            (Format::json(), "TIMESTAMP_LTZ(3)"),
            (iso(), "TIMESTAMP(3)"),
            (iso(), "TIMESTAMP_LTZ(3)"),
        ];
        for ((format, t), expected) in columns.into_iter().zip(expected) {
            let null = if *expected == "!" { "-" } else { expected };
            for (format, expected) in [
                (ignoring(format.clone()), null),
                (tree(ignoring(format.clone())), null),
                (tree(format.clone()), *expected),
                (format, *expected),
            ] {
                let ours = shown(&format, t, &format!("\"{text}\""));
                if ours != expected {
                    wrong.push(format!("{text} as {t} with {:?}: {ours:?}, expected {expected:?}", format.given()));
                }
            }
        }
    }
    for t in ["DATE", "TIME(3)", "TIMESTAMP(3)", "TIMESTAMP_LTZ(3)"] {
        for text in ["0", "1.5", "true", "[]", "[1]", "{}", r#"{"tail":1}"#] {
            let outcomes = [Format::json(), tree(Format::json())].map(|format| shown(&format, t, text));
            let ignored = [Format::json(), tree(Format::json())].map(|format| shown(&ignoring(format), t, text));
            if outcomes != ["!", "!"] || ignored != ["-", "-"] {
                wrong.push(format!("{text} as {t}: {outcomes:?}, {ignored:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nested types: a text, and what it is by the default decoder and by the older one.
const NESTED: &[(&str, &str, &str, &str)] = &[
    ("ARRAY<INT>", "null", "-", "-"),
    ("ARRAY<INT>", "[]", "[]", "[]"),
    ("ARRAY<INT>", "[1,null,\"2\"]", "[1,null,2]", "[1,null,2]"),
    ("ARRAY<INT>", "{}", "!", "!"),
    ("ARRAY<INT>", "{\"tail\":1}", "!", "!"),
    ("ARRAY<INT>", "1", "!", "!"),
    ("ARRAY<INT>", "\"[1]\"", "!", "!"),
    ("ARRAY<INT>", "true", "!", "!"),
    ("ARRAY<INT NOT NULL>", "[null]", "[null]", "[null]"),
    ("ARRAY<DECIMAL(5, 2)>", "[1,\"2.345\",1000,null]", r#"["1.00","2.35",null,null]"#, r#"["1.00","2.35",null,null]"#),
    ("ARRAY<ARRAY<STRING>>", "[[],null,[1,true]]", r#"[[],null,["1","true"]]"#, r#"[[],null,["1","true"]]"#),
    ("MAP<STRING, INT>", "null", "-", "-"),
    ("MAP<STRING, INT>", "{}", "[]", "[]"),
    ("MAP<STRING, INT>", r#"{"a":1,"b":null,"a":2}"#, r#"[["b",null],["a",2]]"#, r#"[["b",null],["a",2]]"#),
    ("MAP<STRING, INT>", "[]", "!", "[]"),
    ("MAP<STRING, INT>", "[{\"tail\":1}]", "!", "[]"),
    ("MAP<STRING, INT>", "\"{}\"", "!", "[]"),
    ("MAP<STRING, INT>", "1", "!", "[]"),
    ("MAP<STRING, INT>", "false", "!", "[]"),
    ("MAP<VARCHAR(2), STRING>", r#"{"long":{"x":1.10}}"#, r#"[["long","{\"x\":1.1}"]]"#, r#"[["long","{\"x\":1.1}"]]"#),
    ("MULTISET<STRING>", r#"{"a":2,"b":null}"#, r#"[["a",2],["b",null]]"#, r#"[["a",2],["b",null]]"#),
    ("MULTISET<STRING>", r#"["a","a"]"#, "!", "[]"),
    ("ROW<a INT, b STRING>", "null", "-", "-"),
    ("ROW<a INT, b STRING>", "{}", r#"{"a":null,"b":null}"#, r#"{"a":null,"b":null}"#),
    ("ROW<a INT NOT NULL, b STRING>", r#"{"c":[{"a":1}],"b":7}"#, r#"{"a":null,"b":"7"}"#, r#"{"a":null,"b":"7"}"#),
    ("ROW<a INT, b STRING>", "[]", "!", "!"),
    ("ROW<a INT, b STRING>", "[{\"tail\":1}]", "!", "!"),
    ("ROW<a INT, b STRING>", "\"{}\"", "!", "!"),
    ("ROW<a INT, b STRING>", "1", "!", "!"),
];

#[test]
fn every_shape_as_every_nested_type() {
    for (t, text, default, older) in NESTED {
        for (format, expected) in [(Format::json(), default), (tree(Format::json()), older)] {
            assert_eq!(shown(&format, t, text), *expected, "{text} as {t} with {:?}", format.given());
            let expected = if *expected == "!" { "-" } else { expected };
            assert_eq!(shown(&ignoring(format), t, text), expected, "{text} as {t}, ignored");
        }
    }
}

#[test]
fn a_missing_field_is_an_error_wherever_the_options_say_so() {
    let format = Format::json().option("fail-on-missing-field", "true");
    for (t, text, good) in [
        ("ROW<a INT, b INT>", r#"{"a":1,"b":null}"#, true),
        ("ROW<a INT, b INT>", r#"{"a":1}"#, false),
        ("ROW<a INT, b INT>", "{}", false),
        ("ROW<a INT, b INT>", "null", true),
        ("ARRAY<ROW<a INT>>", r#"[{"a":1},null,{"a":null}]"#, true),
        ("ARRAY<ROW<a INT>>", r#"[{"a":1},{}]"#, false),
        ("MAP<STRING, ROW<a INT>>", r#"{"k":{"a":1},"l":null}"#, true),
        ("MAP<STRING, ROW<a INT>>", r#"{"k":{"A":1}}"#, false),
        ("MAP<STRING, INT>", "{}", true),
    ] {
        for format in [format.clone(), tree(format.clone())] {
            assert_eq!(shown(&format, t, text) != "!", good, "{text} as {t}");
        }
    }
    assert!(outcome(&format, "a INT, b INT", r#"{"a":1}"#).is_err());
    assert!(outcome(&format, "a INT, b INT", r#"[{"a":1,"b":2},{"a":1}]"#).is_err());
}

/// Whole bodies for the columns `a INT, b STRING`: what becomes of them strictly and with ignore-parse-errors, by the
/// default decoder and then by the older one. Each row is its two values.
const BODIES: &[(&[u8], [&str; 4])] = &[
    (b"", ["[]"; 4]),
    (b" ", ["!", "[]", "[]", "[]"]),
    (b"\n\r\n\t", ["!", "[]", "[]", "[]"]),
    (b"null", ["!", "[]", "[]", "[]"]),
    (b" null ", ["!", "[]", "[]", "[]"]),
    (b"42", ["!", "[]", "!", "[]"]),
    (b"1.5", ["!", "[]", "!", "[]"]),
    (b"true", ["!", "[]", "!", "[]"]),
    (b"\"{}\"", ["!", "[]", "!", "[]"]),
    (b"nothing", ["!", "[]", "!", "[]"]),
    (b"[]", ["[]"; 4]),
    (b"{}", [r#"[[null,null]]"#; 4]),
    (b"[{},{}]", [r#"[[null,null],[null,null]]"#; 4]),
    (b"[{\"a\":1},{\"b\":2}]", [r#"[[1,null],[null,"2"]]"#; 4]),
    (b"[{\"a\":1},{\"a\":\"x\"}]", ["!", "[[1,null],[null,null]]", "!", "[[1,null],[null,null]]"]),
    (b"[{\"a\":1},5,{\"a\":3}]", ["!", "[[1,null],[3,null]]", "!", "[[1,null],[3,null]]"]),
    (b"[null,{\"a\":3}]", ["!", "[[3,null]]", "[[3,null]]", "[[3,null]]"]),
    (b"[[{\"a\":1}],{\"a\":3}]", ["!", "[[3,null]]", "!", "[[3,null]]"]),
    (b"[{\"a\":1},]", ["!", "[[1,null]]", "!", "[]"]),
    (b"[{\"a\":1},{\"a\":2,", ["!", "[[1,null]]", "!", "[]"]),
    (b"[{\"a\":1}", ["!", "[[1,null]]", "!", "[]"]),
    (b"{\"a\":1}zzz", ["[[1,null]]"; 4]),
    (b"{\"a\":1}{\"a\":2}", ["[[1,null]]"; 4]),
    (b"{\"a\":1}}", ["[[1,null]]"; 4]),
    (b"{\"a\":1},", ["[[1,null]]"; 4]),
    (b"[{\"a\":1}]]", ["[[1,null]]"; 4]),
    (b"{\"a\":1,}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1 \"b\":2}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1,,\"b\":2}", ["!", "[]", "!", "[]"]),
    (b"{,}", ["!", "[]", "!", "[]"]),
    (b"{\"a\" 1}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1", ["!", "[]", "!", "[]"]),
    (b"{\"a\":", ["!", "[]", "!", "[]"]),
    (b"{\"a\"", ["!", "[]", "!", "[]"]),
    (b"{", ["!", "[]", "!", "[]"]),
    (b"{'a':1}", ["!", "[]", "!", "[]"]),
    (b"{a:1}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1,/* c */\"b\":2}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":NaN}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":-Infinity}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":True}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":nul}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":truex}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":01}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":-01}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":+1}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1.}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":.5}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1e}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1e+}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":-}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":- 1}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1L}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1.2.3}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":0x1}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1,\"b\":\"x\",\"c\":foo}", ["!", "[]", "!", "[]"]),
    (b"{\"c\":[{\"a\":01}],\"a\":1}", ["!", "[]", "!", "[]"]),
    (b"{\"b\":\"\\x41\"}", ["!", "[]", "!", "[]"]),
    (b"{\"b\":\"\\u00g1\"}", ["!", "[]", "!", "[]"]),
    (b"{\"c\":\"\\x41\",\"a\":1}", ["!", "[]", "!", "[]"]),
    (b"{\"b\":\"x\ny\ttab\"}", [r#"[[null,"x\ny\ttab"]]"#; 4]),
    (b"{\"\\u0061\":1,\"\":2,\"A\":3}", ["[[1,null]]"; 4]),
    (b"\xEF\xBB\xBF{\"a\":1}", ["[[1,null]]"; 4]),
    (b"\xEF\xBB\xBF", ["!", "[]", "!", "[]"]),
    (b"\xC2\xA0{\"a\":1}", ["!", "[]", "!", "[]"]),
    (b"\x1e{\"a\":1}", ["!", "[]", "!", "[]"]),
    (b"\x0c{\"a\":1}", ["!", "[]", "!", "[]"]),
    (b"\0{\0\"\0a\0\"\0:\x001\0}", ["[[1,null]]"; 4]),
    (b"\xFF\xFE{\0\"\0a\0\"\0:\x001\0}\0", ["[[1,null]]"; 4]),
    (b"\0\0\0{\0\0\0}", ["[[null,null]]"; 4]),
    (b"{\"b\":\"\xC0\xAF\"}", [r#"[[null,"/"]]"#; 4]),
    (b"{\"b\":\"\xED\xA0\xBC\"}", [r#"[[null,"?"]]"#; 4]),
    (b"{\"b\":\"\\ud83c\"}", [r#"[[null,"?"]]"#; 4]),
    (b"{\"a\":1,\"b\":\"\xFF\"}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1,\"b\":\"x\xE4\xB8\"}", ["!", "[[1,null]]", "!", "[]"]),
    (b"{\"a\":1,\"c\":\"\xFF\"}", ["!", "[]", "!", "[]"]),
    (b"{\"a\":1,\"\xFF\":2}", ["!", "[]", "!", "[]"]),
];

#[test]
fn every_kind_of_body() {
    for (body, expected) in BODIES {
        let formats = [Format::json(), ignoring(Format::json()), tree(Format::json()), tree(ignoring(Format::json()))];
        for (format, expected) in formats.iter().zip(expected) {
            let ours = match outcome(format, "a INT, b STRING", body) {
                Err(_) => "!".to_owned(),
                Ok(rows) => Value::from_iter(rows.iter().map(|row| json!([row["a"], row["b"]]))).to_string(),
            };
            assert_eq!(ours, *expected, "{} with {:?}", body.escape_ascii(), format.given());
        }
    }
}

/// The values of the corpus, each as an element, a map's value, a field, and deep within all three.
#[test]
fn a_value_means_the_same_wherever_it_stands() {
    let (cases, _) = load();
    let mut seen = 0;
    for case in cases.iter().filter(|case| case.format == "json") {
        let t = case.columns.strip_prefix("id INT, f ").and_then(|rest| rest.strip_suffix(", tail STRING"));
        let body = case.body.as_deref().and_then(|body| std::str::from_utf8(body).ok());
        let text = body.and_then(|b| b.strip_prefix("{\"id\":1,\"f\":")?.strip_suffix(",\"tail\":\"t\"}"));
        let (Some(t), Some(text)) = (t, text) else { continue };
        let format = Format::json().options(case.options.clone());
        let value = |columns: String, body: String| outcome(&format, &columns, &body);
        let alone = value(format!("f {t}"), format!("{{\"f\":{text}}}"));
        let places = [
            (format!("f ARRAY<{t}>"), format!("{{\"f\":[{text}]}}"), "/f/0"),
            (format!("f MAP<STRING, {t}>"), format!("{{\"f\":{{\"k\":{text}}}}}"), "/f/0/1"),
            (format!("f ROW<g {t}>"), format!("{{\"f\":{{\"g\":{text}}}}}"), "/f/g"),
            (
                format!("f ARRAY<ROW<m MAP<STRING, ARRAY<{t}>>>>"),
                format!("{{\"f\":[{{\"m\":{{\"k\":[{text}]}}}}]}}"),
                "/f/0/m/0/1/0",
            ),
        ];
        for (columns, body, place) in places {
            let there = value(columns.clone(), body);
            match (&alone, &there) {
                (Err(alone), Err(there)) => assert_eq!(alone, there, "{} as {columns}", case.id),
                (Ok(alone), Ok(there)) => {
                    let there: Vec<_> = there.iter().map(|row| row.pointer(place)).collect();
                    let alone: Vec<_> = alone.iter().map(|row| row.pointer("/f")).collect();
                    assert_eq!(alone, there, "{} as {columns}", case.id);
                }
                _ => panic!("{} as {columns}: {there:?}, alone {alone:?}", case.id),
            }
        }
        seen += 1;
    }
    assert!(seen > 300, "{seen} values");
}
