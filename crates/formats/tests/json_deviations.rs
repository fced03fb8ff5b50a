//! Where the JSON decoder does not copy Flink's, point by point as the crate's documentation of `json` lists them. What
//! Flink does instead is in the corpus.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use headwater_formats::json::{JsonEncoder, JsonOptions};
use headwater_formats::{DecodeErrorKind, Format, Limits, OnBadRow, RowType};

fn older(format: &Format) -> Format {
    format.clone().option("decode.json-parser.enabled", "false")
}

fn ignoring() -> Format {
    Format::json().option("ignore-parse-errors", "true")
}

/// The rows as JSON lines, or the error.
fn rows(format: &Format, columns: &str, body: &str) -> Result<String, String> {
    let columns: RowType = columns.parse().expect("columns");
    let mut decoder = format.factory(&columns).expect("a good format").decoder();
    let result = decoder.decode(body.as_bytes(), OnBadRow::Fail).map_err(|e| e.to_string());
    let batch: RecordBatch = decoder.flush();
    if let Err(error) = result {
        assert_eq!(batch.num_rows(), 0, "a refused message leaves nothing");
        return Err(error);
    }
    let mut lines = Vec::new();
    let encoder = JsonEncoder::new(&batch.schema(), JsonOptions::default()).expect("types JSON has");
    encoder.encode_lines(&batch, &mut lines).expect("its schema");
    Ok(String::from_utf8(lines).expect("UTF-8").trim_end().replace('\n', " "))
}

/// By both decoders.
fn both(format: &Format, columns: &str, body: &str) -> Result<String, String> {
    let default = rows(format, columns, body);
    assert_eq!(default, rows(&older(format), columns, body), "{body}");
    default
}

