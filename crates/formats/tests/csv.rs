//! What the `csv` decoder promises: Flink's rules, one by one, where a wrong guess would be easy; bodies of many lines;
//! coordinates and ways out; limits; and that no body whatever does harm.
#![cfg(feature = "csv")]

#[path = "corpus_support/render.rs"]
mod render;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use chrono::{NaiveDate, NaiveDateTime};
use headwater_formats::{DecodeErrorKind, Decoder, Format, Limits, OnBadRow, Place, RowType};
use proptest::prelude::*;
use serde_json::{Value, json};

fn decoder_of(format: &Format, columns: &str) -> Box<dyn Decoder> {
    let columns: RowType = columns.parse().expect("columns");
    format.factory(&columns).expect("a good format").decoder()
}

/// The format with options as `key=value`.
fn format(options: &[&str]) -> Format {
    options.iter().fold(Format::csv(), |format, option| {
        let (key, value) = option.split_once('=').expect("key=value");
        format.option(key, value)
    })
}

/// The rows of a body, in order of columns, or its error.
fn rows(columns: &str, options: &[&str], body: &[u8]) -> Result<Value, String> {
    let mut decoder = decoder_of(&format(options), columns);
    decoder.decode(body, OnBadRow::Fail).map_err(|e| e.to_string())?;
    Ok(values(&decoder.flush(), columns))
}

fn values(batch: &RecordBatch, columns: &str) -> Value {
    let columns: RowType = columns.parse().expect("columns");
    let rows = render::rows(batch, &columns);
    let order = |row: &Value| columns.fields().iter().map(|f| row[&f.name].clone()).collect::<Value>();
    rows.iter().map(order).collect()
}

fn strings(batch: &RecordBatch) -> Vec<Vec<String>> {
    let columns: Vec<_> = batch.columns().iter().map(|c| c.as_string::<i32>()).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_owned()).collect()).collect()
}

const ABC: &str = "a INT, b STRING, c DOUBLE";

#[test]
fn one_body_is_one_row() {
    for (body, row) in [
        ("1,x,2.5", json!([1, "x", "2.5"])),
        ("1,x,2.5\n2,y", json!([1, "x", "2.5"])),
        ("1,x,2.5\r\n\"", json!([1, "x", "2.5"])),
        ("1,x,2.5\r2,y,3.5", json!([1, "x", "2.5"])),
        ("1,x,2.5, \n", json!([1, "x", "2.5"])),
        ("1,\"x\ny\",2.5", json!([1, "x\ny", "2.5"])),
        ("1,\"x\" \t,2.5", json!([1, "x", "2.5"])),
        ("1,x\"y,2.5", json!([1, "x\"y", "2.5"])),
        ("1, \"x\",2.5", json!([1, " \"x\"", "2.5"])),
        ("\"1\",\"\",\"2.5\"", json!([1, "", "2.5"])),
        ("1,\"\"\"\",2.5", json!([1, "\"", "2.5"])),
        ("1,,2.5", json!([1, "", "2.5"])),
    ] {
        assert_eq!(rows(ABC, &[], body.as_bytes()), Ok(json!([row])), "{body:?}");
    }
    // What stands behind the row does no harm, unless it is the very next thing to look at.
    assert_eq!(rows(ABC, &[], b"1,x,2.5\nz\xff"), Ok(json!([[1, "x", "2.5"]])));
    assert!(rows(ABC, &[], b"1,x,2.5\n\xff").is_err());
    let mut decoder = decoder_of(&Format::csv(), ABC);
    assert_eq!(decoder.decode_absent().rows, 0);
    assert_eq!(decoder.flush().num_rows(), 0);
}

