//! Text that is shared: ids and handles of one answer are slices of one allocation.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Immutable text, or a slice of one: cheap to clone, and to cut into pieces that share its allocation.
///
/// Whoever makes a message from text that it has in hand writes `text.into()` and need not know more. A queue whose answers
/// hold many short texts gathers them in one and [slices](Self::slice) it: one allocation for the answer instead of two for each
/// message. A slice keeps the whole text that it was cut from (with MNS at most 16 times some 100 bytes), so what may be kept long
/// after the rest is gone should be a [copy](Self::detached).
#[derive(Clone)]
pub struct SharedStr {
    block: Arc<str>,
    start: u32,
    end: u32,
}

impl SharedStr {
    /// The same text in an allocation of its own.
    #[inline]
    #[must_use]
    pub fn detached(&self) -> Self {
        if self.len() == self.block.len() { self.clone() } else { Self::from(self.as_str()) }
    }

    /// A piece of it, by bytes, that shares its allocation.
    ///
    /// # Panics
    /// As `&text[range]` does: where the range ends behind the text or cuts a character.
    #[inline]
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let piece = &self.as_str()[range.clone()];
        let start = self.start + range.start as u32;
        Self { block: Arc::clone(&self.block), start, end: start + piece.len() as u32 }
    }

    /// Takes its first `length` bytes off: a piece that shares its allocation.
    ///
    /// # Panics
    /// Where they are more than it has, or end within a character.
    #[inline]
    #[must_use]
    pub fn split_to(&mut self, length: usize) -> Self {
        assert!(length <= (self.end - self.start) as usize, "{length} bytes are more than there are");
        let at = self.start as usize + length;
        assert!(self.block.is_char_boundary(at), "{length} bytes end within a character");
        let piece = Self { block: Arc::clone(&self.block), start: self.start, end: at as u32 };
        self.start = at as u32;
        piece
    }

    /// The text.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.block[self.start as usize..self.end as usize]
    }
}

impl From<Arc<str>> for SharedStr {
    /// # Panics
    /// With a text of 4 GiB or more: nothing that a queue says in one answer.
    fn from(block: Arc<str>) -> Self {
        let end = u32::try_from(block.len()).expect("a text under 4 GiB");
        Self { block, start: 0, end }
    }
}

impl From<&str> for SharedStr {
    fn from(text: &str) -> Self {
        Self::from(Arc::<str>::from(text))
    }
}

impl From<String> for SharedStr {
    fn from(text: String) -> Self {
        Self::from(Arc::<str>::from(text))
    }
}

impl Deref for SharedStr {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for SharedStr {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for SharedStr {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for SharedStr {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedStr {}

impl PartialEq<str> for SharedStr {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for SharedStr {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialOrd for SharedStr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharedStr {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for SharedStr {
    // As `str` does: it is looked up by one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn pieces_are_taken_off_until_nothing_is_left() {
        let whole = SharedStr::from("xabc\u{e9}d");
        let mut rest = whole.slice(1..whole.len());
        let pieces: Vec<_> = [3, 0, 2, 1, 0].into_iter().map(|length| rest.split_to(length)).collect();
        assert_eq!(pieces, ["abc", "", "\u{e9}", "d", ""]);
        assert!(rest.is_empty() && pieces.iter().all(|piece| Arc::ptr_eq(&piece.block, &whole.block)));
        for (text, length) in [("", 1), ("ab", 3), ("a\u{e9}", 2), ("ab", usize::MAX)] {
            let refused = std::panic::catch_unwind(|| SharedStr::from(text).split_to(length));
            assert!(refused.is_err(), "{length} of {text}");
            let refused = std::panic::catch_unwind(|| {
                SharedStr::from(format!("{text}more")).slice(0..text.len()).split_to(length)
            });
            assert!(refused.is_err(), "{length} of {text}, with more behind it");
        }
    }

    #[test]
    fn slices_share_one_allocation_and_are_their_text() {
        let answer = SharedStr::from("id-1handle-1id-2");
        let (id, handle) = (answer.slice(0..4), answer.slice(4..12));
        assert_eq!((&*id, &*handle, &*handle.slice(1..3)), ("id-1", "handle-1", "an"));
        assert!(Arc::ptr_eq(&id.block, &handle.slice(0..0).block));
        let own = id.detached();
        assert_eq!(own, id);
        assert!(!Arc::ptr_eq(&own.block, &id.block));
        assert!(Arc::ptr_eq(&own.detached().block, &own.block), "its own allocation already");
    }

    #[test]
    fn it_is_compared_ordered_and_found_by_its_text() {
        let text = SharedStr::from("abab".to_owned());
        let (first, second) = (text.slice(0..2), text.slice(2..4));
        assert_eq!(first, second);
        assert!(text > first && text < text.slice(1..4));
        assert!(HashSet::from([first.clone()]).contains("ab"));
        assert!(BTreeSet::from([first]).contains("ab"));
        assert_eq!(format!("{second} {second:?}"), "ab \"ab\"");
    }

    #[test]
    #[should_panic(expected = "char boundary")]
    fn a_character_is_not_cut() {
        let _ = SharedStr::from("é").slice(0..1);
    }
}
