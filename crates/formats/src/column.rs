//! The buffers that rows are written to: Arrow's layout, and cut back as easily as grown.
//!
//! Arrow's own builders cannot take a row back. These can: every length below a row count follows from the offsets at
//! that row, so [`Column::truncate`] undoes any number of rows, nested ones included, without having noted anything
//! before. That is what makes a message atomic at no cost for the good ones. `finish` hands the buffers to Arrow
//! without copying. Columns of long texts are the exception: see [`Texts`].

mod pool;
mod texts;
mod var_bytes;

use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, RecordBatch,
    RecordBatchOptions, StructArray,
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType as ArrowType, Fields, SchemaRef, TimeUnit};

use crate::names::NameIndex;
use crate::types::timestamp_unit;
use crate::{LogicalType, RowType};
pub use pool::BufferPool;
pub(crate) use texts::Texts;
pub(crate) use var_bytes::{SHORT, VarBytes};
use var_bytes::{cut, offset, room};

/// One column, or one part of a nested column, under construction.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) data: Data,
    nulls: Nulls,
    /// The type as Flink SQL text, for errors.
    pub(crate) type_text: Box<str>,
    arrow_type: ArrowType,
    /// The milliseconds that the declared precision of a TIME is a multiple of, for formats that cut by it.
    #[cfg_attr(not(feature = "csv"), expect(dead_code))]
    pub(crate) time_unit: i32,
    /// What a NULL costs in bytes, nested fields included.
    pub(crate) width: usize,
}

/// The values by Flink type. Types that differ only in name (`CHAR` and `STRING`) share a variant.
// A tag of its own: told apart for every value, and quicker than from spare bits of a capacity.
#[repr(u8)]
#[derive(Debug)]
pub(crate) enum Data {
    Boolean(BooleanBufferBuilder),
    TinyInt(Vec<i8>),
    SmallInt(Vec<i16>),
    Int(Vec<i32>),
    BigInt(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Decimal { precision: u8, scale: u8, values: Vec<i128> },
    Text(Texts),
    Bytes(VarBytes),
    Date(Vec<i32>),
    Time(Vec<i32>),
    Timestamp { precision: u8, ltz: bool, values: Vec<i64> },
    Array { offsets: Vec<i32>, items: Box<Column> },
    Map { offsets: Vec<i32>, keys: Box<Column>, values: Box<Column> },
    Row(Row),
}

/// Which values are NULL. Only those are written down: what is present is counted, and filled in when the next NULL, or
/// the end, comes.
#[derive(Debug)]
struct Nulls {
    len: usize,
    /// Set for what is present, up to the last NULL.
    bits: BooleanBufferBuilder,
}

/// The fields of a row: the top level of a table, or a `ROW` column.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) names: NameIndex,
    pub(crate) fields: Vec<Column>,
    /// What a row of NULLs costs in bytes.
    pub(crate) width: usize,
}

impl Column {
    fn new(logical: &LogicalType, pool: &BufferPool) -> Self {
        let arrow_type = logical.to_arrow();
        let (data, width) = Data::new(logical, pool);
        let time_unit = match logical {
            LogicalType::Time(precision) => 10i32.pow(3 - u32::from(*precision).min(3)),
            _ => 1,
        };
        let (nulls, type_text) = (Nulls::default(), logical.to_string().into());
        Self { data, nulls, type_text, arrow_type, time_unit, width }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.nulls.len
    }

    /// Marks the value that was just pushed to `data` as present. Every push is followed by exactly one of these.
    #[inline]
    pub(crate) fn valid(&mut self) {
        self.nulls.len += 1;
    }

