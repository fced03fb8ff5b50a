#![no_main]
//! SQL scripts: an error with a place, or a script.

use headwater_sql::{MapVariables, Script};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        match Script::parse(text, &MapVariables::default()) {
            Ok(script) => drop(script.tables().count()),
            Err(errors) => assert!(!errors.to_string().is_empty()),
        }
    }
});
