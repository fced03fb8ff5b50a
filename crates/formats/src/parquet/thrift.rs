//! Thrift's compact protocol, as much of it as it takes to see whether a structure is sound.
//!
//! The Parquet library reads the footer into its own structures; this walk comes first, since that one recurses and
//! allocates as the bytes tell it. The headers of pages are read with it as well.

use crate::columnar::varint;

/// How deep structures may nest. Parquet's own nest five deep.
const MAX_DEPTH: usize = 32;

/// Elements of lists, sets and maps in one walk. A footer has about ten for each column of each row group; the library
/// makes up to a kilobyte of one.
const MAX_ELEMENTS: usize = 1_000_000;

/// The types on the wire.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
pub(super) const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
pub(super) const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// A position in the bytes. Every reading function gives `None` where the bytes end or make no sense.
#[derive(Debug)]
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
    elements: usize,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, elements: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next field of a structure: its number and type; `Some(None)` at the structure's end. `last` is the number
    /// of the field before, from 0.
    pub(super) fn field(&mut self, last: &mut i16) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        let kind = head & 0x0f;
        if kind == 0 {
            return Some(None);
        }
        *last = match head >> 4 {
            0 => i16::try_from(self.int()?).ok()?,
            delta => last.checked_add(i16::from(delta))?,
        };
        Some(Some((*last, kind)))
    }

    /// A signed number of any width.
    pub(super) fn int(&mut self) -> Option<i64> {
        let value = self.varint()?;
        // Zigzag: the sign is the lowest bit.
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The head of a list: how many elements of which type. There are at least as many bytes left.
    pub(super) fn list(&mut self) -> Option<(usize, u8)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            count => usize::from(count),
        };
        self.count(count)?;
        Some((count, head & 0x0f))
    }

    /// Passes over the value of a field, where the types `TRUE` and `FALSE` are the value itself.
    pub(super) fn skip(&mut self, kind: u8) -> Option<()> {
        self.skip_at(kind, 0)
    }

    fn skip_at(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            TRUE | FALSE => Some(()),
            BYTE => self.pass(1),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.pass(8),
            BINARY => {
                let len = self.varint()?;
                self.pass(usize::try_from(len).ok()?)
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.element_at(kind, depth + 1))
            }
            MAP => {
                let count = usize::try_from(self.varint()?).ok()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                self.count(count)?;
                (0..count).try_for_each(|_| {
                    self.element_at(kinds >> 4, depth + 1)?;
                    self.element_at(kinds & 0x0f, depth + 1)
                })
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_at(kind, depth + 1)?;
                }
                Some(())
            }
            UUID => self.pass(16),
            _ => None,
        }
    }

    /// Passes over an element of a list, where a boolean takes a byte.
    fn element_at(&mut self, kind: u8, depth: usize) -> Option<()> {
        if matches!(kind, TRUE | FALSE) { self.pass(1) } else { self.skip_at(kind, depth) }
    }

    fn count(&mut self, count: usize) -> Option<()> {
        self.elements = self.elements.checked_add(count)?;
        // Each takes at least a byte.
        (count <= self.bytes.len() - self.at && self.elements <= MAX_ELEMENTS).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut rest = self.bytes.get(self.at..)?;
        let value = varint(&mut rest)?;
        self.at = self.bytes.len() - rest.len();
        Some(value)
    }

    fn pass(&mut self, bytes: usize) -> Option<()> {
        let end = self.at.checked_add(bytes)?;
        if end > self.bytes.len() {
            return None;
        }
        self.at = end;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_walked_to_their_end() {
        // {1: 300, 2: [true, false], 3: {1: "ab"}, 20: -1}
        let bytes = [0x15, 0xd8, 0x04, 0x19, 0x21, 1, 2, 0x1c, 0x18, 2, b'a', b'b', 0, 0x05, 40, 1, 0, 0xff];
        let mut thrift = Thrift::new(&bytes);
        thrift.skip(STRUCT).expect("a structure");
        assert_eq!(thrift.position(), bytes.len() - 1);
        let (mut thrift, mut last) = (Thrift::new(&bytes), 0);
        assert_eq!(thrift.field(&mut last), Some(Some((1, I32))));
        assert_eq!(thrift.int(), Some(300));
        assert_eq!(thrift.field(&mut last), Some(Some((2, LIST))));
        assert_eq!(thrift.list(), Some((2, TRUE)));
    }

    #[test]
    fn what_would_never_end_or_never_fit_is_refused() {
        for bytes in [
            &[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f][..], // a list of 2^32 structures
            &[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f],           // a string as long
            &[0x1b, 0xff, 0xff, 0x03, 0x11],                 // a map with more entries than bytes
            &[0x1c; 1000],                                   // structures within structures
            &[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[],
        ] {
            assert_eq!(Thrift::new(bytes).skip(STRUCT), None, "{bytes:?}");
        }
    }
}
