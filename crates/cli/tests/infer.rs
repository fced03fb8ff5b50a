//! `headwater infer`: samples to a statement that decodes them.

mod support;

use serde_json::Value;
use support::{run, run_with_input, write};

/// The statement for these lines, which must decode them.
fn inferred(args: &[&str], input: &str) -> String {
    let finished = run_with_input([&["infer"], args].concat(), input.as_bytes()).code(0);
    let statement = finished.stdout.join("\n");
    let rows = run_with_input(["decode", "--table", &statement], input.as_bytes()).code(0);
    assert_eq!(rows.stdout.len(), input.lines().filter(|line| !line.is_empty()).count(), "{statement}");
    statement
}

#[test]
fn lines_become_a_statement_ready_to_use() {
    let input = "{\"userId\": 7, \"it's\": \"2026-11-20T08:00:00Z\", \"`\": [{\"a\": 1.5}]}\n\n{\"userId\": null, \"late\": true}\n";
    assert_eq!(
        inferred(&["--name", "user's orders"], input),
        "CREATE TABLE `user's orders` (\n    `userId` BIGINT,\n    `it's` TIMESTAMP_LTZ(3),\n    ```` ARRAY<ROW<`a` DOUBLE>>,\n    \
         `late` BOOLEAN\n) WITH (\n    'connector' = 'mns',\n    'endpoint' = 'http://ACCOUNT.mns.REGION.aliyuncs.com',\n    \
         'queueName' = 'user''s orders',\n    'format' = 'json',\n    'json.timestamp-format.standard' = 'ISO-8601'\n);"
    );
    let encoded = inferred(&[], "eyJpZCI6IDl9\n");
    assert!(encoded.contains("'messageEncoding' = 'base64'"), "{encoded}");
    let csv = inferred(&[], "1;a\n2;b\n");
    assert!(csv.contains("`f0` BIGINT,\n    `f1` STRING") && csv.contains("'csv.field-delimiter' = ';'"), "{csv}");
    assert!(inferred(&[], "1\ta\n").contains("'csv.field-delimiter' = '\\t'"));
    assert!(inferred(&["--format", "raw"], "{}\n").contains("`body` STRING"));
}

#[test]
fn what_was_decided_is_said_beside_the_statement() {
    let finished = run_with_input(["infer"], b"{\"a\": 1, \"b\": null}\n{\"a\": \"x\"}\n").code(0);
    let finished = finished.says(["column `a` is STRING: the samples have values of several kinds", "only null there"]);
    assert!(finished.stdout[0].starts_with("CREATE TABLE"));
}

#[test]
fn a_header_names_the_columns_of_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(dir.path(), "people.csv", "id,born\n1,1999-12-31\n2,2000-01-01\n");
    let statement = run(["infer", "--header", &file]).code(0).says(["no option to skip it"]).stdout.join("\n");
    assert!(statement.contains("`id` BIGINT,\n    `born` DATE"), "{statement}");
    assert!(statement.contains("'csv.framing' = 'lines'"), "{statement}");
}

#[test]
fn what_cannot_be_inferred_says_which_sample_and_why() {
    run_with_input(["infer"], b"{\"a\": 1}\n\n{\"a\": 1\n").code(5).says(["line 3", "this is no JSON"]);
    run_with_input(["infer"], b"").code(5).says(["no sample"]);
    run_with_input(["infer"], b"\xC3\x01abcdefgh\x00\n").code(5).says(["avro.schema"]);
    run_with_input(["infer", "--format", "jsom"], b"x\n").code(2).says(["did you mean 'json'"]);
}

#[test]
fn decode_takes_the_table_from_the_bodies() {
    let finished = run_with_input(["decode", "--infer"], b"{\"a\": 1}\n{\"b\": [2]}\n").code(0).says(["CREATE TABLE"]);
    let rows: Vec<Value> = finished.stdout.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows[1]["rows"], serde_json::json!([{"a": null, "b": [2]}]));
    run(["decode", "--infer", "--table", "CREATE TABLE t (a INT) WITH ('format' = 'json')"]).code(2);
}
