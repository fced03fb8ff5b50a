//! What functions answer: Flink's documented results, as expressions and as the text of their values.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{Field, Schema};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_physical_expr::create_physical_expr;
use headwater_formats::{DataType, LogicalType};
use sqlparser::tokenizer::Token;

use super::call::Env;
use super::cast;
use super::time::NOW;
use super::time::zone::Zone;
use crate::bound::Bound;
use crate::error::Position;
use crate::parse::tests::{expression, tokens};
use crate::plan::{Binder, RelationColumn, Scope, input_name};

const HERE: Position = Position { line: 1, column: 1 };

/// The time of the batch: 2024-03-05 14:07:09.123 UTC.
const TIME: i64 = 1_709_647_629_123;

/// A column that expressions may name.
struct Input {
    name: String,
    logical: LogicalType,
    values: ArrayRef,
}

/// Binds and runs an expression; gives its type and the text of each value.
fn run(sql: &str, inputs: &[Input], zone: Zone) -> Result<(String, Vec<Option<String>>), String> {
    let columns = inputs.iter();
    let columns = columns.map(|i| RelationColumn { name: i.name.clone(), logical: Some(i.logical.clone()) }).collect();
    let scope = Scope { qualifier: Some("t".to_owned()), columns };
    let env = Env { zone, conditional: false };
    let bound = Binder::new(&scope, env, HERE).bind(&expression(sql)?).map_err(|e| e.message)?;
    let type_name = bound.type_name();
    let rows = inputs.first().map_or(1, |i| i.values.len());
    let text = cast::explicit(bound, &LogicalType::String, false, Env { conditional: true, zone }, HERE);
    let values = evaluate(&text.map_err(|e| e.message)?, inputs, rows)?;
    let texts = values.as_string::<i32>();
    Ok((type_name, texts.iter().map(|t| t.map(str::to_owned)).collect()))
}

fn evaluate(bound: &Bound, inputs: &[Input], rows: usize) -> Result<ArrayRef, String> {
    let now = TimestampMillisecondArray::from_value(TIME, rows).with_timezone("+00:00");
    let mut fields: Vec<Field> =
        inputs.iter().enumerate().map(|(i, c)| Field::new(input_name(i), c.values.data_type().clone(), true)).collect();
    fields.push(Field::new(NOW, now.data_type().clone(), true));
    let columns = inputs.iter().map(|i| Arc::clone(&i.values)).chain([Arc::new(now) as ArrayRef]).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), columns).expect("columns of one length");
    let schema = DFSchema::try_from(Schema::new(fields)).expect("names are unique");
    let expr = create_physical_expr(&bound.expr, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default());
    let value = expr.expect("a bound expression").evaluate(&batch).and_then(|v| v.into_array(rows));
    value.map_err(|e| e.find_root().to_string())
}

/// The expression with its literals as columns, which hold the literal, NULL, the literal. `None` where a literal is a
/// part of the syntax.
fn with_columns(sql: &str) -> Option<(String, Vec<Input>)> {
    let mut inputs = Vec::new();
    let mut text = String::new();
    for token in tokens(sql) {
        let (logical, value) = match &token {
            Token::SingleQuotedString(s) => (LogicalType::String, ScalarValue::Utf8(Some(s.clone()))),
            Token::Number(n, _) => match n.parse::<i32>() {
                Ok(n) => (LogicalType::Int, ScalarValue::Int32(Some(n))),
                Err(_) if n.contains('e') => (LogicalType::Double, ScalarValue::Float64(n.parse().ok())),
                // Decimals and large numbers have types that depend on the literal.
                Err(_) => return None,
            },
            other => {
                text.push_str(&other.to_string());
                continue;
            }
        };
        let name = format!("literal{}", inputs.len());
        text.push_str(&name);
        let null = ScalarValue::try_new_null(&logical.to_arrow()).expect("every type has a NULL");
        let values = ScalarValue::iter_to_array([value.clone(), null, value]).expect("one type");
        inputs.push(Input { name, logical, values });
    }
    (!inputs.is_empty()).then_some((text, inputs))
}

/// Checks expressions against `TYPE value`. Those that can are checked with columns instead of literals as well; gives
/// how many could.
fn check(zone: &str, cases: &[(&str, &str)]) -> usize {
    let zone = Zone::parse(zone).expect("a zone");
    let mut with_rows = 0;
    for (sql, expected) in cases {
        let (type_name, values) = run(sql, &[], zone).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let value = values[0].as_deref().unwrap_or("NULL");
        assert_eq!(format!("{type_name} {value}"), *expected, "{sql}");
        let Some((text, inputs)) = with_columns(sql) else { continue };
        let Ok((_, rows)) = run(&text, &inputs, zone) else { continue };
        // The types of literals are narrower than those of columns, which shows in decimals.
        if !expected.contains("DECIMAL") {
            let rows: Vec<&str> = rows.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect();
            assert_eq!([rows[0], rows[2]], [value, value], "{text}");
            with_rows += 1;
        }
    }
    with_rows
}

fn refused(cases: &[(&str, &str)]) {
    for (sql, part) in cases {
        let error = run(sql, &[], Zone::default()).err().unwrap_or_else(|| panic!("{sql} was accepted"));
        assert!(error.contains(part), "{sql}: {error}");
    }
}

