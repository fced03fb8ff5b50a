//! One stripe as a file of its own: the streams of the needed columns, decompressed, under new footers.

use std::collections::BTreeMap;

use super::numbers::each;
use super::proto::{Message, fields};
use super::tail::{Stripe, Tail, Unpacked, corrupt};
use super::types::Kind;
use crate::DecodeError;
use crate::columnar::exceeds;

/// Streams may have this many times the bytes that decoded rows may: entries of dictionaries that no row refers to,
/// and numbers that are stored wider than they are.
const STREAMS_TO_ROWS: usize = 2;

/// The streams that values are made of, by their number in files.
const PRESENT: u64 = 0;
const DATA: u64 = 1;
const LENGTH: u64 = 2;
const DICTIONARY: u64 = 3;
const SECONDARY: u64 = 5;

/// How a column of a stripe is encoded.
#[derive(Debug, Clone, Copy, Default)]
struct Encoding {
    dictionary: bool,
    version_2: bool,
    dictionary_size: u64,
}

/// The needed streams of a stripe, by column and kind.
#[derive(Debug)]
struct Streams {
    streams: BTreeMap<(usize, u64), Vec<u8>>,
    /// As the stripe's footer has them.
    encoding_messages: Vec<Vec<u8>>,
    encodings: Vec<Encoding>,
    time_zone: Option<Vec<u8>>,
}

/// The stripe as a file without compression, of these columns and their parts. `room` is what its rows may take, in
/// bytes, as Arrow holds them; `limit` the limit it comes from.
pub(super) fn file(
    tail: &Tail<'_>,
    stripe: &Stripe,
    columns: &[usize],
    room: usize,
    limit: usize,
) -> Result<Vec<u8>, DecodeError> {
    let streams = Streams::read(tail, stripe, columns, room, limit)?;
    let mut check = Check { tail, streams: &streams, room, limit };
    for column in &tail.types[0].subtypes {
        if columns.contains(column) {
            check.column(*column, stripe.rows)?;
        }
    }
    Ok(streams.assemble(tail, stripe.rows))
}

impl Streams {
    fn read(
        tail: &Tail<'_>,
        stripe: &Stripe,
        columns: &[usize],
        room: usize,
        limit: usize,
    ) -> Result<Self, DecodeError> {
        let footer = tail.compression.unpack(&tail.body[stripe.footer.clone()], 8 << 20);
        let footer = footer.map_err(|e| e.unless_too_long("stripe footer"))?;
        let mut this =
            Self { streams: BTreeMap::new(), encoding_messages: Vec::new(), encodings: Vec::new(), time_zone: None };
        let mut needed = Vec::new();
        let mut at = stripe.streams.start;
        fields(&footer, |id, value| {
            match id {
                1 => {
                    let (kind, column, length) = stream(value.bytes()?)?;
                    let end = at.checked_add(length).filter(|end| *end <= stripe.streams.end)?;
                    if matches!(kind, PRESENT | DATA | LENGTH | DICTIONARY | SECONDARY) && columns.contains(&column) {
                        needed.push(((column, kind), at..end));
                    }
                    at = end;
                }
                2 => {
                    this.encodings.push(Encoding::read(value.bytes()?)?);
                    this.encoding_messages.push(value.bytes()?.to_vec());
                }
                3 => this.time_zone = Some(value.bytes()?.to_vec()),
                _ => {}
            }
            (this.encodings.len() <= tail.types.len()).then_some(())
        })
        .ok_or_else(|| corrupt("a stripe's footer makes no sense"))?;
        if this.encodings.len() != tail.types.len() {
            return Err(corrupt("a stripe has another number of columns than the file"));
        }
        let mut left = room.saturating_mul(STREAMS_TO_ROWS);
        for (key, range) in needed {
            let bytes = tail.compression.unpack(&tail.body[range], left).map_err(|e| match e {
                Unpacked::Corrupt => corrupt("a stream does not decompress"),
                Unpacked::TooLong => exceeds("decoded_bytes", limit),
            })?;
            left -= bytes.len();
            if this.streams.insert(key, bytes).is_some() {
                return Err(corrupt("a column has two streams of one kind"));
            }
        }
        Ok(this)
    }

    fn get(&self, column: usize, kind: u64) -> &[u8] {
        self.streams.get(&(column, kind)).map_or(&[], Vec::as_slice)
    }

