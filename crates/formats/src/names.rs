//! Finding a field by its name, fast when fields come in the order they came in before.

use crate::prefix::Prefix;

/// Field names with their positions. Names are compared byte for byte.
#[derive(Debug)]
pub(crate) struct NameIndex {
    names: Vec<Box<str>>,
    /// Open addressing: position + 1, 0 for a free slot. At most half full.
    slots: Vec<u32>,
    /// What came where the last time: `[0]` first of all, `[i + 1]` after field i.
    expected: Vec<Expected>,
}

/// A field of a JSON object.
#[derive(Debug)]
struct Expected {
    /// What stands before its value, from where the value before it ends: comma, key, colon, blanks.
    lead: Prefix,
    field: u32,
}

impl NameIndex {
    /// The names in order; of equal names the first is found.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<Box<str>> = names.map(Into::into).collect();
        let slots = vec![0; (names.len() * 2).next_power_of_two().max(2)];
        // Nothing is known yet: in order, without blanks.
        let in_order =
            names.iter().enumerate().map(|(i, name)| Expected { lead: usual_lead(i, name), field: number(i) });
        let expected = in_order.chain([Expected { lead: Prefix::never(), field: 0 }]).collect();
        let mut index = Self { slots, names, expected };
        for position in 0..index.names.len() {
            let slot = index.slot(index.names[position].as_bytes());
            if index.slots[slot] == 0 {
                index.slots[slot] = number(position + 1);
            }
        }
        index
    }

    pub(crate) fn name(&self, position: usize) -> &str {
        &self.names[position]
    }

    /// The position of a name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        let slot = self.slots[self.slot(name)];
        (slot > 0).then(|| slot as usize - 1)
    }

    /// The field that is likely to come at that place of an object, and what stands before its value then. The place is 0
    /// for the first field of all, and i + 1 behind field i.
    #[inline(always)]
    pub(crate) fn expected(&self, place: usize) -> (&Prefix, usize) {
        let expected = &self.expected[place];
        (&expected.lead, expected.field as usize)
    }

    /// Takes note of the field that came at that place behind that text, for [`Self::expected`].
    pub(crate) fn learn(&mut self, place: usize, field: usize, lead: &[u8]) {
        if let Some(lead) = Prefix::new(lead) {
            self.expected[place] = Expected { lead, field: number(field) };
        }
    }

    /// The slot that holds the name, or the free one where it would be.
    fn slot(&self, name: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return slot,
                taken if self.names[taken as usize - 1].as_bytes() == name => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

fn number(position: usize) -> u32 {
    u32::try_from(position).expect("Limits::columns is below 2^32")
}

/// What stands before the value of the field at that position where they all come in order and without blanks.
fn usual_lead(position: usize, name: &str) -> Prefix {
    let comma = if position == 0 { "" } else { "," };
    // What JSON writes with an escape is written in more than one way.
    let plain = name.bytes().all(|b| b >= b' ' && !matches!(b, b'"' | b'\\'));
    plain.then(|| Prefix::new(format!("{comma}\"{name}\":").as_bytes())).flatten().unwrap_or_else(Prefix::never)
}

/// A multiplicative hash over words of eight bytes. The table is fixed by the schema, so nobody who sends messages
/// can fill it with collisions.
fn hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let (words, tail) = name.as_chunks::<8>();
    let tail = tail.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let words = words.iter().map(|word| u64::from_le_bytes(*word)).chain([tail]);
    let hash = words.fold(name.len() as u64, |hash, word| (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR));
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        let names: Vec<String> = (0..500).map(|i| format!("column_with_a_long_name_{i}")).collect();
        let index = NameIndex::new(names.iter().map(String::as_str));
        for (i, name) in names.iter().enumerate() {
            assert_eq!(index.find(name.as_bytes()), Some(i));
            assert_eq!(index.name(i), name);
        }
        assert_eq!(index.find(b"column_with_a_long_name_500"), None);
        assert_eq!(index.find(b""), None);
        assert_eq!(NameIndex::new(std::iter::empty()).find(b"a"), None);
    }

    /// The field that is found at the place of a text, and what is behind what leads to its value.
    fn expected<'t>(index: &NameIndex, place: usize, text: &'t str) -> Option<(usize, &'t str)> {
        let (lead, field) = index.expected(place);
        lead.end_in(text.as_bytes(), 0).map(|end| (field, &text[end..]))
    }

    #[test]
    fn fields_are_expected_in_order_until_they_come_otherwise() {
        let mut index = NameIndex::new(["a", "more than sixteen", "q\"", "b\\", "t\t"].into_iter());
        let text = "\"a\":1,                ";
        assert_eq!(expected(&index, 0, text), Some((0, &text[4..])));
        let text = ",\"more than sixteen\":1,                ";
        assert_eq!(expected(&index, 1, text), Some((1, &text[21..])));
        for (place, text) in
            [(0, ",\"a\":1                "), (1, "\"more than sixteen\":1"), (1, ",\"more than sixteem\":1")]
        {
            assert_eq!(expected(&index, place, text), None, "{text}");
        }
        for place in 2..=5 {
            let name = if place < 5 { index.name(place) } else { "" };
            assert_eq!(expected(&index, place, &format!(",\"{name}\":                ")), None, "{name}");
        }
        index.learn(1, 4, b" ,\n\"t\\t\" : ");
        index.learn(5, 0, b",\"a\":");
        index.learn(0, 3, &[b' '; 2_000]);
        let text = " ,\n\"t\\t\" : 7                ";
        assert_eq!(expected(&index, 1, text), Some((4, &text[11..])));
        let text = ",\"a\":7                ";
        assert_eq!([0, 1, 5].map(|place| expected(&index, place, text)), [None, None, Some((0, &text[5..]))]);
    }
}