    pub(crate) fn append_null(&mut self) {
        match &mut self.data {
            Data::Boolean(values) => values.append(false),
            Data::TinyInt(values) => values.push(0),
            Data::SmallInt(values) => values.push(0),
            Data::Int(values) | Data::Date(values) | Data::Time(values) => values.push(0),
            Data::BigInt(values) | Data::Timestamp { values, .. } => values.push(0),
            Data::Float(values) => values.push(0.0),
            Data::Double(values) => values.push(0.0),
            Data::Decimal { values, .. } => values.push(0),
            Data::Text(values) => values.append_null(),
            Data::Bytes(values) => values.close(),
            Data::Array { offsets, items } => offsets.push(offset(items.len())),
            Data::Map { offsets, keys, .. } => offsets.push(offset(keys.len())),
            Data::Row(row) => row.fields.iter_mut().for_each(Self::append_null),
        }
        self.nulls.append_null();
    }

    /// Takes back everything from value number `len` on, whatever state the last value is in.
    pub(crate) fn truncate(&mut self, len: usize) {
        match &mut self.data {
            Data::Boolean(values) => values.truncate(len),
            Data::TinyInt(values) => values.truncate(len),
            Data::SmallInt(values) => values.truncate(len),
            Data::Int(values) | Data::Date(values) | Data::Time(values) => values.truncate(len),
            Data::BigInt(values) | Data::Timestamp { values, .. } => values.truncate(len),
            Data::Float(values) => values.truncate(len),
            Data::Double(values) => values.truncate(len),
            Data::Decimal { values, .. } => values.truncate(len),
            Data::Text(values) => values.truncate(len),
            Data::Bytes(values) => values.truncate(len),
            Data::Array { offsets, items } => items.truncate(cut(offsets, len)),
            Data::Map { offsets, keys, values } => {
                let end = cut(offsets, len);
                keys.truncate(end);
                values.truncate(end);
            }
            Data::Row(row) => row.truncate(len),
        }
        self.nulls.truncate(len);
    }

    /// The values so far as an Arrow array; the column is empty afterwards, with room for as many again.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let len = self.nulls.len;
        let nulls = self.nulls.finish();
        match &mut self.data {
            Data::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Data::TinyInt(values) => primitive::<Int8Type>(values, nulls, &self.arrow_type),
            Data::SmallInt(values) => primitive::<Int16Type>(values, nulls, &self.arrow_type),
            Data::Int(values) => primitive::<Int32Type>(values, nulls, &self.arrow_type),
            Data::BigInt(values) => primitive::<Int64Type>(values, nulls, &self.arrow_type),
            Data::Float(values) => primitive::<Float32Type>(values, nulls, &self.arrow_type),
            Data::Double(values) => primitive::<Float64Type>(values, nulls, &self.arrow_type),
            Data::Decimal { values, .. } => primitive::<Decimal128Type>(values, nulls, &self.arrow_type),
            Data::Date(values) => primitive::<Date32Type>(values, nulls, &self.arrow_type),
            Data::Time(values) => primitive::<Time32MillisecondType>(values, nulls, &self.arrow_type),
            Data::Timestamp { precision, values, .. } => match timestamp_unit(*precision) {
                TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(values, nulls, &self.arrow_type),
                _ => primitive::<TimestampMillisecondType>(values, nulls, &self.arrow_type),
            },
            Data::Text(values) => Arc::new(values.finish(nulls)),
            Data::Bytes(values) => {
                let (offsets, bytes) = values.finish();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls).expect("offsets grow with the bytes"))
            }
            Data::Array { offsets, items } => {
                let (offsets, items) = (finish_offsets(offsets), items.finish());
                let ArrowType::List(field) = &self.arrow_type else { unreachable!("an ARRAY is a List") };
                Arc::new(ListArray::try_new(field.clone(), offsets, items, nulls).expect("offsets end with the items"))
            }
            Data::Map { offsets, keys, values } => {
                let offsets = finish_offsets(offsets);
                let (keys, values) = (keys.finish(), values.finish());
                Arc::new(map_array(&self.arrow_type, offsets, keys, values, nulls))
            }
            Data::Row(row) => {
                let ArrowType::Struct(fields) = &self.arrow_type else { unreachable!("a ROW is a Struct") };
                Arc::new(row.finish_struct(fields, nulls, len))
            }
        }
    }
}

