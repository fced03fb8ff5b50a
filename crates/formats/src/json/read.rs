//! JSON values into columns: the walk along the schema.
//!
//! Errors come in two kinds. A [`Stop`] ends the body: it is not JSON, or beyond a limit. A value that does not fit
//! its column is noted in [`Reader::error`], NULL is written in its place, and the walk goes on behind the value, so
//! that the parser is never out of step with the text; the caller takes the row back when it finds a note.

use std::collections::HashMap;

use super::leaf::{self, Misfit};
use super::options::JsonOptions;
use super::quick::{self, Seen};
use super::scan::{Kind, ScanError, Scanner, Text};
use super::text;
use crate::column::{Column, Data, Row};
use crate::names::NameIndex;
use crate::{DecodeError, DecodeErrorKind, Limits};

/// Why the rest of a body is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// It is not JSON.
    Scan(ScanError),
    /// It is too much. Never passed over, whatever the options say.
    Limit {
        /// The field of [`Limits`].
        name: &'static str,
        /// Its value.
        limit: usize,
    },
    /// A bad row, and one is enough.
    Bad(DecodeError),
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

impl Stop {
    pub(super) fn into_error(self) -> DecodeError {
        match self {
            Self::Scan(ScanError { at, what, encoding: true }) => {
                DecodeError::new(DecodeErrorKind::Encoding(what)).at_byte(at)
            }
            Self::Scan(ScanError { at, what, .. }) => DecodeError::new(DecodeErrorKind::Syntax(what)).at_byte(at),
            Self::Limit { name, limit } => DecodeError::new(DecodeErrorKind::Limit { name, limit }),
            Self::Bad(error) => error,
        }
    }
}

/// Beyond so many entries of one map repeated keys are looked for by hash instead of one by one.
const FEW_KEYS: usize = 16;

/// What the walk needs besides scanner and column.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) options: JsonOptions,
    pub(crate) limits: Limits,
    /// The first value of the current row that does not fit, unless such values are NULL by the options.
    pub(crate) error: Option<DecodeError>,
    /// Bytes that the current message has added to the columns, approximately; rows taken back still count.
    pub(crate) spent: usize,
    pub(super) scratch: Vec<u8>,
    /// The errors of the objects being read, innermost last, by field: the error of a value goes away when its key comes
    /// again, since the last value counts.
    failed: Vec<(usize, DecodeError)>,
}

impl Reader {
    pub(crate) fn new(options: JsonOptions, limits: Limits) -> Self {
        let limits = limits.with_decoded_bytes(limits.decoded_bytes);
        Self { options, limits, error: None, spent: 0, scratch: Vec::new(), failed: Vec::new() }
    }

    /// Forgets the message before.
    pub(crate) fn begin(&mut self) {
        (self.spent, self.error) = (0, None);
        self.failed.clear();
    }

