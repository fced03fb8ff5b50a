//! `headwater decode`: bodies to rows without a queue.

mod support;

use serde_json::{Value, json};
use support::{run, run_with_input, write};

const TABLE: &str = "CREATE TABLE t (`id` BIGINT, `at` TIMESTAMP(3), `tags` ARRAY<STRING>) WITH ('format' = 'json')";

fn json_lines(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn lines_become_rows_or_errors_with_coordinates() {
    let input = concat!(
        r#"{"id": "7", "at": "2024-03-10 12:34:56.5", "tags": ["a", null]}"#,
        "\n",
        r#"[{"id": 1}, {"id": 2, "tags": "b"}, {"id": 3}]"#,
        "\n\neyJpZCI6IDl9\n",
    );
    let finished = run_with_input(["decode", "--table", TABLE], input.as_bytes()).code(5);
    let lines = json_lines(&finished.stdout);
    assert_eq!(lines[0]["rows"], json!([{"id": 7, "at": "2024-03-10 12:34:56.5", "tags": ["a", null]}]));
    assert_eq!(lines[0].get("errors"), None);
    let ids: Vec<_> = lines[1]["rows"].as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [1, 3], "good rows around a bad one are shown");
    let error = &lines[1]["errors"][0];
    assert_eq!((&error["row"], &error["column"]), (&json!(1), &json!("tags")));
    assert_eq!((&error["byte"], &error["expected"]), (&json!(30), &json!("ARRAY<STRING>")));
    assert!(error["excerpt"].as_str().is_some_and(|text| text.contains(r#"\"tags\": \"b\""#)), "{error}");
    let table = TABLE.replace("'json'", "'json', 'badRecordsExcerpt' = 'false'");
    let finished = run_with_input(["decode", "--table", &table], b"{").code(5);
    assert_eq!(json_lines(&finished.stdout)[0]["errors"][0].get("excerpt"), None);
    assert_eq!(
        (&lines[2]["input"], &lines[2]["rows"][0]["id"]),
        (&json!("line 4"), &json!(9)),
        "base64 is seen through"
    );
}

#[test]
fn a_csv_table_of_the_connector_tells_line_and_column() {
    let table = "CREATE TABLE t (`id` BIGINT, `at` TIMESTAMP(3), `tags` ARRAY<STRING>)
        WITH ('connector' = 'mns', 'queueName' = 'q', 'format' = 'csv', 'csv.field-delimiter' = '|'EXTRA)";
    let input = "7|2024-03-10 12:34:56.5|a;b\n1,2024-03-10 12:34:56,c\n";
    let finished = run_with_input(["decode", "--table", &table.replace("EXTRA", "")], input.as_bytes()).code(5);
    let lines = json_lines(&finished.stdout);
    assert_eq!(lines[0]["rows"], json!([{"id": 7, "at": "2024-03-10 12:34:56.5", "tags": ["a", "b"]}]));
    let message = lines[1]["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("set 'csv.field-delimiter' to ','"), "{message}");

    let dir = tempfile::tempdir().expect("a directory");
    let body =
        write(dir.path(), "body.csv", "1|2024-03-10 12:34:56|\nx|2024-03-10 12:34:56|\n3|2024-03-10 12:34:56|c\n");
    let table = table.replace("EXTRA", ", 'csv.framing' = 'lines'");
    let finished = run(["decode", "--table", &table, &body]).code(5);
    let line = &json_lines(&finished.stdout)[0];
    let ids: Vec<_> = line["rows"].as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [1, 3], "good lines around a bad one are shown");
    let error = &line["errors"][0];
    assert_eq!((&error["row"], &error["line"], &error["lineColumn"]), (&json!(1), &json!(2), &json!(1)));
    assert_eq!((&error["column"], &error["expected"]), (&json!("id"), &json!("BIGINT")));
    let table = "CREATE TABLE t (a INT) WITH ('format' = 'csv', 'csv.framings' = 'lines', 'csv.quote-character' = '')";
    run_with_input(["decode", "--table", table], b"").code(2).says(["'csv.framing'", "'csv.quote-character'"]);
}

#[test]
fn envelopes_are_opened_as_a_source_would() {
    let table = "CREATE TABLE t (`id` BIGINT) WITH ('format' = 'json', 'envelope' = 'cloudevents')";
    let events = concat!(
        r#"{"specversion": "1.0", "id": "a", "type": "t", "source": "s", "data": {"id": 7}}"#,
        "\n",
        r#"{"specversion": "1.0", "id": "b", "type": "t", "source": "s"}"#,
        "\n{\"id\": 8}\n",
    );
    let finished = run_with_input(["decode", "--table", table], events.as_bytes()).code(5);
    let lines = json_lines(&finished.stdout);
    assert_eq!((&lines[0]["rows"], &lines[1]["rows"]), (&json!([{"id": 7}]), &json!([])));
    assert!(lines[2]["errors"][0]["message"].as_str().expect("text").contains("specversion"), "{}", lines[2]);
    let pointer = b"#MNS_EXTENDED_OSS_MESSAGE_BODY#bucket:key\n";
    let finished = run_with_input(["decode", "--table", TABLE], pointer).code(5);
    assert!(finished.stdout[0].contains("pointer to an oversized message"), "{:?}", finished.stdout);
}

#[test]
fn files_are_whole_bodies_and_the_statement_may_be_one_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let body = write(dir.path(), "body.txt", "two\nlines");
    let schema = write(
        dir.path(),
        "schema.sql",
        "CREATE TABLE t (`text` STRING, `size` AS CHAR_LENGTH(`text`)) WITH ('connector' = 'mns', 'queueName' = 'q', 'format' = 'raw');",
    );
    let finished = run(["decode", "--table", &format!("@{schema}"), &body]).code(0).says(["column `size`"]);
    assert_eq!(json_lines(&finished.stdout), [json!({"input": body, "rows": [{"text": "two\nlines"}]})]);
}

#[test]
fn oss_events_are_flattened() {
    let table = "CREATE TABLE t (`eventName` STRING, `ossObjectKey` STRING, `eventTime` TIMESTAMP(3))
        WITH ('format' = 'json', 'messageType' = 'OSS')";
    let event = r#"{"events": [{"eventName": "ObjectCreated:PutObject", "eventTime": "2026-11-20T08:00:00.000Z",
        "oss": {"object": {"key": "a+b %2F"}}}]}"#;
    let finished = run_with_input(["decode", "--table", table], event.replace('\n', " ").as_bytes()).code(0);
    let row =
        json!({"eventName": "ObjectCreated:PutObject", "ossObjectKey": "a+b %2F", "eventTime": "2026-11-20 08:00:00"});
    assert_eq!(json_lines(&finished.stdout)[0]["rows"], json!([row]));
    for (wrong, says) in
        [("'messageType' = 'OSS', 'ossEvents' = 'some'", "first or all"), ("'messageType' = 'OSS', 'x' = 'y'", "`nme`")]
    {
        let table = format!("CREATE TABLE t (nme STRING) WITH ('format' = 'json', {wrong})");
        run_with_input(["decode", "--table", &table], b"").code(2).says([says]);
    }
}

