//! What the front end takes, what it refuses, and where it says so.

use sqlparser::ast::Expr;
use sqlparser::tokenizer::Tokenizer;

use super::*;
use crate::variables::{MapVariables, NoVariables};

/// An expression alone, for the tests of other modules.
pub(crate) fn expression(text: &str) -> Result<Expr, String> {
    let dialect = FlinkDialect::default();
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(|e| e.to_string())?;
    let expr = parser.parse_expr().map_err(|e| e.to_string())?;
    match &parser.peek_token_ref().token {
        Token::EOF => Ok(expr),
        other => Err(format!("{other} is left over")),
    }
}

/// The tokens of a text, white space included.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    Tokenizer::new(&FlinkDialect::default(), text).tokenize().expect(text)
}

fn parse(text: &str) -> Result<Script, ScriptErrors> {
    Script::parse(text, &NoVariables)
}

fn columns(table: &TableDef) -> String {
    let column = |c: &ColumnDef| match &c.kind {
        ColumnKind::Physical(t) => format!("{} {t}", c.name),
        ColumnKind::Metadata { data_type, key, is_virtual } => {
            format!("{} {data_type} FROM {key}{}", c.name, if *is_virtual { " VIRTUAL" } else { "" })
        }
        ColumnKind::Computed(expr) => format!("{} AS {expr}", c.name),
    };
    table.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// Column lists as they stand in `CREATE TABLE t (…)`, and what is understood.
const COLUMNS: &[(&str, &str)] = &[
    ("a INT, b BIGINT NOT NULL, c STRING", "a INT, b BIGINT NOT NULL, c STRING"),
    ("`a b` INT, `x``y` INT, `from` INT", "a b INT, x`y INT, from INT"),
    (
        "a DECIMAL(10,2), b BYTES, c VARBINARY(3), d VARCHAR(2147483647)",
        "a DECIMAL(10, 2), b BYTES, c VARBINARY(3), d STRING",
    ),
    ("a TIMESTAMP(3), b TIMESTAMP, c TIMESTAMP_LTZ(3)", "a TIMESTAMP(3), b TIMESTAMP(6), c TIMESTAMP_LTZ(3)"),
    ("a TIMESTAMP(3) WITH LOCAL TIME ZONE, b TIMESTAMP(3) WITHOUT TIME ZONE", "a TIMESTAMP_LTZ(3), b TIMESTAMP(3)"),
    ("a ROW<x INT, y STRING NOT NULL>, b ROW(x INT)", "a ROW<`x` INT, `y` STRING NOT NULL>, b ROW<`x` INT>"),
    ("a ARRAY<ROW<x ARRAY<STRING>>>, b INT ARRAY", "a ARRAY<ROW<`x` ARRAY<STRING>>>, b ARRAY<INT>"),
    ("a ROW<x ROW<y ROW<z INT>>> NOT NULL", "a ROW<`x` ROW<`y` ROW<`z` INT>>> NOT NULL"),
    ("a MAP<STRING,STRING>, b MULTISET<STRING>", "a MAP<STRING, STRING>, b MULTISET<STRING>"),
    ("a ROW<>, b DOUBLE PRECISION", "a ROW<>, b DOUBLE"),
    ("a ROW<x INT 'a note, with > in it', y INT> COMMENT 'it''s', b INT", "a ROW<`x` INT, `y` INT>, b INT"),
    ("id STRING METADATA", "id STRING FROM id"),
    ("id STRING METADATA FROM 'message-id' VIRTUAL", "id STRING FROM message-id VIRTUAL"),
    ("id STRING NOT NULL METADATA VIRTUAL COMMENT 'c'", "id STRING NOT NULL FROM id VIRTUAL"),
    ("x INT, d AS CAST(x AS DATE)", "x INT, d AS CAST(x AS DATE)"),
    ("x INT, d AS x + 1 COMMENT 'next'", "x INT, d AS x + 1"),
    ("pt AS PROCTIME(), x INT", "pt AS PROCTIME(), x INT"),
    ("x INT, r AS CAST(x AS ROW<a INT, b TIMESTAMP_LTZ(3)>)", "x INT, r AS CAST(x AS ROW<a INT,b TIMESTAMP_LTZ(3)>)"),
    ("x INT, PRIMARY KEY (x) NOT ENFORCED", "x INT"),
    ("x INT, CONSTRAINT pk PRIMARY KEY (x) NOT ENFORCED", "x INT"),
    ("x INT PRIMARY KEY NOT ENFORCED, y INT", "x INT, y INT"),
    ("ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND", "ts TIMESTAMP(3)"),
    ("r ROW<ts TIMESTAMP(3)>, WATERMARK FOR r.ts AS r.ts", "r ROW<`ts` TIMESTAMP(3)>"),
];

#[test]
fn columns_of_every_kind_are_understood() {
    for (text, expected) in COLUMNS {
        let script = parse(&format!("CREATE TABLE t ({text}) WITH ('connector' = 'mns')"));
        let script = script.unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(columns(script.tables().next().expect("one table")), *expected, "{text}");
    }
}

/// Whole scripts that are taken, and how many statements are left for planning.
const ACCEPTED: &[(&str, usize)] = &[
    ("", 0),
    (" ;; -- nothing\n /* at all */ ;", 0),
    ("\u{feff}SET 'pipeline.name' = 'x'", 0),
    ("CREATE TEMPORARY TABLE IF NOT EXISTS t (a INT)", 1),
    ("CREATE TABLE default_catalog.default_database.t (a INT) COMMENT 'c' PARTITIONED BY (a) WITH ('a' = 'b');", 1),
    ("create table t (a int) with ('connector' -- why\n = /* because; */ 'mns')", 1),
    ("CREATE VIEW v AS SELECT 1", 1),
    ("CREATE TEMPORARY VIEW IF NOT EXISTS v (a, b) COMMENT 'c' AS SELECT a, b FROM t WHERE a LIKE 'x;y%'", 1),
    ("INSERT INTO t SELECT a FROM s", 1),
    ("INSERT INTO TABLE t (a, `b`) SELECT r.a, arr[1] FROM s", 1),
    ("INSERT INTO t (SELECT a FROM s)", 1),
    ("INSERT INTO t WITH x AS (SELECT a FROM s) SELECT * FROM x", 1),
    ("INSERT INTO t SELECT a FROM s UNION ALL SELECT b FROM r", 1),
    ("INSERT INTO t SELECT m['k'], CASE WHEN a IS NOT DISTINCT FROM 1 THEN 'x' ELSE 'y' || 'z' END FROM s", 1),
    (
        "INSERT INTO t SELECT CAST(a AS BYTES), TRY_CAST(b AS TIMESTAMP_LTZ(3)), cast(c as timestamp(3) with local time zone) FROM s",
        1,
    ),
    ("INSERT INTO t SELECT JSON_VALUE(a, '$.x' RETURNING BIGINT DEFAULT 0 ON EMPTY ERROR ON ERROR) FROM s", 1),
    ("INSERT INTO t SELECT JSON_EXISTS(a, 'lax $.x' FALSE ON ERROR) FROM s WHERE JSON_VALUE(a, '$.y') = 'z'", 1),
    ("INSERT INTO t SELECT a LIKE 'x!_%' ESCAPE '!', b BETWEEN 1 AND 2, c IN (1, 2), 'a\\' FROM s", 1),
    ("INSERT INTO t SELECT LEFT(a, 1), RIGHT(a, 1), IF(b, 1, 2), REPLACE(a, 'x', 'y'), YEAR(c) FROM s", 1),
    ("INSERT INTO t SELECT DATE '2024-01-01', TIMESTAMP '2024-01-01 00:00:00', x'ff', CURRENT_TIMESTAMP FROM s", 1),
    ("INSERT INTO t SELECT EXTRACT(YEAR FROM a), POSITION('x' IN b), TRIM(BOTH 'x' FROM b), FLOOR(a TO DAY) FROM s", 1),
    ("INSERT INTO t SELECT SUBSTRING(b FROM 2 FOR 3), TIMESTAMPDIFF(SECOND, a, c), timestamp, `date` FROM s", 1),
    ("BEGIN STATEMENT SET; INSERT INTO t SELECT a FROM s; INSERT INTO u SELECT a FROM s; END;", 2),
    ("EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT a FROM s; INSERT INTO u SELECT a FROM s; END", 2),
    ("EXECUTE INSERT INTO t SELECT a FROM s", 1),
    ("SET; SET 'execution.checkpointing.interval' = '10s'; RESET 'pipeline.name'; RESET;", 0),
    ("DROP TABLE t; DROP TEMPORARY TABLE IF EXISTS t; DROP VIEW v; DROP TEMPORARY VIEW IF EXISTS v", 4),
];

#[test]
fn scripts_are_taken() {
    for (text, statements) in ACCEPTED {
        let script = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(script.statements.len(), *statements, "{text}");
    }
}

/// What is refused, at which line and column, and a part of the sentence.
const REFUSED: &[(&str, u64, u64, &str)] = &[
    ("CREATE TABLE t (\n  a INT,\n  b INTT\n)", 3, 5, "`INTT` is not a type"),
    ("CREATE TABLE t (a INT b)", 1, 23, "expected `,` or `)`, found `b`"),
    ("CREATE TABLE t (a INT", 1, 22, "found the end of the statement"),
    ("CREATE TABLE t (a ARRAY<INT)", 1, 28, "expected the end of a type"),
    ("CREATE TABLE t (a TIMESTAMP(10))", 1, 19, "0 to 9"),
    ("CREATE TABLE t (a INT, a STRING)", 1, 24, "the column `a` is there twice"),
    ("CREATE TABLE t (PRIMARY KEY (a) NOT ENFORCED)", 1, 30, "no column `a`"),
    ("CREATE TABLE t (userId INT, PRIMARY KEY (userid) NOT ENFORCED)", 1, 42, "Did you mean `userId`?"),
    ("CREATE TABLE t (a INT, PRIMARY KEY (a))", 1, 24, "NOT ENFORCED"),
    ("CREATE TABLE t (a INT PRIMARY KEY NOT ENFORCED, PRIMARY KEY (a) NOT ENFORCED)", 1, 49, "two primary keys"),
    ("CREATE TABLE t (a INT) WITH ('a' = 'b', 'a' = 'c')", 1, 41, "'a' is given twice"),
    ("CREATE TABLE t (a INT) WITH ('a' = 1)", 1, 36, "single quotes"),
    ("CREATE TABLE t (a INT) WITH ('a' = \"b\")", 1, 36, "single quotes"),
    ("CREATE TABLE t (a INT) WITH ('a' = ${x})", 1, 36, "only inside quoted option and SET values"),
    ("CREATE TABLE t LIKE s", 1, 16, "expected `(`"),
    ("CREATE TABLE t (a INT) WITH ('a' = 'b') LIKE s", 1, 41, "LIKE"),
    ("CREATE TABLE t (a INT) AS SELECT 1", 1, 24, "AS SELECT is not supported"),
    ("CREATE OR REPLACE TABLE t (a INT)", 1, 19, "DROP first"),
    ("CREATE TABLE cat.db.t (a INT)", 1, 14, "no catalogs or databases"),
    ("CREATE CATALOG c WITH ('type' = 'x')", 1, 8, "not supported"),
    ("CREATE FUNCTION f AS 'x' LANGUAGE JAVA", 1, 8, "not supported"),
    ("ADD JAR 'x.jar'", 1, 1, "not supported"),
    ("USE CATALOG c", 1, 1, "not supported"),
    ("EXPLAIN SELECT 1", 1, 1, "not supported"),
    ("SELECT 1", 1, 1, "not supported"),
    ("INSERT OVERWRITE t SELECT 1", 1, 8, "use INSERT INTO"),
    ("INSERT INTO t PARTITION (a = 1) SELECT b FROM s", 1, 15, "PARTITION"),
    ("INSERT INTO t SELECT FROM s", 1, 27, "expected an expression, found `FROM`"),
    ("INSERT INTO t SELECT a FROM s WHERE", 1, 36, "the end of the statement"),
    ("INSERT INTO t SELECT a FROM s /*+ OPTIONS('queueName'='b') */", 1, 31, "hints"),
    ("INSERT INTO t SELECT CAST(a AS) FROM s", 1, 31, "a type"),
    ("INSERT INTO t SELECT a FROM s extra words", 1, 37, "the end of the statement"),
    ("INSERT INTO t SELECT 'open", 1, 22, "string"),
    ("BEGIN STATEMENT SET; CREATE TABLE t (a INT); END", 1, 22, "INSERT INTO statements only"),
    ("BEGIN STATEMENT SET; INSERT INTO t SELECT a FROM s", 1, 1, "not closed with END"),
    ("END", 1, 1, "END without BEGIN"),
    ("INSERT INTO t SELECT a FROM s;\nSET 'pipeline.name' = 'late'", 2, 1, "before the first INSERT"),
    ("SET pipeline.name = x", 1, 5, "single quotes"),
    ("SET 'execution.checkpointing.interval' = 'x'", 1, 42, "whole number"),
];

#[test]
fn refusals_say_where_and_why() {
    for (text, line, column, part) in REFUSED {
        let errors = parse(text).err().unwrap_or_else(|| panic!("{text} was accepted"));
        let error = &errors.errors()[0];
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.position, Position { line: *line, column: *column }, "{text}: {error}");
    }
}