    /// Writes the file. The order of streams is that of the map, in the footer as in the data.
    fn assemble(&self, tail: &Tail<'_>, rows: usize) -> Vec<u8> {
        let mut file = b"ORC".to_vec();
        let start = file.len() as u64;
        let mut footer = Message::default();
        for ((column, kind), bytes) in &self.streams {
            file.extend_from_slice(bytes);
            let stream = Message::default().number(1, *kind).number(2, *column as u64).number(3, bytes.len() as u64);
            footer = footer.bytes(1, &stream.0);
        }
        let data = file.len() as u64 - start;
        for encoding in &self.encoding_messages {
            footer = footer.bytes(2, encoding);
        }
        if let Some(zone) = &self.time_zone {
            footer = footer.bytes(3, zone);
        }
        file.extend_from_slice(&footer.0);
        let stripe = Message::default()
            .number(1, start)
            .number(2, 0)
            .number(3, data)
            .number(4, footer.0.len() as u64)
            .number(5, rows as u64);
        let mut footer = Message::default().number(1, start).number(2, data).bytes(3, &stripe.0);
        for t in &tail.type_messages {
            footer = footer.bytes(4, t);
        }
        let footer = footer.number(6, rows as u64);
        file.extend_from_slice(&footer.0);
        let postscript =
            Message::default().number(1, footer.0.len() as u64).number(2, 0).number(5, 0).bytes(8000, b"ORC");
        file.extend_from_slice(&postscript.0);
        // A few dozen bytes, see above.
        file.push(postscript.0.len() as u8);
        file
    }
}

/// A stream's kind, column and length.
fn stream(message: &[u8]) -> Option<(u64, usize, usize)> {
    let mut numbers = [0u64; 4];
    fields(message, |id, value| {
        if let Some(slot) = usize::try_from(id).ok().and_then(|id| numbers.get_mut(id)) {
            *slot = value.number()?;
        }
        Some(())
    })?;
    Some((numbers[1], usize::try_from(numbers[2]).ok()?, usize::try_from(numbers[3]).ok()?))
}

impl Encoding {
    fn read(message: &[u8]) -> Option<Self> {
        let mut this = Self::default();
        fields(message, |id, value| {
            match id {
                1 => {
                    let kind = value.number().filter(|kind| *kind < 4)?;
                    (this.dictionary, this.version_2) = (kind & 1 == 1, kind & 2 == 2);
                }
                2 => this.dictionary_size = value.number()?,
                _ => {}
            }
            Some(())
        })?;
        Some(this)
    }
}

/// Adds up what the columns will take, so that nothing is allocated for data that is not there.
struct Check<'a> {
    tail: &'a Tail<'a>,
    streams: &'a Streams,
    room: usize,
    limit: usize,
}

impl Check<'_> {
    /// A column of at most so many values. By recursion: the types were checked not to nest deep.
    fn column(&mut self, column: usize, values: usize) -> Result<(), DecodeError> {
        let t = &self.tail.types[column];
        // While it is read, each value takes a byte at least, a boolean too.
        self.take(values.saturating_mul(t.kind.width().max(1)))?;
        let parts = match t.kind {
            Kind::Text | Kind::Binary => return self.text(column, values),
            Kind::List | Kind::Map => self.sum(column, LENGTH, values)?,
            _ => values,
        };
        t.subtypes.iter().try_for_each(|part| self.column(*part, parts))
    }

    fn text(&mut self, column: usize, values: usize) -> Result<(), DecodeError> {
        let encoding = self.streams.encodings[column];
        if !encoding.dictionary {
            let bytes = self.sum(column, LENGTH, values)?;
            if bytes > self.streams.get(column, DATA).len() {
                return Err(corrupt("a column's text is longer than its data"));
            }
            return self.take(bytes);
        }
        let size = usize::try_from(encoding.dictionary_size).unwrap_or(usize::MAX);
        // Writers put values of the stripe into a dictionary and nothing else.
        if size > values {
            return Err(corrupt("a dictionary has more entries than its column has values"));
        }
        let mut lengths = Vec::new();
        self.numbers(column, LENGTH, size, |length| lengths.push(length))?;
        if lengths.iter().fold(0usize, |sum, n| sum.saturating_add(*n)) > self.streams.get(column, DICTIONARY).len() {
            return Err(corrupt("a dictionary's text is longer than its data"));
        }
        let mut bytes = 0usize;
        self.numbers(column, DATA, values, |entry| {
            bytes = bytes.saturating_add(lengths.get(entry).copied().unwrap_or(0));
        })?;
        self.take(bytes)
    }

    fn take(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.room = self.room.checked_sub(bytes).ok_or_else(|| exceeds("decoded_bytes", self.limit))?;
        Ok(())
    }

    fn sum(&self, column: usize, kind: u64, values: usize) -> Result<usize, DecodeError> {
        let mut sum = 0usize;
        self.numbers(column, kind, values, |value| sum = sum.saturating_add(value))?;
        Ok(sum)
    }

    /// The first numbers of a stream, which there are at most. None of them may be larger than any count can be.
    fn numbers(
        &self,
        column: usize,
        kind: u64,
        at_most: usize,
        mut take: impl FnMut(usize),
    ) -> Result<(), DecodeError> {
        let version_2 = self.streams.encodings[column].version_2;
        let (mut left, mut senseless) = (at_most, false);
        if left > 0 {
            each(self.streams.get(column, kind), version_2, |value| {
                match u32::try_from(value) {
                    Ok(value) => take(value as usize),
                    Err(_) => senseless = true,
                }
                left -= 1;
                (left > 0 && !senseless).then_some(())
            });
        }
        if senseless { Err(corrupt("a count or length is out of all range")) } else { Ok(()) }
    }
}
