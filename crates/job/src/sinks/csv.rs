//! Rows as CSV lines, with Flink's option names and its text of values.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{Array, RecordBatch};
use base64::Engine;
use chrono::{DateTime, NaiveTime, Timelike};
use headwater_core::SinkError;
use headwater_formats::{DataType, LogicalType, RowType};

use super::SinkOption;
use super::options::Reading;

/// The options of `format = csv` that matter when writing. Those that only matter when reading are accepted.
pub const OPTIONS: &[SinkOption] = &[
    SinkOption::new("csv.field-delimiter", "one ASCII character, or \\t", Some(","), "Stands between fields."),
    SinkOption::new("csv.quote-character", "one ASCII character", Some("\""), "Encloses fields that need it."),
    SinkOption::new(
        "csv.disable-quote-character",
        "true or false",
        Some("false"),
        "Encloses nothing. A field that contains the delimiter or a line break cannot be read back then.",
    ),
    SinkOption::new(
        "csv.escape-character",
        "one ASCII character",
        None,
        "Stands before a quote character inside an enclosed field, and before itself. Without it a quote character is doubled.",
    ),
    SinkOption::new("csv.null-literal", "text", None, "The text of NULL. Without it NULL is an empty field."),
    SinkOption::new(
        "csv.array-element-delimiter",
        "text",
        Some(";"),
        "Stands between the elements of an ARRAY and the fields of a ROW, which share one field of the line.",
    ),
    SinkOption::new(
        "csv.write-bigdecimal-in-scientific-notation",
        "true or false",
        Some("true"),
        "Writes a DECIMAL without zeros at its end, with an exponent where that is shorter: 100.00 as 1E+2.",
    ),
    SinkOption::new("csv.allow-comments", "true or false", Some("false"), READING),
    SinkOption::new("csv.ignore-parse-errors", "true or false", Some("false"), READING),
    SinkOption::new("csv.trim-spaces", "true or false", Some("false"), READING),
    SinkOption::new("csv.ignore-trailing-unmappable", "true or false", Some("false"), READING),
    SinkOption::new("csv.allow-trailing-comma", "true or false", Some("true"), READING),
    SinkOption::new("csv.fail-on-missing-columns", "true or false", Some("false"), READING),
    SinkOption::new("csv.empty-string-as-null", "true or false", Some("false"), READING),
    SinkOption::new("csv.framing", "message or lines", Some("message"), READING),
];

const READING: &str = "Has no effect when writing.";

/// Turns rows into lines.
#[derive(Debug)]
pub(crate) struct CsvEncoder {
    columns: Vec<DataType>,
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    null: String,
    element_delimiter: String,
    scientific: bool,
}

impl CsvEncoder {
    /// Reads the options; `None` when something is wrong, which is then in `reading`.
    pub(crate) fn read(columns: &RowType, reading: &mut Reading<'_>) -> Option<Self> {
        for field in columns.fields() {
            if let Err(why) = writable(&field.data_type.logical, 0) {
                reading.wrong("format", format!("csv cannot hold column `{}`: {why}", field.name));
            }
        }
        let reads_only: Vec<_> =
            OPTIONS.iter().filter(|option| option.doc == READING).map(|option| option.name).collect();
        reading.without_effect(&reads_only);
        let delimiter = match reading.get("csv.field-delimiter") {
            Some("\\t") => Some(b'\t'),
            _ => character("csv.field-delimiter", b',', reading),
        };
        let quote = character("csv.quote-character", b'"', reading);
        let unquoted = reading.boolean("csv.disable-quote-character", false);
        if unquoted && reading.get("csv.quote-character").is_some() {
            reading.wrong("csv.quote-character", "contradicts csv.disable-quote-character = true: give one of them");
        }
        let escape = match reading.get("csv.escape-character") {
            None => None,
            Some(_) => Some(character("csv.escape-character", b'\\', reading)?),
        };
        let scientific = reading.boolean("csv.write-bigdecimal-in-scientific-notation", true);
        Some(Self {
            columns: columns.fields().iter().map(|field| field.data_type.clone()).collect(),
            delimiter: delimiter?,
            quote: if unquoted { None } else { Some(quote?) },
            escape,
            null: reading.get("csv.null-literal").unwrap_or_default().into(),
            element_delimiter: reading.get("csv.array-element-delimiter").unwrap_or(";").into(),
            scientific,
        })
    }