    /// Accounts for bytes that are about to be written.
    #[inline]
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), Stop> {
        self.spent += bytes;
        let limit = self.limits.decoded_bytes;
        if self.spent > limit { Err(Stop::Limit { name: "decoded_bytes", limit }) } else { Ok(()) }
    }

    /// Reads the object that comes next into one more value of each field. `index` is how many each has.
    pub(crate) fn object(&mut self, scanner: &mut Scanner<'_>, row: &mut Row, index: usize) -> Result<(), Stop> {
        self.spend(row.width)?;
        let (outer, others) = (self.error.take(), self.failed.len());
        let mut seen = Seen::default();
        scanner.enter()?;
        loop {
            let behind_key = quick::fields(self, scanner, row, index, &mut seen);
            let i = match behind_key {
                Some(i) => i,
                None if scanner.closes_object() => break,
                None => match self.other_key(scanner, &mut row.names, seen.place)? {
                    Some(i) => i,
                    None => break,
                },
            };
            let field = &mut row.fields[i];
            if field.len() == index {
                seen.filled += 1;
            } else {
                self.take_back(field, index, i, others);
            }
            seen.place = i + 1;
            match &mut field.data {
                // Told apart from other values early, without a call.
                Data::Row(inner) if scanner.next_byte() == Some(b'{') => {
                    let index = column_len(inner);
                    self.object(scanner, inner, index)?;
                    field.valid();
                }
                // What no shortcut could read after its key need not be tried again.
                _ if behind_key.is_some() => self.nested(scanner, field)?,
                _ => self.value(scanner, field)?,
            }
            if self.error.is_some() {
                self.failed.extend(self.error.take().map(|error| (i, error.within(row.names.name(i)))));
            }
        }
        if seen.filled < row.fields.len() {
            self.missing(scanner, row, index);
        }
        self.error = outer;
        if self.failed.len() > others {
            let found = self.failed.drain(others..).next().map(|(_, error)| error);
            self.error = self.error.take().or(found);
        }
        Ok(())
    }

    /// Takes back what a key that comes again has given its field in this object.
    #[cold]
    fn take_back(&mut self, field: &mut Column, index: usize, i: usize, others: usize) {
        field.truncate(index);
        let mut at = 0;
        self.failed.retain(|(other, _)| {
            at += 1;
            at <= others || *other != i
        });
    }

    /// The field of the next key that is a field's, whatever it is; `None` at the end of the object.
    #[inline(never)]
    fn other_key(
        &mut self,
        scanner: &mut Scanner<'_>,
        names: &mut NameIndex,
        place: usize,
    ) -> Result<Option<usize>, Stop> {
        let (text, from) = scanner.rest();
        let mut first = place == 0;
        let mut skipped = false;
        while let Some(key) = scanner.next_key(first)? {
            if let Some(i) = self.find(scanner, names, key)? {
                if !skipped {
                    names.learn(place, i, &text[from..scanner.position()]);
                }
                return Ok(Some(i));
            }
            scanner.skip()?;
            (first, skipped) = (false, true);
        }
        Ok(None)
    }

    /// Writes NULL to the fields that the object did not have.
    #[inline(never)]
    fn missing(&mut self, scanner: &mut Scanner<'_>, row: &mut Row, index: usize) {
        for (i, field) in row.fields.iter_mut().enumerate().filter(|(_, field)| field.len() == index) {
            field.append_null();
            if self.options.fail_on_missing_field {
                let error = DecodeError::new(DecodeErrorKind::MissingField).within(row.names.name(i));
                self.failed.push((i, error.at_byte(scanner.position()).with_hint(MISSING_HINT)));
            }
        }
    }

    fn find(&mut self, scanner: &Scanner<'_>, names: &NameIndex, key: Text<'_>) -> Result<Option<usize>, Stop> {
        if key.plain {
            return Ok(names.find(key.raw));
        }
        scanner.check(key)?;
        self.scratch.clear();
        text::decode(key.raw, &mut self.scratch).map_err(|e| Scanner::text_error(key, e))?;
        Ok(names.find(&self.scratch))
    }

    /// Reads the value that comes next into one more value of the column.
    pub(crate) fn value(&mut self, scanner: &mut Scanner<'_>, column: &mut Column) -> Result<(), Stop> {
        if quick::value(self, scanner, column) {
            return Ok(());
        }
        self.nested(scanner, column)
    }

    /// [`Self::value`] where the shortcut does not apply.
    pub(super) fn nested(&mut self, scanner: &mut Scanner<'_>, column: &mut Column) -> Result<(), Stop> {
        match (&mut column.data, scanner.next_byte()) {
            (Data::Row(row), Some(b'{')) => {
                let index = column_len(row);
                self.object(scanner, row, index)?;
            }
            (Data::Array { offsets, items }, Some(b'[')) => {
                self.array(scanner, items)?;
                // Within 32 bits, see Limits::MAX_DECODED_BYTES.
                offsets.push(items.len() as i32);
            }
            (Data::Map { offsets, keys, values }, Some(b'{')) => {
                self.map(scanner, keys, values)?;
                offsets.push(keys.len() as i32);
            }
            _ => return self.any_value(scanner, column),
        }
        column.valid();
        Ok(())
    }

    /// Reads a value that is no object or array that the column is made of.
    #[inline(never)]
    fn any_value(&mut self, scanner: &mut Scanner<'_>, column: &mut Column) -> Result<(), Stop> {
        let at = scanner.position();
        let kind = scanner.peek()?;
        if kind == Kind::Null {
            scanner.word(kind)?;
            column.append_null();
            return Ok(());
        }
        let misfit = match &mut column.data {
            Data::Map { offsets, keys, .. } if self.options.tree => {
                scanner.skip()?;
                offsets.push(keys.len() as i32);
                column.valid();
                return Ok(());
            }
            Data::Row(_) | Data::Array { .. } | Data::Map { .. } => {
                scanner.skip()?;
                Err(Misfit::Error(kind_name(kind)))
            }
            _ => leaf::read(self, scanner, kind, column)?,
        };
        match misfit {
            Ok(()) => {}
            Err(Misfit::Null) => column.append_null(),
            Err(Misfit::Error(reason)) => self.reject(column, at, reason),
        }
        Ok(())
    }

    fn array(&mut self, scanner: &mut Scanner<'_>, items: &mut Column) -> Result<(), Stop> {
        let start = items.len();
        let mut found = self.error.take();
        let mut first = true;
        scanner.enter()?;
        while scanner.next_item(first)? {
            first = false;
            self.spend(items.width)?;
            match &mut items.data {
                // Told apart from other items early, which is what a list of rows lives on.
                Data::Row(row) if scanner.next_byte() == Some(b'{') => {
                    let index = column_len(row);
                    self.object(scanner, row, index)?;
                    items.valid();
                }
                _ => self.value(scanner, items)?,
            }
            if self.error.is_some() {
                let error = self.error.take().map(|error| error.within(&format!("[{}]", items.len() - 1 - start)));
                found = found.or(error);
            }
        }
        self.error = found;
        Ok(())
    }

    fn map(&mut self, scanner: &mut Scanner<'_>, keys: &mut Column, values: &mut Column) -> Result<(), Stop> {
        let (start, from) = (keys.len(), scanner.position());
        let outer = self.error.take();
        self.entries(scanner, keys, values, &[])?;
        let overridden = overridden_keys(keys, start);
        if !overridden.is_empty() {
            // The last value of a key counts: once more, without the earlier ones.
            keys.truncate(start);
            values.truncate(start);
            self.error = None;
            let mut again = scanner.again(from);
            self.entries(&mut again, keys, values, &overridden)?;
        }
        let error = self.error.take().map(|e| e.within("{}"));
        self.error = outer.or(error);
        Ok(())
    }

    /// Reads the entries of the object that comes next, but for those with these numbers.
    fn entries(
        &mut self,
        scanner: &mut Scanner<'_>,
        keys: &mut Column,
        values: &mut Column,
        skip: &[usize],
    ) -> Result<(), Stop> {
        let mut found = None;
        let mut entry = 0;
        scanner.enter()?;
        while let Some(key) = scanner.next_key(entry == 0)? {
            entry += 1;
            if skip.binary_search(&(entry - 1)).is_ok() {
                scanner.check(key)?;
                scanner.skip()?;
                continue;
            }
            self.spend(keys.width + values.width + key.raw.len())?;
            let Data::Text(texts) = &mut keys.data else { unreachable!("the keys of a JSON map are strings") };
            if key.plain {
                scanner.copy(key, texts);
            } else {
                texts.try_put(|out| text::decode(key.raw, out)).map_err(|e| Scanner::text_error(key, e))?;
            }
            keys.valid();
            self.value(scanner, values)?;
            if self.error.is_some() {
                found = found.or(self.error.take());
            }
        }
        self.error = found;
        Ok(())
    }

    /// Notes that a value does not fit, and writes NULL.
    pub(crate) fn reject(&mut self, column: &mut Column, at: usize, reason: &'static str) {
        if !self.options.ignore_parse_errors && self.error.is_none() {
            let error = DecodeError::new(DecodeErrorKind::Value(reason)).at_byte(at);
            self.error = Some(error.expecting(&*column.type_text));
        }
        column.append_null();
    }
}

