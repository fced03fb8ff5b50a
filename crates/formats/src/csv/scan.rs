//! A body into fields, by the rules of the CSV parser in Flink (Jackson's).
//!
//! What may surprise: a quote counts at the very start of a field only; behind a closing quote blanks are passed over
//! and anything else is an error; a line ends with LF, CR or CR LF; a delimiter that is itself a line end ends fields,
//! but a line end where a field could begin ends the row.

/// The characters that have a meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    delimiter: Mark,
    quote: Option<Mark>,
    escape: Option<Mark>,
    trim: bool,
    pub(super) comments: bool,
}

impl Dialect {
    pub(super) fn new(delimiter: char, quote: Option<char>, escape: Option<char>) -> Self {
        // A line end is one before it could be anything else.
        let mark = |c: Option<char>| c.filter(|c| !matches!(c, '\r' | '\n')).map(Mark::new);
        Self { delimiter: Mark::new(delimiter), quote: mark(quote), escape: mark(escape), trim: false, comments: false }
    }

    pub(super) fn trimming(self, trim: bool) -> Self {
        Self { trim, ..self }
    }

    pub(super) fn with_comments(self, comments: bool) -> Self {
        Self { comments, ..self }
    }

    pub(super) fn trims(&self) -> bool {
        self.trim
    }

    pub(super) fn delimiter(&self) -> &[u8] {
        self.delimiter.bytes()
    }

    pub(super) fn quote(&self) -> Option<&[u8]> {
        self.quote.as_ref().map(Mark::bytes)
    }

    /// Whether a field means what it says: nothing is escaped or trimmed.
    pub(super) fn is_plain(&self) -> bool {
        self.escape.is_none() && !self.trim
    }
}

/// One character as UTF-8, of at most three bytes: options take none beyond U+FFFF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    bytes: [u8; 4],
    len: usize,
}

impl Mark {
    fn new(c: char) -> Self {
        let mut bytes = [0; 4];
        let len = c.encode_utf8(&mut bytes).len();
        Self { bytes, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline]
    fn is_at(&self, text: &[u8], at: usize) -> bool {
        text.get(at) == Some(&self.bytes[0]) && (self.len == 1 || text[at..].starts_with(&self.bytes[..self.len]))
    }
}

/// Why the rest of a row cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The quote at that place is never closed.
    Unclosed,
    /// Something other than a delimiter behind a closing quote; whether a backslash stands before that quote.
    AfterQuote { backslash: bool },
    /// The escape character is the last of the body.
    EscapeAtEnd,
    /// Bytes that are not text.
    Encoding(&'static str),
}

/// A broken row: where, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) why: Broken,
}

/// One field of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Where it begins, with its quote.
    pub(super) start: usize,
    /// Where its text is: a range of the body, or the scratch buffer.
    span: Option<(usize, usize)>,
    /// Whether the row ends behind it.
    pub(super) last: bool,
}

impl Field {
    #[inline]
    pub(super) fn text<'t>(&self, body: &'t [u8], scratch: &'t [u8]) -> &'t [u8] {
        match self.span {
            Some((from, to)) => &body[from..to],
            None => scratch,
        }
    }
}

