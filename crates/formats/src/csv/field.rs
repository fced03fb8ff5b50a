//! The text of a field into its column: simple ones as they are, lists and rows in parts.

use super::decode::Shared;
use super::leaf;
use super::options::CsvOptions;
use crate::coerce::Reason;
use crate::column::{Column, Data};
use crate::{DecodeError, Limits};

/// Why the rest of a message is not read.
pub(super) enum Stop {
    /// It is too much. Never passed over, whatever the options say.
    Limit { name: &'static str, limit: usize },
    /// A bad row, and one is enough.
    Bad(DecodeError),
}

/// A place within an ARRAY or a ROW.
pub(super) enum Part {
    Item(usize),
    Field(usize),
}

/// Accounts for bytes that are about to be written.
pub(super) fn spend(spent: &mut usize, bytes: usize, limits: &Limits) -> Result<(), Stop> {
    *spent += bytes;
    let limit = limits.decoded_bytes.min(Limits::MAX_DECODED_BYTES);
    if *spent > limit { Err(Stop::Limit { name: "decoded_bytes", limit }) } else { Ok(()) }
}

/// What does not fit: the part of the field, if it is one, and why.
pub(super) type Reject = Option<(Option<Part>, Reason)>;

/// Writes a field into one more value of its column, unless it does not fit.
#[inline]
pub(super) fn write(column: &mut Column, text: &[u8], shared: &Shared, spent: &mut usize) -> Result<Reject, Stop> {
    match &column.data {
        Data::Array { .. } => array(column, text, shared, spent),
        Data::Row(_) => Ok(nested(column, text, &shared.options)),
        _ => Ok(simple(column, text, &shared.options).err().map(|reason| (None, reason))),
    }
}

#[inline]
fn simple(column: &mut Column, text: &[u8], options: &CsvOptions) -> Result<(), Reason> {
    if options.is_null(text) {
        column.append_null();
        return Ok(());
    }
    let written = leaf::write(column, text);
    if written.is_err() && options.ignore_parse_errors {
        column.append_null();
        return Ok(());
    }
    written
}

fn array(column: &mut Column, text: &[u8], shared: &Shared, spent: &mut usize) -> Result<Reject, Stop> {
    let Data::Array { offsets, items } = &mut column.data else { unreachable!("the caller has looked") };
    for (i, part) in shared.options.parts(text).enumerate() {
        spend(spent, items.width, &shared.limits)?;
        if let Err(reason) = simple(items, part, &shared.options) {
            return Ok(Some((Some(Part::Item(i)), reason)));
        }
    }
    // Within 32 bits, see Limits::MAX_DECODED_BYTES.
    offsets.push(items.len() as i32);
    column.valid();
    Ok(None)
}

/// A field without any part is no row at all. Parts beyond the last field are passed over.
fn nested(column: &mut Column, text: &[u8], options: &CsvOptions) -> Reject {
    let mut parts = options.parts(text).peekable();
    if parts.peek().is_none() {
        column.append_null();
        return None;
    }
    let Data::Row(row) = &mut column.data else { unreachable!("the caller has looked") };
    for (i, field) in row.fields.iter_mut().enumerate() {
        match parts.next() {
            Some(part) => {
                if let Err(reason) = simple(field, part, options) {
                    return Some((Some(Part::Field(i)), reason));
                }
            }
            None if options.ignore_parse_errors => field.append_null(),
            None => return Some((None, "a field with fewer parts than the ROW has fields")),
        }
    }
    column.valid();
    None
}
