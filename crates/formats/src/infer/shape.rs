//! What values at one place have in common, and the type that holds them all.

use std::collections::HashMap;

use super::json::Value;
use crate::{DataType, Field, LogicalType};

/// Objects and lists that nest deeper stay text: nobody wants to select from them.
const NESTING: usize = 16;

/// Members of one object that are columns rather than data; more are the keys of a map.
const MEMBERS: usize = 64;

/// What was met at one place.
#[derive(Debug, Default)]
pub(super) struct Shape {
    nulls: usize,
    booleans: usize,
    integers: usize,
    large: usize,
    numbers: usize,
    texts: Texts,
    lists: usize,
    element: Option<Box<Self>>,
    objects: usize,
    members: Vec<(String, Self)>,
    /// Where a member is in `members`.
    index: HashMap<String, usize>,
}

/// What texts look like.
#[derive(Debug, Default)]
pub(super) struct Texts {
    count: usize,
    dates: usize,
    sql: usize,
    sql_utc: usize,
    iso: usize,
    iso_utc: usize,
    /// Digits of a second.
    digits: usize,
}

/// How timestamps are written; one for the whole table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standard {
    Sql,
    Iso,
}

impl Standard {
    /// The one that more places agree with.
    pub(super) fn of(rows: &Shape) -> Self {
        let (mut sql, mut iso) = (0, 0);
        rows.count_moments(&mut sql, &mut iso);
        if iso > sql { Self::Iso } else { Self::Sql }
    }
}

impl Texts {
    pub(super) fn add(&mut self, text: &str) {
        self.count += 1;
        let bytes = text.as_bytes();
        let like = |pattern: &[u8], text: &[u8]| {
            let fits = |(p, b): (&u8, &u8)| if *p == b'9' { b.is_ascii_digit() } else { p == b };
            pattern.len() == text.len() && pattern.iter().zip(text).all(fits)
        };
        if like(b"9999-99-99", bytes) {
            self.dates += 1;
            return;
        }
        let Some((head, rest)) = bytes.split_at_checked(19) else { return };
        let (rest, utc) = rest.strip_suffix(b"Z").map_or((rest, false), |rest| (rest, true));
        let digits = match rest {
            [] => 0,
            [b'.', digits @ ..] if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
                digits.len()
            }
            _ => return,
        };
        let slot = match utc {
            false if like(b"9999-99-99 99:99:99", head) => &mut self.sql,
            true if like(b"9999-99-99 99:99:99", head) => &mut self.sql_utc,
            false if like(b"9999-99-99T99:99:99", head) => &mut self.iso,
            true if like(b"9999-99-99T99:99:99", head) => &mut self.iso_utc,
            _ => return,
        };
        *slot += 1;
        self.digits = self.digits.max(digits);
    }

    /// The type that holds all of them.
    pub(super) fn logical(&self, standard: Standard) -> LogicalType {
        let precision = if self.digits <= 3 { 3 } else { 9 };
        let (local, utc) = match standard {
            Standard::Sql => (self.sql, self.sql_utc),
            Standard::Iso => (self.iso, self.iso_utc),
        };
        match self.count {
            0 => LogicalType::String,
            n if n == self.dates => LogicalType::Date,
            n if n == local => LogicalType::Timestamp(precision),
            n if n == utc => LogicalType::TimestampLtz(precision),
            _ => LogicalType::String,
        }
    }

    fn moments(&self, standard: Standard) -> bool {
        matches!(self.logical(standard), LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_))
    }
}

impl Shape {
    pub(super) fn add(&mut self, value: &Value) {
        match value {
            Value::Null => self.nulls += 1,
            Value::Bool => self.booleans += 1,
            Value::Integer => self.integers += 1,
            Value::Large => self.large += 1,
            Value::Number => self.numbers += 1,
            Value::Text(text) => self.texts.add(text),
            Value::Array(elements) => {
                self.lists += 1;
                let element = self.element.get_or_insert_default();
                elements.iter().for_each(|value| element.add(value));
            }
            Value::Object(members) => {
                self.objects += 1;
                for (name, value) in members {
                    let at = *self.index.entry(name.clone()).or_insert_with(|| {
                        self.members.push((name.clone(), Self::default()));
                        self.members.len() - 1
                    });
                    self.members[at].1.add(value);
                }
            }
        }
    }