#[test]
fn of_keys_that_come_twice_the_last_counts() {
    for (body, row) in [
        (r#"{"a":1,"a":2,"b":"x"}"#, r#"{"a":2,"b":"x"}"#),
        (r#"{"a":1,"b":"x","a":2}"#, r#"{"a":2,"b":"x"}"#),
        (r#"{"a":1,"b":"x","a":null}"#, r#"{"a":null,"b":"x"}"#),
        (r#"{"a":1,"a":2,"a":3}"#, r#"{"a":3,"b":null}"#),
        (r#"{"a":"no","b":"x","a":4}"#, r#"{"a":4,"b":"x"}"#),
    ] {
        assert_eq!(both(&Format::json(), "a INT, b STRING", body).as_deref(), Ok(row), "{body}");
    }
    let missing = Format::json().option("fail-on-missing-field", "true");
    assert!(both(&missing, "a INT, b STRING", r#"{"a":1,"a":2}"#).is_err());
    assert!(both(&Format::json(), "a INT, b STRING", r#"{"a":1,"b":"x","a":"bad"}"#).is_err());
}

#[test]
fn a_value_of_the_wrong_shape_is_passed_over_as_a_whole() {
    let columns = "a INT, l ARRAY<INT>, tail STRING";
    for (body, row) in [
        (r#"{"a":{"tail":"inner"},"tail":"outer"}"#, r#"{"a":null,"l":null,"tail":"outer"}"#),
        (r#"{"a":[1,[2]],"tail":"outer"}"#, r#"{"a":null,"l":null,"tail":"outer"}"#),
        (r#"{"l":{"a":9},"tail":"outer"}"#, r#"{"a":null,"l":null,"tail":"outer"}"#),
        (r#"{"l":[1,[5],{"a":9},3],"tail":"outer"}"#, r#"{"a":null,"l":[1,null,null,3],"tail":"outer"}"#),
    ] {
        assert_eq!(both(&ignoring(), columns, body).as_deref(), Ok(row), "{body}");
    }
    let body = r#"{"f":{"tail":"inner"},"tail":"outer"}"#;
    assert_eq!(both(&Format::json(), "f BOOLEAN, tail STRING", body).as_deref(), Ok(r#"{"f":false,"tail":"outer"}"#));
}

#[test]
fn there_are_no_null_rows() {
    for body in [r#"{"a":1"#, r#"{"a":"#, r#"{"a":1,"b":foo}"#, r#"["x"]"#, "[5]"] {
        assert!(both(&Format::json(), "a INT", body).is_err(), "{body}");
        assert_eq!(both(&ignoring(), "a INT", body).as_deref(), Ok(""), "{body}");
    }
    // The rest of a list is not lost.
    let body = r#"[{"a":1},5,null,[],{"a":3}]"#;
    assert_eq!(both(&ignoring(), "a INT", body).as_deref(), Ok(r#"{"a":1} {"a":3}"#));
}

#[test]
fn a_bad_element_makes_the_message_bad_unless_rows_are_salvaged() {
    let body = r#"[{"a":1},{"a":"bad"},{"a":3}]"#;
    assert!(both(&Format::json(), "a INT", body).is_err());
    let mut decoder = Format::json().factory(&"a INT".parse().expect("columns")).expect("a good format").decoder();
    let decoded = decoder.decode(body.as_bytes(), OnBadRow::Salvage).expect("salvage never fails");
    assert_eq!((decoded.rows, decoded.bad.len()), (2, 1));
    assert_eq!(decoder.flush().column(0).as_primitive::<Int32Type>().values(), &[1, 3]);
}

#[test]
fn times_that_do_not_fit_are_errors_and_never_wrap() {
    for (t, text, good) in [
        ("TIMESTAMP(6)", "1677-09-21 00:12:44", true),
        ("TIMESTAMP(6)", "1677-09-21 00:12:43", false),
        ("TIMESTAMP(9)", "2262-04-11 23:47:16", true),
        ("TIMESTAMP(9)", "2262-04-11 23:47:17", false),
        ("TIMESTAMP(3)", "9999-12-31 23:59:59.999", true),
        ("TIMESTAMP(3)", "0001-01-01 00:00:00", true),
        ("DATE", "+5881580-07-11", true),
        ("DATE", "+5881580-07-12", false),
    ] {
        let result = both(&Format::json(), &format!("t {t}"), &format!("{{\"t\":\"{text}\"}}"));
        assert_eq!(result.is_ok(), good, "{text} as {t}: {result:?}");
        if let Err(error) = result {
            let way_out = t == "DATE" || error.contains("TIMESTAMP(3)");
            assert!(way_out, "{error}");
        }
    }
}

#[test]
fn numbers_printed_again_have_the_shortest_digits() {
    let body = r#"{"s":{"x":[2e-3,1.0E23,0.1,5e-324,100.0]}}"#;
    let row = r#"{"s":"{\"x\":[0.002,1.0E23,0.1,4.9E-324,100.0]}"}"#;
    let ours = both(&Format::json(), "s STRING", body);
    // The least double has one digit that reads back; Java writes two.
    assert_eq!(ours.as_deref(), Ok(row.replace("4.9E-324", "5.0E-324").as_str()));
}

#[test]
fn limits_hold_in_every_mode() {
    let limits = Limits::default().with_rows(2).with_decoded_bytes(100);
    for format in [Format::json(), ignoring()] {
        let format = format.limits(limits);
        for body in [r#"[{"a":1},{"a":2},{"a":3}]"#.to_owned(), format!(r#"{{"s":"{}"}}"#, "x".repeat(101))] {
            for format in [format.clone(), older(&format)] {
                let columns: RowType = "a INT, s STRING".parse().expect("columns");
                let mut decoder = format.factory(&columns).expect("a good format").decoder();
                let error = decoder.decode(body.as_bytes(), OnBadRow::Fail).expect_err("too much");
                assert!(matches!(error.kind(), DecodeErrorKind::Limit { .. }), "{error}");
                assert_eq!(decoder.flush().num_rows(), 0);
            }
        }
    }
}

#[test]
fn two_options_are_ours() {
    let offset = Format::json().option("timestamp-format.standard", "ISO-8601-WITH-OFFSET");
    let row = both(&offset, "t TIMESTAMP(3)", r#"{"t":"2024-03-10T20:34:56+08:00"}"#);
    assert_eq!(row.as_deref(), Ok(r#"{"t":"2024-03-10 12:34:56"}"#));
    let pattern = Format::json().option("timestamp-format.pattern", "dd.MM.yyyy HH:mm:ss");
    let row = both(&pattern, "t TIMESTAMP(3)", r#"{"t":"10.03.2024 12:34:56"}"#);
    assert_eq!(row.as_deref(), Ok(r#"{"t":"2024-03-10 12:34:56"}"#));
}
