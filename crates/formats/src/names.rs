//! Finding a field by its name, fast when fields come in the order they are declared.

/// Field names with their positions. Names are compared byte for byte.
#[derive(Debug)]
pub(crate) struct NameIndex {
    names: Vec<Box<str>>,
    /// Open addressing: position + 1, 0 for a free slot. At most half full.
    slots: Vec<u32>,
}

impl NameIndex {
    /// The names in order; of equal names the first is found.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<Box<str>> = names.map(Into::into).collect();
        let mut index = Self { slots: vec![0; (names.len() * 2).next_power_of_two().max(2)], names };
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

    /// The position of a name; `guess` is tried first.
    pub(crate) fn find(&self, name: &[u8], guess: usize) -> Option<usize> {
        if self.names.get(guess).is_some_and(|n| n.as_bytes() == name) {
            return Some(guess);
        }
        let slot = self.slots[self.slot(name)];
        (slot > 0).then(|| slot as usize - 1)
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
    fn names_are_found_whatever_the_guess() {
        let names: Vec<String> = (0..500).map(|i| format!("column_with_a_long_name_{i}")).collect();
        let index = NameIndex::new(names.iter().map(String::as_str));
        for (i, name) in names.iter().enumerate() {
            assert_eq!(index.find(name.as_bytes(), i), Some(i));
            assert_eq!(index.find(name.as_bytes(), 0), Some(i));
            assert_eq!(index.find(name.as_bytes(), 9999), Some(i));
            assert_eq!(index.name(i), name);
        }
        assert_eq!(index.find(b"column_with_a_long_name_500", 3), None);
        assert_eq!(index.find(b"", 0), None);
        assert_eq!(NameIndex::new(std::iter::empty()).find(b"a", 0), None);
    }
}