#[test]
fn text_functions() {
    let with_rows = check(
        "UTC",
        &[
            ("UPPER('abcß')", "STRING ABCSS"),
            ("LOWER('ÀB')", "STRING àb"),
            ("INITCAP('hello wORLD-a1b')", "STRING Hello World-A1b"),
            ("REVERSE('abc')", "STRING cba"),
            ("CONCAT('AA', 'BB', 'CC')", "STRING AABBCC"),
            ("CONCAT('AA', NULL, 'CC')", "STRING NULL"),
            ("CONCAT_WS('~', 'AA', CAST(NULL AS STRING), 'BB', '', 'CC')", "STRING AA~BB~~CC"),
            ("CONCAT_WS(NULL, 'AA')", "STRING NULL"),
            ("'a' || 'b' || 'c'", "STRING abc"),
            ("'a' || NULL", "STRING NULL"),
            ("CHAR_LENGTH('äöü')", "INT 3"),
            ("CHARACTER_LENGTH('')", "INT 0"),
            ("SUBSTRING('hello world', 3)", "STRING llo world"),
            ("SUBSTRING('hello world' FROM 3 FOR 3)", "STRING llo"),
            ("SUBSTR('hello', -3, 2)", "STRING ll"),
            ("SUBSTR('hello', 0, 2)", "STRING he"),
            ("SUBSTR('hello', 9)", "STRING "),
            ("SUBSTR('hello', -9)", "STRING "),
            ("SUBSTR('hello', 1, -1)", "STRING NULL"),
            ("LEFT('hello', 2)", "STRING he"),
            ("LEFT('hello', -2)", "STRING "),
            ("RIGHT('hello', 2)", "STRING lo"),
            ("RIGHT('hello', 9)", "STRING hello"),
            ("TRIM('  a b ')", "STRING a b"),
            ("TRIM('\ta ')", "STRING \ta"),
            ("TRIM(LEADING 'x' FROM 'xxaxx')", "STRING axx"),
            ("TRIM(TRAILING 'x' FROM 'xxaxx')", "STRING xxa"),
            ("TRIM(BOTH 'xy' FROM 'xyaxy')", "STRING a"),
            ("LTRIM(' This is a test String.')", "STRING This is a test String."),
            ("RTRIM('a  ')", "STRING a"),
            ("LPAD('hi', 4, '??')", "STRING ??hi"),
            ("LPAD('hi', 1, '??')", "STRING h"),
            ("LPAD('hi', 5, 'abc')", "STRING abchi"),
            ("LPAD('hi', -1, '?')", "STRING NULL"),
            ("LPAD('hi', 4, '')", "STRING NULL"),
            ("RPAD('hi', 4, '??')", "STRING hi??"),
            ("RPAD('hi', 0, '??')", "STRING "),
            ("REPEAT('ab', 2)", "STRING abab"),
            ("REPEAT('ab', -2)", "STRING "),
            ("REPLACE('hello world', 'world', 'flink')", "STRING hello flink"),
            ("REPLACE('ababab', 'abab', 'z')", "STRING zab"),
            ("POSITION('l' IN 'hello')", "INT 3"),
            ("POSITION('z' IN 'hello')", "INT 0"),
            ("LOCATE('l', 'hello', 4)", "INT 4"),
            ("LOCATE('ö', 'höllo')", "INT 2"),
            ("INSTR('hello', 'l')", "INT 3"),
            ("INSTR('hello', '')", "INT 1"),
            ("SPLIT_INDEX('a,b,,c', ',', 2)", "STRING "),
            ("SPLIT_INDEX('a,b,,c', ',', 3)", "STRING c"),
            ("SPLIT_INDEX('a,b', ',', 2)", "STRING NULL"),
            ("SPLIT_INDEX('a,b', ',', -1)", "STRING NULL"),
            ("SPLIT_INDEX('a||b', '||', 1)", "STRING b"),
            ("SPLIT_INDEX('', ',', 0)", "STRING NULL"),
            ("SPLIT_INDEX('a b', '', 1)", "STRING b"),
            ("TO_BASE64('hello world')", "STRING aGVsbG8gd29ybGQ="),
            ("FROM_BASE64('aGVsbG8gd29ybGQ=')", "STRING hello world"),
            ("MD5('')", "STRING d41d8cd98f00b204e9800998ecf8427e"),
            ("SHA1('abc')", "STRING a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("SHA256('abc')", "STRING ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("upper('x')", "STRING X"),
        ],
    );
    assert!(with_rows > 40, "only {with_rows} expressions ran on columns");
    refused(&[
        ("UPPER(1)", "argument 1 is INT, not a text; write CAST"),
        ("UPPER()", "UPPER(text): given 0 arguments"),
        ("LEFT('a', 'b')", "argument 2 is CHAR(1), not a whole number"),
        ("REPEAT('abc', 1000000000)", "longer than 16 MiB"),
        ("LPAD('abc', 1000000000, 'x')", "longer than 16 MiB"),
        ("FROM_BASE64('a')", "not Base64"),
        ("1 || 'a'", "|| joins texts"),
    ]);
}

#[test]
fn regular_expressions() {
    check(
        "UTC",
        &[
            ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "STRING bar"),
            ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)')", "STRING foothebar"),
            ("REGEXP_EXTRACT('x', 'foo')", "STRING NULL"),
            ("REGEXP_EXTRACT('a', '(b)?a', 1)", "STRING NULL"),
            ("REGEXP_REPLACE('foobar', 'oo|ar', '')", "STRING fb"),
            ("REGEXP_REPLACE('abc', 'b', '$0\\')", "STRING a$0\\c"),
            ("REGEXP_REPLACE('xabc', 'x*', '-')", "STRING --a-b-c-"),
            ("REGEXP('hello', 'l+')", "BOOLEAN TRUE"),
            ("REGEXP('hello', '^l')", "BOOLEAN FALSE"),
            ("REGEXP('hello', '')", "BOOLEAN FALSE"),
            ("REGEXP(NULL, 'a')", "BOOLEAN NULL"),
            ("REGEXP('a', NULL)", "BOOLEAN NULL"),
        ],
    );
    refused(&[
        ("REGEXP('a', UPPER(CAST(CURRENT_DATE AS STRING)))", "the pattern must be a literal"),
        ("REGEXP('a', 'a(?=b)')", "look-around"),
        ("REGEXP_EXTRACT('a', '(a)', 2)", "the pattern has 1 groups"),
        ("REGEXP_EXTRACT('a', '(a)', -1)", "counted from 1"),
    ]);
}

