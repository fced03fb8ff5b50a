//! A chunked body (RFC 9112, section 7.1), put together where it lies.

use crate::net::answer::AnswerError;
use crate::net::answer::head::MAX_HEADERS;

/// Bytes of extensions in one body, and of trailers behind it. Nobody sends either; they are skipped.
const MAX_SKIPPED: usize = 16 * 1_024;

/// The digits of a chunk's length, leading zeros included: what 64 bits take.
const MAX_DIGITS: u8 = 16;

/// How far a chunked body is read.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    step: Step,
    /// The length of the current chunk, then what is left of it.
    left: u64,
    digits: u8,
    extensions: usize,
    trailers: usize,
    trailer_lines: usize,
}

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Step {
    #[default]
    Length,
    /// Blanks behind a length.
    Blanks,
    Extension,
    LengthEnd,
    Data,
    DataReturn,
    DataEnd,
    /// The beginning of a line behind the last chunk: the empty one is the end.
    Line,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastEnd,
    Done,
}

impl Chunks {
    /// Whether the last byte of the body has been read.
    pub(super) fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    /// Reads on from `bytes[from..]`, and moves the data it finds there to `bytes[end..]`. Says where the data ends then, and
    /// how far was read: to the end, unless the body is done.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        mut end: usize,
        mut from: usize,
    ) -> Result<(usize, usize), AnswerError> {
        while from < bytes.len() && !self.is_done() {
            if self.step == Step::Data {
                let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - from);
                bytes.copy_within(from..from + count, end);
                (end, from) = (end + count, from + count);
                self.left -= count as u64;
                if self.left == 0 {
                    self.step = Step::DataReturn;
                }
            } else {
                self.step = self.next(bytes[from])?;
                from += 1;
            }
        }
        Ok((end, from))
    }

    /// The step after this byte, which is none of the data.
    fn next(&mut self, byte: u8) -> Result<Step, AnswerError> {
        match (self.step, byte) {
            (Step::Length, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (Step::Length, _) if self.digits == 0 => Err(AnswerError::Chunk),
            (Step::Length | Step::Blanks, b' ' | b'\t') => Ok(Step::Blanks),
            (Step::Length | Step::Blanks, b';') => Ok(Step::Extension),
            (Step::Length | Step::Blanks | Step::Extension, b'\r') => Ok(Step::LengthEnd),
            (Step::Extension, b'\n') => Err(AnswerError::Chunk),
            (Step::Extension, _) => {
                self.extensions += 1;
                if self.extensions < MAX_SKIPPED { Ok(Step::Extension) } else { Err(AnswerError::Skipped) }
            }
            (Step::LengthEnd, b'\n') => {
                self.digits = 0;
                Ok(if self.left == 0 { Step::Line } else { Step::Data })
            }
            (Step::DataReturn, b'\r') => Ok(Step::DataEnd),
            (Step::DataEnd, b'\n') => Ok(Step::Length),
            (Step::Line, b'\r') => Ok(Step::LastEnd),
            (Step::Line | Step::TrailerName | Step::TrailerValue, _) => self.trailer(byte),
            (Step::TrailerEnd, b'\n') => Ok(Step::Line),
            (Step::LastEnd, b'\n') => Ok(Step::Done),
            _ => Err(AnswerError::Chunk),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<Step, AnswerError> {
        self.digits += 1;
        if self.digits > MAX_DIGITS {
            return Err(AnswerError::Chunk);
        }
        let value = char::from(byte).to_digit(16).unwrap_or_default();
        self.left = self.left << 4 | u64::from(value);
        Ok(Step::Length)
    }

    fn trailer(&mut self, byte: u8) -> Result<Step, AnswerError> {
        self.trailer_lines += usize::from(self.step == Step::Line);
        self.trailers += 1;
        if self.trailers > MAX_SKIPPED || self.trailer_lines > MAX_HEADERS {
            return Err(AnswerError::Skipped);
        }
        // As strict as a head: what is no field may be the first line of another answer.
        match (self.step, byte) {
            (Step::Line | Step::TrailerName, byte) if is_token(byte) => Ok(Step::TrailerName),
            (Step::TrailerName, b':') => Ok(Step::TrailerValue),
            (Step::TrailerValue, b'\r') => Ok(Step::TrailerEnd),
            (Step::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => Ok(Step::TrailerValue),
            _ => Err(AnswerError::Chunk),
        }
    }
}

/// Whether a field's name may have this character (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
