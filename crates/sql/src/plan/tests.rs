//! Whole scripts: what is planned, what is refused, and what rows come out.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use headwater_core::{
    Batch, Connectors, Delivery, JobContext, OptionError, OptionErrors, Plan, Processed, Sink, SinkCheck, SinkError,
    SinkFactory, SinkRequest, Source, SourceCheck, SourceError, SourceFactory, SourceRequest, WallMs,
};
use headwater_formats::RowType;

use super::*;
use crate::error::Position;
use crate::variables::{MapVariables, NoVariables};

/// A source connector that knows two options.
#[derive(Debug)]
struct TestSource;

#[async_trait]
impl SourceFactory for TestSource {
    fn connector(&self) -> &'static str {
        "mns"
    }

    fn check(&self, request: &SourceRequest) -> Result<SourceCheck, OptionErrors> {
        const KNOWN: [&str; 9] = [
            "endpoint",
            "region",
            "queueName",
            "accessKeyId",
            "accessKeySecret",
            "format",
            "messageType",
            "pollers",
            "note",
        ];
        let unknown = request.options.iter().filter(|(name, _)| !KNOWN.contains(name));
        let mut errors: Vec<OptionError> = unknown.map(|(name, _)| OptionError::unknown(name, KNOWN)).collect();
        errors.extend(
            request
                .metadata
                .iter()
                .filter(|m| m.key != "message-id")
                .map(|m| OptionError::new(m.name.clone(), format!("asks for the unknown metadata key '{}'", m.key))),
        );
        let wrong = request.options.get("pollers").filter(|given| given.parse::<u8>().is_err());
        errors.extend(wrong.map(|given| OptionError::new("pollers", format!("is `{given}`: it takes a number"))));
        if !errors.is_empty() {
            return Err(OptionErrors(errors));
        }
        let identity = request.options.get("queueName").unwrap_or(&request.table).to_owned();
        let notices = request.options.get("note").map(str::to_owned).into_iter().collect();
        Ok(SourceCheck { identity, delivery: Delivery::ExactlyOnce, notices })
    }

    async fn create(&self, _: &SourceRequest) -> Result<Box<dyn Source>, SourceError> {
        unreachable!("planning opens nothing")
    }
}

/// A sink connector without options.
#[derive(Debug)]
struct TestSink(&'static str, Delivery);

#[async_trait]
impl SinkFactory for TestSink {
    fn connector(&self) -> &'static str {
        self.0
    }

    fn check(&self, request: &SinkRequest) -> Result<SinkCheck, OptionErrors> {
        let errors: Vec<OptionError> = request.options.iter().map(|(name, _)| OptionError::unknown(name, [])).collect();
        if errors.is_empty() {
            Ok(SinkCheck { delivery: self.1, guarantee: String::new(), notices: Vec::new() })
        } else {
            Err(OptionErrors(errors))
        }
    }

    async fn create(&self, _: &SinkRequest) -> Result<Box<dyn Sink>, SinkError> {
        unreachable!("planning opens nothing")
    }
}

fn connectors() -> Connectors {
    Connectors {
        sources: vec![Arc::new(TestSource)],
        sinks: vec![
            Arc::new(TestSink("print", Delivery::AtLeastOnce)),
            Arc::new(TestSink("filesystem", Delivery::ExactlyOnce)),
        ],
    }
}

fn plan(sql: &str) -> Result<PlannedJob, ScriptErrors> {
    let script = Script::parse(sql, &NoVariables)?;
    Job::plan(&script, &connectors(), &JobContext::new("test", Duration::from_secs(10)))
}

/// A source table `s` and a sink table `k` of these columns, and the statements.
fn with_tables(source: &str, sink: &str, statements: &str) -> String {
    format!(
        "CREATE TABLE s ({source}) WITH ('connector' = 'mns');\n\
         CREATE TABLE k ({sink}) WITH ('connector' = 'print');\n{statements}"
    )
}

/// JSON lines as a batch of these columns.
fn batch(columns: &RowType, json: &str) -> Batch {
    let mut decoder = arrow::json::ReaderBuilder::new(columns.to_arrow()).build_decoder().expect("a decoder");
    decoder.decode(json.as_bytes()).expect("JSON");
    let records = decoder.flush().expect("JSON").expect("rows");
    let message = headwater_core::Message::new("m", headwater_core::Handle::new("h"), bytes::Bytes::new());
    let meta = headwater_core::MessageMeta::of(&message, &Arc::from("q"), WallMs(0));
    let rows = 0..records.num_rows();
    Batch::new(records, vec![headwater_core::MessageRows { meta, rows }])
}

