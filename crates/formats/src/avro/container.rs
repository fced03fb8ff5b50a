//! Container files: a header with the schema, and blocks of rows.

use super::binary::Binary;
use super::codec::Codec;
use super::source::{Outcome, Source};
use crate::{DecodeError, DecodeErrorKind};

/// What a container file begins with. No other body does: as a value it would be a length or a branch of -40.
const MAGIC: &[u8] = b"Obj\x01";

/// The longest schema that is read, in bytes: ten times what schemas of a thousand fields have, and little enough to
/// parse for each message.
const MAX_SCHEMA_BYTES: usize = 1 << 20;

/// A container file of which the header has been read.
#[derive(Debug)]
pub(super) struct Container<'a> {
    pub(super) schema: &'a str,
    pub(super) codec: Codec,
    sync: &'a [u8],
    blocks: Binary<'a>,
}

/// A block as it is in the file.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// Rows that it says it has.
    pub(super) rows: u64,
    /// Where its data begins in the body.
    pub(super) at: usize,
    pub(super) data: &'a [u8],
}

impl<'a> Container<'a> {
    /// Whether a body is a container file.
    pub(super) fn is(body: &[u8]) -> bool {
        body.starts_with(MAGIC)
    }

    /// Reads the header.
    pub(super) fn open(body: &'a [u8]) -> Outcome<Self> {
        let mut bytes = Binary::new(body, 0);
        bytes.take(MAGIC.len())?;
        let (mut schema, mut codec) = (None, None);
        let mut entries = bytes.begin_map()?;
        while entries > 0 {
            for _ in 0..entries {
                let key = bytes.delimited()?;
                let at = bytes.position();
                let value = bytes.delimited()?;
                match key {
                    b"avro.schema" => schema = Some((value, at)),
                    b"avro.codec" => codec = Some((value, at)),
                    _ => {}
                }
            }
            entries = bytes.next_entries()?;
        }
        let bad = |what, at| DecodeError::new(DecodeErrorKind::Syntax(what)).at_byte(at);
        let (schema, at) = schema.ok_or_else(|| bad("a container file without a schema", 4))?;
        if schema.len() > MAX_SCHEMA_BYTES {
            return Err(bad("a container file with a schema of more than 1 MiB", at));
        }
        let schema = std::str::from_utf8(schema).map_err(|_| bad("a schema that is not UTF-8", at))?;
        let codec = match codec {
            Some((name, at)) => Codec::named(name).map_err(|what| bad(what, at))?,
            None => Codec::Null,
        };
        let sync = bytes.take(16)?;
        Ok(Self { schema, codec, sync, blocks: bytes })
    }

    /// The next block, or `None` at the end of the file.
    pub(super) fn next_block(&mut self) -> Outcome<Option<Block<'a>>> {
        if self.blocks.rest().is_empty() {
            return Ok(None);
        }
        let at = self.blocks.position();
        let bad = |what| DecodeError::new(DecodeErrorKind::Syntax(what)).at_byte(at);
        let rows = self.blocks.long()?;
        let rows = u64::try_from(rows).map_err(|_| bad("a block with a negative number of rows"))?;
        let data = self.blocks.delimited()?;
        let data_at = self.blocks.position() - data.len();
        if self.blocks.take(16).map_err(|_| bad("a block that is cut off"))? != self.sync {
            return Err(bad("a block without the file's sync marker behind it"));
        }
        Ok(Some(Block { rows, at: data_at, data }))
    }
}