#[test]
fn mistakes_in_several_statements_come_at_once() {
    let errors = parse(
        "CREATE TABLE a (x INTT, y STRINGG) WITH ('k' = '${missing}');\n\
         SET 'nonsense' = '1';\n\
         CREATE TABLE b (x INT);\n\
         INSERT INTO b SELEC x FROM a;",
    )
    .expect_err("four mistakes");
    let lines: Vec<u64> = errors.errors().iter().map(|e| e.position.line).collect();
    assert_eq!(lines, [1, 1, 1, 2, 4], "{errors}");
}

#[test]
fn variables_are_replaced_in_options_and_stay_out_of_sight() {
    let variables: MapVariables = [("secret_values.ak", "it's a; secret"), ("name", "orders")].into_iter().collect();
    let text =
        "SET 'pipeline.name' = '${name}'; CREATE TABLE t (a INT) WITH ('k' = 'a${secret_values.ak}b', 'l' = '${')";
    let errors = Script::parse(text, &variables).expect_err("an open brace");
    assert!(errors.to_string().contains("option 'l': `${` without a closing brace"), "{errors}");
    let script = Script::parse(&text.replace(", 'l' = '${'", ""), &variables).expect("all known");
    assert_eq!(script.settings().pipeline_name.as_deref(), Some("orders"));
    assert_eq!(script.tables().next().expect("one").options[0].value.reveal(), "ait's a; secretb");
    assert!(!format!("{script:?}").contains("secret\""), "{script:?}");
    assert!(!format!("{script:?}").contains("it's a"), "{script:?}");
}

#[test]
fn deep_and_long_expressions_are_refused_without_a_crash() {
    for text in [
        format!("INSERT INTO t SELECT {}1{} FROM s", "(".repeat(100_000), ")".repeat(100_000)),
        format!("INSERT INTO t SELECT 1{} FROM s", " + 1".repeat(100_000)),
        format!("INSERT INTO t SELECT {}1 FROM s", "- ".repeat(100_000)),
        format!("INSERT INTO t SELECT {}1{} FROM s", "CAST(".repeat(10_000), " AS INT)".repeat(10_000)),
        format!("CREATE TABLE t (a {}INT{})", "ARRAY<".repeat(100_000), ">".repeat(100_000)),
        "x".repeat((4 << 20) + 1),
    ] {
        assert!(parse(&text).is_err(), "{}", &text[..40]);
    }
    let long = format!("INSERT INTO t SELECT a FROM s WHERE a IN ({}1)", "1, ".repeat(10_000));
    assert!(parse(&long).is_ok());
    assert!(parse(&format!("INSERT INTO t SELECT 1{} FROM s", " + 1".repeat(900))).is_ok());
}
