//! Format options that are whole documents, read from the files they name. Formats themselves read no files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use headwater_core::OptionError;
use headwater_formats::{Format, OptionKind};

/// What a value begins with that is not the document but names it.
const FILE: &str = "file:";

/// The longest document, in bytes: a schema of ten thousand fields has about this much.
const MAX_BYTES: u64 = 1 << 20;

/// Puts the content of a file in the place of each value that names one, where the option takes a document
/// ([`OptionKind::Document`]): `'avro.schema' = 'file:/etc/orders.avsc'`. Returns what could not be read; such a value
/// is left out, since a path is no document.
pub fn read_documents(format_options: &mut BTreeMap<String, String>) -> Vec<OptionError> {
    let mut errors = Vec::new();
    format_options.retain(|name, value| {
        let Some(path) = value.strip_prefix(FILE).filter(|_| takes_document(name)) else { return true };
        match read(path) {
            Ok(text) => {
                *value = text;
                true
            }
            Err(error) => {
                errors.push(OptionError::new(name, format!("names the file `{path}`, which cannot be read: {error}")));
                false
            }
        }
    });
    errors
}

fn takes_document(name: &str) -> bool {
    name.split_once('.').is_some_and(|(format, key)| {
        let specs = Format::spec(format).map_or(&[][..], |spec| spec.options);
        specs.iter().any(|option| option.key == key && option.kind == OptionKind::Document)
    })
}

fn read(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    Ok(text)
}
