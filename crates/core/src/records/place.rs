//! Where in a row a value does not fit, without the data: the keys of a MAP are data.

use std::fmt::Write as _;

use arrow_schema::{DataType, Schema};
use serde_path_to_error::{Path, Segment};

/// The place as `items[2].price`, or `limits{}` for any value of a MAP; empty when the row as a whole is meant.
pub(super) fn place(path: &Path, schema: &Schema) -> String {
    let mut place = String::new();
    // The type that the next segment leads into; `None` for the row, and for what is not followed.
    let mut inside: Option<&DataType> = None;
    for (depth, segment) in path.iter().enumerate() {
        // Writing to a String cannot fail.
        match segment {
            Segment::Seq { index } => {
                let _ = write!(place, "[{index}]");
                inside = match inside {
                    Some(DataType::List(item) | DataType::Map(item, _)) => Some(item.data_type()),
                    _ => None,
                };
            }
            Segment::Map { key } => {
                let field = match inside {
                    None if depth == 0 => schema.field_with_name(key).ok(),
                    Some(DataType::Struct(fields)) => fields.find(key).map(|(_, field)| &**field),
                    _ => None,
                };
                match field {
                    Some(field) if depth == 0 => place.push_str(field.name()),
                    Some(field) => {
                        let _ = write!(place, ".{}", field.name());
                    }
                    None => place.push_str("{}"),
                }
                inside = match (field, inside) {
                    (Some(field), _) => Some(field.data_type()),
                    (None, Some(DataType::Map(entries, _))) => match entries.data_type() {
                        DataType::Struct(pair) => pair.get(1).map(|value| value.data_type()),
                        _ => None,
                    },
                    _ => None,
                };
            }
            // The variant may be a text of the row.
            _ => inside = None,
        }
    }
    place
}