impl Default for Nulls {
    fn default() -> Self {
        Self { len: 0, bits: BooleanBufferBuilder::new(0) }
    }
}

impl Nulls {
    fn append_null(&mut self) {
        self.fill();
        self.bits.append(false);
        self.len += 1;
    }

    fn fill(&mut self) {
        self.bits.append_n(self.len - self.bits.len(), true);
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.bits.truncate(len);
    }

    fn finish(&mut self) -> Option<NullBuffer> {
        // Without a NULL there is nothing to say.
        let nulls = (!self.bits.is_empty()).then(|| {
            self.fill();
            NullBuffer::new(self.bits.finish())
        });
        self.len = 0;
        nulls.filter(|nulls| nulls.null_count() > 0)
    }
}

impl Data {
    fn new(logical: &LogicalType, pool: &BufferPool) -> (Self, usize) {
        let of = |width: usize, data: Self| (data, width);
        match logical {
            LogicalType::Boolean => of(1, Self::Boolean(BooleanBufferBuilder::new(0))),
            LogicalType::TinyInt => of(1, Self::TinyInt(Vec::new())),
            LogicalType::SmallInt => of(2, Self::SmallInt(Vec::new())),
            LogicalType::Int => of(4, Self::Int(Vec::new())),
            LogicalType::BigInt => of(8, Self::BigInt(Vec::new())),
            LogicalType::Float => of(4, Self::Float(Vec::new())),
            LogicalType::Double => of(8, Self::Double(Vec::new())),
            LogicalType::Decimal { precision, scale } => {
                of(16, Self::Decimal { precision: *precision, scale: *scale, values: Vec::new() })
            }
            LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String => of(4, Self::Text(Texts::new(pool))),
            LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => {
                of(4, Self::Bytes(VarBytes::new(pool)))
            }
            LogicalType::Date => of(4, Self::Date(Vec::new())),
            LogicalType::Time(_) => of(4, Self::Time(Vec::new())),
            LogicalType::Timestamp(p) => of(8, Self::Timestamp { precision: *p, ltz: false, values: Vec::new() }),
            LogicalType::TimestampLtz(p) => of(8, Self::Timestamp { precision: *p, ltz: true, values: Vec::new() }),
            LogicalType::Array(t) => {
                of(4, Self::Array { offsets: vec![0], items: Box::new(Column::new(&t.logical, pool)) })
            }
            LogicalType::Map(k, v) => of(4, Self::map(&k.logical, &v.logical, pool)),
            LogicalType::Multiset(t) => of(4, Self::map(&t.logical, &LogicalType::Int, pool)),
            LogicalType::Row(row) => {
                let row = Row::pooled(row, pool);
                of(row.width.max(1), Self::Row(row))
            }
        }
    }

    fn map(key: &LogicalType, value: &LogicalType, pool: &BufferPool) -> Self {
        Self::Map {
            offsets: vec![0],
            keys: Box::new(Column::new(key, pool)),
            values: Box::new(Column::new(value, pool)),
        }
    }
}

impl Row {
    pub(crate) fn new(row: &RowType) -> Self {
        Self::pooled(row, &BufferPool::default())
    }

    /// Columns whose large buffers come from a pool.
    pub(crate) fn pooled(row: &RowType, pool: &BufferPool) -> Self {
        let fields: Vec<Column> = row.fields().iter().map(|f| Column::new(&f.data_type.logical, pool)).collect();
        let width = fields.iter().map(|f| f.width).sum();
        Self { names: NameIndex::new(row.fields().iter().map(|f| f.name.as_str())), fields, width }
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.fields.iter_mut().for_each(|field| field.truncate(len));
    }