/// Goes through a body field by field. The text is UTF-8.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    dialect: &'a Dialect,
    find: Finder,
    /// Why the text is shorter than the body: whoever wants to read on meets bytes that are not text.
    cut: Option<&'static str>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8], cut: Option<&'static str>, dialect: &'a Dialect) -> Self {
        let delimiter = dialect.delimiter.bytes[0];
        let find = Finder::new(delimiter, dialect.escape.map_or(delimiter, |e| e.bytes[0]));
        Self { text, at: 0, dialect, find, cut }
    }

    #[inline]
    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    #[inline]
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Whether nothing comes any more.
    ///
    /// # Errors
    /// When something comes that is not text.
    pub(super) fn at_end(&self) -> Result<bool, SyntaxError> {
        match self.cut {
            Some(_) if self.at == self.text.len() => Err(self.end_of_text(Broken::Unclosed)),
            _ => Ok(self.at == self.text.len()),
        }
    }

    /// Passes over comments, empty lines and blanks where a row could begin.
    pub(super) fn skip_comments(&mut self) {
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'#' => self.skip_line(),
                b'\r' | b'\n' => self.line_end(),
                b' ' => self.at += 1,
                _ => return,
            }
        }
    }

    /// Passes over empty lines.
    pub(super) fn skip_empty_lines(&mut self) {
        while matches!(self.text.get(self.at), Some(b'\r' | b'\n')) {
            self.line_end();
        }
    }

    /// Goes to the start of the next line, whatever quotes say.
    pub(super) fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        if self.at < self.text.len() {
            self.line_end();
        }
    }

    /// Where the field that begins here ends, if it has no quote and this delimiter stands behind it, which is the
    /// dialect's and one byte long.
    #[inline(always)]
    pub(super) fn plain_end(&self, delimiter: u8) -> Option<usize> {
        let quote = self.dialect.quote.map(|quote| quote.bytes[0]);
        if quote.is_some() && self.text.get(self.at).copied() == quote {
            return None;
        }
        let stop = self.find.next(self.text, self.at);
        (self.text.get(stop) == Some(&delimiter)).then_some(stop)
    }

    /// Goes to a place where a field begins.
    #[inline]
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    fn line_end(&mut self) {
        let carriage_return = self.text[self.at] == b'\r';
        self.at += 1;
        if carriage_return && self.text.get(self.at) == Some(&b'\n') {
            self.at += 1;
        }
    }

    /// The field that begins here. The first of a row may only be asked for before the end of the body; others may
    /// when the one before was not the last.
    #[inline]
    pub(super) fn field(&mut self, scratch: &mut Vec<u8>) -> Result<Field, SyntaxError> {
        if self.dialect.trim {
            self.skip_blanks();
        }
        let start = self.at;
        match self.text.get(start) {
            Some(b'\r' | b'\n') => {
                self.line_end();
                Ok(Field { start, span: Some((start, start)), last: true })
            }
            Some(_) if self.dialect.quote.is_some_and(|quote| quote.is_at(self.text, start)) => self.quoted(scratch),
            _ => self.unquoted(scratch),
        }
    }

    fn skip_blanks(&mut self) {
        while let Some(byte) = self.text.get(self.at) {
            if *byte > b' ' || matches!(byte, b'\r' | b'\n') || self.dialect.delimiter.is_at(self.text, self.at) {
                return;
            }
            self.at += 1;
        }
    }

    #[inline]
    fn unquoted(&mut self, scratch: &mut Vec<u8>) -> Result<Field, SyntaxError> {
        let (start, text) = (self.at, self.text);
        let mut from = start;
        loop {
            let stop = self.find.next(text, from);
            let last = match text.get(stop) {
                Some(_) if self.dialect.delimiter.is_at(text, stop) => {
                    self.at = stop + self.dialect.delimiter.len;
                    false
                }
                Some(b'\r' | b'\n') => {
                    self.at = stop;
                    self.line_end();
                    true
                }
                None => {
                    self.at = stop;
                    self.at_end()?;
                    true
                }
                Some(_) if self.dialect.escape.is_some_and(|escape| escape.is_at(text, stop)) => {
                    return self.escaped(start, stop, scratch);
                }
                Some(_) => {
                    from = stop + 1;
                    continue;
                }
            };
            let stop = if self.dialect.trim { trimmed_end(text, start, stop) } else { stop };
            return Ok(Field { start, span: Some((start, stop)), last });
        }
    }

    /// The rest of a field without quotes whose first escape is at `stop`.
    fn escaped(&mut self, start: usize, stop: usize, scratch: &mut Vec<u8>) -> Result<Field, SyntaxError> {
        let text = self.text;
        scratch.clear();
        let (mut run, mut stop) = (start, stop);
        let last = loop {
            match text.get(stop) {
                Some(_) if self.dialect.delimiter.is_at(text, stop) => {
                    self.at = stop + self.dialect.delimiter.len;
                    break false;
                }
                Some(b'\r' | b'\n') => {
                    self.at = stop;
                    self.line_end();
                    break true;
                }
                None => {
                    self.at = stop;
                    self.at_end()?;
                    break true;
                }
                Some(_) => {}
            }
            let Some(escape) = self.dialect.escape.filter(|escape| escape.is_at(text, stop)) else {
                stop = self.find.next(text, stop + 1);
                continue;
            };
            scratch.extend_from_slice(&text[run..stop]);
            run = self.unescape(stop + escape.len, scratch)?;
            stop = self.find.next(text, run);
        };
        scratch.extend_from_slice(&text[run..stop]);
        if self.dialect.trim {
            scratch.truncate(trimmed_end(scratch, 0, scratch.len()));
        }
        Ok(Field { start, span: None, last })
    }

    /// Appends what the character at `at` stands for behind an escape, and returns where it ends.
    fn unescape(&mut self, at: usize, scratch: &mut Vec<u8>) -> Result<usize, SyntaxError> {
        self.at = at;
        let code = match self.text.get(at) {
            None => return Err(self.end_of_text(Broken::EscapeAtEnd)),
            Some(b'0') => 0,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(other) => *other,
        };
        scratch.push(code);
        // The rest of a character of several bytes, so that it is not taken for the start of another.
        let rest = self.text[at + 1..].iter().take_while(|b| **b & 0xC0 == 0x80).count();
        scratch.extend_from_slice(&self.text[at + 1..at + 1 + rest]);
        Ok(at + 1 + rest)
    }

    #[inline(never)]
    fn quoted(&mut self, scratch: &mut Vec<u8>) -> Result<Field, SyntaxError> {
        let (start, text) = (self.at, self.text);
        let quote = self.dialect.quote.expect("the caller has seen one");
        let mut run = start + quote.len;
        let mut from = run;
        let mut whole = true;
        let close = loop {
            let Some(stop) = self.quote_or_escape(from, quote) else {
                self.at = start;
                let error = SyntaxError { at: start, why: Broken::Unclosed };
                return Err(self.cut.map_or(error, |why| SyntaxError { at: text.len(), why: Broken::Encoding(why) }));
            };
            if quote.is_at(text, stop) {
                let behind = stop + quote.len;
                if !quote.is_at(text, behind) {
                    break stop;
                }
                append(scratch, &mut whole, &text[run..behind]);
                (run, from) = (behind + quote.len, behind + quote.len);
                continue;
            }
            match self.dialect.escape.filter(|escape| escape.is_at(text, stop)) {
                Some(escape) => {
                    append(scratch, &mut whole, &text[run..stop]);
                    run = self.unescape(stop + escape.len, scratch)?;
                    from = run;
                }
                None => from = stop + 1,
            }
        };
        let span = if whole {
            Some((run, close))
        } else {
            scratch.extend_from_slice(&text[run..close]);
            None
        };
        self.at = close + quote.len;
        let last = self.behind_quote(close)?;
        Ok(Field { start, span, last })
    }

    /// The next place where a quote or an escape may be.
    fn quote_or_escape(&self, from: usize, quote: Mark) -> Option<usize> {
        let rest = &self.text[from..];
        let found = match self.dialect.escape {
            Some(escape) => memchr::memchr2(quote.bytes[0], escape.bytes[0], rest),
            None => memchr::memchr(quote.bytes[0], rest),
        };
        found.map(|i| from + i)
    }

    /// Passes over what may stand between a closing quote and the end of its field; whether the row ends there.
    fn behind_quote(&mut self, close: usize) -> Result<bool, SyntaxError> {
        loop {
            if self.dialect.delimiter.is_at(self.text, self.at) {
                self.at += self.dialect.delimiter.len;
                return Ok(false);
            }
            match self.text.get(self.at) {
                None => return self.at_end(),
                Some(b'\r' | b'\n') => {
                    self.line_end();
                    return Ok(true);
                }
                Some(byte) if *byte <= b' ' => self.at += 1,
                Some(_) => {
                    let backslash = close > 0 && self.text[close - 1] == b'\\';
                    return Err(SyntaxError { at: self.at, why: Broken::AfterQuote { backslash } });
                }
            }
        }
    }

    fn end_of_text(&self, why: Broken) -> SyntaxError {
        SyntaxError { at: self.text.len(), why: self.cut.map_or(why, Broken::Encoding) }
    }
}

