//! JSON bodies: objects, and lists of objects.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::shape::{Shape, Standard};
use super::{InferError, Inferred};
use crate::RowType;

/// Whether a body is JSON from end to end.
pub(super) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// The columns that the objects have in common, by the order in which they were met.
pub(super) fn table(bodies: &[&[u8]]) -> Result<Inferred, InferError> {
    let mut rows = Shape::default();
    for (at, body) in bodies.iter().enumerate() {
        let wrong = |reason: String| InferError::Sample { number: at + 1, reason };
        if body.trim_ascii().is_empty() {
            continue;
        }
        // The position is told, and nothing of what stands there.
        let value: Value = serde_json::from_slice(body)
            .map_err(|e| wrong(format!("line {} column {}: this is no JSON", e.line(), e.column())))?;
        match value {
            Value::Object(_) => rows.add(&value),
            Value::Array(elements) if elements.iter().all(|e| matches!(e, Value::Object(_))) => {
                elements.iter().for_each(|element| rows.add(element));
            }
            _ => return Err(wrong("JSON that is neither an object nor a list of objects is no row".to_owned())),
        }
    }
    let standard = Standard::of(&rows);
    let mut notes = Vec::new();
    let fields = rows.fields("", standard, &mut notes);
    if fields.is_empty() {
        return Err(InferError::NoSample);
    }
    let mut table = Inferred::new("json", RowType::new(fields));
    table.notes = notes;
    if standard == Standard::Iso {
        table.set("timestamp-format.standard", "ISO-8601");
    }
    Ok(table)
}

/// A JSON value with its members in order.
pub(super) enum Value {
    Null,
    Bool,
    Integer,
    /// An integer beyond 64 bits signed.
    Large,
    Number,
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Integer)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(if i64::try_from(number).is_ok() { Value::Integer } else { Value::Large })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Value::Object(members))
    }
}