#[test]
fn characters_with_a_meaning() {
    let two = "a STRING, b STRING";
    for (options, body, row) in [
        (&["field-delimiter=\\t"][..], "x\ty", json!(["x", "y"])),
        (&["field-delimiter=，"], "x，y", json!(["x", "y"])),
        (&["field-delimiter=\\n"], "x\ny", json!(["x", "y"])),
        (&["field-delimiter=\\n"], "\"x\"\n\"y\"", json!(["x", "y"])),
        (&["quote-character='"], "'x,''',\"y\"", json!(["x,'", "\"y\""])),
        (&["quote-character=§"], "§x,§§§,y", json!(["x,§", "y"])),
        (&["disable-quote-character=true"], "\"x,y\"", json!(["\"x", "y\""])),
        (&["escape-character=\\"], "x\\,\\n\\0\\t\\r\\q,\"\\\"\"", json!(["x,\n\0\t\rq", "\""])),
        (&["escape-character=\\"], "\\\"x,y\\\\", json!(["\"x", "y\\"])),
        (&["escape-character=\\"], "\\é,\\\n", json!(["é", "\n"])),
        (&["escape-character=\""], "x\"n,\"\"\"\"", json!(["x\n", "\""])),
        (&["allow-comments=true"], "#c\n\n  # d\r\n  x,y\nz", json!(["x", "y"])),
        (&["allow-comments=true"], "x#,#y", json!(["x#", "#y"])),
        (&["trim-spaces=true"], " \tx ,\u{a0}y\u{a0} ", json!(["x", "\u{a0}y\u{a0}"])),
        (&["trim-spaces=true"], " \" x \" , ", json!([" x ", ""])),
        (&["trim-spaces=true", "escape-character=\\"], " \\ x\\n , y", json!([" x", "y"])),
        (&["null-literal=NULL"], "NULL,\"NULL\"", json!([null, null])),
        (&["null-literal=NULL"], "null,NULL ", json!(["null", "NULL "])),
        (&["null-literal=NULL", "trim-spaces=true"], " NULL ,\" NULL\"", json!([null, " NULL"])),
        (&["null-literal="], ",\"\"", json!([null, null])),
        (&["empty-string-as-null=true"], "\"\", ", json!([null, " "])),
        (&["ignore-trailing-unmappable=true"], "x,y,z,\"w\"", json!(["x", "y"])),
    ] {
        assert_eq!(rows(two, options, body.as_bytes()), Ok(json!([row])), "{options:?} {body:?}");
    }
    for (options, body) in [
        (&[][..], "x,\"y\"z"),
        (&[], "x,\"y"),
        (&[], "x,y,,"),
        (&["allow-trailing-comma=false"], "x,y,"),
        (&["ignore-trailing-unmappable=true"], "x,y,\"z"),
        (&["escape-character=\\"], "x,y\\"),
        (&["allow-comments=true"], "#c\n \n"),
        (&[], ""),
        (&[], "\nx,y"),
    ] {
        assert!(rows(two, options, body.as_bytes()).is_err(), "{options:?} {body:?}");
        let ignore = [options, &["ignore-parse-errors=true"]].concat();
        let ignored = rows(two, &ignore, body.as_bytes()).expect("nothing is an error");
        // Too few columns are filled up, everything else is passed over.
        let expected = if body.starts_with('\n') { json!([["", null]]) } else { json!([]) };
        assert_eq!(ignored, expected, "{options:?} {body:?}");
    }
}

