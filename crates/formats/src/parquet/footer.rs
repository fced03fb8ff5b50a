//! The end of a Parquet file: where its metadata is, and whether the library may be let loose on it.

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::thrift::{LIST, STRUCT, Thrift};
use crate::columnar::{MAX_FILE_DEPTH, broken, exceeds, guarded, not_this_file};
use crate::{DecodeError, Limits};

const MAGIC: &[u8; 4] = b"PAR1";
/// Of files with an encrypted footer.
const ENCRYPTED_MAGIC: &[u8; 4] = b"PARE";

const NO_PARQUET: &str = "the body is no Parquet file: it does not begin and end with PAR1";

/// The metadata of a file.
pub(super) fn read(body: &[u8], limits: &Limits) -> Result<ParquetMetaData, DecodeError> {
    let footer = bytes(body)?;
    check(footer, limits)?;
    guarded(|| ParquetMetaDataReader::decode_metadata(footer).map_err(|e| unreadable(&e)))
}

/// An error of the library.
pub(super) fn unreadable(error: &dyn std::error::Error) -> DecodeError {
    broken(format!("the Parquet file cannot be read: {error}"))
}

fn bytes(body: &[u8]) -> Result<&[u8], DecodeError> {
    let begins = |magic: &[u8; 4]| body.starts_with(magic);
    let ends = |magic: &[u8; 4]| body.ends_with(magic);
    if ends(ENCRYPTED_MAGIC) && (begins(ENCRYPTED_MAGIC) || begins(MAGIC)) {
        return Err(encrypted());
    }
    if begins(MAGIC) && !(ends(MAGIC) && body.len() >= 12) {
        return Err(broken("the Parquet file is cut: it does not end with PAR1"));
    }
    let (Some((rest, tail)), true) = (body.split_last_chunk::<8>(), begins(MAGIC)) else {
        return Err(not_this_file(body, NO_PARQUET));
    };
    let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    let start = usize::try_from(length).ok().and_then(|length| rest.len().checked_sub(length));
    match start {
        Some(start) if start >= MAGIC.len() => Ok(&rest[start..]),
        _ => Err(broken("the Parquet file is corrupt: its footer would be longer than the file")),
    }
}

fn encrypted() -> DecodeError {
    broken("the Parquet file is encrypted").with_hint("send it without encryption; keys cannot be configured")
}

/// Walks the footer before the library does: its nesting, its counts, and whether it speaks of encryption.
fn check(footer: &[u8], limits: &Limits) -> Result<(), DecodeError> {
    let corrupt = || broken("the Parquet file is corrupt: its footer makes no sense");
    let mut thrift = Thrift::new(footer);
    let mut last = 0;
    while let Some((id, kind)) = thrift.field(&mut last).ok_or_else(corrupt)? {
        match (id, kind) {
            // The schema, a list of elements in the order of a walk down the tree.
            (2, LIST) => match schema(&mut thrift, limits.columns).ok_or_else(corrupt)? {
                Schema::Fits => {}
                Schema::TooDeep => {
                    return Err(broken(format!("the types of the Parquet file nest deeper than {MAX_FILE_DEPTH}")));
                }
                Schema::TooWide => return Err(exceeds("columns", limits.columns)),
            },
            // Only of files whose columns are encrypted.
            (8, _) => return Err(encrypted()),
            _ => thrift.skip(kind).ok_or_else(corrupt)?,
        }
    }
    Ok(())
}

enum Schema {
    Fits,
    TooDeep,
    TooWide,
}

fn schema(thrift: &mut Thrift<'_>, max_columns: usize) -> Option<Schema> {
    let (count, kind) = thrift.list()?;
    let mut leaves = 0;
    // Children that are still to come, for each group that is open.
    let mut open: Vec<i64> = Vec::new();
    for _ in 0..count {
        if kind != STRUCT {
            return None;
        }
        let mut children = 0;
        let mut last = 0;
        while let Some((id, kind)) = thrift.field(&mut last)? {
            match id {
                5 => children = thrift.int()?,
                _ => thrift.skip(kind)?,
            }
        }
        while open.last().is_some_and(|left| *left <= 0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
        } else {
            leaves += 1;
        }
        if open.len() > MAX_FILE_DEPTH {
            return Some(Schema::TooDeep);
        }
        if leaves > max_columns {
            return Some(Schema::TooWide);
        }
    }
    Some(Schema::Fits)
}
