//! The JSON decoder against two others, and against itself by detours: tables and values of every shape, decoded by
//! arrow-json, described by serde_json, written by arrow-json and by our encoder and read again, with blanks that no
//! shortcut of the decoder likes, and with fields in another order than the last time.

use arrow_array::RecordBatch;
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_json::{LineDelimitedWriter, ReaderBuilder};
use headwater_formats::json::{JsonEncoder, JsonOptions};
use headwater_formats::{DataType, Field, Format, LogicalType, OnBadRow, RowType};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A table and rows for it.
#[derive(Debug, Clone)]
struct Table {
    columns: RowType,
    rows: Vec<Value>,
}

fn leaf() -> impl Strategy<Value = LogicalType> {
    prop_oneof![
        Just(LogicalType::Boolean),
        Just(LogicalType::TinyInt),
        Just(LogicalType::SmallInt),
        Just(LogicalType::Int),
        Just(LogicalType::BigInt),
        Just(LogicalType::Float),
        Just(LogicalType::Double),
        (1u8..=38)
            .prop_flat_map(|p| (Just(p), 0..=p))
            .prop_map(|(precision, scale)| LogicalType::Decimal { precision, scale }),
        Just(LogicalType::String),
        Just(LogicalType::VarChar(3)),
        Just(LogicalType::Date),
        Just(LogicalType::Time(3)),
        Just(LogicalType::Timestamp(3)),
        Just(LogicalType::Timestamp(9)),
        Just(LogicalType::TimestampLtz(3)),
    ]
}

/// Types whose values our encoder prints as they were written, and serde_json reads exactly.
fn printed_alike() -> impl Strategy<Value = LogicalType> {
    use LogicalType::{BigInt, Boolean, Date, Int, SmallInt, String, TinyInt, VarChar};
    prop::sample::select(vec![Boolean, TinyInt, SmallInt, Int, BigInt, String, VarChar(3), Date])
}

fn any_type(leaf: impl Strategy<Value = LogicalType> + 'static) -> impl Strategy<Value = LogicalType> {
    leaf.prop_recursive(3, 12, 4, |inner| {
        let nullable = inner.clone().prop_map(DataType::nullable);
        prop_oneof![
            nullable.clone().prop_map(|t| LogicalType::Array(Box::new(t))),
            nullable.prop_map(|t| LogicalType::Map(Box::new(LogicalType::String.into()), Box::new(t))),
            fields(inner, 1..4).prop_map(LogicalType::Row),
        ]
    })
}

fn fields(of: impl Strategy<Value = LogicalType>, count: std::ops::Range<usize>) -> impl Strategy<Value = RowType> {
    let names = ["a", "id", "user_name", "a longer name than most", "日本", "x.y", "Z"];
    prop::collection::vec(of, count)
        .prop_map(move |types| RowType::new(names.iter().zip(types).map(|(name, t)| Field::new(*name, t))))
}

/// A JSON value that the type holds exactly, or null.
fn value(t: &LogicalType) -> BoxedStrategy<Value> {
    let some: BoxedStrategy<Value> = match t {
        LogicalType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        LogicalType::TinyInt => any::<i8>().prop_map(Value::from).boxed(),
        LogicalType::SmallInt => any::<i16>().prop_map(Value::from).boxed(),
        LogicalType::Int => prop_oneof![any::<i32>(), -99..99].prop_map(Value::from).boxed(),
        LogicalType::BigInt => prop_oneof![any::<i64>(), -99i64..99].prop_map(Value::from).boxed(),
        LogicalType::Float => any::<f32>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from).boxed(),
        LogicalType::Double => {
            let short = (any::<i32>(), 0..9).prop_map(|(m, e)| f64::from(m) / 10f64.powi(e));
            prop_oneof![any::<f64>(), short].prop_filter("finite", |f| f.is_finite()).prop_map(Value::from).boxed()
        }
        LogicalType::Decimal { precision, scale } => decimal(*precision, *scale).boxed(),
        LogicalType::Date => (0u16..=9999, 1u8..=12, 1u8..=28).prop_map(|(y, m, d)| json!(date(y, m, d))).boxed(),
        LogicalType::Time(_) => clock().prop_map(Value::from).boxed(),
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => {
            let years = if *p <= 3 { 1u16..=9998 } else { 1700..=2200 };
            let zone = if matches!(t, LogicalType::TimestampLtz(_)) { "Z" } else { "" };
            let moment = (years, 1u8..=12, 1u8..=28, clock());
            moment.prop_map(move |(y, m, d, clock)| json!(format!("{}T{clock}{zone}", date(y, m, d)))).boxed()
        }
        LogicalType::Array(t) => prop::collection::vec(value(&t.logical), 0..4).prop_map(Value::from).boxed(),
        LogicalType::Map(_, t) => {
            let entries = prop::collection::btree_map(any_text(), value(&t.logical), 0..4);
            entries.prop_map(|entries| Value::Object(entries.into_iter().collect())).boxed()
        }
        LogicalType::Row(row) => row_value(row).boxed(),
        _ => any_text().prop_map(Value::from).boxed(),
    };
    prop_oneof![8 => some, 1 => Just(Value::Null)].boxed()
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "[a-z]{0,90}", ".{0,6}", "[é日🎉\"\\\\/\t\n]{0,4}"]
}