    /// Appends a line for each row.
    pub(crate) fn encode(&self, records: &RecordBatch, out: &mut Vec<u8>) -> Result<(), SinkError> {
        let mut builder = csv::WriterBuilder::new();
        builder.delimiter(self.delimiter).has_headers(false).terminator(csv::Terminator::Any(b'\n'));
        match self.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quote_style(csv::QuoteStyle::Never),
        };
        if let Some(escape) = self.escape {
            builder.double_quote(false).escape(escape);
        }
        let failed = |error: csv::Error| SinkError::new("rows cannot be written as CSV").with_source(error);
        let mut writer = builder.from_writer(out);
        let mut cell = String::new();
        for row in 0..records.num_rows() {
            for (column, data_type) in records.columns().iter().zip(&self.columns) {
                cell.clear();
                self.cell(column.as_ref(), row, &data_type.logical, &mut cell)?;
                if let Some(escape) = self.escape.map(char::from) {
                    cell = cell.replace(escape, &format!("{escape}{escape}"));
                }
                writer.write_field(&cell).map_err(failed)?;
            }
            writer.write_record(None::<&[u8]>).map_err(failed)?;
        }
        writer.flush().map_err(|error| SinkError::new("rows cannot be written as CSV").with_source(error))
    }

    fn cell(&self, column: &dyn Array, row: usize, logical: &LogicalType, out: &mut String) -> Result<(), SinkError> {
        if column.is_null(row) {
            out.push_str(&self.null);
            return Ok(());
        }
        let done = match logical {
            LogicalType::Boolean => write!(out, "{}", column.as_boolean().value(row)),
            LogicalType::TinyInt => write!(out, "{}", column.as_primitive::<Int8Type>().value(row)),
            LogicalType::SmallInt => write!(out, "{}", column.as_primitive::<Int16Type>().value(row)),
            LogicalType::Int => write!(out, "{}", column.as_primitive::<Int32Type>().value(row)),
            LogicalType::BigInt => write!(out, "{}", column.as_primitive::<Int64Type>().value(row)),
            LogicalType::Float => {
                out.push_str(&java_float(&format!("{:e}", column.as_primitive::<Float32Type>().value(row))));
                Ok(())
            }
            LogicalType::Double => {
                out.push_str(&java_float(&format!("{:e}", column.as_primitive::<Float64Type>().value(row))));
                Ok(())
            }
            LogicalType::Decimal { scale, .. } => {
                let value = column.as_primitive::<Decimal128Type>().value(row);
                out.push_str(&decimal(value, i32::from(*scale), self.scientific));
                Ok(())
            }
            LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String => {
                out.push_str(column.as_string::<i32>().value(row));
                Ok(())
            }
            LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => {
                base64::engine::general_purpose::STANDARD.encode_string(column.as_binary::<i32>().value(row), out);
                Ok(())
            }
            LogicalType::Date | LogicalType::Time(_) | LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => {
                return moment(column, row, logical, out);
            }
            LogicalType::Array(element) => {
                let elements = column.as_list::<i32>().value(row);
                for at in 0..elements.len() {
                    self.separate(at, out);
                    self.cell(&elements, at, &element.logical, out)?;
                }
                Ok(())
            }
            LogicalType::Row(fields) => {
                let values = column.as_struct();
                for (at, (value, field)) in values.columns().iter().zip(fields.fields()).enumerate() {
                    self.separate(at, out);
                    self.cell(value, row, &field.data_type.logical, out)?;
                }
                Ok(())
            }
            // Refused when the options were read.
            _ => return Err(SinkError::new(format!("csv cannot hold {logical}"))),
        };
        done.map_err(|error| SinkError::new("a value has no text").with_source(error))
    }

    fn separate(&self, at: usize, out: &mut String) {
        if at > 0 {
            out.push_str(&self.element_delimiter);
        }
    }
}

fn character(option: &str, default: u8, reading: &mut Reading<'_>) -> Option<u8> {
    match reading.get(option).map(str::as_bytes) {
        None => Some(default),
        Some([one]) if one.is_ascii() && *one != b'\n' && *one != b'\r' => Some(*one),
        Some(_) => {
            reading.wrong(option, "is one ASCII character");
            None
        }
    }
}

