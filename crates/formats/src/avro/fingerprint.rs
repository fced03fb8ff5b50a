//! The fingerprint of a schema, by which a single-object message names the schema it was written with: CRC-64-AVRO of
//! the parsing canonical form, both as the Avro specification defines them.

use super::schema::{Kind, NodeId, ROOT, Schema};

/// The fingerprint of the empty text, which is also the polynomial.
const EMPTY: u64 = 0xC15D_213A_A4D7_A795;

/// The fingerprints that messages of a schema may have, as they stand there. `given` is its text, if it has one: the
/// canonical form that apache-avro makes of it keeps attributes that the specification strips, so that what writers in
/// Rust call the schema is mostly another fingerprint.
pub(super) fn fingerprints(schema: &Schema, given: Option<&str>) -> Vec<[u8; 8]> {
    let foreign =
        given.and_then(|text| apache_avro::Schema::parse_str(text).ok()).map(|parsed| parsed.canonical_form());
    let forms = std::iter::once(canonical_form(schema)).chain(foreign);
    forms.map(|form| crc64(form.as_bytes()).to_le_bytes()).collect()
}

fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(EMPTY, |crc, byte| {
        let mut word = (crc ^ u64::from(*byte)) & 0xFF;
        for _ in 0..8 {
            word = (word >> 1) ^ (EMPTY & (word & 1).wrapping_neg());
        }
        (crc >> 8) ^ word
    })
}

/// The schema with nothing in it but what readers need, in the one way to write it.
pub(super) fn canonical_form(schema: &Schema) -> String {
    let mut out = String::new();
    let mut defined = Vec::new();
    write(schema, ROOT, &mut defined, &mut out);
    out
}

fn write(schema: &Schema, id: NodeId, defined: &mut Vec<NodeId>, out: &mut String) {
    let node = schema.node(id);
    if defined.contains(&id) {
        return quoted(&node.label, out);
    }
    match &node.kind {
        Kind::Array(items) => {
            out.push_str("{\"type\":\"array\",\"items\":");
            write(schema, *items, defined, out);
            out.push('}');
        }
        Kind::Map(values) => {
            out.push_str("{\"type\":\"map\",\"values\":");
            write(schema, *values, defined, out);
            out.push('}');
        }
        Kind::Union(branches, _) => {
            out.push('[');
            separated(branches, out, |branch, out| write(schema, *branch, defined, out));
            out.push(']');
        }
        Kind::Record(fields) => {
            defined.push(id);
            named(&node.label, "record\",\"fields\":[", out);
            separated(fields, out, |field, out| {
                out.push_str("{\"name\":");
                quoted(&field.name, out);
                out.push_str(",\"type\":");
                write(schema, field.node, defined, out);
                out.push('}');
            });
            out.push_str("]}");
        }
        Kind::Enum(symbols) => {
            defined.push(id);
            named(&node.label, "enum\",\"symbols\":[", out);
            separated(symbols, out, |symbol, out| quoted(symbol, out));
            out.push_str("]}");
        }
        Kind::Fixed(size) => {
            defined.push(id);
            named(&node.label, "fixed\",\"size\":", out);
            out.push_str(&size.to_string());
            out.push('}');
        }
        _ => quoted(&node.label, out),
    }
}

fn named(name: &str, rest: &str, out: &mut String) {
    out.push_str("{\"name\":");
    quoted(name, out);
    out.push_str(",\"type\":\"");
    out.push_str(rest);
}

fn separated<T>(items: &[T], out: &mut String, mut write: impl FnMut(&T, &mut String)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, out);
    }
}

/// Names have no character that JSON would escape.
fn quoted(name: &str, out: &mut String) {
    out.push('"');
    out.push_str(name);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use apache_avro::rabin::Rabin;

    use super::*;

    const NESTED: &str = r#"{"type":"record","name":"a.B","doc":"d","aliases":["Z"],"fields":[
        {"name":"e","type":{"type":"enum","name":"E","symbols":["P","Q"]}},
        {"name":"f","type":["null",{"type":"fixed","name":"c.F","size":3}]},
        {"name":"g","type":{"type":"array","items":{"type":"map","values":"E"}}},
        {"name":"self","type":["null","B"]}]}"#;

    #[test]
    fn form_and_fingerprint_are_those_of_apache_avro() {
        for text in [r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int","default":3}]}"#, NESTED] {
            let parsed = apache_avro::Schema::parse_str(text).expect("a schema");
            let ours = Schema::parse(text, 100).expect("a schema");
            assert_eq!(canonical_form(&ours), parsed.canonical_form());
            let theirs = parsed.fingerprint::<Rabin>().bytes;
            assert!(fingerprints(&ours, Some(text)).iter().all(|print| print[..] == theirs[..]));
        }
    }

    /// apache-avro keeps some of these attributes, against the specification.
    #[test]
    fn what_readers_do_not_need_is_not_in_the_form() {
        let text = r#"{"type":"record","name":"A","fields":[{"name":"t","order":"ignore","type":
            {"type":"long","logicalType":"timestamp-micros"}},{"name":"d","type":
            {"type":"bytes","logicalType":"decimal","precision":4,"scale":2}}]}"#;
        let form = r#"{"name":"A","type":"record","fields":[{"name":"t","type":"long"},{"name":"d","type":"bytes"}]}"#;
        let schema = Schema::parse(text, 100).expect("a schema");
        assert_eq!(canonical_form(&schema), form);
        let theirs = apache_avro::Schema::parse_str(text).expect("a schema").fingerprint::<Rabin>().bytes;
        assert_eq!(fingerprints(&schema, Some(text))[1][..], theirs[..]);
    }
}
