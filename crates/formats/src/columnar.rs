//! What formats share whose body is a whole file of columns: which file column is which table column, and turning the
//! file's Arrow arrays into those of [`RowType::to_arrow`](crate::RowType::to_arrow).
//!
//! A format reads the columns that are needed and hands batches to an [`Intake`]. It is also the format that looks for
//! lengths and counts in the file that cannot be: foreign readers allocate what a file claims.

#[cfg(any(feature = "parquet", feature = "orc"))]
mod codec;
mod convert;
mod decoder;
mod guard;
mod intake;
mod leaf;
mod names;
mod plan;
mod varint;

pub(crate) use codec::{Codec, decompress};
pub(crate) use decoder::{FileFactory, FileFormat, Table};
pub(crate) use guard::guarded;
pub(crate) use intake::Intake;
pub(crate) use plan::RowPlan;
pub(crate) use varint::varint;

use crate::{DecodeError, DecodeErrorKind};

/// How deep the types of a file may nest, groups of the file format counted. Readers walk them by recursion. An ARRAY
/// takes up to two of these levels, so types of half this depth always fit; real files stay below twenty.
pub(crate) const MAX_FILE_DEPTH: usize = 100;

/// The file is not what its format says, for this reason.
pub(crate) fn broken(cause: impl Into<String>) -> DecodeError {
    DecodeError::new(DecodeErrorKind::File(cause.into()))
}

/// The message would take more than this limit allows.
pub(crate) fn exceeds(name: &'static str, limit: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Limit { name, limit })
}

/// What a body is that lacks the mark of its format, and the way out.
pub(crate) fn not_this_file(body: &[u8], not: &'static str) -> DecodeError {
    let hint = match body {
        [b'P', b'A', b'R', b'1' | b'E', ..] => "it begins like a Parquet file: use 'format' = 'parquet', or it was cut",
        [b'O', b'R', b'C', ..] => "it begins like an ORC file: use 'format' = 'orc', or it was cut",
        [b'O', b'b', b'j', 1, ..] => "it looks like an Avro file: use 'format' = 'avro'",
        [0x1f, 0x8b, ..] => "it looks gzipped: the file itself must be the body, it has compression of its own",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            "it looks compressed with zstd: the file itself must be the body, it has compression of its own"
        }
        [b'P', b'K', 3, 4, ..] => "it looks like a zip archive: the file itself must be the body",
        _ => match body.trim_ascii_start() {
            [b'{' | b'[', ..] => "it looks like JSON: use 'format' = 'json'",
            [b'<', ..] => "it looks like XML or HTML",
            text if is_base64(text) => "it looks like base64: set 'messageEncoding' = 'base64'",
            text if is_text(text) => "it looks like text: use 'format' = 'csv' or 'raw'",
            _ => return broken(not),
        },
    };
    broken(not).with_hint(hint)
}

/// How much of a body is looked at to guess what it is.
const LOOKED_AT: usize = 256;

fn is_text(body: &[u8]) -> bool {
    let head = &body[..body.len().min(LOOKED_AT)];
    // A character may be cut at the end.
    let valid = std::str::from_utf8(head).map_or_else(|e| e.valid_up_to() + 3 >= head.len(), |_| true);
    valid && !head.iter().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace())
}

fn is_base64(body: &[u8]) -> bool {
    let head = &body[..body.len().min(LOOKED_AT)];
    // Shorter text is more often a word.
    head.len() >= 16
        && head.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_is_instead_is_said() {
        for (body, part) in [
            (&b"PAR1...."[..], "'format' = 'parquet'"),
            (b"ORC....", "'format' = 'orc'"),
            (b"Obj\x01\x02", "'format' = 'avro'"),
            (b"\x1f\x8b\x08\x00", "gzip"),
            (b"\x28\xb5\x2f\xfd\x00", "zstd"),
            (b" {\"a\": 1}", "'format' = 'json'"),
            (b"a;b;c\n1;2;3\n", "'format' = 'csv'"),
            (b"UEFSMRUEFRUEFSMRUEFR", "base64"),
        ] {
            let error = not_this_file(body, "no mark").to_string();
            assert!(error.starts_with("no mark; ") && error.contains(part), "{error}");
        }
        assert_eq!(not_this_file(b"\x00\x01", "no mark").to_string(), "no mark");
    }
}