pub(super) const MISSING_HINT: &str = "set 'json.fail-on-missing-field' to false to read NULL";

fn column_len(row: &Row) -> usize {
    row.fields.first().map_or(0, Column::len)
}

/// What the value is, for errors.
pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "a JSON object",
        Kind::Array => "a JSON array",
        Kind::String => "a JSON string",
        Kind::Number => "a JSON number",
        Kind::True | Kind::False => "a JSON boolean",
        Kind::Null => "a JSON null",
    }
}

/// Which entries from `start` on have a later one with the same key, in order, counted from `start`.
pub(crate) fn overridden_keys(keys: &Column, start: usize) -> Vec<usize> {
    let Data::Text(texts) = &keys.data else { return Vec::new() };
    let count = keys.len() - start;
    let key = |entry: usize| texts.get(start + entry);
    if count <= FEW_KEYS {
        if (1..count).all(|a| (0..a).all(|b| key(a) != key(b))) {
            return Vec::new();
        }
        return (0..count).filter(|a| (a + 1..count).any(|b| key(*a) == key(b))).collect();
    }
    let mut last: HashMap<&[u8], usize> = HashMap::with_capacity(count);
    let mut overridden: Vec<usize> = (0..count).filter_map(|entry| last.insert(key(entry), entry)).collect();
    overridden.sort_unstable();
    overridden
}