#[test]
fn values_by_type() {
    for (t, text, value) in [
        ("INT", " +7\t", json!(7)),
        ("SMALLINT", "007", json!(7)),
        ("BIGINT", "٣", json!(3)),
        ("DOUBLE", " 1.5d ", json!("1.5")),
        ("BOOLEAN", " TRUE ", json!(true)),
        ("BOOLEAN", "yes", json!(false)),
        ("BOOLEAN", "", json!(false)),
        ("DECIMAL(5, 2)", "1.235", json!("1.24")),
        ("DECIMAL(5, 2)", "1E4", json!(null)),
        ("BYTES", "aGVs bG8=", json!("aGVsbG8=")),
        ("BYTES", "", json!("")),
        ("CHAR(2)", " abc", json!(" abc")),
        ("DATE", "2024-1-1", json!("2024-01-01")),
        ("DATE", "2023-02-29", json!("2023-03-01")),
        ("DATE", "1582-10-10", json!("1582-10-20")),
        ("TIME", "12:34", json!("12:34:00.000")),
        ("TIME", "12:34:56.789", json!("12:34:56.000")),
        ("TIME(2)", "12:34:56.789", json!("12:34:56.780")),
        ("TIME(3)", "23:59:59.999999999", json!("23:59:59.999")),
        ("TIME(4)", "12:34:56.789", json!("12:34:56.789")),
        ("TIME(9)", "12:34:56.123456789", json!("12:34:56.123")),
        ("ARRAY<TIME(6)>", "12:34:56.78;12:34", json!(["12:34:56.780", "12:34:00.000"])),
        ("TIMESTAMP(3)", " 2024-02-30 24:00:00 ", json!("2024-03-01T00:00:00.000000000")),
        ("TIMESTAMP(9)", "2024-03-10 12:34:56.123456789", json!("2024-03-10T12:34:56.123456789")),
        ("TIMESTAMP_LTZ(3)", "2024-03-10 12:34:56Z", json!("2024-03-10T12:34:56.000000000Z")),
        ("ARRAY<INT>", " 1 ;+2", json!([1, 2])),
        ("ARRAY<INT>", " ", json!([])),
        ("ARRAY<STRING>", ";", json!(["", ""])),
        ("ARRAY<STRING>", "\"a;b\"", json!(["a", "b"])),
        ("ROW<x INT, y STRING>", "1;b;c", json!({"x": 1, "y": "b"})),
        ("ROW<x STRING>", "", json!(null)),
    ] {
        // In the middle and at the end: shortcuts read the one, not the other.
        let middle = rows(&format!("f {t}, z STRING"), &[], format!("{text},t").as_bytes());
        assert_eq!(middle, Ok(json!([[value, "t"]])), "{t} {text:?}");
        let end = rows(&format!("z STRING, f {t}"), &[], format!("t,{text}").as_bytes());
        assert_eq!(end, Ok(json!([["t", value]])), "{t} {text:?}");
    }
    for (t, texts) in [
        ("INT", &["", "1.0", "1e2", "2147483648", "0x10", "1_0", "\u{a0}1"][..]),
        ("DOUBLE", &["", "nan", "1,5", "0x10"]),
        ("DECIMAL(5, 2)", &["", " 1", "1 ", "NaN", "1e"]),
        ("BYTES", &["aGVsbG8", "-_-_"]),
        ("DATE", &["", " 2024-01-01", "24-01-01", "2024/01/01", "1500-02-29", "2024-13-01"]),
        ("TIME", &["", "24:00:00", "1:02:03", " 12:34:56", "12:34:56Z"]),
        ("TIMESTAMP(3)", &["", "2024-03-10", "2024-03-10T12:34:56", "2024-03-10 12:34", "2024-03-10 12:34:56Z"]),
        ("TIMESTAMP_LTZ(3)", &["2024-03-10 12:34:56", "2024-03-10 12:34:56+08:00"]),
        ("ARRAY<INT>", &["1;;2", "1;x"]),
        ("ROW<x INT, y STRING>", &["1", "x;y"]),
    ] {
        for text in texts {
            let body = format!("\"{text}\",t");
            assert!(rows(&format!("f {t}, z STRING"), &[], body.as_bytes()).is_err(), "{t} {text:?}");
            let ignored = rows(&format!("f {t}, z STRING"), &["ignore-parse-errors=true"], body.as_bytes());
            let row = &ignored.expect("nothing is an error")[0];
            assert_eq!(row[1], "t", "{t} {text:?}");
            let expected = match (t, *text) {
                ("ARRAY<INT>", "1;;2") => json!([1, null, 2]),
                ("ARRAY<INT>", _) => json!([1, null]),
                (_, "1") if t.starts_with("ROW") => json!({"x": 1, "y": null}),
                (_, "x;y") => json!({"x": null, "y": "y"}),
                _ => json!(null),
            };
            assert_eq!(row[0], expected, "{t} {text:?}");
        }
    }
}

