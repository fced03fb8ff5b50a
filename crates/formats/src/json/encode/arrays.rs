//! Arrow arrays as JSON values: the arrays of a batch are looked up by type once, then read row by row.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType as ArrowType, TimeUnit};

use super::super::options::JsonOptions;
use super::super::reprint::quoted;
use super::key;
use super::values::{self, Clock};
use crate::coerce::float;
use crate::options::FormatError;

/// An array of known type.
#[derive(Debug)]
pub(super) enum Values<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Int8(&'a Int8Array),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    UInt8(&'a UInt8Array),
    UInt16(&'a UInt16Array),
    UInt32(&'a UInt32Array),
    UInt64(&'a UInt64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal128(&'a Decimal128Array, i8),
    Decimal256(&'a Decimal256Array, i8),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    LargeBytes(&'a LargeBinaryArray),
    BytesView(&'a BinaryViewArray),
    FixedBytes(&'a FixedSizeBinaryArray),
    Date(&'a Date32Array),
    /// Values as 64-bit counts of a unit since midnight, or since 1970 with or without a zone.
    Time(Counts<'a>, TimeUnit),
    Timestamp(Counts<'a>, TimeUnit, bool),
    List(&'a ListArray, Box<Self>),
    LargeList(&'a LargeListArray, Box<Self>),
    Map(&'a MapArray, Box<Self>, Box<Self>),
    Struct(Option<&'a NullBuffer>, Vec<(Box<[u8]>, Self)>),
}

#[derive(Debug)]
pub(super) struct Counts<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Integers<'a>,
}

#[derive(Debug)]
enum Integers<'a> {
    Narrow(&'a [i32]),
    Wide(&'a [i64]),
}

impl<'a> Counts<'a> {
    fn narrow<T: ArrowPrimitiveType<Native = i32>>(array: &'a dyn Array) -> Option<Self> {
        let array = array.as_primitive_opt::<T>()?;
        Some(Self { nulls: array.nulls(), values: Integers::Narrow(array.values()) })
    }

    fn wide<T: ArrowPrimitiveType<Native = i64>>(array: &'a dyn Array) -> Option<Self> {
        let array = array.as_primitive_opt::<T>()?;
        Some(Self { nulls: array.nulls(), values: Integers::Wide(array.values()) })
    }

    fn get(&self, i: usize) -> i64 {
        match self.values {
            Integers::Narrow(values) => i64::from(values[i]),
            Integers::Wide(values) => values[i],
        }
    }
}

impl<'a> Values<'a> {
    /// `None` for a type that [`check`] refuses.
    pub(super) fn of(array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            ArrowType::Null => Self::Null,
            ArrowType::Boolean => Self::Boolean(array.as_boolean()),
            ArrowType::Int8 => Self::Int8(array.as_primitive()),
            ArrowType::Int16 => Self::Int16(array.as_primitive()),
            ArrowType::Int32 => Self::Int32(array.as_primitive()),
            ArrowType::Int64 => Self::Int64(array.as_primitive()),
            ArrowType::UInt8 => Self::UInt8(array.as_primitive()),
            ArrowType::UInt16 => Self::UInt16(array.as_primitive()),
            ArrowType::UInt32 => Self::UInt32(array.as_primitive()),
            ArrowType::UInt64 => Self::UInt64(array.as_primitive()),
            ArrowType::Float32 => Self::Float32(array.as_primitive()),
            ArrowType::Float64 => Self::Float64(array.as_primitive()),
            ArrowType::Decimal128(_, scale) => Self::Decimal128(array.as_primitive(), *scale),
            ArrowType::Decimal256(_, scale) => Self::Decimal256(array.as_primitive(), *scale),
            ArrowType::Utf8 => Self::Text(array.as_string()),
            ArrowType::LargeUtf8 => Self::LargeText(array.as_string()),
            ArrowType::Utf8View => Self::TextView(array.as_string_view()),
            ArrowType::Binary => Self::Bytes(array.as_binary()),
            ArrowType::LargeBinary => Self::LargeBytes(array.as_binary()),
            ArrowType::BinaryView => Self::BytesView(array.as_binary_view()),
            ArrowType::FixedSizeBinary(_) => Self::FixedBytes(array.as_fixed_size_binary()),
            ArrowType::Date32 => Self::Date(array.as_primitive()),
            ArrowType::Time32(unit) | ArrowType::Time64(unit) => Self::Time(time_counts(array, *unit)?, *unit),
            ArrowType::Timestamp(unit, zone) => Self::Timestamp(timestamp_counts(array, *unit)?, *unit, zone.is_some()),
            ArrowType::List(_) => {
                let list: &ListArray = array.as_list();
                Self::List(list, Box::new(Self::of(list.values().as_ref())?))
            }
            ArrowType::LargeList(_) => {
                let list: &LargeListArray = array.as_list();
                Self::LargeList(list, Box::new(Self::of(list.values().as_ref())?))
            }
            ArrowType::Map(..) => {
                let map = array.as_map();
                let (keys, values) = (Self::of(map.keys().as_ref())?, Self::of(map.values().as_ref())?);
                Self::Map(map, Box::new(keys), Box::new(values))
            }
            ArrowType::Struct(fields) => {
                let array = array.as_struct();
                let columns = array.columns().iter().map(|column| Self::of(column.as_ref()));
                let fields = fields.iter().zip(columns).map(|(field, column)| Some((key(field.name()), column?)));
                Self::Struct(array.nulls(), fields.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    fn is_null(&self, i: usize) -> bool {
        let null = |nulls: Option<&NullBuffer>| nulls.is_some_and(|nulls| nulls.is_null(i));
        match self {
            Self::Null => true,
            Self::Boolean(a) => a.is_null(i),
            Self::Int8(a) => a.is_null(i),
            Self::Int16(a) => a.is_null(i),
            Self::Int32(a) => a.is_null(i),
            Self::Int64(a) => a.is_null(i),
            Self::UInt8(a) => a.is_null(i),
            Self::UInt16(a) => a.is_null(i),
            Self::UInt32(a) => a.is_null(i),
            Self::UInt64(a) => a.is_null(i),
            Self::Float32(a) => a.is_null(i),
            Self::Float64(a) => a.is_null(i),
            Self::Decimal128(a, _) => a.is_null(i),
            Self::Decimal256(a, _) => a.is_null(i),
            Self::Text(a) => a.is_null(i),
            Self::LargeText(a) => a.is_null(i),
            Self::TextView(a) => a.is_null(i),
            Self::Bytes(a) => a.is_null(i),
            Self::LargeBytes(a) => a.is_null(i),
            Self::BytesView(a) => a.is_null(i),
            Self::FixedBytes(a) => a.is_null(i),
            Self::Date(a) => a.is_null(i),
            Self::Time(counts, _) | Self::Timestamp(counts, ..) => null(counts.nulls),
            Self::List(a, _) => a.is_null(i),
            Self::LargeList(a, _) => a.is_null(i),
            Self::Map(a, ..) => a.is_null(i),
            Self::Struct(nulls, _) => null(*nulls),
        }
    }

    /// Appends `,"name":value`, without the comma right behind the opening brace, or nothing for a NULL that is to be
    /// left out.
    pub(super) fn member(&self, name: &[u8], i: usize, options: &JsonOptions, out: &mut Vec<u8>) {
        if options.ignore_null_fields && self.is_null(i) {
            return;
        }
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b':');
        self.value(i, options, out);
    }

    fn value(&self, i: usize, options: &JsonOptions, out: &mut Vec<u8>) {
        if self.is_null(i) {
            return out.extend_from_slice(b"null");
        }
        match self {
            Self::Null => {}
            Self::Boolean(a) => out.extend_from_slice(if a.value(i) { b"true" } else { b"false" }),
            Self::Int8(a) => values::integer(a.value(i).into(), out),
            Self::Int16(a) => values::integer(a.value(i).into(), out),
            Self::Int32(a) => values::integer(a.value(i).into(), out),
            Self::Int64(a) => values::integer(a.value(i), out),
            Self::UInt8(a) => values::unsigned(a.value(i).into(), out),
            Self::UInt16(a) => values::unsigned(a.value(i).into(), out),
            Self::UInt32(a) => values::unsigned(a.value(i).into(), out),
            Self::UInt64(a) => values::unsigned(a.value(i), out),
            Self::Float32(a) => {
                let value = a.value(i);
                values::maybe_quoted(value.is_finite(), out, |out| float::print_f32(value, out));
            }
            Self::Float64(a) => {
                let value = a.value(i);
                values::maybe_quoted(value.is_finite(), out, |out| float::print_f64(value, out));
            }
            Self::Decimal128(a, scale) => decimal(&a.value(i).to_string(), *scale, options, out),
            Self::Decimal256(a, scale) => decimal(&a.value(i).to_string(), *scale, options, out),
            Self::Text(a) => quoted(a.value(i).as_bytes(), out),
            Self::LargeText(a) => quoted(a.value(i).as_bytes(), out),
            Self::TextView(a) => quoted(a.value(i).as_bytes(), out),
            Self::Bytes(a) => values::bytes(a.value(i), out),
            Self::LargeBytes(a) => values::bytes(a.value(i), out),
            Self::BytesView(a) => values::bytes(a.value(i), out),
            Self::FixedBytes(a) => values::bytes(a.value(i), out),
            Self::Date(a) => values::in_quotes(out, |out| values::date(a.value(i).into(), out)),
            Self::Time(counts, unit) => {
                let clock = Clock::new(counts.get(i), *unit);
                values::in_quotes(out, |out| clock.time(out));
            }
            Self::Timestamp(counts, unit, zone) => {
                let clock = Clock::new(counts.get(i), *unit);
                values::in_quotes(out, |out| clock.timestamp(&options.timestamps, *zone, out));
            }
            Self::List(a, items) => list(a.value_offsets(), items, i, options, out),
            Self::LargeList(a, items) => list(a.value_offsets(), items, i, options, out),
            Self::Map(a, keys, values) => map(a.value_offsets(), keys, values, i, options, out),
            Self::Struct(_, fields) => {
                out.push(b'{');
                for (name, field) in fields {
                    field.member(name, i, options, out);
                }
                out.push(b'}');
            }
        }
    }

    /// A map's key as text.
    fn text(&self, i: usize) -> &str {
        match self {
            Self::Text(a) => a.value(i),
            Self::LargeText(a) => a.value(i),
            Self::TextView(a) => a.value(i),
            _ => unreachable!("the keys of a map are text, see `check`"),
        }
    }
}

fn decimal(unscaled: &str, scale: i8, options: &JsonOptions, out: &mut Vec<u8>) {
    values::decimal(unscaled, scale, options.decimal_as_plain_number, out);
}

fn list<O: OffsetSizeTrait>(offsets: &[O], items: &Values<'_>, i: usize, options: &JsonOptions, out: &mut Vec<u8>) {
    out.push(b'[');
    let (start, end) = (offsets[i].as_usize(), offsets[i + 1].as_usize());
    for item in start..end {
        if item > start {
            out.push(b',');
        }
        items.value(item, options, out);
    }
    out.push(b']');
}

fn map(offsets: &[i32], keys: &Values<'_>, values: &Values<'_>, i: usize, options: &JsonOptions, out: &mut Vec<u8>) {
    out.push(b'{');
    // Offsets are never negative.
    for entry in offsets[i] as usize..offsets[i + 1] as usize {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        quoted(keys.text(entry).as_bytes(), out);
        out.push(b':');
        values.value(entry, options, out);
    }
    out.push(b'}');
}

fn time_counts(array: &dyn Array, unit: TimeUnit) -> Option<Counts<'_>> {
    match unit {
        TimeUnit::Second => Counts::narrow::<Time32SecondType>(array),
        TimeUnit::Millisecond => Counts::narrow::<Time32MillisecondType>(array),
        TimeUnit::Microsecond => Counts::wide::<Time64MicrosecondType>(array),
        TimeUnit::Nanosecond => Counts::wide::<Time64NanosecondType>(array),
    }
}

fn timestamp_counts(array: &dyn Array, unit: TimeUnit) -> Option<Counts<'_>> {
    match unit {
        TimeUnit::Second => Counts::wide::<TimestampSecondType>(array),
        TimeUnit::Millisecond => Counts::wide::<TimestampMillisecondType>(array),
        TimeUnit::Microsecond => Counts::wide::<TimestampMicrosecondType>(array),
        TimeUnit::Nanosecond => Counts::wide::<TimestampNanosecondType>(array),
    }
}

/// Notes every type at or below `path` that cannot be written.
pub(super) fn check(t: &ArrowType, path: &str, errors: &mut Vec<FormatError>) {
    let mut refuse = |reason: &str| {
        errors.push(FormatError::UnsupportedType {
            format: "json",
            column: path.to_owned(),
            data_type: t.to_string(),
            reason: reason.to_owned(),
        });
    };
    match t {
        ArrowType::List(item) | ArrowType::LargeList(item) => check(item.data_type(), &format!("{path}[]"), errors),
        ArrowType::Struct(fields) => {
            for field in fields {
                check(field.data_type(), &format!("{path}.{}", field.name()), errors);
            }
        }
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(fields) if fields.len() == 2 && is_text(fields[0].data_type()) => {
                check(fields[1].data_type(), &format!("{path}{{}}"), errors);
            }
            _ => refuse("the keys of JSON objects are text, cast them to STRING"),
        },
        ArrowType::Float16
        | ArrowType::Date64
        | ArrowType::Decimal32(..)
        | ArrowType::Decimal64(..)
        | ArrowType::Duration(_)
        | ArrowType::Interval(_)
        | ArrowType::FixedSizeList(..)
        | ArrowType::ListView(_)
        | ArrowType::LargeListView(_)
        | ArrowType::Union(..)
        | ArrowType::Dictionary(..)
        | ArrowType::RunEndEncoded(..) => refuse("cast it to a type of Flink SQL"),
        _ => {}
    }
}

fn is_text(t: &ArrowType) -> bool {
    matches!(t, ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View)
}
