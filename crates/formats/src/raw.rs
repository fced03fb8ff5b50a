//! The `raw` format: the whole body is the value of the table's one column.
//!
//! It differs from Flink in one point: with the charset UTF-8 Flink lets bytes that are not UTF-8 travel on inside of a
//! string. An Arrow string cannot hold them, so such a body is a bad record here; `BYTES` takes every body.

mod charset;
mod double_byte;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use charset::Charset;

use crate::column::{BufferPool, Data, Row};
use crate::options::{OptionKind, OptionReader, OptionSpec};
use crate::{
    DecodeError, DecodeErrorKind, Decoded, Decoder, DecoderFactory, FormatError, FormatErrors, Limits, OnBadRow,
    RowType,
};

/// Every option of `raw`.
pub static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "charset",
        OptionKind::Text,
        Some("UTF-8"),
        "How text is encoded, by its Java name in any letter case (UTF-8, UTF-16LE, ISO-8859-1, GBK …). With UTF-8 a \
         bad body is an error, with the others bad bytes become U+FFFD.",
    ),
    OptionSpec::new(
        "endianness",
        OptionKind::OneOfAnyCase(&["big-endian", "little-endian"]),
        Some("big-endian"),
        "The byte order of SMALLINT, INT, BIGINT, FLOAT and DOUBLE.",
    ),
];

/// Makes raw decoders.
#[derive(Debug)]
pub(crate) struct RawFactory {
    row_type: RowType,
    charset: Charset,
    little_endian: bool,
    limits: Limits,
    pool: BufferPool,
}

impl RawFactory {
    pub(crate) fn create(
        row_type: &RowType,
        given: &BTreeMap<String, String>,
        limits: Limits,
    ) -> Result<Arc<Self>, FormatErrors> {
        let mut reader = OptionReader::new("raw", OPTIONS, given);
        let charset = Charset::named(reader.text("charset").unwrap_or("UTF-8")).unwrap_or_else(|| {
            reader.bad_value("charset", "it takes the name of a charset, such as UTF-8, GBK or ISO-8859-1");
            Charset::Utf8
        });
        let little_endian = reader.text("endianness").is_some_and(|v| v.eq_ignore_ascii_case("little-endian"));
        let mut errors = reader.errors;
        errors.extend(unsupported(row_type));
        if errors.is_empty() {
            Ok(Arc::new(Self {
                row_type: row_type.clone(),
                charset,
                little_endian,
                limits,
                pool: BufferPool::default(),
            }))
        } else {
            Err(FormatErrors(errors))
        }
    }
}

fn unsupported(row_type: &RowType) -> Option<FormatError> {
    let [field] = row_type.fields() else {
        let reason = format!("it takes exactly one column, not {}", row_type.fields().len());
        return Some(FormatError::UnsupportedColumns { format: "raw", reason });
    };
    let row = Row::new(row_type);
    match row.fields.first().map(|column| &column.data)? {
        Data::Decimal { .. }
        | Data::Date(_)
        | Data::Time(_)
        | Data::Timestamp { .. }
        | Data::Array { .. }
        | Data::Map { .. }
        | Data::Row(_) => Some(FormatError::UnsupportedType {
            format: "raw",
            column: field.name.clone(),
            data_type: field.data_type.logical.to_string(),
            reason: "use STRING, BYTES, BOOLEAN, an integer, FLOAT or DOUBLE".to_owned(),
        }),
        _ => None,
    }
}

impl DecoderFactory for RawFactory {
    fn row_type(&self) -> &RowType {
        &self.row_type
    }

    /// Text in another charset than UTF-8 counts as bytes as well.
    fn is_binary(&self) -> bool {
        let row = Row::new(&self.row_type);
        let text = row.fields.first().is_some_and(|column| matches!(column.data, Data::Text(_)));
        !text || !matches!(self.charset, Charset::Utf8)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(RawDecoder {
            row: Row::pooled(&self.row_type, &self.pool),
            schema: self.row_type.to_arrow(),
            charset: self.charset,
            little_endian: self.little_endian,
            limits: self.limits,
            rows: 0,
            bytes: 0,
        })
    }
}

#[derive(Debug)]
struct RawDecoder {
    row: Row,
    schema: SchemaRef,
    charset: Charset,
    little_endian: bool,
    limits: Limits,
    rows: usize,
    bytes: usize,
}

impl Decoder for RawDecoder {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        if self.bytes > Limits::MAX_DECODED_BYTES {
            return Err(DecodeError::new(DecodeErrorKind::BufferFull));
        }
        match (self.append(body), on_bad) {
            (Ok(()), _) => Ok(Decoded::rows(1)),
            (Err(error), OnBadRow::Fail) => Err(error),
            (Err(error), OnBadRow::Salvage) => Ok(Decoded { bad: vec![error], ..Decoded::default() }),
        }
    }

    /// A row of NULL: the one format that has a row for it.
    fn decode_absent(&mut self) -> Decoded {
        let column = &mut self.row.fields[0];
        column.append_null();
        self.rows += 1;
        self.bytes += column.width;
        Decoded::rows(1)
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn flush(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        self.row.finish_batch(&self.schema, rows)
    }
}