#[test]
fn types_that_a_field_cannot_hold_are_refused_at_once() {
    let columns = "a MAP<STRING, INT>, b ARRAY<ARRAY<INT>>, c ROW<x ROW<y INT>, z TIME(6)>, d MULTISET<INT>, e TIME(4), \
                   f ARRAY<ROW<x INT>>, g TIME(3), h ARRAY<MAP<STRING, INT>>";
    let errors = format(&["framing=rows"]).factory(&columns.parse().expect("columns")).expect_err("many mistakes");
    let errors = errors.to_string();
    let columns = ["`a`", "`b[]`", "`c.x`", "`d`", "`f[]`", "`h[]`"];
    assert_eq!(errors.lines().count(), columns.len() + 1, "{errors}");
    assert!(errors.starts_with("the option 'csv.framing' cannot be 'rows'"), "{errors}");
    for column in columns {
        assert!(errors.contains(&format!("column {column} ")), "{column}: {errors}");
    }
}

#[test]
fn every_line_is_a_row() {
    let lines = |options: &[&str], body: &str| {
        rows("a INT, b STRING", &[&["framing=lines"], options].concat(), body.as_bytes())
    };
    assert_eq!(lines(&[], "1,x\n2,\"y\nz\"\r\n\n\r3,w"), Ok(json!([[1, "x"], [2, "y\nz"], [3, "w"]])));
    assert_eq!(lines(&[], "1,x\n"), Ok(json!([[1, "x"]])));
    assert_eq!(lines(&[], ""), Ok(json!([])));
    assert_eq!(lines(&[], "\n\n"), Ok(json!([])));
    assert_eq!(lines(&["allow-comments=true"], "1,x\n# 2,y\n\n 3,z\n#"), Ok(json!([[1, "x"], [3, "z"]])));
    assert_eq!(
        lines(&["ignore-parse-errors=true"], "1,x\n,y\n3\n4,z,w\n\"5,v"),
        Ok(json!([[1, "x"], [null, "y"], [3, null]]))
    );
    let utf16: Vec<u8> = "\u{feff}1,é\n2,x".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(rows("a INT, b STRING", &["framing=lines"], &utf16), Ok(json!([[1, "é"], [2, "x"]])));
}

