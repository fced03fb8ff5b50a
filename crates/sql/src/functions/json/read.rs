//! One value out of a JSON text, without building the rest.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::path::{JsonPath, Step};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found<'a> {
    /// The text is not JSON.
    Invalid,
    Missing,
    Null,
    Boolean(bool),
    /// The number as written.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An object or an array.
    Nested,
}

/// Looks a path up. The text must be valid up to the end of its first value; what follows is ignored, as Flink does.
/// Of equal keys the last one counts.
pub(super) fn find<'a>(text: &'a str, path: &JsonPath) -> Found<'a> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match Walk(&path.steps).deserialize(&mut deserializer) {
        Err(_) => Found::Invalid,
        Ok(None) => Found::Missing,
        Ok(Some(raw)) => classify(raw.get()),
    }
}

fn classify(raw: &str) -> Found<'_> {
    match raw.as_bytes().first() {
        Some(b'{' | b'[') => Found::Nested,
        Some(b'n') => Found::Null,
        Some(b't') => Found::Boolean(true),
        Some(b'f') => Found::Boolean(false),
        Some(b'"') => {
            let plain = &raw[1..raw.len() - 1];
            if !plain.contains('\\') {
                return Found::Text(Cow::Borrowed(plain));
            }
            // Half of a surrogate pair is what may still be wrong.
            serde_json::from_str::<String>(raw).map_or(Found::Invalid, |s| Found::Text(Cow::Owned(s)))
        }
        _ => Found::Number(raw),
    }
}

/// A number as `BigDecimal.toString` or `Integer.toString` prints it.
pub(super) fn number_text(raw: &str) -> Cow<'_, str> {
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    // An exponent beyond 32 bits is beyond BigDecimal too; the number stays as it is written.
    let (Some(exponent), whole) = (exponent.parse::<i32>().ok(), !raw.contains(['.', 'e', 'E'])) else {
        return raw.into();
    };
    if whole {
        return if raw == "-0" { "0".into() } else { raw.into() };
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{integer}{fraction}");
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        significant => significant,
    };
    let sign = if digits == "0" { "" } else { sign };
    let scale = fraction.len() as i64 - i64::from(exponent);
    let adjusted = digits.len() as i64 - 1 - scale;
    if scale >= 0 && adjusted >= -6 {
        // At most six zeros more than there are digits.
        let padded = format!("{digits:0>width$}", width = scale as usize + 1);
        let (integer, fraction) = padded.split_at(padded.len() - scale as usize);
        return if scale == 0 { format!("{sign}{integer}") } else { format!("{sign}{integer}.{fraction}") }.into();
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{adjusted:+}").into()
}

/// Goes down the steps. `None` where there is nothing at the path.
struct Walk<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0.split_first() {
            None => serde::Deserialize::deserialize(deserializer).map(Some),
            Some((step, rest)) => deserializer.deserialize_any(Down { step, rest }),
        }
    }
}

struct Down<'p> {
    step: &'p Step,
    rest: &'p [Step],
}

impl<'de> Visitor<'de> for Down<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(wanted) = map.next_key_seed(IsKey(self.step))? {
            if wanted {
                found = map.next_value_seed(Walk(self.rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        match self.step {
            Step::Index(index) if *index >= 0 => {
                let mut found = None;
                for at in 0.. {
                    if at == *index {
                        match seq.next_element_seed(Walk(self.rest))? {
                            Some(value) => found = value,
                            None => break,
                        }
                    } else if seq.next_element::<IgnoredAny>()?.is_none() {
                        break;
                    }
                }
                Ok(found)
            }
            Step::Index(index) => {
                // From the end: how many there are is known only then, so all are looked at.
                let mut all = Vec::new();
                while let Some(value) = seq.next_element_seed(Walk(self.rest))? {
                    all.push(value);
                }
                let from_end = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
                Ok(all.len().checked_sub(from_end).and_then(|at| all[at]))
            }
            Step::Key(_) => {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(None)
            }
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a key is the one that a step wants.
struct IsKey<'p>(&'p Step);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(matches!(self.0, Step::Key(wanted) if wanted == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(text: &'a str, path: &str) -> Found<'a> {
        find(text, &JsonPath::parse(path).expect(path))
    }

    #[test]
    fn values_are_found_without_the_rest() {
        for (text, path, expected) in [
            (r#"{"a": {"b": [1, "x"]}}"#, "$.a.b[1]", Found::Text("x".into())),
            (r#"{"a": {"b": [1, "x"]}}"#, "$.a.b[-1]", Found::Text("x".into())),
            (r#"{"a": {"b": [1, "x"]}}"#, "$.a.b[-3]", Found::Missing),
            (r#"{"a": {"b": [1, "x"]}}"#, "$.a.b[2]", Found::Missing),
            (r#"{"a": {"b": [1, "x"]}}"#, "$.a", Found::Nested),
            (r#"{"a": 1, "a": 2}"#, "$.a", Found::Number("2")),
            (r#"{"a": null}"#, "$.a", Found::Null),
            (r#"{"a": true}"#, "$.a.b", Found::Missing),
            (r#"{"a": 1.50e3}"#, "$.a", Found::Number("1.50e3")),
            (r#""q\"uote""#, "$", Found::Text("q\"uote".into())),
            (r#"{"a": 1} and more"#, "$.a", Found::Number("1")),
            (r#"{"a": 1, "b": }"#, "$.a", Found::Invalid),
            (r#"{"a": "\ud800"}"#, "$.a", Found::Invalid),
            ("", "$.a", Found::Invalid),
            ("  12", "$", Found::Number("12")),
        ] {
            assert_eq!(at(text, path), expected, "{text} {path}");
        }
    }

    #[test]
    fn numbers_print_as_in_java() {
        for (raw, expected) in [
            ("1", "1"),
            ("-0", "0"),
            ("1.50", "1.50"),
            ("0.998", "0.998"),
            ("1e3", "1E+3"),
            ("1.5e3", "1.5E+3"),
            ("12.34e1", "123.4"),
            ("1.50e2", "150"),
            ("0.0000001", "1E-7"),
            ("0.000001", "0.000001"),
            ("-12.5E-1", "-1.25"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("0.0", "0.0"),
            ("1e-9223372036854775808", "1e-9223372036854775808"),
        ] {
            assert_eq!(number_text(raw), expected, "{raw}");
        }
    }
}
