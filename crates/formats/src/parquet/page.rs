//! Pages of a column as they lie in the file: finding them, and their contents.

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::Page;
use parquet::errors::ParquetError;

use super::delta;
use super::thrift::{FALSE, I32, STRUCT, TRUE, Thrift};
use crate::columnar::{Codec, decompress};

/// A page: what its header says and where its bytes are.
#[derive(Debug)]
pub(super) struct PageInfo {
    kind: Kind,
    pub(super) values: u32,
    encoding: i64,
    /// Bytes when decompressed.
    pub(super) size: usize,
    data: Range<usize>,
}

#[derive(Debug)]
enum Kind {
    Dictionary,
    V1 {
        definition: i64,
        repetition: i64,
    },
    V2 {
        nulls: u32,
        rows: u32,
        definition_bytes: u32,
        repetition_bytes: u32,
        compressed: bool,
    },
    /// A kind of page that readers pass over.
    Other,
}

/// The numbers of a structure by field, booleans as 0 and 1.
#[derive(Debug, Default)]
struct Numbers([Option<i64>; 9]);

impl Numbers {
    /// Reads a structure; `nested` gets its structures.
    fn read(thrift: &mut Thrift<'_>, mut nested: impl FnMut(i16, &mut Thrift<'_>) -> Option<()>) -> Option<Self> {
        let mut numbers = Self::default();
        let mut last = 0;
        while let Some((id, kind)) = thrift.field(&mut last)? {
            let value = match kind {
                I32 => Some(thrift.int()?),
                TRUE | FALSE => Some(i64::from(kind == TRUE)),
                STRUCT => {
                    nested(id, thrift)?;
                    None
                }
                _ => {
                    thrift.skip(kind)?;
                    None
                }
            };
            if let (Some(value), Some(slot)) = (value, usize::try_from(id).ok().and_then(|id| numbers.0.get_mut(id))) {
                *slot = Some(value);
            }
        }
        Some(numbers)
    }

    fn count(&self, id: usize) -> Option<u32> {
        u32::try_from(self.0[id]?).ok()
    }
}

impl PageInfo {
    /// The page that begins at `start`, and the position behind it.
    pub(super) fn read(body: &[u8], start: usize, end: usize) -> Option<(Self, usize)> {
        let mut thrift = Thrift::new(body.get(start..end)?);
        let mut details = Numbers::default();
        let mut which = 0;
        let header = Numbers::read(&mut thrift, |id, thrift| {
            let numbers = Numbers::read(thrift, |_, thrift| thrift.skip(STRUCT))?;
            if matches!(id, 5 | 7 | 8) {
                (which, details) = (id, numbers);
            }
            Some(())
        })?;
        let data = start + thrift.position();
        let after = data.checked_add(usize::try_from(header.0[3]?).ok()?).filter(|after| *after <= end)?;
        let size = usize::try_from(header.0[2]?).ok()?;
        let (kind, encoding) = match (header.0[1]?, which) {
            (0, 5) => (Kind::V1 { definition: details.0[3]?, repetition: details.0[4]? }, details.0[2]?),
            (2, 7) => (Kind::Dictionary, details.0[2]?),
            (3, 8) => {
                let kind = Kind::V2 {
                    nulls: details.count(2)?,
                    rows: details.count(3)?,
                    definition_bytes: details.count(5)?,
                    repetition_bytes: details.count(6)?,
                    compressed: details.0[7] != Some(0),
                };
                (kind, details.0[4]?)
            }
            (0 | 2 | 3, _) => return None,
            _ => (Kind::Other, 0),
        };
        let values = if matches!(kind, Kind::Other) { 0 } else { details.count(1)? };
        Some((Self { kind, values, encoding, size, data: data..after }, after))
    }

    pub(super) fn is_data(&self) -> bool {
        matches!(self.kind, Kind::V1 { .. } | Kind::V2 { .. })
    }

    /// The rows of the page, where its header says so.
    pub(super) fn rows(&self) -> Option<usize> {
        match self.kind {
            Kind::V2 { rows, .. } => usize::try_from(rows).ok(),
            _ => None,
        }
    }

    pub(super) fn is_dictionary(&self) -> bool {
        matches!(self.kind, Kind::Dictionary)
    }

