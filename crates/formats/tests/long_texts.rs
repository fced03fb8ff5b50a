//! A decoder whose last batch had long texts builds its text columns in another way, and nobody can tell.

use std::sync::Arc;

use arrow_array::RecordBatch;
use headwater_formats::{DecodeError, Decoded, Decoder, DecoderFactory, Format, OnBadRow};
use proptest::prelude::*;

const JSON: &str = "a STRING, m MAP<STRING, STRING>, r ROW<c STRING, n INT>, l ARRAY<STRING>, b BYTES";
const FLAT: &str = "a STRING, n INT, l ARRAY<STRING>, b STRING";
const AVRO: &str = "a STRING, m MAP<STRING, STRING>, r ROW<c STRING>, b STRING";

/// Texts that decoders treat each in its own way.
const TEXTS: &[&str] = &[
    "",
    "plain",
    "éèê 日本語 🎉",
    r#"esc\"aped \\ \u00e9 \ud83c\udf89 \ud83c"#,
    "one longer than a word or two, and than the thirty-two bytes that are copied at once",
];

/// What bodies are broken with.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b",",
    b"\n",
    b"}",
    b" ",
    b"7",
    b"null",
    b"{\"x\":[1,\"y\"]}",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\xbc",
    b"\xf4\x90\x80\x80",
    b"\x00",
    b"\x02",
    b"\xe6\x97",
];

struct Table {
    factory: Arc<dyn DecoderFactory>,
    body: fn(&[String]) -> Vec<u8>,
}

fn table(format: &str, columns: &str, options: &[(&str, &str)], body: fn(&[String]) -> Vec<u8>) -> Table {
    let format = options.iter().fold(Format::named(format), |format, (key, value)| format.option(key, *value));
    Table { factory: format.factory(&columns.parse().expect("columns")).expect("a good table"), body }
}

fn tables() -> Vec<Table> {
    let mut tables = vec![
        table("json", JSON, &[], json),
        table("json", JSON, &[("ignore-parse-errors", "true")], json),
        table("json", JSON, &[("decode.json-parser.enabled", "false")], json),
        table("raw", "a STRING", &[], |texts| texts[0].clone().into_bytes()),
        table("raw", "a STRING", &[("charset", "GBK")], |texts| texts[0].clone().into_bytes()),
    ];
    if cfg!(feature = "csv") {
        tables.push(table("csv", FLAT, &[("framing", "lines")], csv));
        tables.push(table("csv", FLAT, &[("escape-character", "\\"), ("null-literal", "plain")], csv));
    }
    if cfg!(feature = "avro") {
        tables.push(table("avro", AVRO, &[], avro));
    }
    tables
}

fn json(texts: &[String]) -> Vec<u8> {
    let [a, b, c, d] = &texts[..4] else { unreachable!("four texts") };
    format!(r#"{{"a":"{a}","m":{{"{b}":"{c}","{a}": "{d}"}},"r":{{"c":"{b}","n":5}},"l":["{c}","{d}"],"b":"AAAA"}}"#)
        .into_bytes()
}

fn csv(texts: &[String]) -> Vec<u8> {
    let [a, b, c, d] = &texts[..4] else { unreachable!("four texts") };
    format!("{a},12,{b};{c},{d}\n\"{a}\",-7,\"{b}\",\"{c}\"\n").into_bytes()
}

fn avro(texts: &[String]) -> Vec<u8> {
    fn text(out: &mut Vec<u8>, text: &str) {
        varint(out, text.len() << 1);
        out.extend_from_slice(text.as_bytes());
    }
    fn varint(out: &mut Vec<u8>, mut rest: usize) {
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    let [a, b, c, d] = &texts[..4] else { unreachable!("four texts") };
    let mut out = vec![2];
    text(&mut out, a);
    // One entry, and no more of them.
    out.extend([2, 2]);
    text(&mut out, b);
    out.push(2);
    text(&mut out, c);
    out.extend([0, 2, 2]);
    text(&mut out, d);
    out.push(2);
    text(&mut out, a);
    out
}

/// Everything that a decoder says of a body.
fn told(
    decoder: &mut dyn Decoder,
    bodies: &[Vec<u8>],
    on_bad: OnBadRow,
) -> (Vec<Result<Decoded, DecodeError>>, usize, usize, RecordBatch) {
    let results = bodies.iter().map(|body| decoder.decode(body, on_bad)).collect();
    (results, decoder.rows(), decoder.bytes(), decoder.flush())
}

fn broken(mut body: Vec<u8>, changes: &[(prop::sample::Index, usize, bool)]) -> Vec<u8> {
    for (at, piece, replaces) in changes {
        let at = at.index(body.len() + 1);
        let piece = PIECES[piece % PIECES.len()];
        let end = if *replaces { (at + piece.len()).min(body.len()) } else { at };
        body.splice(at..end, piece.iter().copied());
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn after_long_texts_everything_is_as_ever(
        salvage: bool,
        bodies in prop::collection::vec((
            prop::collection::vec((0..TEXTS.len(), 0..3usize), 4),
            prop::collection::vec((any::<prop::sample::Index>(), any::<usize>(), any::<bool>()), 0..3),
        ), 1..4),
    ) {
        let on_bad = if salvage { OnBadRow::Salvage } else { OnBadRow::Fail };
        let long: Vec<String> = (0..4).map(|i| char::from(b'w' + i).to_string().repeat(3_000)).collect();
        for table in tables() {
            let bodies: Vec<Vec<u8>> = bodies.iter().map(|(texts, changes)| {
                // Each text once, or as often as makes it long.
                let texts: Vec<String> = texts.iter().map(|(i, times)| TEXTS[*i].repeat(1 << (4 * times))).collect();
                broken((table.body)(&texts), changes)
            }).collect();
            let (mut new, mut old) = (table.factory.decoder(), table.factory.decoder());
            let met = old.decode(&(table.body)(&long), OnBadRow::Fail);
            prop_assert!(met.is_ok(), "{met:?}");
            old.flush();
            prop_assert_eq!(told(&mut *old, &bodies, on_bad), told(&mut *new, &bodies, on_bad), "{:?}", table.factory);
        }
    }
}
