//! What a JSON decoder has learnt of the bodies before makes it quicker and changes nothing: it says the same of each body,
//! and reads the same out of it, as one that has seen none.

use headwater_formats::{Decoder, DecoderFactory, Format, OnBadRow};
use proptest::prelude::*;

const COLUMNS: &str = "a INT, name_of_more_than_16 STRING, c ROW<t TIMESTAMP(3), a STRING>, `é` BIGINT, \
                       l ARRAY<ROW<x DOUBLE, y BOOLEAN>>, u TIMESTAMP_LTZ(3)";

/// Keys as they may be written: of the table's columns, some with escapes, and others.
const KEYS: &[&str] =
    &["a", "name_of_more_than_16", "c", "é", "l", "u", "\\u0061", "\\u00e9", "x", "name_of_more_than_17"];

/// An object, as far as it is one.
fn body() -> impl Strategy<Value = String> {
    let blanks = prop::sample::select(vec![["", ""], ["", " "], [" ", ""], ["\n  ", " "]]);
    let fields = prop::collection::vec((0usize..10, value(), 0u8..20), 0..7);
    (blanks, fields, any::<bool>()).prop_map(|([before, behind], mut fields, in_order)| {
        if in_order {
            fields.sort_by_key(|(key, ..)| *key);
        }
        let shown = fields.iter().map(|(key, value, odd)| match odd {
            0 => format!("\"{}\" : {value}", KEYS[*key]),
            1 => format!("\"{}\"{value}", KEYS[*key]),
            _ => format!("{before}\"{}\":{behind}{value}", KEYS[*key]),
        });
        format!("{{{}}}", shown.collect::<Vec<_>>().join(&format!(",{behind}")))
    })
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,2}",
        "-?[0-9]{1,20}(\\.[0-9]{1,9})?(e[0-9])?",
        "\"[a-zé]{0,9}\"",
        "\"[ -!#-~]{0,70}\"",
        "\"20[0-9]{2}-[01][0-9]-[0-3][0-9][ T][012][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,4})?Z?\"",
        Just(r#"{"t":"2024-12-31 12:34:56.789","a":"in order"}"#.to_owned()),
        Just(r#"{"a":"x", "t":null,"other":[1,{"a":2}]}"#.to_owned()),
        Just(r#"[{"x":1.5,"y":true},{"y":false,"x":-2e3},null,{"x":3,"y":7}]"#.to_owned()),
        prop::sample::select(vec!["null", "true", "false", "{}", "[]", "nul", "\"open"]).prop_map(str::to_owned),
    ]
}

/// Everything that a decoder says of a body, and what it adds.
fn decode(decoder: &mut dyn Decoder, body: &[u8]) -> String {
    let before = (decoder.rows(), decoder.bytes());
    let said = decoder.decode(body, OnBadRow::Salvage);
    format!("{said:?}, {} bytes", decoder.bytes() - before.1)
}

fn factory() -> std::sync::Arc<dyn DecoderFactory> {
    Format::json().factory(&COLUMNS.parse().expect("columns")).expect("a good format")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_came_before_changes_nothing(
        bodies in prop::collection::vec(body(), 1..5),
        turns in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of((any::<prop::sample::Index>(), 0u8..128))), 4..12),
    ) {
        let factory = factory();
        let mut practised = factory.decoder();
        for (which, change) in turns {
            let mut body = which.get(&bodies).clone().into_bytes();
            if let Some((at, byte)) = change {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let mut fresh = factory.decoder();
            let (said, expected) = (decode(&mut *practised, &body), decode(&mut *fresh, &body));
            prop_assert_eq!(said, expected, "{}", body.escape_ascii());
            prop_assert_eq!(practised.flush(), fresh.flush(), "{}", body.escape_ascii());
        }
    }
}

#[test]
fn a_timestamp_is_the_same_with_an_escape_that_no_shortcut_reads() {
    let factory = Format::json().factory(&"t TIMESTAMP(3), z TIMESTAMP_LTZ(3), s STRING".parse().expect("columns"));
    let factory = factory.expect("a good format");
    let clocks = ["12:34:56", "23:59:59", "24:00:00", "12:34:60", "12:34", "12:34:56.", "12:34:56.7", "12:34:56.789"];
    let more = ["12:34:56.7890", "12:34:56.789012345", "12:34:56.78a", "12:34:56.789Z5", "12:34:56Z.789", "12:34:567"];
    for clock in clocks.into_iter().chain(more) {
        for end in ["", "Z", "ZZ", " "] {
            let [plain, escaped] = ["2024", "\\u0032024"].map(|year| {
                let moment = format!("{year}-12-31 {clock}{end}");
                let body = format!(r#"{{"t":"{moment}","z":"{moment}","s":"and what is behind them both"}}"#);
                let mut decoder = factory.decoder();
                let said = decoder.decode(body.as_bytes(), OnBadRow::Salvage).expect("bad rows are listed");
                let bad: Vec<_> = said.bad.iter().map(|e| (e.path().to_owned(), e.kind().clone())).collect();
                (bad, decoder.flush())
            });
            assert_eq!(plain, escaped, "{clock}{end}");
        }
    }
    // Columns of their own, so that one that is right shows.
    for (column, moment) in
        [("TIMESTAMP(3)", "2024-12-31 12:34:56.7891"), ("TIMESTAMP_LTZ(3)", "2024-12-31 12:34:56.789Z")]
    {
        let factory = Format::json().factory(&format!("t {column}").parse().expect("a column")).expect("a good format");
        let [plain, escaped] = [moment.to_owned(), moment.replacen('2', "\\u0032", 1)].map(|moment| {
            let mut decoder = factory.decoder();
            let body = format!(r#"{{"t":"{moment}"}}              "#);
            let rows = decoder.decode(body.as_bytes(), OnBadRow::Fail).expect("a good row").rows;
            (rows, decoder.flush())
        });
        assert_eq!(plain, escaped, "{column} {moment}");
    }
}