#[test]
fn good_lines_of_a_bad_message_are_salvaged() {
    let columns = "a INT, b STRING, l ARRAY<INT>";
    let body = b"\xef\xbb\xbf1,x,\nq,y,\n2,\"a\nb\",7\n3,z,1;q\n4\n5,\"x\"y,\n6,v,\n7,\"w,\n8,\xff,\n9,u,8\n";
    let mut decoder = decoder_of(&format(&["framing=lines"]), columns);
    let decoded = decoder.decode(body, OnBadRow::Salvage).expect("salvage never fails");
    let bad: Vec<String> =
        decoded.bad.iter().map(|e| e.to_string().split("; ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(
        bad,
        [
            "row 1, line 2 column 1, column `a`: a string that is no integer, expected INT",
            "row 3, line 5 column 5, column `l[1]`: a string that is no integer, expected INT",
            "row 4, line 6 column 1: the row has 1 column, expected 3",
            "row 5, line 7 column 6: text behind a closing quote, expected a delimiter or the end of the line",
            "row 7, line 10 column 3: bytes that are not UTF-8",
        ]
    );
    let rows = values(&decoder.flush(), columns);
    assert_eq!(rows, json!([[1, "x", []], [2, "a\nb", [7]], [6, "v", []], [9, "u", [8]]]));
    // The first bad one is what a message fails with, and then nothing of it stays.
    let error = decoder.decode(body, OnBadRow::Fail).expect_err("a bad line");
    assert_eq!((error.row(), error.place()), (Some(1), Some(Place::Line(2, 1))));
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
}

#[test]
fn a_quote_that_is_never_closed_costs_its_line_and_not_the_rest() {
    let mut decoder = decoder_of(&format(&["framing=lines"]), "a STRING, b STRING");
    let decoded = decoder.decode(b"1,x\n2,\"y\n3,z\n", OnBadRow::Salvage).expect("salvage never fails");
    assert_eq!(decoded.bad.len(), 1);
    assert!(decoded.bad[0].to_string().starts_with("row 1, line 2 column 3: a quote that is never closed; "));
    assert_eq!(strings(&decoder.flush()), [["1", "x"], ["3", "z"]]);
    // Every line opens a quote, and from each of them none is closed: that must not take the square of the length.
    let body = "x\",\"\n".repeat(200_000);
    let decoded = decoder.decode(body.as_bytes(), OnBadRow::Salvage).expect("salvage never fails");
    assert!((1..100).contains(&decoded.bad.len()), "{}", decoded.bad.len());
}

#[test]
fn errors_say_what_to_do() {
    for (options, body, part) in [
        (&[][..], "1;x;2.5", "set 'csv.field-delimiter' to ';'"),
        (&[], "1\tx\t2.5", "set 'csv.field-delimiter' to '\\t'"),
        (&[], "1|x|2.5\n", "set 'csv.field-delimiter' to '|'"),
        (&["field-delimiter=;"], "1,x,2.5", "set 'csv.field-delimiter' to ','"),
        (&[], "1,x", "set 'csv.ignore-parse-errors' to true"),
        (&["fail-on-missing-columns=true"], "1,x", "'csv.fail-on-missing-columns' to false"),
        (&[], "1,x,2.5,y", "set 'csv.ignore-trailing-unmappable' to true"),
        (&[], "1, \"x,y\",2.5", "set 'csv.trim-spaces' to true"),
        (&[], "\n1,x,2.5", "set 'csv.framing' to lines"),
        (&[], "a,b,c", "looks like a header"),
        (&[], ",x,2.5", "set 'csv.empty-string-as-null' to true"),
        (&[], "1,x,NULL", "set 'csv.null-literal'"),
        (&[], "1,x,y", "set 'csv.ignore-parse-errors' to true"),
        (&[], "1,\"x", "set 'csv.disable-quote-character' to true"),
        (&[], "1,\"x\\\"y\",2.5", "set 'csv.escape-character' to '\\'"),
        (&[], "1,\"x\"y\",2.5", "a quote within quotes is doubled"),
    ] {
        let error = rows(ABC, options, body.as_bytes()).expect_err(body);
        assert!(error.contains(part), "{body:?}: {error}");
    }
    let error = rows("d DATE", &[], b" 2024-01-01").expect_err("a blank before it");
    assert!(error.contains("set 'csv.trim-spaces' to true"), "{error}");
}

#[test]
fn limits_are_kept_and_never_passed_over() {
    let limited = |limits: Limits, columns: &str, body: &str| {
        let format = format(&["framing=lines", "ignore-parse-errors=true"]).limits(limits);
        let mut decoder = decoder_of(&format, columns);
        decoder.decode(b"\"\"\n", OnBadRow::Fail).expect("a small body");
        let before = (decoder.rows(), decoder.bytes());
        let error = decoder.decode(body.as_bytes(), OnBadRow::Fail).expect_err("too much");
        let salvaged = decoder.decode(body.as_bytes(), OnBadRow::Salvage).expect("salvage never fails");
        assert_eq!((salvaged.rows, salvaged.bad), (0, vec![error.clone()]));
        assert_eq!((decoder.rows(), decoder.bytes()), before);
        match error.kind() {
            DecodeErrorKind::Limit { name, .. } => *name,
            other => panic!("{other:?}"),
        }
    };
    let limits = Limits::default();
    assert_eq!(limited(limits.with_body_bytes(10), "a STRING", "12345678901"), "body_bytes");
    assert_eq!(limited(limits.with_rows(2), "a INT", "1\nx\n3"), "rows");
    assert_eq!(limited(limits.with_decoded_bytes(1_000), "a ARRAY<DECIMAL(38, 0)>", &";".repeat(100)), "decoded_bytes");
    assert_eq!(limited(limits.with_decoded_bytes(1_000), "a STRING", &"x".repeat(1_000)), "decoded_bytes");
}

#[test]
fn what_the_options_pass_over_is_counted() {
    let mut decoder = decoder_of(&format(&["ignore-parse-errors=true", "framing=lines"]), "a INT");
    let decoded = decoder.decode(b"1\n2,3\n\"x\"y\n4", OnBadRow::Fail).expect("nothing is an error");
    assert_eq!((decoded.rows, decoded.ignored), (2, 2));
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![2 => "[a-z]{0,4}", 1 => "[ ,;\"'\\\\\r\n\té日🎉#a]{0,6}", 1 => any::<String>()]
}

/// As another library writes it.
fn written(records: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    records.iter().for_each(|record| writer.write_record(record).expect("a buffer takes everything"));
    writer.into_inner().expect("a buffer takes everything")
}

fn text_columns(count: usize) -> String {
    (0..count).map(|i| format!("c{i} STRING")).collect::<Vec<_>>().join(", ")
}

proptest! {
    #[test]
    fn what_another_library_writes_is_read(
        records in (1usize..5).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(cell(), n), 1..6))
    ) {
        let columns = text_columns(records[0].len());
        let mut lines = decoder_of(&format(&["framing=lines"]), &columns);
        // A byte order mark is none of the text.
        prop_assume!(!records[0][0].starts_with('\u{feff}'));
        // Zero bytes at the start stand for a wide encoding.
        prop_assume!(!records[0].iter().any(|cell| cell.contains('\0')));
        lines.decode(&written(&records), OnBadRow::Fail).expect("good lines");
        prop_assert_eq!(strings(&lines.flush()), records.clone());
        let mut single = decoder_of(&Format::csv(), &columns);
        single.decode(&written(&records), OnBadRow::Fail).expect("a good line");
        prop_assert_eq!(strings(&single.flush()), &records[..1]);
    }

    #[test]
    fn what_both_read_they_read_alike(body in "[ab,\"\r\n]{0,24}", count in 1usize..4) {
        let mut lines = decoder_of(&format(&["framing=lines", "allow-trailing-comma=false"]), &text_columns(count));
        if lines.decode(body.as_bytes(), OnBadRow::Fail).is_ok() {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body.as_bytes());
            let theirs = reader.records().map(|r| r.expect("a record").iter().map(str::to_owned).collect());
            prop_assert_eq!(strings(&lines.flush()), theirs.collect::<Vec<Vec<String>>>());
        }
    }

    #[test]
    fn typed_values_come_back(
        rows in prop::collection::vec((any::<i64>(), any::<i32>(), any::<f64>(), any::<bool>(), -999_999_999_999i64..999_999_999_999, 0i64..4_000_000_000_000, -140_000i32..2_900_000), 1..5)
    ) {
        let columns = "l BIGINT, i INT, d DOUBLE, b BOOLEAN, m DECIMAL(14, 3), t TIMESTAMP(3), e DATE, z STRING";
        let moment = |millis: i64| chrono::DateTime::from_timestamp_millis(millis).expect("in range").naive_utc();
        let date = |days: i32| NaiveDate::from_epoch_days(days).expect("in range");
        let decimal = |m: i64| format!("{}{}.{:03}", if m < 0 { "-" } else { "" }, m.abs() / 1000, m.abs() % 1000);
        let stamp = |at: NaiveDateTime| at.format("%Y-%m-%d %H:%M:%S%.3f").to_string();
        let records: Vec<Vec<String>> = rows
            .iter()
            .map(|(l, i, d, b, m, t, e)| {
                let date = date(*e).to_string();
                // Rust writes no exponent, and NaN and Infinity in its own way.
                let double = if d.is_finite() { d.to_string() } else { "0".to_owned() };
                vec![l.to_string(), i.to_string(), double, b.to_string(), decimal(*m), stamp(moment(*t)), date, "z".to_owned()]
            })
            .collect();
        let mut decoder = decoder_of(&format(&["framing=lines"]), columns);
        decoder.decode(&written(&records), OnBadRow::Fail).expect("good lines");
        let got = values(&decoder.flush(), columns);
        for (row, (l, i, d, b, m, t, e)) in rows.iter().enumerate() {
            let d = if d.is_finite() { *d } else { 0.0 };
            let double: f64 = got[row][2].as_str().expect("a double").parse().expect("a double");
            prop_assert_eq!(double.to_bits(), d.to_bits());
            prop_assert_eq!(&got[row][0], &json!(l));
            prop_assert_eq!(&got[row][1], &json!(i));
            prop_assert_eq!(&got[row][3], &json!(b));
            prop_assert_eq!(&got[row][4], &json!(decimal(*m)));
            prop_assert_eq!(&got[row][5], &json!(moment(*t).format("%Y-%m-%dT%H:%M:%S%.9f").to_string()));
            prop_assert_eq!(&got[row][6], &json!(date(*e).to_string()));
        }
    }

    #[test]
    fn a_line_is_read_as_a_body_of_its_own(lines in prop::collection::vec("[0-9ax ,.;-]{1,12}", 1..6)) {
        let columns = "a INT, b STRING, c ARRAY<INT>";
        let mut whole = decoder_of(&format(&["framing=lines"]), columns);
        let mut single = decoder_of(&Format::csv(), columns);
        let decoded = whole.decode(lines.join("\n").as_bytes(), OnBadRow::Salvage).expect("salvage never fails");
        let alone: Vec<_> = lines.iter().map(|line| single.decode(line.as_bytes(), OnBadRow::Fail)).collect();
        prop_assert_eq!(decoded.bad.len(), alone.iter().filter(|r| r.is_err()).count());
        let bad = decoded.bad.iter().zip(alone.iter().enumerate().filter(|(_, r)| r.is_err()));
        for (ours, (i, theirs)) in bad {
            prop_assert_eq!(ours.row(), Some(i));
            prop_assert_eq!(ours.kind(), theirs.as_ref().expect_err("they are the bad ones").kind());
            prop_assert!(matches!(ours.place(), Some(Place::Line(line, _)) if line == i + 1));
        }
        prop_assert_eq!(whole.flush(), single.flush());
    }

    #[test]
    fn no_body_does_harm(
        body in prop_oneof!["[a1,;\"'\\\\#\r\n \u{fffd}é-]{0,40}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)],
        options in prop::sample::subsequence(
            vec!["framing=lines", "trim-spaces=true", "escape-character=\\", "allow-comments=true", "null-literal=",
                 "ignore-parse-errors=true", "field-delimiter=é", "quote-character='"], 0..8),
    ) {
        let columns = "a INT, b STRING, c ARRAY<DATE>, d ROW<x STRING, y BOOLEAN>";
        let mut decoder = decoder_of(&format(&options), columns);
        let salvaged = decoder.decode(&body, OnBadRow::Salvage).expect("salvage never fails");
        prop_assert_eq!(decoder.rows(), salvaged.rows);
        let good = decoder.flush();
        match decoder.decode(&body, OnBadRow::Fail) {
            Ok(decoded) => prop_assert!(decoded.rows == salvaged.rows && salvaged.bad.is_empty()),
            Err(error) => prop_assert_eq!(Some(&error), salvaged.bad.first()),
        }
        if salvaged.bad.is_empty() {
            prop_assert_eq!(decoder.flush(), good);
        } else {
            prop_assert_eq!(decoder.flush().num_rows(), 0);
        }
    }
}