/// Rows as JSON lines, each behind the name of its sink.
fn show(job: &PlannedJob, processed: &Processed) -> String {
    let mut out = String::new();
    for (output, records) in &processed.rows {
        let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
        writer.write(records).expect("JSON");
        let lines = String::from_utf8(writer.into_inner()).expect("UTF-8");
        for line in lines.lines() {
            let _ = writeln!(out, "{} {line}", job.plan.outputs()[*output].sink);
        }
    }
    for bad in &processed.bad {
        let sink = &job.plan.outputs()[bad.output].sink;
        let _ = writeln!(out, "{sink} row {}: {}: {}", bad.row, bad.expression, bad.cause);
    }
    out
}

/// Plans statements over tables `s` and `k` and runs rows through them.
fn run(source: &str, sink: &str, statements: &str, json: &str) -> String {
    let mut job = plan(&with_tables(source, sink, statements)).unwrap_or_else(|e| panic!("{statements}: {e}"));
    let columns = job.sources[0].request.columns.clone();
    let processed = job.plan.process(0, &batch(&columns, json), WallMs(1_709_647_629_123)).expect("the planned schema");
    show(&job, &processed)
}

const FIRST_EXAMPLE: &str = "CREATE TEMPORARY TABLE mns_source (
    `userId` BIGINT,
    `action` STRING,
    `timestamp` TIMESTAMP(3),
    `payload` STRING
) WITH (
    'connector' = 'mns',
    'endpoint' = 'http://your-account-id.mns.cn-hangzhou.aliyuncs.com',
    'region' = 'cn-hangzhou',
    'queueName' = 'my-events-queue',
    'accessKeyId' = 'your-ak',
    'accessKeySecret' = 'your-sk',
    'format' = 'json'
);
CREATE TEMPORARY TABLE print_sink (
    `userId` BIGINT,
    `action` STRING,
    `timestamp` TIMESTAMP(3),
    `payload` STRING
) WITH (
    'connector' = 'print'
);
INSERT INTO print_sink SELECT userId, action, timestamp, payload FROM mns_source;
";

const SECOND_EXAMPLE: &str = "CREATE TEMPORARY TABLE oss_event_source (
    `eventName` STRING,
    `eventSource` STRING,
    `eventTime` TIMESTAMP(3),
    `region` STRING,
    `ossBucketName` STRING,
    `ossObjectKey` STRING,
    `ossObjectSize` BIGINT,
    `responseElementsRequestId` STRING,
    `userIdentityPrincipalId` STRING
) WITH (
    'connector' = 'mns',
    'endpoint' = 'http://123456789.mns.cn-hangzhou.aliyuncs.com',
    'region' = 'cn-hangzhou',
    'queueName' = 'oss-events-queue',
    'accessKeyId' = '${secret_values.ak_id}',
    'accessKeySecret' = '${secret_values.ak_secret}',
    'format' = 'json',
    'messageType' = 'OSS'
);
CREATE TEMPORARY TABLE print_sink (
    `eventName` STRING,
    `ossBucketName` STRING,
    `ossObjectKey` STRING,
    `ossObjectSize` BIGINT,
    `eventTime` TIMESTAMP(3)
) WITH (
    'connector' = 'print'
);
INSERT INTO print_sink
SELECT eventName, ossBucketName, ossObjectKey, ossObjectSize, eventTime
FROM oss_event_source
WHERE eventName LIKE 'ObjectCreated:%';
";

#[test]
fn the_first_example_runs_as_it_stands() {
    let mut job = plan(FIRST_EXAMPLE).expect("the example");
    assert!(job.notices.is_empty(), "{:?}", job.notices);
    assert_eq!(job.sources[0].request.options.get("queueName"), Some("my-events-queue"));
    assert_eq!(job.sources[0].request.options.get("connector"), None);
    assert_eq!(job.delivery(), Delivery::AtLeastOnce);
    let columns = job.sources[0].request.columns.clone();
    let json = r#"{"userId": 7, "action": "click", "timestamp": "2024-03-05T14:07:09.123", "payload": "x"}
                  {"userId": 8}"#;
    let processed = job.plan.process(0, &batch(&columns, json), WallMs(0)).expect("rows");
    assert_eq!(
        show(&job, &processed),
        "print_sink {\"userId\":7,\"action\":\"click\",\"timestamp\":\"2024-03-05T14:07:09.123\",\"payload\":\"x\"}\n\
         print_sink {\"userId\":8}\n"
    );
}