#[test]
fn number_functions() {
    let with_rows = check(
        "UTC",
        &[
            ("ABS(-5)", "INT 5"),
            ("ABS(-1.50)", "DECIMAL(3, 2) 1.50"),
            ("ABS(-2e0)", "DOUBLE 2.0"),
            ("SIGN(-5)", "INT -1"),
            ("SIGN(-2.5e0)", "DOUBLE -1.0"),
            ("CEIL(1.2)", "DECIMAL(2, 0) 2"),
            ("CEIL(-1.2)", "DECIMAL(2, 0) -1"),
            ("CEILING(1.2e0)", "DOUBLE 2.0"),
            ("FLOOR(-1.2)", "DECIMAL(2, 0) -2"),
            ("FLOOR(7)", "INT 7"),
            ("ROUND(2.5)", "DECIMAL(2, 0) 3"),
            ("ROUND(-2.5)", "DECIMAL(2, 0) -3"),
            ("ROUND(125.315, 2)", "DECIMAL(6, 2) 125.32"),
            ("ROUND(125.315, -1)", "DECIMAL(4, 0) 130"),
            ("ROUND(1.005e0, 2)", "DOUBLE 1.01"),
            ("ROUND(125, -1)", "INT 130"),
            ("TRUNCATE(42.324, 2)", "DECIMAL(5, 2) 42.32"),
            ("TRUNCATE(-42.329e0, 2)", "DOUBLE -42.32"),
            ("TRUNCATE(42.324)", "DECIMAL(3, 0) 42"),
            ("TRUNCATE(129, -1)", "INT 120"),
            ("MOD(44, 5)", "INT 4"),
            ("MOD(-44, 5)", "INT -4"),
            ("MOD(4.4, 1.5)", "DECIMAL(2, 1) 1.4"),
            ("CAST(10 AS BIGINT) % 3", "INT 1"),
            ("POWER(2, 10)", "DOUBLE 1024.0"),
            ("SQRT(16)", "DOUBLE 4.0"),
            ("LN(1)", "DOUBLE 0.0"),
            ("LN(0)", "DOUBLE -Infinity"),
            ("LOG10(1000)", "DOUBLE 3.0"),
            ("LOG2(8)", "DOUBLE 3.0"),
            ("LOG(2, 8)", "DOUBLE 3.0"),
            ("EXP(0)", "DOUBLE 1.0"),
            ("ATAN2(0, 1)", "DOUBLE 0.0"),
            ("DEGREES(0)", "DOUBLE 0.0"),
            ("GREATEST(1, 3, 2)", "INT 3"),
            ("GREATEST(1, NULL, 2)", "INT NULL"),
            ("LEAST('b', 'a', 'c')", "CHAR(1) a"),
            ("LEAST(1, 0.5)", "DECIMAL(11, 1) 0.5"),
        ],
    );
    assert!(with_rows > 15, "only {with_rows} expressions ran on columns");
    refused(&[
        ("ABS('x')", "not a number"),
        ("MOD(1, 0)", "division by zero"),
        ("ROUND(1.5, CHAR_LENGTH(CAST(NOW() AS STRING)))", "must be a literal number"),
        ("GREATEST(1, 'a')", "no type in common"),
    ]);
}

#[test]
fn arithmetic() {
    check(
        "UTC",
        &[
            ("1 + 2", "INT 3"),
            ("2147483647 + 1", "INT -2147483648"),
            ("2147483647 + CAST(1 AS BIGINT)", "BIGINT 2147483648"),
            ("5 / 2", "INT 2"),
            ("-5 / 2", "INT -2"),
            ("-5 % 3", "INT -2"),
            ("CAST(-2147483648 AS INT) / -1", "INT -2147483648"),
            ("5 / 2.0", "DECIMAL(17, 6) 2.500000"),
            ("1.5 + 1", "DECIMAL(12, 1) 2.5"),
            ("1.5 * 1.5", "DECIMAL(5, 2) 2.25"),
            ("0.1 + 0.2", "DECIMAL(3, 1) 0.3"),
            ("1e0 / 0", "DOUBLE Infinity"),
            ("1.5 - 1e0", "DOUBLE 0.5"),
            ("CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) * 10.0", "DECIMAL(38, 1) NULL"),
            ("- (3)", "INT -3"),
            ("+3", "INT 3"),
            ("1 + NULL", "INT NULL"),
            ("2 * 3 + 4 * 5", "INT 26"),
            ("9223372036854775807", "BIGINT 9223372036854775807"),
            ("-9223372036854775808", "BIGINT -9223372036854775808"),
        ],
    );
    refused(&[
        ("1 / 0", "division by zero"),
        ("1.0 / 0", "division by zero"),
        ("'1' + 1", "texts are joined by ||"),
        ("9223372036854775808", "does not fit into BIGINT"),
        ("DATE '2024-01-01' + 1", "add an interval"),
        ("TRUE + 1", "is not defined"),
        ("1 ^ 2", "not Flink's"),
    ]);
}

