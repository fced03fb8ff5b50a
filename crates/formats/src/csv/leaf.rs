//! The text of a field, or of a part of one, into a column that does not nest, by Flink's coercions.

use crate::coerce::time::{TimestampStandard, parse_local_time, parse_timestamp};
use crate::coerce::{Reason, base64, decimal, float, integer, java_trim, sql_date};
use crate::column::{Column, Data};

/// Writes one more value. After an error nothing was written.
///
/// Numbers, booleans and timestamps are trimmed; decimals, dates and times are not.
#[inline]
pub(super) fn write(column: &mut Column, text: &[u8]) -> Result<(), Reason> {
    match &mut column.data {
        Data::Text(values) => values.push(text),
        Data::Boolean(values) => values.append(text == b"true" || java_trim(text).eq_ignore_ascii_case(b"true")),
        Data::TinyInt(values) => values.push(integer::parse(text, i8::MIN.into(), i8::MAX.into())? as i8),
        Data::SmallInt(values) => values.push(integer::parse(text, i16::MIN.into(), i16::MAX.into())? as i16),
        Data::Int(values) => values.push(integer::parse(text, i32::MIN.into(), i32::MAX.into())? as i32),
        Data::BigInt(values) => values.push(integer::parse(text, i64::MIN, i64::MAX)?),
        Data::Float(values) => values.push(float::parse_f32(text)?),
        Data::Double(values) => values.push(float::parse_f64(text)?),
        Data::Decimal { precision, scale, values } => match decimal::parse(text, *precision, *scale)? {
            Some(value) => values.push(value),
            // More digits than the type has are NULL to Flink, and never an error.
            None => {
                column.append_null();
                return Ok(());
            }
        },
        Data::Bytes(values) => {
            let start = values.bytes.len();
            base64::decode(text, &mut values.bytes).inspect_err(|_| values.bytes.truncate(start))?;
            values.close();
        }
        Data::Date(values) => values.push(sql_date::parse(text)?),
        Data::Time(values) => {
            let millis = parse_local_time(text)?;
            values.push(millis / column.time_unit * column.time_unit);
        }
        Data::Timestamp { precision, ltz, values } => {
            let moment = parse_timestamp(java_trim(text), TimestampStandard::Sql, *ltz)?;
            values.push(moment.to_arrow(*precision)?);
        }
        Data::Array { .. } | Data::Map { .. } | Data::Row(_) => unreachable!("refused when the format was created"),
    }
    column.valid();
    Ok(())
}
