//! The decoder: a notification to the rows of its events.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use arrow_array::RecordBatch;
use headwater_formats::json::{
    JsonOptions, Kind, RowBuilder, ScanError, Scanner, Stop, TimestampFormat, TimestampStandard,
};
use headwater_formats::{
    BufferPool, DecodeError, DecodeErrorKind, Decoded, Decoder, DecoderFactory, FormatError, FormatErrors, Limits,
    MessageEncoding, OnBadRow, RowType, looks_like_json,
};

use crate::columns::{self, COLUMNS};
use crate::known::{Known, Site};
use crate::locate::{Found, Paths, Place};

/// Which events of a notification become rows (`ossEvents`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OssEvents {
    /// The first of `events`, as Flink's connector does. OSS is not known to send more than one.
    #[default]
    First,
    /// All of them, in order.
    All,
}

/// The option values of [`OssEvents`].
pub const OSS_EVENTS: &[&str] = &["first", "all"];

impl OssEvents {
    /// What an option value names, in any letter case; see [`OSS_EVENTS`].
    pub fn named(name: &str) -> Option<Self> {
        [Self::First, Self::All].into_iter().find(|events| events.name().eq_ignore_ascii_case(name))
    }

    /// The option value that names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::All => "all",
        }
    }
}

/// Makes decoders of OSS notifications for a table.
#[derive(Debug)]
pub struct OssFactory {
    row_type: RowType,
    /// Per column of the table its position in [`COLUMNS`].
    columns: Vec<usize>,
    paths: Paths,
    options: JsonOptions,
    events: OssEvents,
    limits: Limits,
    pool: BufferPool,
}

impl OssFactory {
    /// Checks a table's columns and its `json.*` options as they stand in `WITH`, other options left out.
    ///
    /// `json.fail-on-missing-field` and `json.ignore-parse-errors` mean what they mean for the `json` format.
    /// `eventTime` is read as ISO-8601 with or without a zone unless `json.timestamp-format.standard` names another
    /// standard or `json.timestamp-format.pattern` gives a pattern.
    ///
    /// # Errors
    /// Everything that is wrong: names that are none of [`COLUMNS`], types that a column cannot have, bad options.
    pub fn create(
        row_type: &RowType,
        json_options: &BTreeMap<String, String>,
        events: OssEvents,
    ) -> Result<Arc<Self>, FormatErrors> {
        let mut errors: Vec<FormatError> = row_type.check().into_iter().map(FormatError::Type).collect();
        let options = JsonOptions::read(json_options).unwrap_or_else(|more| {
            errors.extend(more);
            JsonOptions::default()
        });
        let mut columns = Vec::with_capacity(row_type.fields().len());
        for field in row_type.fields() {
            match columns::find(&field.name).and_then(|i| COLUMNS[i].check(&field.name, &field.data_type).map(|()| i)) {
                Ok(column) => columns.push(column),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(FormatErrors(errors));
        }
        let options = with_event_times(options, json_options);
        let (paths, row_type) = (Paths::of(columns.iter().copied()), row_type.clone());
        Ok(Arc::new(Self {
            row_type,
            columns,
            paths,
            options,
            events,
            limits: Limits::default(),
            pool: BufferPool::default(),
        }))
    }
}

/// ISO-8601 is the standard here, and it is taken as liberally as producers write it.
fn with_event_times(mut options: JsonOptions, given: &BTreeMap<String, String>) -> JsonOptions {
    let chosen = given.contains_key("json.timestamp-format.standard");
    match options.timestamps {
        TimestampFormat::Standard(TimestampStandard::Sql) if chosen => {}
        TimestampFormat::Standard(_) => options.timestamps = TimestampFormat::AnyIso,
        _ => {}
    }
    options
}

impl DecoderFactory for OssFactory {
    fn row_type(&self) -> &RowType {
        &self.row_type
    }

