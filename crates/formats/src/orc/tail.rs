//! The end of an ORC file: how it is compressed, its types, its stripes.

use std::ops::Range;

use super::proto::{Value, fields};
use super::types::{self, OrcType};
use crate::columnar::{Codec, broken, decompress, exceeds, not_this_file};
use crate::{DecodeError, Limits};

const MAGIC: &[u8; 3] = b"ORC";

/// Bytes of a footer when decompressed: that of a file with ten thousand columns has about one million.
const MAX_FOOTER: usize = 8 << 20;

/// The largest block that there can be: the header of a compressed block has 23 bits for the length.
const MAX_BLOCK: u64 = 1 << 23;

/// Bytes of a block when decompressed unless the file says so.
const DEFAULT_BLOCK: u64 = 256 << 10;

/// What the end of a file says.
#[derive(Debug)]
pub(super) struct Tail<'a> {
    pub(super) compression: Compression,
    pub(super) types: Vec<OrcType>,
    /// The same types as the footer has them.
    pub(super) type_messages: Vec<Vec<u8>>,
    pub(super) stripes: Vec<Stripe>,
    pub(super) body: &'a [u8],
}

/// How the streams and footers of a file are compressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compression {
    codec: Option<Codec>,
    /// Bytes of a block at most, decompressed.
    block: usize,
}

/// A part of the file with the columns of some rows.
#[derive(Debug)]
pub(super) struct Stripe {
    /// Where its streams are, indices first.
    pub(super) streams: Range<usize>,
    pub(super) footer: Range<usize>,
    pub(super) rows: usize,
}

/// The file makes no sense, for this reason.
pub(super) fn corrupt(why: &str) -> DecodeError {
    broken(format!("the ORC file is corrupt: {why}"))
}

impl<'a> Tail<'a> {
    pub(super) fn read(body: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        if !body.starts_with(MAGIC) {
            return Err(not_this_file(body, "the body is no ORC file: it does not begin with ORC"));
        }
        let (compression, footer) = postscript(body)
            .ok_or_else(|| broken("the ORC file is cut or corrupt: it does not end with a postscript"))??;
        let footer = compression.unpack(&body[footer], MAX_FOOTER).map_err(|e| e.unless_too_long("footer"))?;
        let mut this = Self { compression, types: Vec::new(), type_messages: Vec::new(), stripes: Vec::new(), body };
        let mut encrypted = false;
        let mut too_many = false;
        let read = fields(&footer, |id, value| {
            match id {
                3 => this.stripes.push(Stripe::read(value, body.len())?),
                4 => {
                    too_many |= this.types.len() > limits.columns;
                    if too_many {
                        return None;
                    }
                    this.types.push(OrcType::read(value.bytes()?)?);
                    this.type_messages.push(value.bytes()?.to_vec());
                }
                10 => encrypted = true,
                _ => {}
            }
            Some(())
        });
        if too_many {
            return Err(exceeds("columns", limits.columns));
        }
        if encrypted {
            let hint = "send it without encryption; keys cannot be configured";
            return Err(broken("the ORC file is encrypted").with_hint(hint));
        }
        read.ok_or_else(|| corrupt("its footer makes no sense"))?;
        types::check(&this.types, limits)?;
        Ok(this)
    }
}

/// What the postscript says of compression, and where the footer is.
fn postscript(body: &[u8]) -> Option<Result<(Compression, Range<usize>), DecodeError>> {
    let (length, rest) = body.split_last()?;
    let start = rest.len().checked_sub(usize::from(*length))?;
    let (mut footer, mut kind, mut block, mut magic) = (0, 0, DEFAULT_BLOCK, false);
    fields(&rest[start..], |id, value| {
        match id {
            1 => footer = value.number()?,
            2 => kind = value.number()?,
            3 => block = value.number()?,
            8000 => magic = value.bytes()? == MAGIC,
            _ => {}
        }
        Some(())
    })?;
    let footer = start.checked_sub(usize::try_from(footer).ok()?)?..start;
    if !magic {
        return None;
    }
    let codec = match kind {
        0 => None,
        1 => Some(Codec::Deflate),
        2 => Some(Codec::Snappy),
        4 => Some(Codec::Lz4),
        5 => Some(Codec::Zstd),
        3 => return Some(Err(broken("the ORC file is compressed with LZO: write it with zstd or zlib"))),
        _ => return Some(Err(corrupt("its compression is one that ORC does not have"))),
    };
    // At most 2^23.
    Some(Ok((Compression { codec, block: block.min(MAX_BLOCK) as usize }, footer)))
}

impl Stripe {
    fn read(message: Value<'_>, end: usize) -> Option<Self> {
        let mut numbers = [0u64; 6];
        fields(message.bytes()?, |id, value| {
            if let Some(slot) = usize::try_from(id).ok().and_then(|id| numbers.get_mut(id)) {
                *slot = value.number()?;
            }
            Some(())
        })?;
        let [_, offset, index, data, footer, rows] = numbers.map(usize::try_from);
        let offset = offset.ok()?;
        let streams_end = offset.checked_add(index.ok()?)?.checked_add(data.ok()?)?;
        let footer_end = streams_end.checked_add(footer.ok()?).filter(|footer_end| *footer_end <= end)?;
        Some(Self { streams: offset..streams_end, footer: streams_end..footer_end, rows: rows.ok()? })
    }
}

/// Why something compressed is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unpacked {
    Corrupt,
    TooLong,
}

impl Unpacked {
    /// For a part that has no limit of its own.
    pub(super) fn unless_too_long(self, part: &str) -> DecodeError {
        match self {
            Self::Corrupt => corrupt(&format!("its {part} does not decompress")),
            Self::TooLong => corrupt(&format!("its {part} is longer than can be")),
        }
    }
}

impl Compression {
    /// Decompresses a stream or footer: blocks, each behind a header of three bytes.
    pub(super) fn unpack(&self, mut bytes: &[u8], room: usize) -> Result<Vec<u8>, Unpacked> {
        let Some(codec) = self.codec else {
            return if bytes.len() <= room { Ok(bytes.to_vec()) } else { Err(Unpacked::TooLong) };
        };
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_first_chunk::<3>().ok_or(Unpacked::Corrupt)?;
            let head = u32::from_le_bytes([head[0], head[1], head[2], 0]);
            let (block, after) = rest.split_at_checked((head >> 1) as usize).ok_or(Unpacked::Corrupt)?;
            let left = room - out.len();
            if head & 1 == 1 {
                if block.len() > left {
                    return Err(Unpacked::TooLong);
                }
                out.extend_from_slice(block);
            } else if decompress(codec, block, self.block.min(left), &mut out).is_none() {
                return Err(if left < self.block { Unpacked::TooLong } else { Unpacked::Corrupt });
            }
            bytes = after;
        }
        Ok(out)
    }
}