#[test]
fn what_is_wrong_with_the_table_is_said_all_at_once() {
    let table = "CREATE TABLE t (a INT) WITH ('format' = 'json', 'json.ignore-parse-error' = 'true', 'json.fail-on-missing-field' = 'maybe')";
    run_with_input(["decode", "--table", table], b"").code(2).says(["'json.ignore-parse-errors'", "true or false"]);
    for (table, says) in [
        ("CREATE TABLE t (a INT)", "`format` is missing"),
        ("CREATE TABLE t (a INT) WITH ('format' = 'jsom')", "did you mean 'json'"),
        ("CREATE TABLE t (a INT) WITH ('format' = 'canal-json')", "not built into this release"),
        ("CREATE TABLE t (a INTEGR) WITH ('format' = 'json')", "line 1"),
        ("CREATE TABLE t (a INT) WITH ('format' = 'json', 'messageEncoding' = 'rot13')", "auto, base64 or raw"),
        ("CREATE TABLE t (a INT) WITH ('format' = 'json', 'envelope' = 'paper')", "topic-xml"),
        ("SELECT 1", "line 1"),
        ("", "one CREATE TABLE"),
        ("@/no/such/file", "/no/such/file"),
    ] {
        run_with_input(["decode", "--table", table], b"").code(2).says([says]);
    }
    run(["decode"]).code(2).says(["--table"]);
}

#[test]
fn cases_are_answered_in_one_object() {
    let dir = tempfile::tempdir().expect("a directory");
    let cases = json!([
        {"id": "rows", "group": "g", "format": "json", "columns": "d DOUBLE, m MAP<STRING, INT>, b BYTES", "options": {},
         "body_base64": "eyJkIjogMC4xLCAibSI6IHsieiI6IDEsICJhIjogMn0sICJiIjogIkFRST0ifQ=="},
        {"id": "bad body", "format": "json", "columns": "a INT", "options": {}, "body_base64": "ew=="},
        {"id": "bad option", "format": "json", "columns": "a INT", "options": {"json.zzz": "it's"}, "body_base64": "e30="},
        {"id": "bad columns", "format": "json", "columns": "a", "options": {}, "body_base64": "e30="},
        {"id": "no body", "format": "raw", "columns": "a STRING", "options": {}, "body_base64": null},
        {"id": "skipped", "format": "json", "columns": "a INT", "options": {"json.ignore-parse-errors": "true"}, "body_base64": "ew=="},
        {"id": "not built", "format": "protobuf", "columns": "a INT", "options": {}, "body_base64": "AA=="},
    ]);
    let cases = write(dir.path(), "cases.json", &cases.to_string());
    let answers: Value =
        serde_json::from_str(&run(["decode", "--cases", &cases]).code(0).stdout.join("\n")).expect("JSON");
    assert_eq!(answers["rows"], json!({"rows": [{"d": "0.1", "m": [["a", 2], ["z", 1]], "b": "AQI="}]}));
    for id in ["bad body", "bad option", "bad columns"] {
        assert!(answers[id]["error"].is_string(), "{id}: {answers}");
    }
    assert_eq!(answers["no body"], json!({"rows": [{"a": null}]}));
    assert_eq!(answers["skipped"], json!({"rows": []}));
    assert!(answers["not built"]["unsupported"].is_string());
    let broken = write(dir.path(), "broken.json", "{}");
    run(["decode", "--cases", &broken]).code(2).says(["no list of cases"]);
}