    /// The rows so far, of which there are `rows`.
    pub(crate) fn finish_batch(&mut self, schema: &SchemaRef, rows: usize) -> RecordBatch {
        let arrays = self.fields.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
            .expect("every column has a value for each row, of the type its schema says")
    }

    /// The length is given because a row without fields has no child to take it from.
    fn finish_struct(&mut self, fields: &Fields, nulls: Option<NullBuffer>, len: usize) -> StructArray {
        let arrays = self.fields.iter_mut().map(Column::finish).collect();
        StructArray::try_new_with_length(fields.clone(), arrays, nulls, len)
            .expect("every field has a value for each row")
    }
}

fn finish_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut fresh = Vec::with_capacity(room(offsets).max(1));
    fresh.push(0);
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, fresh)))
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    arrow_type: &ArrowType,
) -> ArrayRef {
    let fresh = Vec::with_capacity(room(values));
    let full = std::mem::replace(values, fresh);
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(full), nulls).with_data_type(arrow_type.clone()))
}

fn map_array(
    arrow_type: &ArrowType,
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> MapArray {
    let ArrowType::Map(field, sorted) = arrow_type else { unreachable!("a MAP is a Map") };
    let ArrowType::Struct(fields) = field.data_type() else { unreachable!("the entries of a Map are a Struct") };
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None).expect("each key has a value");
    MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted).expect("offsets end with the entries")
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, StringArray};

    use super::*;

    fn column(t: &str) -> Column {
        let t: crate::DataType = t.parse().expect("a type");
        Column::new(&t.logical, &BufferPool::default())
    }

    fn push_text(column: &mut Column, text: &str) {
        let Data::Text(values) = &mut column.data else { panic!("not a text column") };
        values.push(text.as_bytes());
        column.valid();
    }

    #[test]
    fn truncating_takes_back_whatever_was_begun() {
        let mut list = column("ARRAY<ROW<a STRING, m MAP<STRING, INT>>>");
        list.append_null();
        // A half-written second value: one finished element, and one whose first field alone is there.
        let Data::Array { items, .. } = &mut list.data else { panic!("not an array") };
        items.append_null();
        let Data::Row(row) = &mut items.data else { panic!("not a row") };
        push_text(&mut row.fields[0], "half");
        list.truncate(1);
        list.append_null();
        let array = list.finish();
        assert_eq!((array.len(), array.null_count()), (2, 2));
        assert_eq!(list.len(), 0);
    }

    #[test]
    fn every_type_finishes_as_its_arrow_type() {
        for t in [
            "BOOLEAN",
            "TINYINT",
            "SMALLINT",
            "INT",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "DECIMAL(38, 18)",
            "CHAR(3)",
            "BYTES",
            "DATE",
            "TIME(9)",
            "TIMESTAMP(3)",
            "TIMESTAMP(9)",
            "TIMESTAMP_LTZ(0)",
            "TIMESTAMP_LTZ(6)",
            "ARRAY<INT>",
            "MAP<STRING, INT>",
            "MULTISET<STRING>",
            "ROW<a INT, b ROW<c BYTES>>",
        ] {
            let logical = t.parse::<crate::DataType>().expect("a type").logical;
            let mut column = column(t);
            column.append_null();
            column.append_null();
            column.truncate(1);
            let array = column.finish();
            assert_eq!(array.data_type(), &logical.to_arrow(), "{t}");
            assert_eq!((array.len(), array.null_count()), (1, 1), "{t}");
        }
    }

    #[test]
    fn values_before_a_cut_stay() {
        let mut text = column("STRING");
        push_text(&mut text, "one");
        push_text(&mut text, "two");
        text.append_null();
        text.truncate(2);
        let array = text.finish();
        let strings = array.as_any().downcast_ref::<StringArray>().expect("strings");
        assert_eq!(strings.iter().collect::<Vec<_>>(), [Some("one"), Some("two")]);
    }
}
