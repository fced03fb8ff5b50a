//! Avro's binary encoding, as Avro for Java reads it.

use super::source::{Outcome, Source};
use crate::{DecodeError, DecodeErrorKind};

/// Why a value cannot be read.
const SHORT: &str = "the body ends within the value";
const LONG_INT: &str = "an integer of more than 5 bytes";
const LONG_LONG: &str = "an integer of more than 10 bytes";
const NEGATIVE: &str = "a negative length";
const NO_BRANCH: &str = "a branch that the union does not have";
const NO_SYMBOL: &str = "a symbol that the enum does not have";

/// Bytes that are read from front to back. A value that cannot be read is not passed over.
#[derive(Debug, Clone)]
pub(super) struct Binary<'a> {
    rest: &'a [u8],
    /// Where `rest` ends in the body.
    end: usize,
}

impl<'a> Binary<'a> {
    /// These bytes, which begin at an offset of the body.
    pub(super) fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, end: offset + bytes.len() }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next bytes.
    pub(super) fn take(&mut self, n: usize) -> Outcome<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else { return Err(self.bad(SHORT)) };
        self.rest = rest;
        Ok(taken)
    }

    /// Bytes with their length in front.
    #[inline]
    pub(super) fn delimited(&mut self) -> Outcome<&'a [u8]> {
        // Up to 63 bytes, or up to 8,191.
        let short = match self.rest {
            [length @ 0..0x80, rest @ ..] => Some((usize::from(*length), rest)),
            [low, high @ 0..0x80, rest @ ..] => Some((usize::from(low & 0x7F) | usize::from(*high) << 7, rest)),
            _ => None,
        };
        if let Some((zigzag, rest)) = short
            && zigzag % 2 == 0
            && let Some((taken, rest)) = rest.split_at_checked(zigzag / 2)
        {
            self.rest = rest;
            return Ok(taken);
        }
        self.any_delimited()
    }

    #[inline(never)]
    fn any_delimited(&mut self) -> Outcome<&'a [u8]> {
        let before = self.clone();
        let length = self.long()?;
        let taken = match usize::try_from(length) {
            Ok(n) => self.rest.split_at_checked(n).ok_or(SHORT),
            Err(_) => Err(NEGATIVE),
        };
        match taken {
            Ok((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            Err(what) => {
                *self = before;
                Err(self.bad(what))
            }
        }
    }

    #[cold]
    fn bad(&self, what: &'static str) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Value(what)).at_byte(self.position())
    }

    /// Seven bits a byte, the low ones first, and what does not fit is lost.
    fn varint(&mut self, most: usize, too_long: &'static str) -> Outcome<u64> {
        let mut value = 0;
        for (i, byte) in self.rest.iter().take(most).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * i);
            if *byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(self.bad(if self.rest.len() < most { SHORT } else { too_long }))
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else { return Err(self.bad(SHORT)) };
        self.rest = rest;
        Ok(*taken)
    }

    /// A count with the size of the block behind it if it is negative.
    fn count(&mut self) -> Outcome<u64> {
        let count = self.long()?;
        if count < 0 {
            self.long()?;
        }
        match count {
            i64::MIN => Err(self.bad(NEGATIVE)),
            _ => Ok(count.unsigned_abs()),
        }
    }

    #[inline(never)]
    fn index(&mut self, count: usize, none: &'static str) -> Outcome<usize> {
        let index = self.int()?;
        usize::try_from(index).ok().filter(|index| *index < count).ok_or_else(|| self.bad(none))
    }
}

impl Source for Binary<'_> {
    #[inline]
    fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    #[inline]
    fn null(&mut self) -> Outcome<()> {
        Ok(())
    }

    /// Java takes every byte but 1 for false.
    #[inline]
    fn boolean(&mut self) -> Outcome<bool> {
        Ok(self.array::<1>()? == [1])
    }

    #[inline]
    fn int(&mut self) -> Outcome<i32> {
        let value = match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                u32::from(*byte)
            }
            _ => self.varint(5, LONG_INT)? as u32,
        };
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    #[inline]
    fn long(&mut self) -> Outcome<i64> {
        let value = match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                u64::from(*byte)
            }
            _ => self.varint(10, LONG_LONG)?,
        };
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    #[inline]
    fn float(&mut self) -> Outcome<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    #[inline]
    fn double(&mut self) -> Outcome<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    #[inline]
    fn bytes(&mut self) -> Outcome<&[u8]> {
        self.delimited()
    }

    #[inline]
    fn string(&mut self) -> Outcome<&[u8]> {
        self.delimited()
    }

    #[inline]
    fn fixed(&mut self, size: usize) -> Outcome<&[u8]> {
        self.take(size)
    }

    fn symbol(&mut self, symbols: &[Box<str>]) -> Outcome<usize> {
        self.index(symbols.len(), NO_SYMBOL)
    }

    #[inline]
    fn branch(&mut self, labels: &[Box<str>]) -> Outcome<usize> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest
            && byte % 2 == 0
            && usize::from(byte / 2) < labels.len()
        {
            self.rest = rest;
            return Ok(usize::from(byte / 2));
        }
        self.index(labels.len(), NO_BRANCH)
    }

    #[inline]
    fn end_branch(&mut self) {}

    #[inline]
    fn begin_record(&mut self) -> Outcome<()> {
        Ok(())
    }

    #[inline]
    fn field(&mut self, _: &str, _: &[Box<str>]) -> Outcome<()> {
        Ok(())
    }

    #[inline]
    fn end_field(&mut self) {}

    #[inline]
    fn end_record(&mut self) {}

    fn begin_array(&mut self) -> Outcome<u64> {
        self.count()
    }

    fn next_items(&mut self) -> Outcome<u64> {
        self.count()
    }

    fn begin_map(&mut self) -> Outcome<u64> {
        self.count()
    }

    fn next_entries(&mut self) -> Outcome<u64> {
        self.count()
    }

    fn key(&mut self) -> Outcome<&[u8]> {
        self.delimited()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_ways_are_the_long_ones(
            mut bytes in prop::collection::vec(any::<u8>(), 0..300),
            first in prop::collection::vec(prop_oneof![0u8..12, Just(0x80u8), Just(0xFE), any::<u8>()], 0..3),
            branches in 0..6usize,
        ) {
            bytes.splice(0..0, first);
            let labels = vec![Box::from("a"); branches];
            let (mut short, mut long) = (Binary::new(&bytes, 7), Binary::new(&bytes, 7));
            prop_assert_eq!(short.branch(&labels), long.index(branches, NO_BRANCH));
            prop_assert_eq!(short.position(), long.position());
            let (mut short, mut long) = (Binary::new(&bytes, 7), Binary::new(&bytes, 7));
            prop_assert_eq!(short.delimited(), long.any_delimited());
            prop_assert_eq!(short.position(), long.position());
        }
    }
}
