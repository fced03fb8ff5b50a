//! CSV bodies: a delimiter that every line has equally often, and what stands between.

use super::shape::{Standard, Texts};
use super::{InferError, Inferred};
use crate::{Field, LogicalType, RowType};

/// From the likeliest: each with the form in which the option takes it.
const DELIMITERS: [(u8, &str); 5] = [(b',', ","), (b';', ";"), (b'\t', "\\t"), (b'|', "|"), (1, "\\u0001")];

/// The delimiter that all lines have, equally often and at least once.
pub(super) fn delimiter(bodies: &[&[u8]]) -> Option<(u8, &'static str)> {
    let lines: Vec<&[u8]> = bodies.iter().flat_map(|body| lines(body)).collect();
    let text = lines.iter().all(|line| std::str::from_utf8(line).is_ok());
    let fits = |delimiter: u8| {
        let mut counts = lines.iter().map(|line| fields(line, delimiter).len());
        let first = counts.next().unwrap_or(0);
        first > 1 && counts.all(|count| count == first)
    };
    DELIMITERS.into_iter().find(|(delimiter, _)| text && fits(*delimiter))
}

/// The columns, by the fields of all lines.
pub(super) fn table(bodies: &[&[u8]], header: bool) -> Result<Inferred, InferError> {
    // One column has no delimiter, and needs none.
    let (delimiter, option) = delimiter(bodies).unwrap_or(DELIMITERS[0]);
    let mut all = bodies.iter().flat_map(|body| lines(body)).map(|line| fields(line, delimiter));
    let names = if header { all.next() } else { None };
    let mut columns: Vec<Column> = Vec::new();
    let mut rows = 0;
    for row in all {
        rows += 1;
        columns.resize_with(columns.len().max(row.len()), Column::default);
        row.iter().zip(&mut columns).for_each(|(field, column)| column.add(field));
    }
    if rows == 0 {
        return Err(InferError::NoSample);
    }
    let names: Vec<String> = names.unwrap_or_default();
    let types = columns.iter().map(Column::logical);
    let fields = types.enumerate().map(|(i, logical)| Field::new(name(&names, i), logical));
    let mut table = Inferred::new("csv", RowType::new(fields));
    if delimiter != b',' {
        table.set("field-delimiter", option);
    }
    if columns.iter().any(|column| column.empty > 0 && column.logical() != LogicalType::String) {
        table.set("null-literal", "");
        table.notes.push("an empty field is NULL ('csv.null-literal' = ''), in columns of text too".to_owned());
    }
    if bodies.iter().any(|body| lines(body).len() > 1) {
        table.set("framing", "lines");
        table.notes.push("bodies hold several lines: 'csv.framing' = 'lines' makes each one a row".to_owned());
    }
    table.notes.push(if header {
        "the first line names the columns; a line like it in a message would be a row, there is no option to skip it"
            .to_owned()
    } else {
        "the columns have no names in the samples: rename f0, f1 …, their order is what counts".to_owned()
    });
    Ok(table)
}

/// The bodies that are rows: without the line that names the columns.
pub(super) fn rows<'a>(bodies: &[&'a [u8]], header: bool) -> Vec<&'a [u8]> {
    let mut bodies = bodies.to_vec();
    if header && let Some(first) = bodies.iter_mut().find(|body| !body.is_empty()) {
        let end = line_end(first);
        *first = first[end..].trim_ascii_start();
    }
    bodies.retain(|body| !body.is_empty());
    bodies
}

/// The name at a place, unless it is empty or was there before.
fn name(names: &[String], at: usize) -> String {
    let given = names.get(at).map(|name| name.trim()).filter(|name| !name.is_empty());
    let fresh = given.filter(|name| names.iter().position(|other| other.trim() == *name) == Some(at));
    fresh.map_or_else(|| format!("f{at}"), str::to_owned)
}

#[derive(Default)]
struct Column {
    count: usize,
    empty: usize,
    integers: usize,
    numbers: usize,
    booleans: usize,
    texts: Texts,
}

impl Column {
    fn add(&mut self, field: &str) {
        if field.is_empty() {
            self.empty += 1;
            return;
        }
        self.count += 1;
        // A number with zeros in front is a code: 007 is not 7.
        let digits = field.trim_start_matches('-');
        let code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        let plain = field.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'e' | b'E' | b'+')) && !code;
        self.integers += usize::from(plain && field.parse::<i64>().is_ok());
        self.numbers += usize::from(plain && field.parse::<f64>().is_ok());
        self.booleans += usize::from(field == "true" || field == "false");
        self.texts.add(field);
    }

    fn logical(&self) -> LogicalType {
        match self.count {
            0 => LogicalType::String,
            n if n == self.integers => LogicalType::BigInt,
            n if n == self.numbers => LogicalType::Double,
            n if n == self.booleans => LogicalType::Boolean,
            _ => self.texts.logical(Standard::Sql),
        }
    }
}

/// The lines of a body that are not empty. A line end within quotes belongs to the field.
fn lines(body: &[u8]) -> Vec<&[u8]> {
    let mut rest = body;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let end = line_end(rest);
        let line = rest[..end].trim_ascii_end();
        if !line.is_empty() {
            lines.push(line);
        }
        rest = &rest[(end + 1).min(rest.len())..];
    }
    lines
}

fn line_end(body: &[u8]) -> usize {
    let mut quoted = false;
    let end = body.iter().position(|b| {
        quoted ^= *b == b'"';
        *b == b'\n' && !quoted
    });
    end.unwrap_or(body.len())
}

/// The fields of a line, without their quotes.
fn fields(line: &[u8], delimiter: u8) -> Vec<String> {
    let mut quoted = false;
    let cut = line.split(|b| {
        quoted ^= *b == b'"';
        *b == delimiter && !quoted
    });
    cut.map(|field| {
        let text = String::from_utf8_lossy(field);
        let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        unquoted.map_or_else(|| text.to_string(), |text| text.replace("\"\"", "\""))
    })
    .collect()
}