#[test]
fn comparisons_and_conditions() {
    let with_rows = check(
        "UTC",
        &[
            ("1 = 1.0", "BOOLEAN TRUE"),
            ("1 < 2", "BOOLEAN TRUE"),
            ("'a' <> 'b'", "BOOLEAN TRUE"),
            ("'10' > 9", "BOOLEAN TRUE"),
            ("1 = NULL", "BOOLEAN NULL"),
            ("DATE '2024-01-01' = '2024-01-01'", "BOOLEAN TRUE"),
            ("TIMESTAMP '2024-01-01 00:00:00' >= DATE '2024-01-01'", "BOOLEAN TRUE"),
            ("CAST('NaN' AS DOUBLE) = CAST('NaN' AS DOUBLE)", "BOOLEAN FALSE"),
            ("CAST('-0.0' AS DOUBLE) = 0e0", "BOOLEAN TRUE"),
            ("CAST(1 AS DECIMAL(38, 0)) < CAST('0.5' AS DECIMAL(38, 38))", "BOOLEAN FALSE"),
            ("NULL IS NULL", "BOOLEAN TRUE"),
            ("1 IS NOT NULL", "BOOLEAN TRUE"),
            ("1 IS DISTINCT FROM NULL", "BOOLEAN TRUE"),
            ("NULL IS NOT DISTINCT FROM NULL", "BOOLEAN TRUE"),
            ("1e0 IS DISTINCT FROM NULL", "BOOLEAN TRUE"),
            ("(1 = NULL) IS UNKNOWN", "BOOLEAN TRUE"),
            ("TRUE IS NOT FALSE", "BOOLEAN TRUE"),
            ("12 BETWEEN 15 AND 12", "BOOLEAN FALSE"),
            ("12 BETWEEN 10 AND NULL", "BOOLEAN NULL"),
            ("12 BETWEEN NULL AND 10", "BOOLEAN FALSE"),
            ("12 NOT BETWEEN 15 AND NULL", "BOOLEAN TRUE"),
            ("4 IN (1, 2, 3)", "BOOLEAN FALSE"),
            ("1 IN (1, 2, NULL)", "BOOLEAN TRUE"),
            ("4 IN (1, 2, NULL)", "BOOLEAN NULL"),
            ("4 NOT IN (1, 2, NULL)", "BOOLEAN NULL"),
            ("1 IN (1.0, 2.5)", "BOOLEAN TRUE"),
            ("1.5e0 IN (1.5, 2)", "BOOLEAN TRUE"),
            ("'a' IN ('a', 'bb')", "BOOLEAN TRUE"),
            ("'abc' LIKE 'a%'", "BOOLEAN TRUE"),
            ("'abc' LIKE 'a_c'", "BOOLEAN TRUE"),
            ("'a%c' LIKE 'a!%c' ESCAPE '!'", "BOOLEAN TRUE"),
            ("'abc' LIKE 'a!%c' ESCAPE '!'", "BOOLEAN FALSE"),
            ("'a\\c' LIKE 'a\\c'", "BOOLEAN TRUE"),
            ("'a\\%' LIKE 'a\\%'", "BOOLEAN TRUE"),
            ("'a\nc' LIKE 'a%c'", "BOOLEAN TRUE"),
            ("'abc' NOT LIKE '%d%'", "BOOLEAN TRUE"),
            ("NULL LIKE 'a'", "BOOLEAN NULL"),
            ("TRUE AND NULL", "BOOLEAN NULL"),
            ("FALSE AND NULL", "BOOLEAN FALSE"),
            ("TRUE OR NULL", "BOOLEAN TRUE"),
            ("NOT (1 = 2)", "BOOLEAN TRUE"),
            ("FALSE AND 1 / 0 = 1", "BOOLEAN FALSE"),
            ("TRUE OR CAST('x' AS INT) = 1", "BOOLEAN TRUE"),
            ("CASE WHEN 1 = 2 THEN 'a' WHEN 2 = 2 THEN 'bb' END", "VARCHAR(2) bb"),
            ("CASE 3 WHEN 1 THEN 'a' ELSE 'c' END", "CHAR(1) c"),
            ("CASE WHEN 1 = 1 THEN 1 ELSE 1 / 0 END", "INT 1"),
            ("CASE WHEN 1 = 2 THEN 1 ELSE NULL END", "INT NULL"),
            ("IF(5 > 3, 5, 3)", "INT 5"),
            ("IF(NULL, 5, 3)", "INT 3"),
            ("IF(TRUE, 1, CAST('x' AS INT))", "INT 1"),
            ("COALESCE(NULL, 'default')", "CHAR(7) default"),
            ("COALESCE(1, 1 / 0)", "INT 1"),
            ("IFNULL(CAST(NULL AS INT), 5)", "INT 5"),
            ("NULLIF(5, 5)", "INT NULL"),
            ("NULLIF(5, 0)", "INT 5"),
        ],
    );
    assert!(with_rows > 25, "only {with_rows} expressions ran on columns");
    refused(&[
        ("TRUE = 1", "cannot be compared"),
        ("x'00' = 'a'", "cannot be compared"),
        ("'abc' = 1", "not a whole number"),
        ("CASE WHEN 1 THEN 2 END", "a condition is BOOLEAN"),
        ("CASE WHEN TRUE THEN 1 ELSE 'a' END", "no type in common"),
        ("IF(1, 2, 3)", "not BOOLEAN"),
        ("1 AND TRUE", "a condition is BOOLEAN"),
        ("1 LIKE 'a'", "LIKE needs a text"),
        ("'a' LIKE 'a!b' ESCAPE '!'", "escape character"),
        ("'a' ILIKE 'A'", "ILIKE is not Flink's"),
        ("'a' SIMILAR TO 'A'", "use REGEXP"),
    ]);
}

