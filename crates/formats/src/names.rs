//! Finding a field by its name, fast when fields come in the order they came in before.

/// Field names with their positions. Names are compared byte for byte.
#[derive(Debug)]
pub(crate) struct NameIndex {
    names: Vec<Box<str>>,
    /// Open addressing: position + 1, 0 for a free slot. At most half full.
    slots: Vec<u32>,
    /// Each name as the key of a JSON object.
    keys: Vec<Key>,
    /// Which field came after which the last time: of `[0]`, first of all; of `[i + 1]`, after field i.
    followers: Vec<u32>,
}

/// `"name":` as it stands in a JSON text.
#[derive(Debug)]
struct Key {
    /// The first 16 bytes as two words, the first byte lowest.
    words: [u64; 2],
    /// Which bits of the words are there.
    masks: [u64; 2],
    /// The bytes behind them.
    rest: Box<[u8]>,
    /// The length of all, or 0 if nothing is to match it.
    len: usize,
}

impl NameIndex {
    /// The names in order; of equal names the first is found.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<Box<str>> = names.map(Into::into).collect();
        let keys = names.iter().map(|name| Key::new(name)).collect();
        let followers = (0..=names.len()).map(|i| u32::try_from(i).unwrap_or(u32::MAX)).collect();
        let slots = vec![0; (names.len() * 2).next_power_of_two().max(2)];
        let mut index = Self { slots, names, keys, followers };
        for position in 0..index.names.len() {
            let slot = index.slot(index.names[position].as_bytes());
            if index.slots[slot] == 0 {
                index.slots[slot] = u32::try_from(position + 1).expect("Limits::columns is below 2^32");
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

    /// Which field is likely to come after so many: the first for 0, the one after field i for i + 1.
    #[inline]
    pub(crate) fn after(&self, place: usize) -> usize {
        self.followers[place] as usize
    }

    /// Takes note of the field that came at that place, for [`Self::after`].
    pub(crate) fn learn(&mut self, place: usize, field: usize) {
        self.followers[place] = u32::try_from(field).unwrap_or(u32::MAX);
    }

    /// Where the key of the field ends in a JSON text, colon included, if it begins at that offset. `None` does not say
    /// that it is another key: it may be written otherwise, or too near the end of the text.
    #[inline]
    pub(crate) fn key_at(&self, field: usize, text: &[u8], at: usize) -> Option<usize> {
        let key = self.keys.get(field)?;
        let text = text.get(at..)?;
        let ([first, second], _) = text.first_chunk::<16>()?.as_chunks::<8>() else { return None };
        let differ = (u64::from_le_bytes(*first) ^ key.words[0]) & key.masks[0]
            | (u64::from_le_bytes(*second) ^ key.words[1]) & key.masks[1];
        if differ != 0 || key.len > 16 && !text[16..].starts_with(&key.rest) {
            return None;
        }
        (key.len > 0).then_some(at + key.len)
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

impl Key {
    fn new(name: &str) -> Self {
        // What JSON writes with an escape, and what is so long that it may be too long for a key, is not for shortcuts.
        if name.len() > 1_000 || name.bytes().any(|b| b < b' ' || matches!(b, b'"' | b'\\')) {
            return Self { words: [0; 2], masks: [0; 2], rest: Box::default(), len: 0 };
        }
        let text = format!("\"{name}\":").into_bytes();
        let (mut words, mut masks) = ([0; 2], [0; 2]);
        for (i, byte) in text.iter().take(16).enumerate() {
            words[i / 8] |= u64::from(*byte) << (i % 8 * 8);
            masks[i / 8] |= 0xFF << (i % 8 * 8);
        }
        Self { words, masks, rest: text.get(16..).unwrap_or_default().into(), len: text.len() }
    }
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

    #[test]
    fn keys_are_recognised_where_they_stand() {
        let names = [
            "a",
            "exactly13long",
            "exactly14_long",
            "more than sixteen",
            "more than seventy",
            "é",
            "",
            "q\"",
            "b\\",
            "t\t",
        ];
        let index = NameIndex::new(names.into_iter());
        let text: String = names.iter().map(|name| format!(",\"{name}\":1")).collect();
        let padded = text + "                ";
        let mut at = 0;
        for (i, name) in names.iter().enumerate() {
            let end = at + name.len() + 4;
            let plain = !name.contains(['"', '\\', '\t']);
            for (other, _) in names.iter().enumerate() {
                assert_eq!(
                    index.key_at(other, padded.as_bytes(), at + 1),
                    (other == i && plain).then_some(end),
                    "{name}"
                );
            }
            at = end + 1;
        }
        assert_eq!(index.key_at(names.len(), padded.as_bytes(), 1), None);
        assert_eq!(index.key_at(0, b"\"a\":", 0), None);
        assert_eq!(index.key_at(0, b"\"a\":1234567890123", 99), None);
    }

    #[test]
    fn the_order_is_learnt() {
        let mut index = NameIndex::new(["a", "b", "c"].into_iter());
        assert_eq!([0, 1, 2, 3].map(|place| index.after(place)), [0, 1, 2, 3]);
        index.learn(0, 2);
        index.learn(3, 0);
        assert_eq!([0, 1, 2, 3].map(|place| index.after(place)), [2, 1, 2, 0]);
    }
}
