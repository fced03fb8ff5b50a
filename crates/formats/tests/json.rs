//! What the `json` decoder promises beyond single values: atomic messages, salvaged rows, limits, coordinates, and that
//! no body whatever does harm.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use headwater_formats::{DecodeErrorKind, Decoder, Format, Limits, OnBadRow, RowType};
use proptest::prelude::*;

const COLUMNS: &str = "a INT, s STRING, d DECIMAL(10, 2), t TIMESTAMP(3), l ARRAY<ROW<x INT, y BYTES>>, \
                       m MAP<STRING, ARRAY<DOUBLE>>, r ROW<n BIGINT, z ROW<b BOOLEAN>>";

fn decoder_of(format: &Format, columns: &str) -> Box<dyn Decoder> {
    let columns: RowType = columns.parse().expect("columns");
    format.factory(&columns).expect("a good format").decoder()
}

fn decoder(columns: &str) -> Box<dyn Decoder> {
    decoder_of(&Format::json(), columns)
}

fn ints(batch: &RecordBatch) -> Vec<Option<i32>> {
    batch.column(0).as_primitive::<Int32Type>().iter().collect()
}

#[test]
fn a_bad_message_leaves_no_trace() {
    let mut decoder = decoder(COLUMNS);
    decoder.decode(br#"{"a":1,"s":"one"}"#, OnBadRow::Fail).expect("a good body");
    let (rows, bytes) = (decoder.rows(), decoder.bytes());
    for bad in [
        &br#"[{"a":2,"s":"two","l":[{"x":1,"y":"AA=="}]},{"a":"bad"}]"#[..],
        br#"[{"a":2,"s":"two"},{"a":3,"m":{"k":[1,2]},"l":[{"x":1},{"x":2,"#,
        br#"{"a":2,"r":{"n":1,"z":{"b":true}},"l":[{"y":"?"}]}"#,
        b"[{\"a\":2,\"s\":\"two\"},{\"s\":\"\xff\"}]",
        b"[{\"a\":2},{\"s\":[[\"half\",",
        b"\0\0\0",
        b"nothing",
    ] {
        decoder.decode(bad, OnBadRow::Fail).expect_err("a bad body");
        assert_eq!((decoder.rows(), decoder.bytes()), (rows, bytes), "{}", bad.escape_ascii());
    }
    decoder.decode(br#"{"a":9}"#, OnBadRow::Fail).expect("a good body");
    let batch = decoder.flush();
    assert_eq!(ints(&batch), [Some(1), Some(9)]);
    assert_eq!((decoder.rows(), decoder.bytes(), decoder.flush().num_rows()), (0, 0, 0));
}

#[test]
fn good_rows_of_a_bad_message_are_salvaged() {
    let mut decoder = decoder("a INT, s STRING");
    let body = br#"[{"a":1},{"a":"x"},7,{"a":2},{"a":{"a":3}},{"a":4},{"a":5"#;
    let decoded = decoder.decode(body, OnBadRow::Salvage).expect("salvage never fails");
    assert_eq!(decoded.rows, 3);
    let bad: Vec<String> = decoded.bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        bad,
        [
            "row 1, byte 14, column `a`: a string that is no integer, expected INT",
            "row 2, byte 19: a JSON number, expected an object or a list of objects",
            "row 4, byte 34, column `a`: a JSON object, expected INT",
            "row 6, byte 57: expected `,` or `}`",
        ]
    );
    assert_eq!(ints(&decoder.flush()), [Some(1), Some(2), Some(4)]);
}

#[test]
fn ignored_rows_are_counted() {
    let ignore = Format::json().option("ignore-parse-errors", "true");
    for (body, rows, ignored) in [
        (r#"[{"a":1},7,{"a":"x"},{"a":2}]"#, vec![Some(1), None, Some(2)], 1),
        (r#"[{"a":1},{"a":2"#, vec![Some(1)], 1),
        ("nothing", vec![], 1),
        ("7", vec![], 1),
        ("", vec![], 0),
        ("[]", vec![], 0),
    ] {
        for on_bad in [OnBadRow::Fail, OnBadRow::Salvage] {
            let mut decoder = decoder_of(&ignore, "a INT");
            let decoded = decoder.decode(body.as_bytes(), on_bad).expect("nothing is an error");
            assert_eq!((decoded.rows, decoded.bad.len(), decoded.ignored), (rows.len(), 0, ignored), "{body}");
            assert_eq!(ints(&decoder.flush()), rows, "{body}");
        }
    }
}

#[test]
fn errors_say_where_what_and_what_to_do() {
    let mut decoder = decoder(COLUMNS);
    for (body, message) in [
        (r#"{"l":[{"x":1},{"x":2,"y":5}]}"#, "row 0, byte 25, column `l[1].y`: a JSON number, expected BYTES"),
        (r#"{"m":{"k":[1.5,"x"]}}"#, "row 0, byte 15, column `m{}[1]`: a string that is no number, expected DOUBLE"),
        (r#"{"r":{"z":[]}}"#, "row 0, byte 10, column `r.z`: a JSON array, expected ROW<`b` BOOLEAN>"),
        (r#"{"a":2147483648}"#, "row 0, byte 5, column `a`: a number out of range, expected INT"),
        (
            r#"{"t":"2024-01-01T00:00:00"}"#,
            "row 0, byte 5, column `t`: a string that is no timestamp of the form 2024-12-31 12:34:56, expected \
             TIMESTAMP(3)",
        ),
        ("{\"a\":1", "row 0, byte 6: expected `,` or `}`"),
    ] {
        let error = decoder.decode(body.as_bytes(), OnBadRow::Fail).expect_err(body);
        assert_eq!(error.to_string(), message, "{body}");
    }
    let mut strict = decoder_of(&Format::json().option("fail-on-missing-field", "true"), "r ROW<n INT, o INT>");
    let error = strict.decode(br#"{"r":{"n":1}}"#, OnBadRow::Fail).expect_err("o is missing");
    assert_eq!((error.kind(), error.path()), (&DecodeErrorKind::MissingField, "r.o"));
    let mut nanos = decoder_of(&Format::json(), "t TIMESTAMP");
    let error = nanos.decode(br#"{"t":"9999-12-31 00:00:00"}"#, OnBadRow::Fail).expect_err("beyond 2262");
    assert!(error.to_string().contains("TIMESTAMP(3)"), "{error}");
}

#[test]
fn no_error_repeats_the_body() {
    let mut decoder = decoder(COLUMNS);
    for body in [
        r#"{"a":"hunter2"}"#,
        r#"{"hunter2":"#,
        r#"{"m":{"hunter2":["hunter2"]}}"#,
        "hunter2",
        r#""hunter2""#,
        r#"{"s":"\hunter2"}"#,
        r#"{"t":"hunter2","d":"hunter2"}"#,
    ] {
        let error = decoder.decode(body.as_bytes(), OnBadRow::Fail).expect_err(body);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(error.excerpt(body.as_bytes(), 40).contains("hunter2"));
    }
}

#[test]
fn a_repeated_key_counts_by_its_last_value() {
    let mut decoder = decoder("a INT, s STRING, m MAP<STRING, INT>, r ROW<x INT, y INT>");
    for (body, a) in [
        (r#"{"a":1,"a":2}"#, Some(2)),
        (r#"{"a":1,"s":"x","a":null}"#, None),
        (r#"{"a":"bad","a":3}"#, Some(3)),
        (r#"{"a":[1,{"x":2}],"s":"x","a":4}"#, Some(4)),
        (r#"{"r":{"x":"bad"},"a":5,"r":{"x":1,"x":"bad","x":2}}"#, Some(5)),
        (r#"{"m":{"k":"bad","l":1,"k":2},"a":6}"#, Some(6)),
    ] {
        decoder.decode(body.as_bytes(), OnBadRow::Fail).unwrap_or_else(|e| panic!("{body}: {e}"));
        assert_eq!(ints(&decoder.flush()), [a], "{body}");
    }
    // The last value counts for errors too, and an error elsewhere stays one.
    for bad in [r#"{"a":1,"a":"bad"}"#, r#"{"a":"bad","r":{"x":"bad"},"a":1}"#, r#"{"m":{"k":1,"k":"bad"}}"#] {
        decoder.decode(bad.as_bytes(), OnBadRow::Fail).expect_err(bad);
    }
    let many: Vec<String> = (0..100).map(|i| format!(r#""k{}":{i}"#, i % 40)).collect();
    decoder.decode(format!(r#"{{"m":{{{}}}}}"#, many.join(",")).as_bytes(), OnBadRow::Fail).expect("a good body");
    let batch = decoder.flush();
    let map = batch.column(2).as_map().value(0);
    let values: Vec<i32> = map.column(1).as_primitive::<Int32Type>().values().to_vec();
    assert_eq!(values, (60..100).collect::<Vec<_>>());
}

#[test]
fn limits_are_errors_that_name_themselves() {
    let limits = Limits::default().with_body_bytes(1_000).with_decoded_bytes(4_000).with_rows(10).with_nesting(20);
    let format = Format::json().limits(limits).option("ignore-parse-errors", "true");
    let wide: Vec<String> = (0..100).map(|i| format!("c{i} BIGINT")).collect();
    let mut decoder = decoder_of(&format, &wide.join(", "));
    for (body, name) in [
        (" ".repeat(1_001), "body_bytes = 1000"),
        (format!("[{}]", ["7"; 11].join(",")), "rows = 10"),
        (format!("[{}]", ["{}"; 6].join(",")), "decoded_bytes = 4000"),
    ] {
        // A limit is never passed over, whatever the options say, and leaves nothing behind.
        let error = decoder.decode(body.as_bytes(), OnBadRow::Fail).expect_err(name);
        assert!(error.to_string().ends_with(name), "{error}");
        let decoded = decoder.decode(body.as_bytes(), OnBadRow::Salvage).expect("salvage never fails");
        assert_eq!((decoded.rows, decoded.bad.len(), decoder.rows()), (0, 1, 0));
    }
    // Depth is a matter of syntax, as in Flink.
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(20), "]".repeat(20));
    assert_eq!(decoder.decode(deep.as_bytes(), OnBadRow::Fail).map(|d| d.ignored), Ok(1));
    let mut nested = decoder_of(&Format::json().limits(limits), "l ARRAY<ROW<a BIGINT, b BIGINT, c BIGINT, d BIGINT>>");
    let many = format!("{{\"l\":[{}]}}", ["{}"; 200].join(","));
    assert!(nested.decode(many.as_bytes(), OnBadRow::Fail).is_err());
}

#[test]
fn deep_bodies_do_not_overflow_the_stack() {
    let mut decoder = decoder("s STRING, x ARRAY<INT>");
    let deep = |open: &str, close: &str| format!("{{\"s\":{}1{}}}", open.repeat(999), close.repeat(999));
    for body in [deep("[", "]"), deep("{\"k\":", "}")] {
        decoder.decode(body.as_bytes(), OnBadRow::Fail).expect("as deep as may be");
        let text = decoder.flush().column(0).as_string::<i32>().value(0).to_owned();
        assert_eq!(text.len(), body.len() - 6);
    }
    for body in ["[".repeat(1_000_000), "{\"s\":".repeat(1_000_000), "{\"s\":[{\"a\":".repeat(1_000_000)] {
        decoder.decode(body.as_bytes(), OnBadRow::Fail).expect_err("far too deep");
    }
}

#[test]
fn columns_come_in_any_order_and_number() {
    let names: Vec<String> = (0..300).map(|i| format!("column{i}")).collect();
    let columns: Vec<String> = names.iter().map(|n| format!("{n} INT")).collect();
    let mut decoder = decoder(&columns.join(", "));
    let body: Vec<String> = names.iter().enumerate().rev().map(|(i, n)| format!(r#""{n}":{i},"x{n}":[{i}]"#)).collect();
    decoder.decode(format!("{{{}}}", body.join(",")).as_bytes(), OnBadRow::Fail).expect("a good body");
    let batch = decoder.flush();
    for (i, column) in batch.columns().iter().enumerate() {
        assert_eq!(column.as_primitive::<Int32Type>().value(0), i as i32);
    }
}

/// Bodies that are nearly right: objects with the columns' names and values of every kind.
fn any_body() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| f.to_string()),
        Just("\"2024-01-01 00:00:00\"".to_owned()),
        Just("\"AAAA\"".to_owned()),
        "[a-z0-9. ]{0,6}".prop_map(|s| format!("\"{s}\"")),
        Just("oops".to_owned()),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        let member = ("[asdtlmrxyznbk]", inner.clone()).prop_map(|(k, v)| format!("\"{k}\":{v}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    });
    let member = ("[asdtlmr]", value).prop_map(|(k, v)| format!("\"{k}\":{v}"));
    let object = prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")));
    prop::collection::vec(object, 0..4).prop_map(|objects| format!("[{}]", objects.join(",")))
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::json(), Format::json().option("decode.json-parser.enabled", "false")] {
            let mut decoder = decoder_of(&format, COLUMNS);
            let failed = decoder.decode(&body, OnBadRow::Fail).is_err();
            prop_assert!(!failed || decoder.rows() == 0);
            prop_assert!(decoder.decode(&body, OnBadRow::Salvage).is_ok());
            let rows = decoder.rows();
            prop_assert_eq!(decoder.flush().num_rows(), rows);
        }
    }

    #[test]
    fn messages_are_atomic_and_independent(bodies in prop::collection::vec(any_body(), 1..6), cut in 0usize..400) {
        let mut bodies = bodies;
        if let Some(last) = bodies.last_mut() {
            last.truncate(cut);
        }
        for options in [vec![], vec![("ignore-parse-errors", "true")], vec![("fail-on-missing-field", "true")]] {
            let format = options.iter().fold(Format::json(), |f, (k, v)| f.option(k, *v));
            let mut together = decoder_of(&format, COLUMNS);
            let mut expected = Vec::new();
            for body in &bodies {
                let mut alone = decoder_of(&format, COLUMNS);
                let (before, ours) = (together.rows(), together.decode(body.as_bytes(), OnBadRow::Fail));
                prop_assert_eq!(&ours, &alone.decode(body.as_bytes(), OnBadRow::Fail));
                prop_assert_eq!(together.rows() - before, ours.map_or(0, |decoded| decoded.rows));
                expected.push(alone.flush());
            }
            let batch = together.flush();
            let mut from = 0;
            for part in expected {
                prop_assert_eq!(&batch.slice(from, part.num_rows()), &part);
                from += part.num_rows();
            }
            prop_assert_eq!(from, batch.num_rows());
        }
    }

    #[test]
    fn salvage_keeps_exactly_the_rows_that_are_good_alone(body in any_body()) {
        let mut salvage = decoder_of(&Format::json(), COLUMNS);
        let decoded = salvage.decode(body.as_bytes(), OnBadRow::Salvage).expect("salvage never fails");
        prop_assert_eq!(decoded.rows, salvage.rows());
        let mut fail = decoder_of(&Format::json(), COLUMNS);
        match fail.decode(body.as_bytes(), OnBadRow::Fail) {
            Ok(whole) => prop_assert_eq!(whole, decoded),
            Err(error) => prop_assert_eq!(Some(&error), decoded.bad.first()),
        }
        let _ = salvage.flush();
    }
}
