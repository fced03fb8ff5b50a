//! A short text that is looked for at the beginning of others, two words at a time.

/// The longest that is worth it: what is beyond comes from a generator of nonsense.
const MAX_LEN: usize = 1_000;

/// What a text may begin with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prefix {
    /// The first 16 bytes.
    first: [u64; 2],
    /// Which bits of them are there. With none of them and words that are not 0 nothing is found.
    masks: [u64; 2],
    len: usize,
    /// The last 16 bytes, if there are more than 16.
    last: [u64; 2],
    /// What is between the first and the last 16 bytes.
    between: Box<[u8]>,
}

impl Prefix {
    /// `None` for a text that is too long.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_LEN {
            return None;
        }
        let mut first = [0; 16];
        let mut masks = [0; 16];
        for (i, byte) in text.iter().take(16).enumerate() {
            (first[i], masks[i]) = (*byte, 0xFF);
        }
        let last = text.last_chunk().unwrap_or(&[0; 16]);
        let between = text.get(16..text.len().saturating_sub(16)).unwrap_or_default().into();
        let [first, masks, last] = [&first, &masks, last].map(words);
        Some(Self { first, masks, len: text.len(), last, between })
    }

    /// What no text begins with.
    pub(crate) fn never() -> Self {
        Self { first: [1; 2], ..Self::default() }
    }

    /// Where it ends in a text that has it at that offset. `None` does not say that it is not there: it may be too near
    /// the end of the text.
    #[inline(always)]
    pub(crate) fn end_in(&self, text: &[u8], at: usize) -> Option<usize> {
        let text = text.get(at..)?;
        let [first, second] = words(text.first_chunk()?);
        if first & self.masks[0] != self.first[0] || second & self.masks[1] != self.first[1] {
            return None;
        }
        if self.len > 16 {
            let text = text.get(..self.len)?;
            if words(text.last_chunk()?) != self.last || self.len > 32 && !text[16..].starts_with(&self.between) {
                return None;
            }
        }
        Some(at + self.len)
    }
}

/// The first byte is the lowest of the first word.
#[inline(always)]
fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let (words, _) = bytes.as_chunks::<8>();
    [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_long_or_never_is_not_looked_for() {
        assert!(Prefix::new(&[b'x'; MAX_LEN]).is_some());
        assert!(Prefix::new(&[b'x'; MAX_LEN + 1]).is_none());
        for text in [&[0; 32], &[1; 32], &[0xFF; 32]] {
            assert_eq!(Prefix::never().end_in(text, 0), None);
        }
        assert_eq!(Prefix::new(b"").and_then(|nothing| nothing.end_in(&[b'x'; 32], 3)), Some(3));
    }

    proptest! {
        #[test]
        fn it_is_found_where_it_stands(
            before in "[ab]{0,3}",
            text in "[ab]{0,60}",
            behind in "[ab]{0,20}",
            change in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let prefix = Prefix::new(text.as_bytes()).expect("a short text");
            let mut whole = format!("{before}{text}{behind}").into_bytes();
            if let Some(change) = change && !whole.is_empty() {
                let at = change.index(whole.len());
                whole[at] ^= 3;
            }
            let found = prefix.end_in(&whole, before.len());
            let there = whole[before.len()..].starts_with(text.as_bytes());
            let room = whole.len() - before.len() >= 16;
            prop_assert_eq!(found, (there && room).then_some(before.len() + text.len()));
        }
    }
}