/// One level of ARRAY or ROW fits a field; Flink has no CSV form for the rest either.
fn writable(logical: &LogicalType, depth: u8) -> Result<(), String> {
    match logical {
        LogicalType::Map(..) | LogicalType::Multiset(_) => {
            Err(format!("there is no CSV form of {logical}; use json or parquet"))
        }
        LogicalType::Array(_) | LogicalType::Row(_) if depth > 0 => {
            Err(format!("{logical} inside another ARRAY or ROW cannot be told apart from it; use json or parquet"))
        }
        LogicalType::Array(element) => writable(&element.logical, depth + 1),
        LogicalType::Row(fields) => fields.fields().iter().try_for_each(|f| writable(&f.data_type.logical, depth + 1)),
        _ => Ok(()),
    }
}

/// Days and times as SQL writes them: a blank between date and time, no zeros at the end of a fraction.
fn moment(column: &dyn Array, row: usize, logical: &LogicalType, out: &mut String) -> Result<(), SinkError> {
    let done = match logical {
        LogicalType::Date => column.as_primitive::<Date32Type>().value_as_date(row).map(|date| write!(out, "{date}")),
        LogicalType::Time(_) => {
            column.as_primitive::<Time32MillisecondType>().value_as_time(row).map(|time| clock(time, out))
        }
        LogicalType::Timestamp(precision) | LogicalType::TimestampLtz(precision) => {
            let at = if *precision <= 3 {
                DateTime::from_timestamp_millis(column.as_primitive::<TimestampMillisecondType>().value(row))
            } else {
                Some(DateTime::from_timestamp_nanos(column.as_primitive::<TimestampNanosecondType>().value(row)))
            };
            let zone = if matches!(logical, LogicalType::TimestampLtz(_)) { "Z" } else { "" };
            at.map(|at| {
                write!(out, "{} ", at.date_naive())?;
                clock(at.time(), out)?;
                out.write_str(zone)
            })
        }
        _ => None,
    };
    match done {
        Some(Ok(())) => Ok(()),
        _ => Err(SinkError::new(format!("a {logical} lies beyond the years that have a text (262,000 either way)"))),
    }
}

/// `HH:mm:ss`, and a fraction without zeros at its end.
fn clock(time: NaiveTime, out: &mut String) -> std::fmt::Result {
    write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
    if time.nanosecond() > 0 {
        let digits = format!("{:09}", time.nanosecond());
        write!(out, ".{}", digits.trim_end_matches('0'))?;
    }
    Ok(())
}

/// From Rust's shortest scientific form to that of Java's `toString`.
fn java_float(scientific: &str) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific.replace("inf", "Infinity");
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if digits == "0" || (-3..7).contains(&exponent) {
        let exponent = if digits == "0" { 0 } else { exponent };
        let whole = usize::try_from(exponent + 1).unwrap_or(0);
        let leading = usize::try_from(-exponent - 1).unwrap_or(0);
        let padded = format!("{}{digits:0<width$}", "0".repeat(leading), width = whole);
        let (whole, fraction) = padded.split_at(whole);
        let or_zero = |text: &str| if text.is_empty() { "0".to_owned() } else { text.to_owned() };
        return format!("{sign}{}.{}", or_zero(whole), or_zero(fraction));
    }
    let (first, rest) = digits.split_at(1);
    format!("{sign}{first}.{}E{exponent}", if rest.is_empty() { "0" } else { rest })
}