fn append(scratch: &mut Vec<u8>, whole: &mut bool, part: &[u8]) {
    if *whole {
        scratch.clear();
        *whole = false;
    }
    scratch.extend_from_slice(part);
}

fn trimmed_end(text: &[u8], start: usize, end: usize) -> usize {
    text[start..end].iter().rposition(|b| *b > b' ').map_or(start, |last| start + last + 1)
}

/// Finds where a field without quotes may end, at first eight bytes at a time: most fields are short, so that a call into a
/// library for each costs more than the search.
#[derive(Debug)]
struct Finder {
    /// First byte of the delimiter, eight times; and of the escape character, or the same again.
    delimiter: u64,
    escape: u64,
}

/// From so many bytes on a field is a long one.
const LONG: usize = 64;

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

impl Finder {
    fn new(delimiter: u8, escape: u8) -> Self {
        Self { delimiter: ONES * u64::from(delimiter), escape: ONES * u64::from(escape) }
    }

    /// The first place from `from` on with a delimiter, an escape or a line end, or the end; or one before it with another
    /// control character, which has no meaning.
    #[inline]
    fn next(&self, text: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(word) = text[at..].first_chunk::<8>() {
            let hits = self.hits(u64::from_le_bytes(*word));
            if hits != 0 {
                // At most 7.
                return at + (hits.trailing_zeros() / 8) as usize;
            }
            at += 8;
            if at - from >= LONG && self.escape == self.delimiter {
                return self.far(text, at);
            }
        }
        let (delimiter, escape) = (self.delimiter as u8, self.escape as u8);
        let found = text[at..].iter().position(|b| *b == delimiter || *b == escape || *b <= b'\r');
        found.map_or(text.len(), |i| at + i)
    }