    fn plausible(&self, body: &[u8]) -> bool {
        looks_like_json(body)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(OssDecoder {
            rows: RowBuilder::pooled(&self.row_type, self.options.clone(), self.limits, &self.pool),
            reader: EventReader {
                columns: self.columns.clone(),
                paths: self.paths.clone(),
                events: self.events,
                known: Known::default(),
                root: Found::nothing(),
                data: Found::nothing(),
                event: Found::nothing(),
            },
            buffer: Vec::new(),
        })
    }
}

#[derive(Debug)]
struct OssDecoder {
    rows: RowBuilder,
    reader: EventReader,
    /// A body decoded from base64.
    buffer: Vec<u8>,
}

impl Decoder for OssDecoder {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        let mut buffer = take(&mut self.buffer);
        let result = self.rows.begin(body.len(), on_bad).and_then(|()| {
            // A source has undone base64 by now unless it was told not to; a notification begins with a brace.
            let decoded = MessageEncoding::Auto
                .decode(body, |b| std::str::from_utf8(b).is_ok(), &mut buffer)
                .map_err(Stop::Bad)?;
            self.reader.body(decoded.0, &mut self.rows)
        });
        self.buffer = buffer;
        self.rows.end(result)
    }

    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    fn flush(&mut self) -> RecordBatch {
        self.rows.flush()
    }
}

/// Finds the events of a body and reads them.
///
/// A notification that is made as one before is not gone through at all: [`Known`] says where everything is. Another one is
/// gone through once: whatever of its three shapes it turns out to have, the places of its values are known then. Only further
/// events of a list are gone through again.
#[derive(Debug)]
struct EventReader {
    columns: Vec<usize>,
    paths: Paths,
    events: OssEvents,
    known: Known,
    /// What was found when the body itself is taken for an event, in its `data`, and in one of its `events`.
    root: Found,
    data: Found,
    event: Found,
}

/// What the body's outermost object holds.
#[derive(Default)]
struct Shape {
    events: Option<List>,
    /// Where `data` is, if it is an object.
    data: Option<usize>,
}

/// What `events` is.
enum List {
    /// Something else, there.
    Other(usize),
    Empty,
    /// Where the list and its first event are.
    Events(usize, Candidate),
}

/// Which of the events that were looked for it is.
#[derive(Clone, Copy)]
enum Event {
    Root,
    Data,
    Listed,
}

/// Something that should be an event: where it is, and whether it is an object that was gone through.
#[derive(Clone, Copy)]
struct Candidate {
    at: usize,
    object: bool,
}

impl EventReader {
    fn body(&mut self, text: &[u8], rows: &mut RowBuilder) -> Result<(), Stop> {
        if let Some(places) = self.known.places(text) {
            return known_row(places, &Scanner::new(text, rows.limits()), rows);
        }
        if let Some(event) = self.unknown(text, rows)? {
            let places: Vec<Place> = self.columns.iter().map(|column| self.found(event).place(*column)).collect();
            self.known.learn(text, rows.limits(), &places);
        }
        Ok(())
    }

    /// Goes through a body. Says where its event was if it has that one alone, so that it is all there is to know.
    fn unknown(&mut self, text: &[u8], rows: &mut RowBuilder) -> Result<Option<Event>, Stop> {
        let mut scanner = Scanner::new(text, rows.limits());
        let at = scanner.position();
        if scanner.peek()? != Kind::Object {
            scanner.skip()?;
            rows.bad_row(no_event("the body is not a JSON object", at))?;
            return Ok(None);
        }
        let shape = self.root(&mut scanner)?;
        let event = match shape {
            Shape { events: Some(List::Events(at, first)), .. } => {
                self.listed(first, &scanner, rows)?;
                let others = self.events == OssEvents::All && self.others(scanner.again(at), rows)?;
                return Ok((first.object && self.event.is_event && !others).then_some(Event::Listed));
            }
            Shape { events: Some(List::Empty), .. } => return Ok(None),
            Shape { events: Some(List::Other(at)), .. } => Err(no_event("`events` is not a list", at)),
            _ if self.root.is_event => Ok(Event::Root),
            Shape { data: Some(_), .. } if self.data.is_event => Ok(Event::Data),
            Shape { data: Some(at), .. } => Err(no_event(NO_EVENT_IN_DATA, at)),
            _ => Err(no_event(NO_NOTIFICATION, at)),
        };
        match event {
            Ok(event) => self.row(self.found(event), &scanner, rows).map(|()| Some(event)),
            Err(error) => rows.bad_row(error).map(|()| None),
        }
    }

    fn found(&self, event: Event) -> &Found {
        match event {
            Event::Root => &self.root,
            Event::Data => &self.data,
            Event::Listed => &self.event,
        }
    }