impl RawDecoder {
    fn append(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        // Text may grow by half when it becomes UTF-8, single bytes threefold.
        let limit = self.limits.body_bytes.min(self.limits.decoded_bytes / 3);
        if body.len() > limit {
            return Err(DecodeError::new(DecodeErrorKind::Limit { name: "body_bytes", limit }));
        }
        let column = &mut self.row.fields[0];
        let little = self.little_endian;
        let name = self.row.names.name(0);
        let exactly = |n| exact_length(body, n, name, &column.type_text);
        match &mut column.data {
            Data::Text(values) => {
                let whole = matches!(self.charset, Charset::Utf8) && values.push_utf8(body);
                let written = if whole { Ok(body.len()) } else { values.try_put(|out| self.charset.decode(body, out)) };
                self.bytes += written.map_err(|at| {
                    let error = DecodeError::new(DecodeErrorKind::Encoding("bytes that are not UTF-8"));
                    error.within(name).at_row(0).at_byte(at).with_hint(UTF8_HINT)
                })?;
            }
            Data::Bytes(values) => {
                values.push(body);
                self.bytes += body.len();
            }
            Data::Boolean(values) => values.append(exactly(1)?[0] != 0),
            Data::TinyInt(values) => values.push(i8::from_be_bytes(number(exactly(1)?, little))),
            Data::SmallInt(values) => values.push(i16::from_be_bytes(number(exactly(2)?, little))),
            Data::Int(values) => values.push(i32::from_be_bytes(number(exactly(4)?, little))),
            Data::BigInt(values) => values.push(i64::from_be_bytes(number(exactly(8)?, little))),
            Data::Float(values) => values.push(f32::from_be_bytes(number(exactly(4)?, little))),
            Data::Double(values) => values.push(f64::from_be_bytes(number(exactly(8)?, little))),
            Data::Decimal { .. }
            | Data::Date(_)
            | Data::Time(_)
            | Data::Timestamp { .. }
            | Data::Array { .. }
            | Data::Map { .. }
            | Data::Row(_) => unreachable!("refused when the format was created"),
        }
        column.valid();
        self.rows += 1;
        self.bytes += column.width;
        Ok(())
    }
}

const UTF8_HINT: &str = "set 'raw.charset' to the encoding of the text, or declare the column BYTES";

fn exact_length<'a>(body: &'a [u8], n: usize, name: &str, type_text: &str) -> Result<&'a [u8], DecodeError> {
    if body.len() == n {
        return Ok(body);
    }
    let kind = DecodeErrorKind::Length { expected: n, actual: body.len() };
    Err(DecodeError::new(kind).within(name).at_row(0).expecting(type_text))
}

/// The bytes of a number, most significant first.
fn number<const N: usize>(body: &[u8], little_endian: bool) -> [u8; N] {
    let mut bytes: [u8; N] = body.try_into().expect("the length was checked");
    if little_endian {
        bytes.reverse();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factory(column: &str, options: &[(&str, &str)]) -> Arc<RawFactory> {
        let row_type = column.parse().expect("a column");
        let given = options.iter().map(|(k, v)| (format!("raw.{k}"), (*v).to_owned())).collect();
        RawFactory::create(&row_type, &given, Limits::default()).expect("a good format")
    }

    #[test]
    fn bytes_are_told_from_text() {
        for (column, options, binary) in [
            ("f STRING", &[][..], false),
            ("f VARCHAR(5)", &[("charset", "utf8")], false),
            ("f STRING", &[("charset", "GBK")], true),
            ("f BYTES", &[], true),
            ("f INT", &[], true),
        ] {
            assert_eq!(factory(column, options).is_binary(), binary, "{column} {options:?}");
        }
    }

    #[test]
    fn a_bad_body_leaves_no_trace_and_names_its_length() {
        let mut decoder = factory("f INT", &[]).decoder();
        decoder.decode(&[0, 0, 0, 1], OnBadRow::Fail).expect("four bytes");
        let error = decoder.decode(b"12", OnBadRow::Fail).expect_err("two bytes");
        assert_eq!(error.to_string(), "row 0, column `f`: the body has 2 bytes, expected 4 for INT");
        let salvaged = decoder.decode(b"12", OnBadRow::Salvage).expect("salvage never fails");
        assert_eq!((salvaged.rows, salvaged.bad), (0, vec![error]));
        assert_eq!(decoder.decode_absent().rows, 1);
        let batch = decoder.flush();
        assert_eq!((batch.num_rows(), batch.column(0).null_count()), (2, 1));
        let mut text = factory("f STRING", &[]).decoder();
        let error = text.decode(b"ab\xffc", OnBadRow::Fail).expect_err("no UTF-8");
        assert!(error.to_string().starts_with("row 0, byte 2, column `f`: bytes that are not UTF-8; "), "{error}");
        assert_eq!((text.rows(), text.bytes(), text.flush().num_rows()), (0, 0, 0));
    }
}
