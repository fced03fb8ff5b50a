//! The compression of the blocks of container files, and a limit on what comes out of it.

use std::io::{self, Read};

/// A codec that container files name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
}

/// Why a block cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It becomes longer than it may.
    TooLong,
    /// It is not what its codec makes.
    Data(&'static str),
}

/// The longest window that a zstandard frame may ask for, as a power of two: 8 MiB, all that the levels up to 19 use.
/// More would let a few bytes take that much memory before anything is decompressed.
const MAX_WINDOW_LOG: u32 = 23;

impl Codec {
    /// The codec of that name, or what a file with it is.
    pub(super) fn named(name: &[u8]) -> Result<Self, &'static str> {
        match name {
            b"null" => Ok(Self::Null),
            b"deflate" => Ok(Self::Deflate),
            b"snappy" => Ok(Self::Snappy),
            b"zstandard" => Ok(Self::Zstandard),
            b"bzip2" => Err("a container file with the codec bzip2, which is not supported"),
            b"xz" => Err("a container file with the codec xz, which is not supported"),
            _ => Err("a container file with a codec that Avro does not have"),
        }
    }

    /// Fills `out` with what `data` becomes, which is not to be longer than `limit`.
    pub(super) fn decompress(self, data: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), Broken> {
        out.clear();
        match self {
            Self::Null => {
                out.extend_from_slice(data);
                Ok(())
            }
            Self::Deflate => {
                read(flate2::bufread::DeflateDecoder::new(data), limit, out, "a block that deflate cannot read")
            }
            Self::Snappy => snappy(data, limit, out),
            Self::Zstandard => {
                const BAD: &str = "a block that zstandard cannot read";
                let decoder = zstd::stream::read::Decoder::with_buffer(data).and_then(|mut decoder| {
                    decoder.window_log_max(MAX_WINDOW_LOG)?;
                    Ok(decoder)
                });
                read(decoder.map_err(|_| Broken::Data(BAD))?, limit, out, BAD)
            }
        }
    }
}

fn read(reader: impl Read, limit: usize, out: &mut Vec<u8>, bad: &'static str) -> Result<(), Broken> {
    let read: io::Result<usize> = reader.take(limit as u64 + 1).read_to_end(out);
    match read {
        Ok(n) if n > limit => Err(Broken::TooLong),
        Ok(_) => Ok(()),
        Err(_) => Err(Broken::Data(bad)),
    }
}

/// Avro puts the CRC-32 of the content behind a snappy block.
fn snappy(data: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), Broken> {
    const BAD: Broken = Broken::Data("a block that snappy cannot read");
    let (data, sum) = data.split_last_chunk::<4>().ok_or(BAD)?;
    let length = snap::raw::decompress_len(data).map_err(|_| BAD)?;
    if length > limit {
        return Err(Broken::TooLong);
    }
    out.resize(length, 0);
    snap::raw::Decoder::new().decompress(data, out).map_err(|_| BAD)?;
    if crc32fast::hash(out) != u32::from_be_bytes(*sum) {
        return Err(Broken::Data("a block whose checksum is wrong"));
    }
    Ok(())
}