#[test]
fn casts() {
    check(
        "Asia/Shanghai",
        &[
            ("CAST('42' AS INT)", "INT 42"),
            ("CAST(' 42 ' AS INT)", "INT 42"),
            ("CAST('1.234' AS TINYINT)", "TINYINT 1"),
            ("CAST('-3276913443134' AS BIGINT)", "BIGINT -3276913443134"),
            ("TRY_CAST('non-number' AS INT)", "INT NULL"),
            ("TRY_CAST('-130' AS TINYINT)", "TINYINT NULL"),
            ("COALESCE(TRY_CAST('non-number' AS INT), 0)", "INT 0"),
            ("CAST(9123.87 AS TINYINT)", "TINYINT -93"),
            ("CAST(3276913443134.87 AS INT)", "INT -146603714"),
            ("CAST(32780 AS SMALLINT)", "SMALLINT -32756"),
            ("CAST(123456.7890e0 AS SMALLINT)", "SMALLINT -7616"),
            ("CAST(9234567891.12e0 AS INT)", "INT 2147483647"),
            ("CAST(CAST('NaN' AS DOUBLE) AS INT)", "INT 0"),
            ("CAST(TRUE AS INT)", "INT 1"),
            ("CAST(0 AS BOOLEAN)", "BOOLEAN FALSE"),
            ("CAST('Yes' AS BOOLEAN)", "BOOLEAN TRUE"),
            ("CAST('1.2' AS DECIMAL(5, 3))", "DECIMAL(5, 3) 1.200"),
            ("CAST('1234.5' AS DECIMAL(5, 3))", "DECIMAL(5, 3) NULL"),
            ("CAST(12.345678e0 AS DECIMAL(5, 3))", "DECIMAL(5, 3) 12.346"),
            ("CAST('1.5d' AS DOUBLE)", "DOUBLE 1.5"),
            ("CAST('-Infinity' AS DOUBLE)", "DOUBLE -Infinity"),
            ("CAST('1.234' AS FLOAT)", "FLOAT 1.234"),
            ("CAST(123456789.123456789123456789 AS DOUBLE)", "DOUBLE 1.2345678912345679E8"),
            ("CAST(1e7 AS STRING)", "STRING 1.0E7"),
            ("CAST(TRUE AS STRING)", "STRING TRUE"),
            ("CAST(1.50 AS STRING)", "STRING 1.50"),
            ("CAST('Hello' AS VARCHAR(3))", "VARCHAR(3) Hel"),
            ("CAST('Hi' AS CHAR(4)) || '|'", "STRING Hi  |"),
            ("CAST(12345 AS CHAR(3))", "CHAR(3) 123"),
            ("CAST('Hello' AS BYTES)", "BYTES Hello"),
            ("CAST(x'48656c6c6f' AS STRING)", "STRING Hello"),
            ("CAST(x'ff' AS STRING)", "STRING \u{fffd}"),
            ("CAST('2021-09-27' AS DATE)", "DATE 2021-09-27"),
            ("CAST('2021-09-27 12:34:56.123456789' AS TIMESTAMP(9))", "TIMESTAMP(9) 2021-09-27 12:34:56.123456789"),
            ("CAST('2021-09-27 12:34:56.987' AS TIMESTAMP(1))", "TIMESTAMP(1) 2021-09-27 12:34:56.9"),
            ("CAST('2021-09-27' AS TIMESTAMP_LTZ(3))", "TIMESTAMP_LTZ(3) 2021-09-27 00:00:00.000"),
            ("CAST(TIMESTAMP '2021-09-27 12:00:00' AS TIMESTAMP_LTZ(0))", "TIMESTAMP_LTZ(0) 2021-09-27 12:00:00"),
            ("CAST(TO_TIMESTAMP_LTZ(0, 0) AS TIMESTAMP(3))", "TIMESTAMP(3) 1970-01-01 08:00:00.000"),
            ("CAST(TO_TIMESTAMP_LTZ(0, 0) AS TIME)", "TIME(0) 08:00:00"),
            ("CAST(DATE '2021-09-27' AS TIMESTAMP(0))", "TIMESTAMP(0) 2021-09-27 00:00:00"),
            ("CAST(TIME '12:34:56' AS TIMESTAMP(0))", "TIMESTAMP(0) 1970-01-01 12:34:56"),
            ("CAST(TIMESTAMP '2021-09-27 12:34:56.123' AS DATE)", "DATE 2021-09-27"),
            ("CAST('12:34:56.123456' AS TIME(3))", "TIME(3) 12:34:56.123"),
            ("CAST(CAST('1969-12-31 23:59:58.5' AS TIMESTAMP(3)) AS STRING)", "STRING 1969-12-31 23:59:58.500"),
            ("CAST(NULL AS INT)", "INT NULL"),
        ],
    );
    refused(&[
        ("CAST('foo' AS INT)", "not a whole number"),
        ("CAST('' AS INT)", "not a whole number"),
        ("CAST('-' AS INT)", "not a whole number"),
        ("CAST('Apache' AS DECIMAL(5, 3))", "not a number"),
        ("CAST('inf' AS DOUBLE)", "not a number"),
        ("CAST('maybe' AS BOOLEAN)", "not a truth value"),
        ("CAST('2021/09/27' AS DATE)", "not a date"),
        ("CAST('2021-09-27T12:34:56' AS TIMESTAMP(3))", "not a timestamp"),
        ("CAST('25:00' AS TIME)", "not a time"),
        ("CAST(CAST('NaN' AS DOUBLE) AS DECIMAL(5, 3))", "no decimals"),
        ("CAST(1 AS DATE)", "cannot be cast"),
        ("CAST(1 AS TIMESTAMP(3))", "use TO_TIMESTAMP_LTZ"),
        ("CAST(NOW() AS BIGINT)", "use UNIX_TIMESTAMP"),
        ("CAST(x'00' AS INT)", "cannot be cast"),
        ("CAST('0001-01-01' AS TIMESTAMP(6))", "1677 to 2262"),
        ("CAST(1 AS INTT)", "is not a type"),
        ("CAST(1 AS DECIMAL(40, 0))", "38"),
    ]);
}