    /// The members as columns; what is left open goes to `notes`.
    pub(super) fn fields(&self, path: &str, standard: Standard, notes: &mut Vec<String>) -> Vec<Field> {
        let mut fields = Vec::new();
        for (name, shape) in &self.members {
            // A DDL has no name for it.
            if name.is_empty() {
                notes.push("a member with an empty name is left out".to_owned());
                continue;
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            fields.push(Field::new(name, shape.logical(&path, 1, standard, notes)));
        }
        fields
    }

    fn logical(&self, path: &str, depth: usize, standard: Standard, notes: &mut Vec<String>) -> LogicalType {
        let numeric = self.integers + self.large + self.numbers;
        let kinds = [self.booleans, numeric, self.texts.count, self.lists, self.objects];
        let mut text = |why: &str| {
            notes.push(format!("column `{path}` is STRING: {why}"));
            LogicalType::String
        };
        match kinds.iter().filter(|count| **count > 0).count() {
            0 => return text("the samples have only null there, or nothing in the list"),
            1 => {}
            _ => return text("the samples have values of several kinds there"),
        }
        if depth > NESTING && self.lists + self.objects > 0 {
            return text("it nests deeper than a table should");
        }
        if self.booleans > 0 {
            LogicalType::Boolean
        } else if self.numbers > 0 {
            LogicalType::Double
        } else if self.large > 0 {
            // Every integer of 64 bits, with or without a sign.
            LogicalType::Decimal { precision: 20, scale: 0 }
        } else if self.integers > 0 {
            LogicalType::BigInt
        } else if self.lists > 0 {
            let path = format!("{path}[]");
            let element = self.element.as_ref();
            let element =
                element.map_or(LogicalType::String, |element| element.logical(&path, depth + 1, standard, notes));
            LogicalType::Array(Box::new(element.into()))
        } else if self.objects > 0 {
            self.object(path, depth, standard, notes)
        } else {
            self.texts.logical(standard)
        }
    }

    fn object(&self, path: &str, depth: usize, standard: Standard, notes: &mut Vec<String>) -> LogicalType {
        let string = || DataType::nullable(LogicalType::String);
        let map = |value: DataType| LogicalType::Map(Box::new(string()), Box::new(value));
        let mut inner = Vec::new();
        let mut fields = Vec::new();
        for (name, shape) in self.members.iter().filter(|(name, _)| !name.is_empty()) {
            let path = format!("{path}.{name}");
            fields.push(Field::new(name, shape.logical(&path, depth + 1, standard, &mut inner)));
        }
        let uniform = fields.iter().all(|field| field.data_type == fields[0].data_type);
        if fields.is_empty() {
            notes.push(format!("column `{path}` is MAP<STRING, STRING>: the samples have only empty objects there"));
            return map(string());
        }
        if fields.len() > MEMBERS || self.keys_are_data() && uniform {
            let value = if uniform { fields[0].data_type.clone() } else { string() };
            notes.push(format!("column `{path}` is a MAP: its {} keys look like data rather than names", fields.len()));
            return map(value);
        }
        notes.append(&mut inner);
        LogicalType::Row(crate::RowType::new(fields))
    }

    /// Numbers as keys, or many keys none of which is in most objects.
    fn keys_are_data(&self) -> bool {
        let number = |name: &str| name.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let rare = |shape: &Self| shape.met() * 2 <= self.objects;
        self.members.iter().all(|(name, _)| number(name))
            || self.members.len() >= 4 && self.members.iter().all(|(_, shape)| rare(shape))
    }

    fn met(&self) -> usize {
        let numeric = self.integers + self.large + self.numbers;
        self.nulls + self.booleans + numeric + self.texts.count + self.lists + self.objects
    }

    fn count_moments(&self, sql: &mut usize, iso: &mut usize) {
        *sql += usize::from(self.texts.moments(Standard::Sql));
        *iso += usize::from(self.texts.moments(Standard::Iso));
        self.element.iter().for_each(|element| element.count_moments(sql, iso));
        self.members.iter().for_each(|(_, shape)| shape.count_moments(sql, iso));
    }
}