#[test]
fn the_second_example_runs_as_it_stands() {
    let variables: MapVariables =
        [("secret_values.ak_id", "id"), ("secret_values.ak_secret", "hush")].into_iter().collect();
    let script = Script::parse(SECOND_EXAMPLE, &variables).expect("the example");
    let mut job =
        Job::plan(&script, &connectors(), &JobContext::new("t", Duration::from_secs(1))).expect("the example");
    assert_eq!(job.sources[0].request.options.get("accessKeySecret"), Some("hush"));
    assert!(!format!("{job:?}").contains("hush"));
    let columns = job.sources[0].request.columns.clone();
    let json = r#"{"eventName": "ObjectCreated:PutObject", "ossObjectKey": "a/b", "ossObjectSize": 5}
                  {"eventName": "ObjectRemoved:DeleteObject"}
                  {"eventName": null}"#;
    let processed = job.plan.process(0, &batch(&columns, json), WallMs(0)).expect("rows");
    assert_eq!(
        show(&job, &processed),
        "print_sink {\"eventName\":\"ObjectCreated:PutObject\",\"ossObjectKey\":\"a/b\",\"ossObjectSize\":5}\n"
    );
    let errors = Script::parse(SECOND_EXAMPLE, &NoVariables).expect_err("two secrets are missing");
    assert_eq!(errors.errors().len(), 2);
    assert!(errors.to_string().contains("`${secret_values.ak_id}` has no value"), "{errors}");
}

#[test]
fn a_wrong_value_is_quoted_unless_it_came_from_a_variable() {
    let variables: MapVariables = [("secret_values.k", "Hush-h0sh"), ("plain", "xyz")].into_iter().collect();
    let script = |pollers: &str, settings: &str| {
        format!(
            "{settings} CREATE TABLE s (a INT) WITH ('connector' = 'mns', 'note' = '${{plain}}', 'pollers' = '{pollers}'); \
             CREATE TABLE k (a INT) WITH ('connector' = 'print'); INSERT INTO k SELECT a FROM s"
        )
    };
    let said = |sql: &str| {
        let planned = Script::parse(sql, &variables)
            .and_then(|script| Job::plan(&script, &connectors(), &JobContext::new("t", Duration::from_secs(1))));
        let error = planned.expect_err("a wrong value");
        assert!(std::error::Error::source(&error).is_none(), "what is below is not looked at here");
        format!("{error} {error:?} {error:#?}")
    };
    let quoted = |text: &str, value: &str| text.to_lowercase().contains(value);
    for (value, literal) in [("${secret_values.k}", "Hush-h0sh"), ("a ${plain} b", "a xyz b"), ("7${plain}", "7xyz")] {
        assert!(quoted(&said(&script(literal, "")), &format!("is `{}`", literal.to_lowercase())));
        let text = said(&script(value, ""));
        assert!(text.contains("`pollers` is `***`: it takes a number"), "{text}");
        assert!(!quoted(&text, "hush") && !quoted(&text, "xyz"), "{text}");
        for setting in ["delivery", "execution.checkpointing.interval", "table.local-time-zone"] {
            let text = said(&script("1", &format!("SET '{setting}' = '{value}';")));
            assert!(text.contains(&format!("SET '{setting}': ")), "{text}");
            assert!(!quoted(&text, "hush") && !quoted(&text, "xyz"), "{text}");
        }
    }
    assert!(quoted(&said(&script("1", "SET 'delivery' = 'twice';")), "`twice`"));
    assert!(quoted(&said(&script("1", "SET 'execution.checkpointing.interval' = '7xyz';")), "`xyz`"));
}

