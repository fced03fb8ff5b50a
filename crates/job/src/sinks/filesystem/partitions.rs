//! `PARTITIONED BY`: a directory per value, as Hive and Flink name them (`dt=2024-01-01/`).

use std::collections::BTreeMap;
use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::DataType as ArrowType;
use arrow_select::take::take_record_batch;
use headwater_core::SinkError;
use headwater_formats::{LogicalType, RowType};

/// Bytes of a directory's name at most: the limit of every usual file system.
const DIR_NAME_MAX: usize = 255;

/// Which columns make the directories.
#[derive(Clone, Debug)]
pub(super) struct Partitions {
    by: Vec<(usize, String)>,
    rest: Vec<usize>,
    default_name: String,
}

/// Whether values of a type can name a directory, the same way in Flink and here.
pub(super) fn usable(logical: &LogicalType) -> bool {
    use LogicalType::{BigInt, Boolean, Char, Date, Int, SmallInt, String, TinyInt, VarChar};
    matches!(logical, Boolean | TinyInt | SmallInt | Int | BigInt | Char(_) | VarChar(_) | String | Date)
}

impl Partitions {
    /// Partitions by columns that exist and are [`usable`].
    pub(super) fn new(columns: &RowType, by: &[String], default_name: &str) -> Self {
        let by: Vec<_> = by.iter().filter_map(|name| Some((columns.index_of(name)?, name.clone()))).collect();
        let rest = (0..columns.fields().len()).filter(|at| by.iter().all(|(used, _)| used != at)).collect();
        Self { by, rest, default_name: default_name.into() }
    }

    /// The columns that go into the files: as in Flink, those in the path do not.
    pub(super) fn written(&self, columns: &RowType) -> RowType {
        RowType::new(self.rest.iter().map(|at| columns.fields()[*at].clone()))
    }

    /// Rows by directory, in a fixed order.
    pub(super) fn split(&self, records: &RecordBatch) -> Result<Vec<(String, RecordBatch)>, SinkError> {
        let mut rows: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut dir = String::new();
        for row in 0..records.num_rows() {
            dir.clear();
            for (at, name) in &self.by {
                if !dir.is_empty() {
                    dir.push('/');
                }
                escape(name, &mut dir);
                dir.push('=');
                let value = text(records.column(*at), row);
                escape(value.as_deref().filter(|text| !text.is_empty()).unwrap_or(&self.default_name), &mut dir);
                let long = dir.rsplit('/').next().map_or(0, str::len);
                if long > DIR_NAME_MAX {
                    return Err(too_long(name, long));
                }
            }
            let row = u32::try_from(row).map_err(|_| SinkError::new("a batch of more than 4 billion rows"))?;
            match rows.get_mut(&dir) {
                Some(known) => known.push(row),
                None => {
                    rows.insert(dir.clone(), vec![row]);
                }
            }
        }
        let broken = |error| SinkError::new("rows cannot be split by partition").with_source(error);
        let written = records.project(&self.rest).map_err(broken)?;
        rows.into_iter()
            .map(|(dir, rows)| {
                let part = take_record_batch(&written, &UInt32Array::from(rows)).map_err(broken)?;
                Ok((dir, part))
            })
            .collect()
    }
}

fn too_long(column: &str, bytes: usize) -> SinkError {
    SinkError::new(format!(
        "a value of the partition column `{column}` makes a directory's name of {bytes} bytes, and file systems take \
         {DIR_NAME_MAX}: shorten it in the SELECT (SUBSTRING, or a hash such as MD5), or leave such rows out with a WHERE"
    ))
}

fn text(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        ArrowType::Boolean => column.as_boolean().value(row).to_string(),
        ArrowType::Int8 => column.as_primitive::<Int8Type>().value(row).to_string(),
        ArrowType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        ArrowType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        ArrowType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        ArrowType::Date32 => column.as_primitive::<Date32Type>().value_as_date(row)?.to_string(),
        ArrowType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        // Not usable, so never asked for.
        _ => return None,
    })
}

/// Writes a name as part of a path: what means something to a file system or to Hive becomes `%XX`.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        let special = matches!(c, '"' | '#' | '%' | '\'' | '*' | '/' | ':' | '=' | '?' | '\\' | '{' | '[' | ']' | '^');
        if special || c.is_ascii_control() {
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn rows_go_where_their_values_say() {
        let columns: RowType = "id BIGINT, dt DATE, `a b` STRING".parse().unwrap();
        let partitions = Partitions::new(&columns, &["dt".into(), "a b".into()], "none");
        let records = RecordBatch::try_new(
            columns.to_arrow(),
            vec![
                Arc::new(Int64Array::from(vec![1, 2, 3, 4])),
                Arc::new(Date32Array::from(vec![Some(19_723), None, Some(19_723), Some(19_723)])),
                Arc::new(StringArray::from(vec![Some("../x"), Some(""), None, Some("../x")])),
            ],
        )
        .unwrap();
        let split = partitions.split(&records).unwrap();
        let dirs: Vec<_> = split.iter().map(|(dir, rows)| (dir.as_str(), rows.num_rows())).collect();
        assert_eq!(dirs, [("dt=2024-01-01/a b=..%2Fx", 2), ("dt=2024-01-01/a b=none", 1), ("dt=none/a b=none", 1)]);
        assert_eq!(split[0].1.num_columns(), 1);
        assert_eq!(partitions.written(&columns).to_string(), "`id` BIGINT");
    }
    #[test]
    fn a_value_that_names_no_directory_is_refused_with_its_column() {
        let columns: RowType = "id BIGINT, name STRING".parse().unwrap();
        let partitions = Partitions::new(&columns, &["name".into()], "none");
        let split = |name: String| {
            let ids = Arc::new(Int64Array::from(vec![1]));
            partitions.split(
                &RecordBatch::try_new(columns.to_arrow(), vec![ids, Arc::new(StringArray::from(vec![name]))]).unwrap(),
            )
        };
        assert_eq!(split("x".repeat(250)).unwrap()[0].0.len(), 255);
        let error = split("x".repeat(251)).unwrap_err().to_string();
        assert!(error.contains("`name`") && error.contains("256 bytes") && error.contains("SUBSTRING"), "{error}");
        assert!(split("/".repeat(84)).is_err(), "as it is escaped");
    }
}