    /// Bytes of the page's values where that takes a look inside, 0 where pages are as large as their values.
    /// `repeated` and `optional` say which levels come before the values in a page of version 1.
    pub(super) fn text_bytes(
        &self,
        body: &Bytes,
        codec: Option<Codec>,
        repeated: bool,
        optional: bool,
    ) -> Result<usize, ParquetError> {
        if !matches!(self.encoding, DELTA_LENGTH | DELTA_TEXT) || !self.is_data() {
            return Ok(0);
        }
        let senseless = || corrupt("a page whose lengths make no sense");
        let Some(page) = self.page(body, codec)? else { return Ok(0) };
        let mut values = page.buffer().as_ref();
        match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = def_levels_byte_len as usize + rep_levels_byte_len as usize;
                values = values.get(levels..).ok_or_else(senseless)?;
            }
            _ => {
                for _ in 0..usize::from(repeated) + usize::from(optional) {
                    let (length, rest) = values.split_first_chunk::<4>().ok_or_else(senseless)?;
                    values = rest.get(u32::from_le_bytes(*length) as usize..).ok_or_else(senseless)?;
                }
            }
        }
        // A page of NULLs alone may have no values at all.
        if values.is_empty() {
            return Ok(0);
        }
        delta::text_bytes(values, self.values as usize, self.encoding == DELTA_TEXT).ok_or_else(senseless)
    }

    /// The page as the library takes it; `None` for a kind of page that readers pass over.
    pub(super) fn page(&self, body: &Bytes, codec: Option<Codec>) -> Result<Option<Page>, ParquetError> {
        let encoding = encoding(self.encoding)?;
        let num_values = self.values;
        Ok(match self.kind {
            Kind::Other => None,
            Kind::Dictionary => {
                let buf = self.content(body, codec, 0)?;
                Some(Page::DictionaryPage { buf, num_values, encoding, is_sorted: false })
            }
            Kind::V1 { definition, repetition } => Some(Page::DataPage {
                buf: self.content(body, codec, 0)?,
                num_values,
                encoding,
                def_level_encoding: self::encoding(definition)?,
                rep_level_encoding: self::encoding(repetition)?,
                statistics: None,
            }),
            Kind::V2 { nulls, rows, definition_bytes, repetition_bytes, compressed } => {
                let levels = definition_bytes as usize + repetition_bytes as usize;
                if levels > self.size || nulls > num_values {
                    return Err(corrupt("a page with more levels than bytes"));
                }
                let codec = codec.filter(|_| compressed);
                Some(Page::DataPageV2 {
                    buf: self.content(body, codec, levels)?,
                    num_values,
                    encoding,
                    num_nulls: nulls,
                    num_rows: rows,
                    def_levels_byte_len: definition_bytes,
                    rep_levels_byte_len: repetition_bytes,
                    is_compressed: compressed,
                    statistics: None,
                })
            }
        })
    }

    /// The bytes of the page, of which the first `plain` are not compressed.
    fn content(&self, body: &Bytes, codec: Option<Codec>, plain: usize) -> Result<Bytes, ParquetError> {
        let data = body.slice(self.data.clone());
        let Some(codec) = codec else { return Ok(data) };
        let (Some(head), Some(tail)) = (data.get(..plain), data.get(plain..)) else {
            return Err(corrupt("a page that is shorter than its levels"));
        };
        let mut out = head.to_vec();
        // A page of NULLs alone may have no compressed part.
        if self.size > plain && decompress(codec, tail, self.size - plain, &mut out).is_none() || out.len() != self.size
        {
            return Err(corrupt("a page that does not decompress to the size it should have"));
        }
        Ok(out.into())
    }
}

pub(super) fn corrupt(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// How the pages of a column are compressed.
pub(super) fn codec(compression: Compression) -> Result<Option<Codec>, &'static str> {
    Ok(Some(match compression {
        Compression::UNCOMPRESSED => return Ok(None),
        Compression::SNAPPY => Codec::Snappy,
        Compression::GZIP(_) => Codec::Gzip,
        Compression::BROTLI(_) => Codec::Brotli,
        Compression::LZ4 => Codec::Lz4Hadoop,
        Compression::ZSTD(_) => Codec::Zstd,
        Compression::LZ4_RAW => Codec::Lz4,
        _ => return Err("the Parquet file is compressed with LZO: write it with zstd or snappy"),
    }))
}

/// The numbers of the encodings whose values have their lengths in a packed form.
const DELTA_LENGTH: i64 = 6;
const DELTA_TEXT: i64 = 7;

fn encoding(number: i64) -> Result<Encoding, ParquetError> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        DELTA_LENGTH => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        DELTA_TEXT => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        // The predecessor of RLE for levels, out of use since 2013; the library can no longer name it either.
        4 => return Err(corrupt("the encoding BIT_PACKED, which is out of use")),
        _ => return Err(corrupt("an encoding that Parquet does not have")),
    })
}