fn decimal(precision: u8, scale: u8) -> impl Strategy<Value = Value> {
    let digits = usize::from(precision);
    (prop::collection::vec(b'0'..=b'9', 1..=digits), any::<bool>()).prop_map(move |(digits, negative)| {
        let text = String::from_utf8(digits).expect("digits");
        let text = format!("{text:0>width$}", width = usize::from(scale) + 1);
        let (whole, fraction) = text.split_at(text.len() - usize::from(scale));
        let point = if fraction.is_empty() { "" } else { "." };
        json!(format!("{}{whole}{point}{fraction}", if negative { "-" } else { "" }))
    })
}

fn date(year: u16, month: u8, day: u8) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

fn clock() -> impl Strategy<Value = String> {
    let fraction = prop_oneof![Just(String::new()), (0u16..1000).prop_map(|ms| format!(".{ms:03}"))];
    (0u8..24, 0u8..60, 0u8..60, fraction).prop_map(|(h, m, s, f)| format!("{h:02}:{m:02}:{s:02}{f}"))
}

/// An object with most of the fields.
fn row_value(row: &RowType) -> impl Strategy<Value = Value> + use<> {
    let fields: Vec<_> = row.fields().iter().map(|f| (Just(f.name.clone()), value(&f.data_type.logical))).collect();
    (fields, any::<u64>()).prop_map(|(fields, missing)| {
        let present = fields.into_iter().enumerate().filter(|(i, _)| missing >> (i * 4) & 15 != 0);
        Value::Object(present.map(|(_, field)| field).collect::<Map<_, _>>())
    })
}

fn table() -> impl Strategy<Value = Table> {
    table_of(leaf())
}

fn table_of(leaf: impl Strategy<Value = LogicalType> + 'static) -> impl Strategy<Value = Table> {
    fields(any_type(leaf), 1..6).prop_flat_map(|columns| {
        let rows = prop::collection::vec(row_value(&columns), 1..6);
        rows.prop_map(move |rows| Table { columns: columns.clone(), rows })
    })
}

fn format() -> Format {
    Format::json().option("timestamp-format.standard", "ISO-8601")
}

fn decoded(columns: &RowType, bodies: &[String]) -> RecordBatch {
    let mut decoder = format().factory(columns).expect("a good schema").decoder();
    for body in bodies {
        decoder.decode(body.as_bytes(), OnBadRow::Fail).unwrap_or_else(|e| panic!("{body}: {e}"));
    }
    decoder.flush()
}

/// The text with blanks around everything that is not within a string, and more behind commas and colons.
fn spread(text: &str, around: &str, behind: &str) -> String {
    let (mut out, mut within, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        let structural = !within && matches!(c, '{' | '}' | '[' | ']' | ':' | ',');
        if structural {
            out.push_str(around);
        }
        out.push(c);
        if structural {
            out.push_str(if matches!(c, ':' | ',') { behind } else { around });
        }
        within ^= c == '"' && !escaped;
        escaped = c == '\\' && within && !escaped;
    }
    out
}