/// Statements over `s (a INT, b STRING, c DOUBLE)` and `k (x BIGINT, y STRING)`, and what becomes of three rows.
const RUNS: &[(&str, &str)] = &[
    ("INSERT INTO k SELECT a, b FROM s", "k {\"x\":1,\"y\":\"p\"}\nk {\"x\":2,\"y\":\"q\"}\nk {\"x\":3}\n"),
    ("INSERT INTO k SELECT a + 1, UPPER(b) FROM s WHERE a < 3 AND b <> 'p'", "k {\"x\":3,\"y\":\"Q\"}\n"),
    ("INSERT INTO k (y) SELECT b FROM s WHERE a = 1", "k {\"y\":\"p\"}\n"),
    ("INSERT INTO k (y, x) SELECT b, a FROM s WHERE a = 1", "k {\"x\":1,\"y\":\"p\"}\n"),
    ("INSERT INTO k SELECT NULL, 'c' FROM s WHERE a = 1", "k {\"y\":\"c\"}\n"),
    ("INSERT INTO k SELECT t.a, t.b FROM s AS t WHERE t.a = 1", "k {\"x\":1,\"y\":\"p\"}\n"),
    ("INSERT INTO k SELECT n, m FROM s AS t (n, m, o) WHERE n = 2", "k {\"x\":2,\"y\":\"q\"}\n"),
    (
        "INSERT INTO k SELECT d, b FROM (SELECT a * 2 AS d, b FROM s WHERE a > 1) WHERE d < 6",
        "k {\"x\":4,\"y\":\"q\"}\n",
    ),
    ("INSERT INTO k WITH w AS (SELECT a, b FROM s WHERE a = 1) SELECT * FROM w", "k {\"x\":1,\"y\":\"p\"}\n"),
    (
        "INSERT INTO k SELECT a, b FROM s WHERE a = 1 UNION ALL SELECT c, 'u' FROM (SELECT CAST(c AS INT) AS c FROM s) WHERE c = 2",
        "k {\"x\":1,\"y\":\"p\"}\nk {\"x\":2,\"y\":\"u\"}\n",
    ),
    (
        "CREATE VIEW v AS SELECT a AS id, b || '!' AS name FROM s;
         CREATE VIEW w (i, n) AS SELECT id + 10, name FROM v WHERE id < 3;
         INSERT INTO k SELECT i, n FROM w WHERE n LIKE 'q%'",
        "k {\"x\":12,\"y\":\"q!\"}\n",
    ),
    (
        "CREATE VIEW v AS SELECT a, a + 1, b FROM s; INSERT INTO k SELECT EXPR$1, b FROM v WHERE a = 1",
        "k {\"x\":2,\"y\":\"p\"}\n",
    ),
    ("INSERT INTO k SELECT a, b FROM s WHERE FALSE", ""),
    ("INSERT INTO k SELECT a, DATE_FORMAT(NOW(), 'HH:mm') FROM s WHERE a = 1", "k {\"x\":1,\"y\":\"14:07\"}\n"),
    (
        "SET 'table.local-time-zone' = 'Asia/Shanghai';
         INSERT INTO k SELECT a, DATE_FORMAT(NOW(), 'HH:mm') FROM s WHERE a = 1",
        "k {\"x\":1,\"y\":\"22:07\"}\n",
    ),
    (
        "BEGIN STATEMENT SET; INSERT INTO k SELECT a, b FROM s WHERE a = 1;
         INSERT INTO k2 SELECT b FROM s WHERE a = 2; END",
        "k {\"x\":1,\"y\":\"p\"}\nk2 {\"z\":\"q\"}\n",
    ),
];

#[test]
fn queries_give_their_rows() {
    let json = "{\"a\": 1, \"b\": \"p\", \"c\": 0.5}\n{\"a\": 2, \"b\": \"q\", \"c\": 2.5}\n{\"a\": 3}";
    let second = "CREATE TABLE k2 (z STRING) WITH ('connector' = 'filesystem');";
    for (statements, expected) in RUNS {
        let statements = format!("{second}{statements}");
        assert_eq!(
            run("a INT, b STRING, c DOUBLE", "x BIGINT, y STRING", &statements, json),
            *expected,
            "{statements}"
        );
    }
}

