//! The types of an ORC file: a tree in a list, checked before anybody walks it by recursion.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Fields, TimeUnit, UnionFields, UnionMode};

use super::proto::{self, fields};
use crate::columnar::{MAX_FILE_DEPTH, broken, exceeds};
use crate::{DecodeError, Limits};

/// One type of the file; its position in the list is its column's number.
#[derive(Debug, Default)]
pub(super) struct OrcType {
    pub(super) kind: Kind,
    pub(super) subtypes: Vec<usize>,
    pub(super) names: Vec<String>,
    precision: u64,
    scale: u64,
}

/// What a column holds; the numbers are those in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Boolean,
    Byte,
    Short,
    Int,
    Long,
    Float,
    Double,
    Text,
    Binary,
    Timestamp,
    List,
    Map,
    Struct,
    Union,
    Decimal,
    Date,
    TimestampInstant,
}

impl Kind {
    fn of(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Boolean,
            1 => Self::Byte,
            2 => Self::Short,
            3 => Self::Int,
            4 => Self::Long,
            5 => Self::Float,
            6 => Self::Double,
            // STRING, VARCHAR and CHAR
            7 | 16 | 17 => Self::Text,
            8 => Self::Binary,
            9 => Self::Timestamp,
            10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Union,
            14 => Self::Decimal,
            15 => Self::Date,
            18 => Self::TimestampInstant,
            _ => return None,
        })
    }

    /// The least that Arrow takes for a value, in bytes.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Boolean | Self::Struct | Self::Union => 0,
            Self::Byte => 1,
            Self::Short => 2,
            Self::Int | Self::Float | Self::Text | Self::Binary | Self::List | Self::Map | Self::Date => 4,
            Self::Long | Self::Double | Self::Timestamp | Self::TimestampInstant => 8,
            Self::Decimal => 16,
        }
    }
}

impl OrcType {
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let mut this = Self::default();
        let mut subtypes = Vec::new();
        fields(message, |id, value| {
            match id {
                1 => this.kind = Kind::of(value.number()?)?,
                2 => proto::repeated(value, &mut subtypes)?,
                3 => this.names.push(String::from_utf8(value.bytes()?.to_vec()).ok()?),
                5 => this.precision = value.number()?,
                6 => this.scale = value.number()?,
                _ => {}
            }
            Some(())
        })?;
        this.subtypes = subtypes.into_iter().map(usize::try_from).collect::<Result<_, _>>().ok()?;
        Some(this)
    }
}

/// Whether the types are one tree from the first on: whoever walks it comes to an end, and soon.
pub(super) fn check(types: &[OrcType], limits: &Limits) -> Result<(), DecodeError> {
    if types.len().saturating_sub(1) > limits.columns {
        return Err(exceeds("columns", limits.columns));
    }
    let corrupt = |why: &str| Err(broken(format!("the ORC file is corrupt: {why}")));
    if types.first().is_none_or(|root| root.kind != Kind::Struct) {
        return corrupt("its type is no struct of columns");
    }
    // 0 for a type that nobody has as its part yet.
    let mut depths = vec![0; types.len()];
    for (at, t) in types.iter().enumerate() {
        let parts = match t.kind {
            Kind::List => t.subtypes.len() == 1,
            Kind::Map => t.subtypes.len() == 2,
            Kind::Struct => t.subtypes.len() == t.names.len(),
            Kind::Union => true,
            Kind::Decimal => t.subtypes.is_empty() && (1..=38).contains(&t.precision) && t.scale <= t.precision,
            _ => t.subtypes.is_empty(),
        };
        if !parts {
            return corrupt("a type of it cannot be");
        }
        for part in &t.subtypes {
            // Parts come behind what they are part of, and belong to one alone.
            if *part <= at || depths.get(*part).is_none_or(|depth| *depth > 0) {
                return corrupt("its types are no tree");
            }
            depths[*part] = depths[at] + 1;
            if depths[*part] > MAX_FILE_DEPTH {
                return Err(broken(format!("the types of the ORC file nest deeper than {MAX_FILE_DEPTH}")));
            }
        }
    }
    Ok(())
}