    /// [`Self::next`] in a long field, without an escape.
    #[inline(never)]
    fn far(&self, text: &[u8], from: usize) -> usize {
        let found = memchr::memchr3(self.delimiter as u8, b'\r', b'\n', &text[from..]);
        found.map_or(text.len(), |i| from + i)
    }

    /// The top bit of each byte that matches is set. Bytes above the lowest match may be marked wrongly, by a borrow.
    #[inline]
    fn hits(&self, word: u64) -> u64 {
        let (delimiter, escape) = (word ^ self.delimiter, word ^ self.escape);
        let below = word.wrapping_sub(ONES * 14) & !word;
        (delimiter.wrapping_sub(ONES) & !delimiter | escape.wrapping_sub(ONES) & !escape | below) & TOPS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_with_a_meaning_is_passed_over(
            run in 0usize..200,
            behind in "[a,;é\\\\\t\r\n\u{0}]{0,8}[a-c]{0,90}[,;\r\n]{0,2}",
            from in 0usize..20,
            escape: bool,
        ) {
            let text = format!("{}{behind}", "x".repeat(run)).into_bytes();
            let from = from.min(text.len());
            let escape = if escape { b'\\' } else { b',' };
            let has_meaning = |b: &u8| *b == b',' || *b == escape || matches!(b, b'\r' | b'\n');
            let stop = Finder::new(b',', escape).next(&text, from);
            prop_assert!(!text[from..stop].iter().any(has_meaning));
            prop_assert!(text.get(stop).is_none_or(|b| has_meaning(b) || *b < b'\r'));
        }
    }
}