#[test]
fn time_functions() {
    let with_rows = check(
        "Asia/Shanghai",
        &[
            (
                "DATE_FORMAT(TIMESTAMP '2024-03-05 14:07:09.123', 'yyyy/MM/dd HH-mm-ss.SSS')",
                "STRING 2024/03/05 14-07-09.123",
            ),
            ("DATE_FORMAT('2024-03-05 14:07:09', 'yyyyMMdd')", "STRING 20240305"),
            ("DATE_FORMAT('x', 'yyyyMMdd')", "STRING NULL"),
            ("DATE_FORMAT(DATE '2024-03-05', 'EEEE')", "STRING Tuesday"),
            ("DATE_FORMAT(TO_TIMESTAMP_LTZ(0, 3), 'yyyy-MM-dd HH:mm')", "STRING 1970-01-01 08:00"),
            ("TO_TIMESTAMP('2024-03-05 14:07:09.1')", "TIMESTAMP(3) 2024-03-05 14:07:09.100"),
            (
                "TO_TIMESTAMP('2024-03-05T14:07:09Z', 'yyyy-MM-dd''T''HH:mm:ss''Z''')",
                "TIMESTAMP(3) 2024-03-05 14:07:09.000",
            ),
            ("TO_TIMESTAMP('1999-9-10 05:20:10', 'yyyy-MM-dd HH:mm:ss')", "TIMESTAMP(3) 1999-09-10 05:20:10.000"),
            ("TO_TIMESTAMP('nonsense')", "TIMESTAMP(3) NULL"),
            ("TO_TIMESTAMP('nonsense', 'yyyy')", "TIMESTAMP(3) NULL"),
            ("TO_TIMESTAMP_LTZ(1, 0)", "TIMESTAMP_LTZ(3) 1970-01-01 08:00:01.000"),
            ("TO_TIMESTAMP_LTZ(1001, 3)", "TIMESTAMP_LTZ(3) 1970-01-01 08:00:01.001"),
            ("TO_TIMESTAMP_LTZ(999999999999999, 3)", "TIMESTAMP_LTZ(3) NULL"),
            ("TO_DATE('2024-03-05')", "DATE 2024-03-05"),
            ("TO_DATE('05.03.2024', 'dd.MM.yyyy')", "DATE 2024-03-05"),
            ("TO_DATE('x')", "DATE NULL"),
            ("FROM_UNIXTIME(44)", "STRING 1970-01-01 08:00:44"),
            ("FROM_UNIXTIME(44, 'HH:mm')", "STRING 08:00"),
            ("UNIX_TIMESTAMP('1970-01-01 08:00:01')", "BIGINT 1"),
            ("UNIX_TIMESTAMP('1970-01-01 08:00:01.001', 'yyyy-MM-dd HH:mm:ss.SSS')", "BIGINT 1"),
            ("UNIX_TIMESTAMP('1970-01-01 08:00:01.001 +0800', 'yyyy-MM-dd HH:mm:ss.SSS X')", "BIGINT 1"),
            ("UNIX_TIMESTAMP('1970-01-01 08:00:01.001', 'yyyy-MM-dd HH:mm:ss.SSS X')", "BIGINT -9223372036854775808"),
            ("UNIX_TIMESTAMP()", "BIGINT 1709647629"),
            ("CURRENT_TIMESTAMP", "TIMESTAMP_LTZ(3) 2024-03-05 22:07:09.123"),
            ("NOW()", "TIMESTAMP_LTZ(3) 2024-03-05 22:07:09.123"),
            ("PROCTIME()", "TIMESTAMP_LTZ(3) 2024-03-05 22:07:09.123"),
            ("LOCALTIMESTAMP", "TIMESTAMP(3) 2024-03-05 22:07:09.123"),
            ("CURRENT_DATE", "DATE 2024-03-05"),
            ("LOCALTIME", "TIME(0) 22:07:09"),
            ("EXTRACT(DAY FROM DATE '2006-06-05')", "BIGINT 5"),
            ("YEAR(DATE '1994-09-27')", "BIGINT 1994"),
            ("QUARTER(DATE '1994-09-27')", "BIGINT 3"),
            ("MONTH(DATE '1994-09-27')", "BIGINT 9"),
            ("WEEK(DATE '1994-09-27')", "BIGINT 39"),
            ("DAYOFYEAR(DATE '1994-09-27')", "BIGINT 270"),
            ("DAYOFMONTH(DATE '1994-09-27')", "BIGINT 27"),
            ("DAYOFWEEK(DATE '1994-09-27')", "BIGINT 3"),
            ("HOUR(TIMESTAMP '1994-09-27 13:14:15')", "BIGINT 13"),
            ("MINUTE(TIMESTAMP '1994-09-27 13:14:15')", "BIGINT 14"),
            ("SECOND(TIMESTAMP '1994-09-27 13:14:15')", "BIGINT 15"),
            ("HOUR(TO_TIMESTAMP_LTZ(0, 0))", "BIGINT 8"),
            ("FLOOR(TIME '12:44:31' TO MINUTE)", "TIME(0) 12:44:00"),
            ("CEIL(TIME '12:44:31' TO MINUTE)", "TIME(0) 12:45:00"),
            ("FLOOR(TIMESTAMP '2024-03-05 14:07:09' TO MONTH)", "TIMESTAMP(0) 2024-03-01 00:00:00"),
            ("CEIL(DATE '2024-03-05' TO WEEK)", "DATE 2024-03-10"),
            ("TIMESTAMP '2024-01-31 12:00:00' + INTERVAL '1' MONTH", "TIMESTAMP(0) 2024-02-29 12:00:00"),
            ("TIMESTAMP '2024-01-01 00:00:00' - INTERVAL '1' SECOND", "TIMESTAMP(0) 2023-12-31 23:59:59"),
            ("INTERVAL '2' DAY + DATE '2024-02-28'", "DATE 2024-03-01"),
            ("TIMESTAMPADD(DAY, 3, TIMESTAMP '2024-02-28 00:00:00')", "TIMESTAMP(0) 2024-03-02 00:00:00"),
            ("TIMESTAMPADD(HOUR, 1, DATE '2024-02-28')", "TIMESTAMP(3) 2024-02-28 01:00:00.000"),
            ("TIMESTAMPDIFF(DAY, TIMESTAMP '2003-01-02 10:00:00', TIMESTAMP '2003-01-03 10:00:00')", "INT 1"),
            ("TIMESTAMPDIFF(MONTH, DATE '2024-01-31', DATE '2024-02-28')", "INT 0"),
            ("TIMESTAMPDIFF(SECOND, DATE '2024-01-02', DATE '2024-01-01')", "INT -86400"),
        ],
    );
    assert!(with_rows > 5, "only {with_rows} expressions ran on columns");
    refused(&[
        ("DATE_FORMAT(NOW(), '%Y')", "letter `Y`".trim_start_matches("letter ")),
        ("DATE_FORMAT(NOW(), 'yyyy-MM-ddTHH')", "letter `T`"),
        ("DATE_FORMAT(NOW(), CAST(NOW() AS STRING))", "must be a literal"),
        ("DATE_FORMAT(1, 'yyyy')", "not a date or time"),
        ("TO_TIMESTAMP_LTZ(1, 6)", "0 for seconds or 3"),
        ("TO_DATE('24', 'yy')", "use `yyyy`"),
        ("EXTRACT(YEAR FROM TIME '12:00:00')", "has no date"),
        ("EXTRACT(CENTURY FROM DATE '2024-01-01')", "not a supported unit"),
        ("YEAR('2024-01-01')", "not a date or time"),
        ("DATE '2024-01-01' + INTERVAL '1' HOUR", "whole days"),
        ("TIMESTAMP '2024-01-01 00:00:00' - TIMESTAMP '2023-01-01 00:00:00'", "use TIMESTAMPDIFF"),
        ("TIMESTAMPDIFF(CENTURY, NOW(), NOW())", "not a supported unit"),
        ("DATE '2024-02-30'", "not a date"),
        ("INTERVAL '1' DAY", "stands after + or -"),
    ]);
}

