//! Decompression that never gives more than was agreed: the sizes in a file are what its writer claims.

use std::io::Read;

/// How a block of a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Snappy,
    /// One or more gzip members.
    #[cfg(feature = "parquet")]
    Gzip,
    /// Deflate without any header, as ORC's "zlib" is.
    #[cfg(feature = "orc")]
    Deflate,
    Zstd,
    #[cfg(feature = "parquet")]
    Brotli,
    /// One LZ4 block.
    Lz4,
    /// LZ4 blocks as Hadoop frames them: each behind its two lengths. Other writers of the same name put a bare block
    /// or an LZ4 frame in its place, so that these are tried as well, as Parquet's own readers do.
    #[cfg(feature = "parquet")]
    Lz4Hadoop,
}

/// What a byte of Snappy can become at most: a copy of 64 bytes takes three.
const SNAPPY_RATIO: usize = 22;

/// What a byte of LZ4 can become at most: the length of a copy grows by 255 for each.
const LZ4_RATIO: usize = 256;

/// Appends what `input` decompresses to. `None` when it is no such data or would be more than `room` bytes; what `out`
/// has got then is of no use.
pub(crate) fn decompress(codec: Codec, input: &[u8], room: usize, out: &mut Vec<u8>) -> Option<()> {
    match codec {
        Codec::Snappy => {
            let len = snap::raw::decompress_len(input).ok().filter(|len| *len <= room)?;
            // A claim beyond what the format can reach is not worth the memory.
            if len > input.len().saturating_mul(SNAPPY_RATIO) {
                return None;
            }
            into(len, out, |buffer| snap::raw::Decoder::new().decompress(input, buffer).ok())
        }
        #[cfg(feature = "parquet")]
        Codec::Gzip => stream(flate2::read::MultiGzDecoder::new(input), room, out),
        #[cfg(feature = "orc")]
        Codec::Deflate => stream(flate2::read::DeflateDecoder::new(input), room, out),
        #[cfg(feature = "parquet")]
        Codec::Brotli => stream(brotli::Decompressor::new(input, 4096), room, out),
        Codec::Zstd => {
            let start = out.len();
            let mut block = Vec::with_capacity(room);
            zstd::bulk::Decompressor::new().ok()?.decompress_to_buffer(input, &mut block).ok()?;
            if start == 0 {
                *out = block;
            } else {
                out.extend_from_slice(&block);
            }
            Some(())
        }
        Codec::Lz4 => into(room.min(input.len().saturating_mul(LZ4_RATIO)), out, |buffer| {
            lz4_flex::block::decompress_into(input, buffer).ok()
        }),
        #[cfg(feature = "parquet")]
        Codec::Lz4Hadoop => {
            let start = out.len();
            for attempt in [hadoop_lz4, lz4_frame, |input: &[u8], room, out: &mut Vec<u8>| {
                decompress(Codec::Lz4, input, room, out)
            }] {
                if attempt(input, room, out).is_some() {
                    return Some(());
                }
                out.truncate(start);
            }
            None
        }
    }
}

/// Lets `write` fill at most `room` bytes behind the end; it says how many it did.
fn into(room: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<()> {
    let start = out.len();
    out.resize(start + room, 0);
    let written = write(&mut out[start..])?;
    out.truncate(start + written);
    Some(())
}

fn stream(reader: impl Read, room: usize, out: &mut Vec<u8>) -> Option<()> {
    let read = reader.take(room as u64 + 1).read_to_end(out).ok()?;
    (read <= room).then_some(())
}

#[cfg(feature = "parquet")]
fn hadoop_lz4(mut input: &[u8], room: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut room = room;
    while !input.is_empty() {
        let (lengths, rest) = input.split_first_chunk::<8>()?;
        let length = |at: usize| lengths.get(at..at + 4).map(|b| b.iter().fold(0, |n, b| n << 8 | usize::from(*b)));
        let (plain, packed) = (length(0)?, length(4)?);
        let block = rest.get(..packed)?;
        if plain > room {
            return None;
        }
        let start = out.len();
        decompress(Codec::Lz4, block, plain, out)?;
        if out.len() - start != plain {
            return None;
        }
        room -= plain;
        input = &rest[packed..];
    }
    Some(())
}

#[cfg(feature = "parquet")]
fn lz4_frame(input: &[u8], room: usize, out: &mut Vec<u8>) -> Option<()> {
    stream(lz4_flex::frame::FrameDecoder::new(input), room, out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(codec: Codec, plain: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(plain).expect("snappy"),
            #[cfg(feature = "parquet")]
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain).expect("gzip");
                encoder.finish().expect("gzip")
            }
            #[cfg(feature = "orc")]
            Codec::Deflate => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain).expect("deflate");
                encoder.finish().expect("deflate")
            }
            #[cfg(feature = "parquet")]
            Codec::Brotli => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(plain).expect("brotli");
                out
            }
            Codec::Zstd => zstd::bulk::compress(plain, 1).expect("zstd"),
            Codec::Lz4 => lz4_flex::block::compress(plain),
            #[cfg(feature = "parquet")]
            Codec::Lz4Hadoop => {
                let (head, tail) = plain.split_at(plain.len() / 2);
                [head, tail]
                    .map(|half| {
                        let block = lz4_flex::block::compress(half);
                        let length = |n: usize| u32::try_from(n).expect("short").to_be_bytes();
                        [&length(half.len())[..], &length(block.len()), &block].concat()
                    })
                    .concat()
            }
        }
    }

    fn codecs() -> Vec<Codec> {
        vec![
            Codec::Snappy,
            #[cfg(feature = "parquet")]
            Codec::Gzip,
            #[cfg(feature = "orc")]
            Codec::Deflate,
            Codec::Zstd,
            #[cfg(feature = "parquet")]
            Codec::Brotli,
            Codec::Lz4,
            #[cfg(feature = "parquet")]
            Codec::Lz4Hadoop,
        ]
    }

    #[test]
    fn blocks_come_back_and_bombs_do_not() {
        let plain: Vec<u8> = (0..100_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for codec in codecs() {
            let input = packed(codec, &plain);
            let mut out = b"before".to_vec();
            decompress(codec, &input, plain.len(), &mut out).unwrap_or_else(|| panic!("{codec:?}"));
            assert!(out.starts_with(b"before") && out[6..] == plain, "{codec:?}");
            assert_eq!(decompress(codec, &input, plain.len() - 1, &mut Vec::new()), None, "{codec:?}: too much");
            let mut out = Vec::new();
            let cut = decompress(codec, &input[..input.len() / 2], plain.len(), &mut out);
            assert!(cut.is_none() || out.len() < plain.len(), "{codec:?}: cut");
            let bomb = packed(codec, &vec![0; 64 << 20]);
            let mut out = Vec::new();
            assert_eq!(decompress(codec, &bomb, 1000, &mut out), None, "{codec:?}: bomb");
            assert!(out.capacity() < 1 << 20, "{codec:?}: {}", out.capacity());
        }
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn every_kind_of_lz4_goes_by_the_old_name() {
        let plain = vec![7; 10_000];
        let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
        frame.write_all(&plain).expect("a frame");
        for input in [packed(Codec::Lz4Hadoop, &plain), packed(Codec::Lz4, &plain), frame.finish().expect("a frame")] {
            let mut out = Vec::new();
            decompress(Codec::Lz4Hadoop, &input, plain.len(), &mut out).expect("one of the three");
            assert_eq!(out, plain);
        }
    }
}