#[test]
fn avro_bodies_are_bytes_and_their_schema_may_be_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"extra","type":"long"},{"name":"id","type":"int"}]}"#;
    let path = write(dir.path(), "schema.avsc", schema);
    let table = format!("CREATE TABLE t (id BIGINT) WITH ('format' = 'avro', 'avro.schema' = 'file:{path}')");
    // The bytes 06 0E in base64.
    let finished = run_with_input(["decode", "--table", &table], b"Bg4=\n").code(0);
    assert_eq!(json_lines(&finished.stdout)[0]["rows"], json!([{"id": 7}]));
    let missing = table.replace(".avsc", ".none");
    run_with_input(["decode", "--table", &missing], b"").code(2).says([
        "`avro.schema`",
        "schema.none",
        "cannot be read",
    ]);
}

/// What decode suggests for one body.
fn suggestions(columns: &str, options: &str, body: &[u8]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("body");
    std::fs::write(&path, body).expect("a file");
    let table = format!("CREATE TABLE t ({columns}) WITH ({options})");
    let finished = run(["decode", "--table", &table, path.to_str().expect("a path")]);
    let line: Value = serde_json::from_str(&finished.stdout[0]).expect("JSON");
    assert_eq!(line["errors"].is_array(), finished.code == Some(5), "{line}");
    line["suggestions"].as_array().into_iter().flatten().map(|s| s.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn a_body_that_does_not_decode_gets_the_change_with_which_it_does() {
    for (columns, options, body, part) in [
        ("a INT", "'format' = 'json', 'messageEncoding' = 'raw'", "eyJhIjoxfQ==", "'messageEncoding' to 'base64'"),
        ("a INT", "'format' = 'json', 'messageEncoding' = 'base64'", r#"{"a": 1}"#, "'messageEncoding' to 'raw'"),
        (
            "t TIMESTAMP(3)",
            "'format' = 'json'",
            r#"{"t": "2026-11-20T08:00:00"}"#,
            "'json.timestamp-format.standard' = 'ISO-8601'",
        ),
        (
            "t TIMESTAMP(3)",
            "'format' = 'json'",
            r#"{"t": "2026-11-20T08:00:00Z"}"#,
            "`t` as TIMESTAMP_LTZ(3) and 'json.timestamp-format.standard' = 'ISO-8601'",
        ),
        ("t TIMESTAMP(3)", "'format' = 'json'", r#"{"t": "2026-11-20 08:00:00Z"}"#, "`t` as TIMESTAMP_LTZ(3)"),
        ("a INT", "'format' = 'json'", r#"{"a": "seven"}"#, "`a` as STRING"),
        ("a INT, b STRING", "'format' = 'csv'", "1;x", "'csv.field-delimiter' = ';'"),
        ("a INT, b STRING", "'format' = 'csv'", ",x", "'csv.null-literal' = ''"),
        ("a INT, b STRING", "'format' = 'json'", "1,x", "looks like csv"),
        ("a INT, b STRING", "'format' = 'csv'", r#"{"a": 1}"#, "looks like json"),
        ("a INT", "'format' = 'json'", r#"{"a": 1"#, "'json.ignore-parse-errors' = 'true'"),
        ("userid BIGINT, x INT", "'format' = 'json'", r#"{"userId": 1}"#, "the body has `userId`, the table `userid`"),
        ("x INT", "'format' = 'json'", r#"{"y": 1, "z": 2}"#, "no column matched: the body has `y`, `z`"),
    ] {
        let found = suggestions(columns, options, body.as_bytes());
        assert!(found.first().is_some_and(|way| way.contains(part)), "{body}: {found:?} and not {part}");
    }
    assert!(suggestions("a INT", "'format' = 'json'", br#"{"a": null}"#).is_empty(), "null is what was sent");
    assert!(suggestions("a INT", "'format' = 'json'", br#"{"a": 1}"#).is_empty());
}

#[test]
fn an_error_shows_what_stands_there() {
    let table = "CREATE TABLE t (a INT) WITH ('format' = 'json')";
    let finished = run_with_input(["decode", "--table", table], "{\"a\": \"sëven\"}\n".as_bytes()).code(5);
    let line = &json_lines(&finished.stdout)[0];
    assert_eq!(line["errors"][0]["excerpt"], json!(r#"{\"a\": \"s\xc3\xabven\"}"#));
}