/// The numbers of a column and all its parts, in ascending order of a walk.
pub(super) fn with_parts(types: &[OrcType], column: usize) -> Vec<usize> {
    let mut found = vec![column];
    let mut at = 0;
    while let Some(next) = found.get(at) {
        found.extend_from_slice(&types[*next].subtypes);
        at += 1;
    }
    found
}

/// How timestamps are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timestamps {
    /// As what they are.
    Named,
    /// As nanoseconds in 128 bits, the one type of the library that holds all of them.
    Wide,
}

/// The parts of a struct as Arrow fields.
pub(super) fn arrow_fields(types: &[OrcType], column: usize, timestamps: Timestamps) -> Fields {
    let t = &types[column];
    let parts = t.names.iter().zip(&t.subtypes);
    parts.map(|(name, part)| Field::new(name, arrow_type(types, *part, timestamps), true)).collect()
}

/// The Arrow type of a column.
pub(super) fn arrow_type(types: &[OrcType], column: usize, timestamps: Timestamps) -> ArrowType {
    let t = &types[column];
    let part = |at: usize| arrow_type(types, t.subtypes[at], timestamps);
    match t.kind {
        Kind::Boolean => ArrowType::Boolean,
        Kind::Byte => ArrowType::Int8,
        Kind::Short => ArrowType::Int16,
        Kind::Int => ArrowType::Int32,
        Kind::Long => ArrowType::Int64,
        Kind::Float => ArrowType::Float32,
        Kind::Double => ArrowType::Float64,
        Kind::Text => ArrowType::Utf8,
        Kind::Binary => ArrowType::Binary,
        Kind::Timestamp | Kind::TimestampInstant if timestamps == Timestamps::Wide => ArrowType::Decimal128(38, 9),
        Kind::Timestamp => ArrowType::Timestamp(TimeUnit::Nanosecond, None),
        Kind::TimestampInstant => ArrowType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Kind::List => ArrowType::new_list(part(0), true),
        Kind::Map => {
            let entries = vec![Field::new("keys", part(0), false), Field::new("values", part(1), true)];
            let entries = Field::new("entries", ArrowType::Struct(entries.into()), false);
            ArrowType::Map(Arc::new(entries), false)
        }
        Kind::Struct => ArrowType::Struct(arrow_fields(types, column, timestamps)),
        // No column of a table takes it, so its parts do not matter.
        Kind::Union => ArrowType::Union(UnionFields::empty(), UnionMode::Sparse),
        // Checked to fit.
        Kind::Decimal => ArrowType::Decimal128(t.precision as u8, t.scale as i8),
        Kind::Date => ArrowType::Date32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, subtypes: &[usize]) -> OrcType {
        let names = if kind == Kind::Struct { subtypes.iter().map(|i| format!("c{i}")).collect() } else { Vec::new() };
        OrcType { kind, subtypes: subtypes.to_vec(), names, precision: 10, scale: 2 }
    }

    #[test]
    fn a_tree_is_a_tree() {
        use Kind::{Int, List, Struct};
        let good = [of(Struct, &[1, 3]), of(List, &[2]), of(Int, &[]), of(Int, &[])];
        check(&good, &Limits::default()).expect("a tree");
        assert_eq!(with_parts(&good, 1), [1, 2]);
        for bad in [
            vec![],
            vec![of(Int, &[])],
            vec![of(Struct, &[0])],
            vec![of(Struct, &[1]), of(List, &[1])],
            vec![of(Struct, &[1]), of(List, &[0])],
            vec![of(Struct, &[1, 1]), of(Int, &[])],
            vec![of(Struct, &[2])],
            vec![of(Struct, &[1]), of(List, &[])],
        ] {
            check(&bad, &Limits::default()).expect_err("no tree");
        }
        let mut deep = vec![of(Struct, &[1])];
        deep.extend((2..10_000).map(|part| of(List, &[part])));
        deep.push(of(Int, &[]));
        assert!(check(&deep, &Limits::default()).expect_err("deep").to_string().contains("nest deeper"));
        assert!(check(&good, &Limits::default().with_columns(2)).is_err());
    }
}