/// A decimal with all digits of its scale, or (as Flink does unless told otherwise) without zeros at its end and with an
/// exponent where Java's `BigDecimal.toString` has one.
fn decimal(value: i128, mut scale: i32, scientific: bool) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let mut digits = value.unsigned_abs().to_string();
    if scientific {
        if value == 0 {
            return "0".into();
        }
        while digits.len() > 1 && digits.ends_with('0') {
            digits.pop();
            scale -= 1;
        }
        let adjusted = digits.len() as i32 - 1 - scale;
        if scale < 0 || adjusted < -6 {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return format!("{sign}{first}{point}{rest}E{adjusted:+}");
        }
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, ListArray, StringArray, StructArray,
    };
    use arrow_array::{
        Float64Array, Int64Array, Time32MillisecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    };

    use super::*;

    fn lines(columns: &str, options: &[(&str, &str)], arrays: Vec<ArrayRef>) -> Result<String, String> {
        let columns: RowType = columns.parse().unwrap();
        let options = options.iter().copied().collect();
        let mut reading = Reading::new(&options);
        reading.known(&[OPTIONS]);
        let encoder = CsvEncoder::read(&columns, &mut reading);
        reading.finish().map_err(|errors| errors.to_string())?;
        let records = RecordBatch::try_new(columns.to_arrow(), arrays).unwrap();
        let mut out = Vec::new();
        encoder.unwrap().encode(&records, &mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_type_has_its_text() {
        let nested = StructArray::from(vec![
            (
                Arc::new(arrow_schema::Field::new("a", arrow_schema::DataType::Int64, true)),
                Arc::new(Int64Array::from(vec![1])) as ArrayRef,
            ),
            (
                Arc::new(arrow_schema::Field::new("b", arrow_schema::DataType::Utf8, true)),
                Arc::new(StringArray::from(vec!["x"])),
            ),
        ]);
        let columns = "b BOOLEAN, i BIGINT, d DECIMAL(10, 2), f DOUBLE, s STRING, y BYTES, t DATE, u TIME(3), v TIMESTAMP(3), \
                       w TIMESTAMP_LTZ(9), l ARRAY<INT>, r ROW<a BIGINT, b STRING>";
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from(vec![true])),
            Arc::new(Int64Array::from(vec![-5])),
            Arc::new(Decimal128Array::from(vec![10_000]).with_precision_and_scale(10, 2).unwrap()),
            Arc::new(Float64Array::from(vec![1e10])),
            Arc::new(StringArray::from(vec!["say \"hi\", twice"])),
            Arc::new(BinaryArray::from(vec![&b"\xff\x00"[..]])),
            Arc::new(Date32Array::from(vec![19_723])),
            Arc::new(Time32MillisecondArray::from(vec![45_296_120])),
            Arc::new(TimestampMillisecondArray::from(vec![1_704_067_200_000])),
            Arc::new(TimestampNanosecondArray::from(vec![1_704_067_200_000_000_001]).with_timezone("+00:00")),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None, Some(3)])])),
            Arc::new(nested),
        ];
        let text = lines(columns, &[], arrays).unwrap();
        assert_eq!(
            text,
            "true,-5,1E+2,1.0E10,\"say \"\"hi\"\", twice\",/wA=,2024-01-01,12:34:56.12,2024-01-01 00:00:00,\
             2024-01-01 00:00:00.000000001Z,1;;3,1;x\n"
        );
    }

    #[test]
    fn options_change_the_line() {
        let arrays = || -> Vec<ArrayRef> {
            vec![
                Arc::new(StringArray::from(vec![Some("a|\"b\\"), None])),
                Arc::new(Decimal128Array::from(vec![10_000, 1]).with_precision_and_scale(10, 2).unwrap()),
            ]
        };
        let lines = |options: &[(&str, &str)]| lines("s STRING, d DECIMAL(10, 2)", options, arrays()).unwrap();
        assert_eq!(lines(&[]), "\"a|\"\"b\\\",1E+2\n,0.01\n");
        let plain = ("csv.write-bigdecimal-in-scientific-notation", "false");
        let delimiter = ("csv.field-delimiter", "|");
        assert_eq!(
            lines(&[plain, delimiter, ("csv.null-literal", "n/a"), ("csv.escape-character", "\\")]),
            "\"a|\\\"b\\\\\"|100.00\nn/a|0.01\n"
        );
        assert_eq!(lines(&[plain, ("csv.disable-quote-character", "TRUE")]), "a|\"b\\,100.00\n,0.01\n");
        assert!(lines(&[("csv.field-delimiter", "\\t")]).contains("\t1E+2"));
    }

    #[test]
    fn what_csv_cannot_hold_is_refused_before_any_row() {
        let refused = |columns: &str, options: &[(&str, &str)]| lines(columns, options, Vec::new()).unwrap_err();
        let text = refused("m MAP<STRING, INT>, l ARRAY<ARRAY<INT>>", &[("csv.field-delimiter", "||")]);
        assert!(text.contains("`m`") && text.contains("`l`") && text.contains("field-delimiter"), "{text}");
        assert!(refused("a INT", &[("csv.field-delimeter", ";")]).contains("did you mean `csv.field-delimiter`"));
    }

    #[test]
    fn numbers_look_as_in_java() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (123_456.75, "123456.75"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-1.5e300, "-1.5E300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(java_float(&format!("{value:e}")), text);
        }
        for (value, scale, scientific, text) in [
            (12_345, 2, true, "123.45"),
            (-12_300, 2, true, "-123"),
            (1, 7, true, "1E-7"),
            (12, 7, true, "0.0000012"),
            (100, 0, true, "1E+2"),
            (0, 2, true, "0"),
            (0, 2, false, "0.00"),
            (-5, 3, false, "-0.005"),
            (1_200, 0, true, "1.2E+3"),
        ] {
            assert_eq!(decimal(value, scale, scientific), text);
        }
    }
}