#[test]
fn json_functions() {
    check(
        "UTC",
        &[
            ("JSON_VALUE('{\"a\": true}', '$.a')", "STRING true"),
            ("JSON_VALUE('{\"a\": true}', '$.a' RETURNING BOOLEAN)", "BOOLEAN TRUE"),
            ("JSON_VALUE('{\"a\": true}', 'lax $.b' DEFAULT FALSE ON EMPTY)", "STRING false"),
            ("JSON_VALUE('{\"a\": true}', 'strict $.b' DEFAULT FALSE ON ERROR)", "STRING false"),
            ("JSON_VALUE('{\"a.b\": [0.998,0.996]}', '$.[\"a.b\"][0]' RETURNING DOUBLE)", "DOUBLE 0.998"),
            (
                "JSON_VALUE('{\"contains blank\": \"right\"}', 'strict $.[''contains blank'']' NULL ON EMPTY DEFAULT 'wrong' ON ERROR)",
                "STRING right",
            ),
            ("JSON_VALUE('{\"a\": 1.50}', '$.a')", "STRING 1.50"),
            ("JSON_VALUE('{\"a\": 7}', '$.a' RETURNING INT)", "INT 7"),
            ("JSON_VALUE('{\"a\": {}}', '$.a')", "STRING NULL"),
            ("JSON_VALUE('{\"a\": null}', '$.a' DEFAULT 'e' ON EMPTY DEFAULT 'x' ON ERROR)", "STRING e"),
            ("JSON_VALUE('no json', '$.a' DEFAULT 'e' ON EMPTY DEFAULT 'x' ON ERROR)", "STRING x"),
            ("JSON_VALUE('no json', 'lax $.a' DEFAULT 'e' ON EMPTY DEFAULT 'x' ON ERROR)", "STRING e"),
            ("JSON_VALUE('{}', '$.a' RETURNING INT DEFAULT 5 ON ERROR)", "INT 5"),
            ("JSON_VALUE(CAST(NULL AS STRING), '$.a')", "STRING NULL"),
            ("JSON_EXISTS('{\"a\": true}', '$.a')", "BOOLEAN TRUE"),
            ("JSON_EXISTS('{\"a\": true}', '$.b')", "BOOLEAN FALSE"),
            ("JSON_EXISTS('{\"a\": [{ \"b\": 1 }]}', '$.a[0].b')", "BOOLEAN TRUE"),
            ("JSON_EXISTS('{\"a\": true}', 'strict $.b' TRUE ON ERROR)", "BOOLEAN TRUE"),
            ("JSON_EXISTS('{\"a\": true}', 'strict $.b' UNKNOWN ON ERROR)", "BOOLEAN NULL"),
            ("JSON_EXISTS('{\"a\": null}', '$.a')", "BOOLEAN FALSE"),
        ],
    );
    refused(&[
        ("JSON_VALUE('{}', '$.a' ERROR ON ERROR)", "no single value at the path"),
        ("JSON_VALUE('{}', 'lax $.a' ERROR ON EMPTY)", "no value at the JSON path"),
        ("JSON_VALUE('{\"a\": \"x\"}', '$.a' RETURNING INT)", "not of the type"),
        ("JSON_VALUE('{}', '$..a')", "wildcards"),
        ("JSON_VALUE('{}', '$.a' RETURNING BIGINT)", "CAST the result"),
        ("JSON_VALUE('{}', '$.a' TRUE ON ERROR)", "not an answer of JSON_VALUE"),
        ("JSON_VALUE('{}', '$.a' NULL ON ERROR NULL ON ERROR)", "given twice"),
        ("JSON_EXISTS('{}', '$.a' NULL ON ERROR)", "not an answer of JSON_EXISTS"),
        ("JSON_EXISTS('{}', '$.a' ERROR ON ERROR)", "no single value"),
        ("JSON_QUERY('{}', '$.a')", "there is no function JSON_QUERY"),
    ]);
}