#[test]
fn computed_and_metadata_columns_are_columns() {
    let sql = "CREATE TABLE s (
            a INT, id STRING METADATA FROM 'message-id' VIRTUAL, twice AS a * 2, b STRING, tag AS id || '/' || b
        ) WITH ('connector' = 'mns');
        CREATE TABLE k (a INT, id STRING, twice INT, b STRING, tag STRING, extra AS a + 1, v STRING METADATA VIRTUAL)
        WITH ('connector' = 'print');
        INSERT INTO k SELECT * FROM s";
    let mut job = plan(sql).expect("planned");
    let request = &job.sources[0].request;
    assert_eq!(request.columns.to_string(), "`a` INT, `b` STRING");
    assert_eq!(request.metadata[0].key, "message-id");
    assert_eq!(job.sinks[0].request.columns.fields().len(), 5);
    let columns = "a INT, b STRING, id STRING".parse().expect("a row type");
    let processed =
        job.plan.process(0, &batch(&columns, r#"{"a": 1, "b": "x", "id": "m1"}"#), WallMs(0)).expect("rows");
    assert_eq!(show(&job, &processed), "k {\"a\":1,\"id\":\"m1\",\"twice\":2,\"b\":\"x\",\"tag\":\"m1/x\"}\n");
}

#[test]
fn rows_that_fail_are_found_and_the_others_go_on() {
    let json = "{\"a\": \"1\"}\n{\"a\": \"x\"}\n{\"a\": \"3\"}\n{\"a\": \"\"}\n{}";
    assert_eq!(
        run("a STRING", "x INT", "INSERT INTO k SELECT CAST(a AS INT) FROM s", json),
        "k {\"x\":1}\nk {\"x\":3}\nk {}\n\
         k row 1: CAST(a AS INT): the text is not a whole number that fits\n\
         k row 3: CAST(a AS INT): the text is not a whole number that fits\n"
    );
    // A row that a filter leaves out does not fail behind it, and neither does a column that no one asks for.
    let guarded = "CREATE VIEW v AS SELECT CAST(a AS INT) AS n, a FROM s;
                   INSERT INTO k SELECT CASE WHEN a = 'x' THEN -1 ELSE CAST(a AS INT) END FROM v WHERE a <> ''";
    assert_eq!(run("a STRING", "x INT", guarded, json), "k {\"x\":1}\nk {\"x\":-1}\nk {\"x\":3}\n");
    let lazy = "INSERT INTO k SELECT 100 / a FROM s WHERE a <> 0 AND 10 / a > 2";
    assert_eq!(run("a INT", "x INT", lazy, "{\"a\": 0}\n{\"a\": 2}\n{\"a\": 9}"), "k {\"x\":50}\n");
    let not_null = run("a INT", "x INT NOT NULL", "INSERT INTO k SELECT a FROM s", "{\"a\": 1}\n{}");
    assert_eq!(not_null, "k {\"x\":1}\nk row 1: `x` of `k` from a: NULL for a column that is NOT NULL\n");
    let nested = run(
        "a ARRAY<STRING>",
        "x ARRAY<INT>",
        "INSERT INTO k SELECT CAST(a AS ARRAY<INT>) FROM s",
        "{\"a\": [\"1\"]}\n{\"a\": [\"x\"]}\n{\"a\": [\"2\", null]}",
    );
    assert!(nested.starts_with("k {\"x\":[1]}\nk {\"x\":[2,null]}\nk row 1: "), "{nested}");
}

#[test]
fn a_source_is_read_once_and_each_insert_gets_its_batches() {
    let sql = "CREATE TABLE s (a INT) WITH ('connector' = 'mns');
        CREATE TABLE r (b STRING) WITH ('connector' = 'mns');
        CREATE TABLE k (x INT) WITH ('connector' = 'print');
        CREATE TABLE f (y STRING) WITH ('connector' = 'filesystem');
        INSERT INTO k SELECT a FROM s;
        INSERT INTO f SELECT CAST(a AS STRING) FROM s UNION ALL SELECT b FROM r;
        INSERT INTO k SELECT a * 10 FROM s";
    let mut job = plan(sql).expect("planned");
    let names: Vec<&str> = job.sources.iter().map(|s| s.request.table.as_str()).collect();
    assert_eq!(names, ["s", "r"]);
    assert_eq!(job.sinks.len(), 2);
    let first = job.plan.process(0, &batch(&"a INT".parse().expect("row"), "{\"a\": 1}"), WallMs(0)).expect("rows");
    assert_eq!(show(&job, &first), "k {\"x\":1}\nf {\"y\":\"1\"}\nk {\"x\":10}\n");
    let second =
        job.plan.process(1, &batch(&"b STRING".parse().expect("row"), "{\"b\": \"z\"}"), WallMs(0)).expect("rows");
    assert_eq!(show(&job, &second), "f {\"y\":\"z\"}\n");
    let wrong =
        job.plan.process(1, &batch(&"b INT".parse().expect("row"), "{\"b\": 1}"), WallMs(0)).expect_err("a type");
    assert!(wrong.to_string().contains("the source of `r` gives (b Int32), planned was (Utf8)"), "{wrong}");
    assert!(job.plan.process(2, &batch(&"b INT".parse().expect("row"), "{\"b\": 1}"), WallMs(0)).is_err());
}

#[test]
fn every_batch_gives_its_rows_at_once() {
    let mut job = plan(&with_tables("a INT", "x INT", "INSERT INTO k SELECT a FROM s WHERE a > 0")).expect("planned");
    let columns = job.sources[0].request.columns.clone();
    for a in 1..=20 {
        let processed = job.plan.process(0, &batch(&columns, &format!("{{\"a\": {a}}}")), WallMs(0)).expect("rows");
        assert_eq!(processed.rows.iter().map(|(_, r): &(usize, RecordBatch)| r.num_rows()).sum::<usize>(), 1);
    }
}

/// Scripts over `s (userId BIGINT, b STRING, arr ARRAY<STRING>)` and `k (x BIGINT, y STRING)` from line 3 on: where they
/// are refused, and a part of the sentence.
const REFUSED: &[(&str, u64, u64, &str)] = &[
    ("INSERT INTO k SELECT userid, b FROM s", 3, 22, "there is no column `userid` in `s`. Did you mean `userId`?"),
    ("INSERT INTO k SELECT zzz, b FROM s", 3, 22, "The columns are userId, b, arr"),
    ("INSERT INTO k SELECT userId, b FROM t", 3, 37, "there is no table or view `t`"),
    ("INSERT INTO kk SELECT userId, b FROM s", 3, 13, "there is no table or view `kk`"),
    ("INSERT INTO k SELECT userId, b FROM db.s", 3, 37, "no catalogs or databases"),
    ("INSERT INTO k SELECT userId, b FROM s GROUP BY userId, b", 3, 48, "GROUP BY collects rows"),
    ("INSERT INTO k SELECT COUNT(*), b FROM s", 3, 22, "COUNT needs more than one row"),
    ("INSERT INTO k SELECT DISTINCT userId, b FROM s", 3, 15, "DISTINCT needs every row"),
    ("INSERT INTO k SELECT userId, b FROM s ORDER BY b", 3, 48, "ORDER BY waits for the last row"),
    ("INSERT INTO k SELECT userId, b FROM s LIMIT 5", 3, 45, "LIMIT and OFFSET count rows"),
    ("INSERT INTO k SELECT userId, b FROM s FETCH FIRST 5 ROWS ONLY", 3, 1, "FETCH counts rows"),
    ("INSERT INTO k SELECT userId, b FROM s HAVING TRUE", 3, 46, "use WHERE"),
    (
        "INSERT INTO k SELECT s.userId, r.b FROM s JOIN r ON s.userId = r.userId",
        3,
        48,
        "a join needs rows of other messages",
    ),
    ("INSERT INTO k SELECT userId, b FROM s, r", 3, 40, "several tables in FROM are a join"),
    ("INSERT INTO k SELECT userId, u FROM s CROSS JOIN UNNEST(arr) AS t (u)", 3, 57, "UNNEST makes several rows"),
    ("INSERT INTO k SELECT userId, (SELECT b FROM s) FROM s", 3, 31, "a subquery looks at rows"),
    ("INSERT INTO k SELECT userId, b FROM s WHERE b IN (SELECT b FROM s)", 3, 45, "a subquery looks at rows"),
    ("INSERT INTO k SELECT userId, MAX(b) OVER (ORDER BY b) FROM s", 3, 30, "OVER (…) looks at other rows"),
    ("INSERT INTO k SELECT userId, b FROM s UNION SELECT userId, b FROM s", 3, 45, "use UNION ALL"),
    ("INSERT INTO k SELECT userId, b FROM s EXCEPT SELECT userId, b FROM s", 3, 46, "only UNION ALL"),
    ("INSERT INTO k SELECT userId FROM s UNION ALL SELECT userId, b FROM s", 3, 46, "1 and 2 columns"),
    (
        "INSERT INTO k SELECT userId, b FROM s UNION ALL SELECT b, b FROM s",
        3,
        49,
        "column 1 of UNION ALL is BIGINT and STRING",
    ),
    ("INSERT INTO k VALUES (1, 'a')", 3, 1, "VALUES are rows without a stream"),
    ("INSERT INTO k SELECT 1, 'a'", 3, 15, "a SELECT without FROM is one row"),
    (
        "INSERT INTO k SELECT a, b FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(t), INTERVAL '1' MINUTE))",
        3,
        32,
        "windows collect rows",
    ),
    ("INSERT INTO k SELECT userId, b FROM s FOR SYSTEM_TIME AS OF userId", 3, 43, "SYSTEM_TIME"),
    ("INSERT INTO k SELECT x.* FROM s", 3, 24, "there is no table `x`"),
    ("INSERT INTO k SELECT userId FROM s", 3, 1, "the query has 1 columns (userId), `k` takes 2 (x, y)"),
    ("INSERT INTO k (x, z) SELECT userId, b FROM s", 3, 19, "`k` has no column `z`"),
    ("INSERT INTO k (x, x) SELECT userId, b FROM s", 3, 19, "named twice"),
    ("INSERT INTO k SELECT b, b FROM s", 3, 1, "column 1 of the query (`b`, STRING) does not become BIGINT by itself"),
    ("INSERT INTO k SELECT userId, userId FROM s", 3, 1, "write CAST(userId AS STRING)"),
    ("INSERT INTO k SELECT userId, b FROM s WHERE b", 3, 45, "a condition is BOOLEAN, this is STRING"),
    ("INSERT INTO k SELECT userId, b FROM s AS t (a)", 3, 45, "1 names are given to 3 columns"),
    ("INSERT INTO k SELECT d, b FROM (SELECT userId AS d, b, b FROM s)", 3, 25, "several columns `b`"),
    ("INSERT INTO s SELECT x, y, arr FROM k", 3, 37, "`k` cannot be read"),
    ("INSERT INTO s SELECT userId, b, arr FROM s", 3, 13, "is read in line 3 and written here"),
    (
        "INSERT INTO s SELECT userId, b, arr FROM r",
        3,
        13,
        "`s` cannot be written: its connector is 'mns'; those that can are print, filesystem",
    ),
    ("INSERT INTO k2 SELECT x, y FROM k", 3, 33, "`k` cannot be read: its connector is 'print'"),
    ("CREATE VIEW k AS SELECT 1 FROM s", 3, 13, "`k` exists already"),
    ("DROP VIEW s", 3, 11, "`s` is no view"),
    ("DROP TABLE nothing", 3, 12, "there is no table or view `nothing`"),
    ("CREATE VIEW v AS SELECT userId, b FROM s; INSERT INTO v SELECT userId, b FROM s", 3, 55, "`v` is a view"),
    ("DROP TABLE s; INSERT INTO k SELECT userId, b FROM s", 3, 51, "there is no table or view `s`"),
    ("CREATE VIEW v AS SELECT 1 AS a FROM s", 1, 1, "no INSERT INTO"),
    ("CREATE TABLE c (a INT, d AS a + nope) WITH ('connector' = 'mns')", 3, 33, "there is no column `nope`"),
    (
        "CREATE TABLE c (a INT) WITH ('connector' = 'mnss'); INSERT INTO k SELECT a, 'x' FROM c",
        3,
        30,
        "Did you mean 'mns'?",
    ),
    ("CREATE TABLE c (a INT); INSERT INTO k SELECT a, 'x' FROM c", 3, 14, "has no option 'connector'"),
    (
        "CREATE TABLE c (a INT) WITH ('connector' = 'mns', 'queue' = 'x'); INSERT INTO k SELECT a, 'x' FROM c",
        3,
        51,
        "table `c`: `queue` is no option",
    ),
    (
        "CREATE TABLE c (a INT METADATA FROM 'age') WITH ('connector' = 'mns'); INSERT INTO k SELECT a, 'x' FROM c",
        3,
        17,
        "metadata key 'age'",
    ),
    (
        "CREATE TABLE c (a INT, m STRING METADATA) WITH ('connector' = 'print'); INSERT INTO c SELECT userId FROM s",
        3,
        73,
        "does not become INT",
    ),
    (
        "CREATE TABLE c (a BIGINT, m STRING METADATA) WITH ('connector' = 'print'); INSERT INTO c SELECT userId FROM s",
        3,
        27,
        "no metadata to write",
    ),
    (
        "CREATE TABLE c (a BIGINT, b INT NOT NULL) WITH ('connector' = 'print'); INSERT INTO c (a) SELECT userId FROM s",
        3,
        73,
        "is NOT NULL and must be given",
    ),
    (
        "SET 'delivery' = 'exactly-once'; INSERT INTO k SELECT userId, b FROM s",
        3,
        5,
        "cannot be exactly-once: `k` is at-least-once",
    ),
];

#[test]
fn refusals_say_where_and_why() {
    let more = "CREATE TABLE r (userId BIGINT, b STRING, arr ARRAY<STRING>) WITH ('connector' = 'mns'); \
                CREATE TABLE k2 (x BIGINT, y STRING) WITH ('connector' = 'print');";
    let mut wrong = Vec::new();
    for (statements, line, column, part) in REFUSED {
        let tables = with_tables("userId BIGINT, b STRING, arr ARRAY<STRING>", "x BIGINT, y STRING", "");
        let (tables, rest) = tables.split_at(tables.trim_end().len());
        let sql = format!("{tables} {more}{rest}{statements}");
        let Err(errors) = plan(&sql) else {
            wrong.push(format!("{statements} was accepted"));
            continue;
        };
        let wanted = Position { line: *line, column: *column };
        if !errors.errors().iter().any(|e| e.message.contains(part) && e.position == wanted) {
            wrong.push(format!("{statements}\n  wanted {wanted}: {part}\n  got {errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_of_a_script_come_at_once() {
    let sql = with_tables(
        "a INT, bad AS nope",
        "x INT",
        "CREATE VIEW v AS SELECT zzz, COUNT(*) FROM r;\n\
         INSERT INTO k SELECT a FROM s;\n\
         INSERT INTO k SELECT zzz FROM v;\n\
         INSERT INTO nowhere SELECT b, c FROM k2 WHERE d;",
    );
    let sql = format!("{sql}\nCREATE TABLE r (a INT) WITH ('connector' = 'mns');");
    let errors = plan(&sql).expect_err("four mistakes");
    let lines: Vec<u64> = errors.errors().iter().map(|e| e.position.line).collect();
    // Tables and views with a mistake do not make the statements that use them wrong.
    assert_eq!(lines, [1, 3, 6, 6], "{errors}");
}

#[test]
fn two_tables_on_one_queue_are_refused() {
    let sql = "CREATE TABLE a (x INT) WITH ('connector' = 'mns', 'queueName' = 'q');
        CREATE TABLE b (x INT) WITH ('connector' = 'mns', 'queueName' = 'q');
        CREATE TABLE k (x INT) WITH ('connector' = 'print');
        INSERT INTO k SELECT x FROM a UNION ALL SELECT x FROM b";
    let errors = plan(sql).expect_err("one queue");
    assert!(errors.to_string().contains("line 2, column 22: `b` and `a` read the same queue"), "{errors}");
    assert!(plan(&sql.replace("UNION ALL SELECT x FROM b", "UNION ALL SELECT x FROM a")).is_ok());
}

#[test]
fn what_has_no_effect_is_said_once() {
    let sql = "SET 'parallelism.default' = '4';
        CREATE TABLE s (a INT COMMENT 'c', ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (a) NOT ENFORCED)
        COMMENT 'c' PARTITIONED BY (a) WITH ('connector' = 'mns', 'note' = 'batches of 16 are cheaper');
        CREATE TABLE unused (a INT) WITH ('connector' = 'nothing');
        CREATE TABLE k (x INT PRIMARY KEY NOT ENFORCED) PARTITIONED BY (x) WITH ('connector' = 'print');
        INSERT INTO k SELECT a FROM s; INSERT INTO k SELECT a FROM s WHERE 'x' <> '${var}'";
    let job = plan(sql).expect("planned");
    let notices: Vec<String> = job.notices.iter().map(ToString::to_string).collect();
    let expected = [
        "line 1, column 5: the setting 'parallelism.default'",
        "line 2, column 22: table `s`: batches of 16",
        "line 2, column 61: table `s`: WATERMARK has no effect",
        "line 2, column 85: table `s`: PRIMARY KEY has no effect",
        "line 3, column 37: table `s`: PARTITIONED BY has no effect",
        "line 4, column 22: the table `unused` is not used",
        "line 5, column 31: PRIMARY KEY has no effect on `k`",
        "line 6, column 83: `${…}` is replaced in option and SET values only",
    ];
    assert_eq!(notices.len(), expected.len(), "{notices:#?}");
    for (notice, expected) in notices.iter().zip(expected) {
        assert!(notice.starts_with(expected), "{notice}");
    }
    assert_eq!(job.sinks[0].request.partitioned_by, ["x"]);
}

#[test]
fn delivery_is_the_least_of_the_parts() {
    let sql = "SET 'delivery' = 'exactly-once';
        CREATE TABLE s (a INT) WITH ('connector' = 'mns');
        CREATE TABLE f (x INT) WITH ('connector' = 'filesystem');
        INSERT INTO f SELECT a FROM s";
    assert_eq!(plan(sql).expect("exactly once").delivery(), Delivery::ExactlyOnce);
}

#[test]
fn long_conditions_and_deep_expressions_do_not_crash() {
    let condition = |n: usize| vec!["b LIKE 'x%'"; n].join(" OR ");
    let long = format!("INSERT INTO k SELECT a, b FROM s WHERE {}", condition(400));
    assert_eq!(run("a INT, b STRING", "x INT, y STRING", &long, "{\"b\": \"xy\"}"), "k {\"y\":\"xy\"}\n");
    let names: Vec<String> = (0..5000).map(|i| format!("'n{i}'")).collect();
    let list =
        format!("INSERT INTO k SELECT a, b FROM s WHERE b IN ({}) AND a NOT IN (1, 3000000000)", names.join(", "));
    let rows = "{\"a\": 5, \"b\": \"n42\"}\n{\"a\": 1, \"b\": \"n42\"}\n{\"a\": 5, \"b\": \"m\"}";
    assert_eq!(run("a INT, b STRING", "x INT, y STRING", &list, rows), "k {\"x\":5,\"y\":\"n42\"}\n");
    let texts = format!("INSERT INTO k SELECT a, {} FROM s", vec!["b"; 500].join(" || "));
    assert!(run("a INT, b STRING", "x INT, y STRING", &texts, "{\"b\": \"z\"}").contains(&"z".repeat(500)));
    let sum = |n: usize| format!("INSERT INTO k SELECT {}, b FROM s", vec!["a"; n].join(" + "));
    assert_eq!(run("a INT, b STRING", "x INT, y STRING", &sum(90), "{\"a\": 1}"), "k {\"x\":90}\n");
    let errors = plan(&with_tables("a INT, b STRING", "x INT, y STRING", &sum(900))).expect_err("too deep");
    assert!(errors.to_string().contains("nests deeper than 100"), "{errors}");
    let fallible = vec!["CAST(b AS INT) = 1"; 300].join(" AND ");
    let fallible = format!("INSERT INTO k SELECT a, b FROM s WHERE {fallible}");
    assert_eq!(
        run("a INT, b STRING", "x INT, y STRING", &fallible, "{\"a\": 5, \"b\": \"1\"}"),
        "k {\"x\":5,\"y\":\"1\"}\n"
    );
    let doubled = "CREATE VIEW v1 AS SELECT a, b FROM s UNION ALL SELECT a, b FROM s;".to_owned();
    let doubled = (1..9).fold(doubled, |sql, i| {
        format!("{sql} CREATE VIEW v{} AS SELECT a, b FROM v{i} UNION ALL SELECT a, b FROM v{i};", i + 1)
    });
    let errors = plan(&with_tables("a INT, b STRING", "x INT, y STRING", &doubled)).expect_err("too many branches");
    assert!(errors.to_string().contains("may unite 256 SELECTs"), "{errors}");
}