/// The value with the members of its objects the other way round. serde_json sorts them, so that is another order.
fn backwards(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().rev().map(|(key, value)| format!("{}:{}", json!(key), backwards(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(backwards).collect::<Vec<_>>().join(",")),
        leaf => leaf.to_string(),
    }
}

/// What serde_json's value becomes when our encoder has printed the decoded one: nothing is lost, missing fields are
/// null, and decimals and times are as the type has them.
fn described(value: Option<&Value>, t: &LogicalType) -> Value {
    match (t, value) {
        (_, None | Some(Value::Null)) => Value::Null,
        (LogicalType::Row(row), Some(Value::Object(members))) => {
            let fields = row.fields().iter();
            let fields = fields.map(|f| (f.name.clone(), described(members.get(&f.name), &f.data_type.logical)));
            Value::Object(fields.collect())
        }
        (LogicalType::Array(t), Some(Value::Array(items))) => {
            items.iter().map(|item| described(Some(item), &t.logical)).collect()
        }
        (LogicalType::Map(_, t), Some(Value::Object(members))) => {
            Value::Object(members.iter().map(|(k, v)| (k.clone(), described(Some(v), &t.logical))).collect())
        }
        (_, Some(leaf)) => leaf.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn arrow_json_reads_the_same(table in table()) {
        let bodies: Vec<String> = table.rows.iter().map(Value::to_string).collect();
        let ours = decoded(&table.columns, &bodies);
        let mut theirs = ReaderBuilder::new(table.columns.to_arrow()).build_decoder().expect("types it has");
        let text = bodies.join("\n");
        prop_assert_eq!(theirs.decode(text.as_bytes()).expect("JSON"), text.len());
        let theirs = theirs.flush().expect("values of the types").expect("rows");
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn serde_json_describes_what_comes_out(table in table_of(printed_alike())) {
        let bodies: Vec<String> = table.rows.iter().map(Value::to_string).collect();
        let batch = decoded(&table.columns, &bodies);
        let mut lines = Vec::new();
        let encoder = JsonEncoder::new(&batch.schema(), JsonOptions::default()).expect("types JSON has");
        encoder.encode_lines(&batch, &mut lines).expect("its schema");
        let row = LogicalType::Row(table.columns.clone());
        let printed = String::from_utf8(lines).expect("UTF-8");
        prop_assert_eq!(printed.lines().count(), table.rows.len());
        for (line, value) in printed.lines().zip(&table.rows) {
            let line: Value = serde_json::from_str(line).expect("JSON");
            prop_assert_eq!(line, described(Some(value), &row));
        }
    }

    #[test]
    fn what_is_written_is_read_again(table in table()) {
        let bodies: Vec<String> = table.rows.iter().map(Value::to_string).collect();
        let batch = decoded(&table.columns, &bodies);
        let reread = |lines: Vec<u8>| {
            let lines = String::from_utf8(lines).expect("UTF-8");
            decoded(&table.columns, &lines.lines().map(str::to_owned).collect::<Vec<_>>())
        };
        let options = [("json.timestamp-format.standard".to_owned(), "ISO-8601".to_owned())].into();
        let options = JsonOptions::read(&options).expect("good options");
        let mut ours = Vec::new();
        let encoder = JsonEncoder::new(&batch.schema(), options).expect("types JSON has");
        encoder.encode_lines(&batch, &mut ours).expect("its schema");
        prop_assert_eq!(reread(ours), batch.clone());
        let mut writer: LineDelimitedWriter<_> =
            WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
        writer.write(&batch).expect("types it has");
        writer.finish().expect("a Vec");
        prop_assert_eq!(reread(writer.into_inner()), batch);
    }

    #[test]
    fn blanks_and_order_change_nothing(table in table()) {
        let bodies: Vec<String> = table.rows.iter().map(Value::to_string).collect();
        let batch = decoded(&table.columns, &bodies);
        // The first is how Python writes JSON.
        for (around, behind) in [("", " "), (" ", " "), ("\n", "\n  "), ("\t ", "\r\n")] {
            let spread: Vec<String> = bodies.iter().map(|body| spread(body, around, behind)).collect();
            prop_assert_eq!(&decoded(&table.columns, &spread), &batch, "{:?}", spread);
        }
        // Entries of a map stay in the order of the text.
        if !format!("{:?}", table.columns).contains("Map(") {
            let both = table.rows.iter().flat_map(|row| [backwards(row), row.to_string(), backwards(row)]);
            let both = decoded(&table.columns, &both.collect::<Vec<_>>());
            let indices = (0..batch.num_rows()).flat_map(|i| [i, i, i]);
            for (at, i) in indices.enumerate() {
                prop_assert_eq!(both.slice(at, 1), batch.slice(i, 1));
            }
        }
    }

    #[test]
    fn a_list_of_rows_is_its_rows_and_a_cut_one_those_before_the_cut(table in table(), cut: prop::sample::Index) {
        let bodies: Vec<String> = table.rows.iter().map(Value::to_string).collect();
        let batch = decoded(&table.columns, &bodies);
        let list = format!("[{}]", bodies.join(","));
        prop_assert_eq!(&decoded(&table.columns, std::slice::from_ref(&list)), &batch);
        let mut cut = cut.index(list.len());
        while !list.is_char_boundary(cut) {
            cut -= 1;
        }
        let mut decoder = format().factory(&table.columns).expect("a good schema").decoder();
        let result = decoder.decode(&list.as_bytes()[..cut], OnBadRow::Salvage).expect("salvage never fails");
        prop_assert_eq!(result.bad.len(), usize::from(cut > 0));
        prop_assert_eq!(decoder.flush(), batch.slice(0, result.rows));
    }

    /// Bodies that do not fit their table fail in the same place and for the same reason, however they are written.
    #[test]
    fn blanks_change_no_error(table in table(), other in table()) {
        for row in &other.rows {
            let compact = row.to_string();
            let outcome = |body: &str, ignore: bool| {
                let format = if ignore { format().option("ignore-parse-errors", "true") } else { format() };
                let mut decoder = format.factory(&table.columns).expect("a good schema").decoder();
                let result = decoder.decode(body.as_bytes(), OnBadRow::Fail);
                let result = result.map_err(|e| (e.kind().clone(), e.path().to_owned()));
                (result, decoder.flush())
            };
            for ignore in [false, true] {
                prop_assert_eq!(outcome(&compact, ignore), outcome(&spread(&compact, "\n", "\n"), ignore), "{}", compact);
            }
        }
    }
}

#[test]
fn the_blanks_are_where_they_should_be() {
    assert_eq!(spread(r#"{"a{":[1,"\"]"]}"#, " ", "_"), r#" { "a{" :_ [ 1 ,_"\"]" ]  } "#);
    assert_eq!(backwards(&json!({"a": 1, "b": [{"c": 2, "d": 3}]})), r#"{"b":[{"d":3,"c":2}],"a":1}"#);
}
