//! Tables of any schema with rows of any values, written as JSON: the `json` format makes the Arrow batches that other
//! formats are to give back.

use headwater_formats::{Field, LogicalType, RowType};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Map, Value, json};

/// Columns and the rows as a list of objects.
pub(crate) fn tables(nested: bool, leaves: &'static [&'static str]) -> impl Strategy<Value = (RowType, Value)> {
    vec(types(nested, leaves), 1..5).prop_flat_map(|types| {
        let columns = row(types);
        (Just(columns.clone()), vec(object(&columns), 0..30).prop_map(Value::Array))
    })
}

fn row(types: Vec<LogicalType>) -> RowType {
    RowType::new(types.into_iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t)))
}

fn types(nested: bool, leaves: &'static [&'static str]) -> BoxedStrategy<LogicalType> {
    let leaf = prop::sample::select(leaves).prop_map(|t| {
        let t: headwater_formats::DataType = t.parse().expect("a type");
        t.logical
    });
    if !nested {
        return leaf.boxed();
    }
    let text = LogicalType::String;
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let text = text.clone();
        prop_oneof![
            inner.clone().prop_map(|t| LogicalType::Array(Box::new(t.into()))),
            inner.clone().prop_map(move |t| LogicalType::Map(Box::new(text.clone().into()), Box::new(t.into()))),
            vec(inner, 1..4).prop_map(|types| LogicalType::Row(row(types))),
        ]
    })
    .boxed()
}

fn object(row: &RowType) -> BoxedStrategy<Value> {
    let fields = row.fields().iter().map(|f| (Just(f.name.clone()), value(&f.data_type.logical)));
    fields.collect::<Vec<_>>().prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())).boxed()
}

fn value(t: &LogicalType) -> BoxedStrategy<Value> {
    let some = match t {
        LogicalType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        LogicalType::TinyInt => any::<i8>().prop_map(Value::from).boxed(),
        LogicalType::SmallInt => any::<i16>().prop_map(Value::from).boxed(),
        LogicalType::Int => any::<i32>().prop_map(Value::from).boxed(),
        LogicalType::BigInt => any::<i64>().prop_map(Value::from).boxed(),
        LogicalType::Float => any::<i16>().prop_map(|n| json!(f32::from(n) / 8.0)).boxed(),
        LogicalType::Double => (-1e300..1e300f64).prop_map(Value::from).boxed(),
        LogicalType::Decimal { precision, scale } => {
            let whole = usize::from(precision - scale).max(1);
            let text = format!("-?[1-9][0-9]{{0,{}}}", whole - 1);
            let fraction = *scale;
            let text = if precision == scale { "-?0".to_owned() } else { text };
            (string_regex(&text).expect("a pattern"), "[0-9]{38}")
                .prop_map(move |(w, f)| json!(format!("{w}.{}", &f[..usize::from(fraction)])))
                .boxed()
        }
        LogicalType::String => "\\PC{0,12}".prop_map(Value::from).boxed(),
        LogicalType::Bytes => "([A-Za-z0-9+/]{4}){0,4}".prop_map(Value::from).boxed(),
        LogicalType::Date => {
            "(19[0-9]{2}|20[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])".prop_map(Value::from).boxed()
        }
        LogicalType::Time(_) => "(0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]".prop_map(Value::from).boxed(),
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => {
            let zone = if matches!(t, LogicalType::TimestampLtz(_)) { "Z" } else { "" };
            let digits = *p;
            ("(19[8-9][0-9]|20[0-9]{2})-0[1-9]-2[0-8] 1[0-9]:[0-5][0-9]:[0-5][0-9]", "[0-9]{9}")
                .prop_map(move |(at, f)| match digits {
                    0 => json!(format!("{at}{zone}")),
                    _ => json!(format!("{at}.{}{zone}", &f[..usize::from(digits)])),
                })
                .boxed()
        }
        LogicalType::Array(t) => vec(value(&t.logical), 0..4).prop_map(Value::Array).boxed(),
        LogicalType::Map(_, t) => prop::collection::hash_map("[a-z]{0,3}", value(&t.logical), 0..4)
            .prop_map(|entries| Value::Object(entries.into_iter().collect()))
            .boxed(),
        LogicalType::Row(row) => object(row),
        other => panic!("no values for {other}"),
    };
    option::weighted(0.8, some).prop_map(|value| value.unwrap_or(Value::Null)).boxed()
}