#[test]
fn functions_that_are_refused_say_why() {
    refused(&[
        ("COUNT(*)", "needs more than one row"),
        ("COUNT(DISTINCT 1)", "needs more than one row"),
        ("SUM(1)", "needs more than one row"),
        ("ROW_NUMBER() OVER (ORDER BY 1)", "looks at other rows"),
        ("TUMBLE_START(NOW(), INTERVAL '1' MINUTE)", "needs more than one row"),
        ("RAND()", "another answer each time"),
        ("UUID()", "message-id"),
        ("UPER('a')", "Did you mean UPPER?"),
        ("NO_SUCH_THING('a')", "The functions are ABS, "),
        ("(SELECT 1)", "a subquery looks at rows"),
        ("1 IN (SELECT 1)", "a subquery looks at rows"),
        ("EXISTS (SELECT 1)", "a subquery looks at rows"),
        ("ARRAY[1, 2]", "cannot be built"),
        ("ROW(1, 2)", "there is no function ROW"),
        ("UPPER(DISTINCT 'a')", "nothing but arguments"),
    ]);
}

/// Columns of nested types with two rows; the second is NULL throughout.
fn nested() -> Vec<Input> {
    let input = |name: &str, logical: &str, values: ArrayRef| Input {
        name: name.to_owned(),
        logical: logical.parse::<DataType>().expect(logical).logical,
        values,
    };
    let json =
        r#"{"r": {"a": 1, "b": {"c": "x"}}, "arr": ["p", null, "q"], "m": {"k": 10, "l": null}, "objs": [{"n": 7}]}"#;
    let row: headwater_formats::RowType =
        "r ROW<a INT, b ROW<c STRING>>, arr ARRAY<STRING>, m MAP<STRING, INT>, objs ARRAY<ROW<n INT>>"
            .parse()
            .expect("a row type");
    let mut decoder = arrow::json::ReaderBuilder::new(row.to_arrow()).build_decoder().expect("a decoder");
    decoder.decode(format!("{json}\n{{}}").as_bytes()).expect("JSON");
    let batch = decoder.flush().expect("JSON").expect("two rows");
    let fields = row.fields().iter().zip(batch.columns());
    fields.map(|(f, c)| input(&f.name, &f.data_type.to_string(), Arc::clone(c))).collect()
}

#[test]
fn nested_values() {
    let inputs = nested();
    for (sql, expected) in [
        ("r.a", ("INT", "1")),
        ("r.b.c", ("STRING", "x")),
        ("t.r.a", ("INT", "1")),
        ("arr[1]", ("STRING", "p")),
        ("arr[2]", ("STRING", "NULL")),
        ("arr[3]", ("STRING", "q")),
        ("arr[4]", ("STRING", "NULL")),
        ("arr[0]", ("STRING", "NULL")),
        ("t.arr[r.a]", ("STRING", "p")),
        ("m['k']", ("INT", "10")),
        ("m['l']", ("INT", "NULL")),
        ("m['z']", ("INT", "NULL")),
        ("objs[1].n", ("INT", "7")),
        ("CARDINALITY(arr)", ("INT", "3")),
        ("CARDINALITY(m)", ("INT", "2")),
        ("CAST(r AS STRING)", ("STRING", "(1, (x))")),
        ("CAST(arr AS STRING)", ("STRING", "[p, NULL, q]")),
        ("CAST(m AS STRING)", ("STRING", "{k=10, l=NULL}")),
        ("CAST(objs AS ARRAY<ROW<n STRING>>)[1].n", ("STRING", "7")),
        ("TRY_CAST(arr AS ARRAY<INT>)", ("ARRAY<INT>", "NULL")),
        ("CAST(r AS ROW<x BIGINT, y ROW<z VARCHAR(1)>>).y.z", ("VARCHAR(1)", "x")),
    ] {
        let (type_name, values) = run(sql, &inputs, Zone::default()).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!((type_name.as_str(), values[0].as_deref().unwrap_or("NULL")), expected, "{sql}");
        assert_eq!(values[1], None, "{sql} of NULL");
    }
    for (sql, part) in [
        ("r.z", "the row has no field `z`"),
        ("arr.x", "needs a ROW"),
        ("arr['x']", "a whole number from 1"),
        ("m[1]", "the keys of the map are STRING"),
        ("r = r", "cannot be compared"),
        ("nope", "there is no column `nope`"),
        ("x.r", "there is no column or table `x`"),
        ("CAST(arr AS INT)", "cannot be cast"),
        ("CAST(arr AS ARRAY<INT>)", "not a whole number"),
    ] {
        let error = run(sql, &inputs, Zone::default()).err().unwrap_or_else(|| panic!("{sql} was accepted"));
        assert!(error.contains(part), "{sql}: {error}");
    }
}