    fn root(&mut self, scanner: &mut Scanner<'_>) -> Result<Shape, ScanError> {
        let mut shape = Shape::default();
        let mut first = true;
        self.root.clear();
        scanner.enter()?;
        while let Some(key) = scanner.next_key(first)? {
            first = false;
            let (at, kind) = (scanner.position(), scanner.peek()?);
            match (key.raw, kind) {
                (b"events", Kind::Array) => shape.events = Some(self.list(scanner)?),
                (b"events", _) => {
                    shape.events = Some(List::Other(at));
                    scanner.skip()?;
                }
                (b"data", Kind::Object) => {
                    shape.data = Some(at);
                    self.paths.event(scanner, &mut self.data)?;
                }
                (b"data", _) => {
                    shape.data = None;
                    scanner.skip()?;
                }
                _ => self.paths.member(key, scanner, &mut self.root, 0)?,
            }
        }
        Ok(shape)
    }

    /// Goes through the first event of the list that comes next and passes over the others.
    fn list(&mut self, scanner: &mut Scanner<'_>) -> Result<List, ScanError> {
        let at = scanner.position();
        scanner.enter()?;
        if !scanner.next_item(true)? {
            return Ok(List::Empty);
        }
        let first = self.candidate(scanner)?;
        while scanner.next_item(false)? {
            scanner.skip()?;
        }
        Ok(List::Events(at, first))
    }

    /// Reads all events of a list but the first; whether there are any.
    fn others(&mut self, mut scanner: Scanner<'_>, rows: &mut RowBuilder) -> Result<bool, Stop> {
        let mut others = false;
        scanner.enter()?;
        scanner.next_item(true)?;
        scanner.skip()?;
        while scanner.next_item(false)? {
            others = true;
            let candidate = self.candidate(&mut scanner)?;
            self.listed(candidate, &scanner, rows)?;
        }
        Ok(others)
    }

    /// Goes through what comes next and should be an event.
    fn candidate(&mut self, scanner: &mut Scanner<'_>) -> Result<Candidate, ScanError> {
        let (at, object) = (scanner.position(), scanner.peek()? == Kind::Object);
        if object {
            self.paths.event(scanner, &mut self.event)?;
        } else {
            scanner.skip()?;
        }
        Ok(Candidate { at, object })
    }

    fn listed(&self, candidate: Candidate, scanner: &Scanner<'_>, rows: &mut RowBuilder) -> Result<(), Stop> {
        if candidate.object && self.event.is_event {
            return self.row(&self.event, scanner, rows);
        }
        rows.bad_row(no_event(NO_EVENT_IN_LIST, candidate.at))
    }

    fn row(&self, found: &Found, scanner: &Scanner<'_>, rows: &mut RowBuilder) -> Result<(), Stop> {
        row(self.columns.iter().map(|column| found.place(*column)), scanner, rows)
    }
}

/// Writes a row whose values are at these places, one for each column.
fn row(places: impl Iterator<Item = Place>, scanner: &Scanner<'_>, rows: &mut RowBuilder) -> Result<(), Stop> {
    rows.begin_row()?;
    for (column, place) in places.enumerate() {
        value(place, column, scanner, rows)?;
    }
    rows.end_row()
}

/// [`row`] for a body of a known outline, most of whose values are plain.
fn known_row<'k>(
    sites: impl Iterator<Item = Site<'k>>,
    scanner: &Scanner<'_>,
    rows: &mut RowBuilder,
) -> Result<(), Stop> {
    rows.begin_row()?;
    for (column, site) in sites.enumerate() {
        let plain = site.plain();
        if !plain.is_some_and(|text| rows.plain(scanner, text, column)) {
            value(site.place(), column, scanner, rows)?;
        }
    }
    rows.end_row()
}

fn value(place: Place, column: usize, scanner: &Scanner<'_>, rows: &mut RowBuilder) -> Result<(), Stop> {
    match place {
        Place::Value(at) | Place::Null(at) => rows.value(scanner, at, column)?,
        Place::NoObject(at) => rows.misfit(column, at, "a value where the event has an object"),
        Place::Missing => rows.missing(column),
    }
    Ok(())
}

const NO_NOTIFICATION: &str = "the body is no OSS notification: it has none of `events`, `data`, `eventName` and `oss`";
const NO_EVENT_IN_DATA: &str = "`data` is no OSS event: it has neither `eventName` nor `oss`";
const NO_EVENT_IN_LIST: &str = "an element of `events` is no OSS event: it has neither `eventName` nor `oss`";
const HINT: &str = "use 'messageType' = 'RAW' for queues that hold other messages";

fn no_event(what: &'static str, at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::NotARow(what)).at_byte(at).with_hint(HINT)
}
