//! The length of strings that are ASCII without escapes: so long are the pieces of the text that are values as they stand.

use memchr::memchr2;

use crate::coerce::digits::each;

/// How much of a string is looked at first.
pub(super) const WINDOW: usize = crate::column::SHORT;

/// Where the first quote, backslash or byte beyond ASCII is; the length of the window if there is none.
#[inline(always)]
pub(super) fn first_mark(window: &[u8; WINDOW]) -> usize {
    for (i, word) in window.as_chunks::<8>().0.iter().enumerate() {
        let marks = marks(*word);
        if marks != 0 {
            return i * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    WINDOW
}

/// The high bits of quotes, backslashes and what is beyond ASCII. Other bits may be marked, but only above a true mark.
#[inline(always)]
fn marks(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    let (quote, escape) = (word ^ each(b'"'), word ^ each(b'\\'));
    (quote.wrapping_sub(each(1)) | escape.wrapping_sub(each(1)) | word) & each(0x80)
}

/// The length of the string that ends with the first quote in the text, if it is ASCII without escapes.
#[inline(always)]
pub(super) fn plain_len(text: &[u8]) -> Option<usize> {
    let Some(window) = text.first_chunk() else { return last_plain_len(text) };
    let len = first_mark(window);
    match window.get(len) {
        Some(mark) => (*mark == b'"').then_some(len),
        None => longer_plain_len(text),
    }
}

/// Whether the text begins with a string of that length that is ASCII without escapes, and a quote. False does not say that it
/// does not. Quicker than [`plain_len`], for one who can guess.
#[inline(always)]
pub(super) fn is_plain_of_len(text: &[u8], len: usize) -> bool {
    if text.get(len) != Some(&b'"') {
        return false;
    }
    let string = &text[..len];
    let Some(last) = string.last_chunk() else { return false };
    !may_have_mark(last) && !string.as_chunks().0.iter().any(may_have_mark)
}

/// Whether there is a quote, a backslash or a byte beyond ASCII; true also for closing brackets, so that one comparison does, and
/// written so that there is a vector instruction for each step.
#[inline(always)]
fn may_have_mark(block: &[u8; 16]) -> bool {
    // The first step makes a quote 0, a backslash 0x7E, and leaves what is beyond ASCII there. With the second one the least
    // signed numbers are those from 1 on, and -4 is 0x7D.
    let mark = |byte: u8| (byte ^ b'"').wrapping_add(0x7F) as i8 > -4;
    block.iter().fold(false, |any, byte| any | mark(*byte))
}

/// [`plain_len`] of a text that is shorter than a window.
#[inline(never)]
fn last_plain_len(text: &[u8]) -> Option<usize> {
    // There is no mark in what it is filled up with.
    let mut window = [0; WINDOW];
    window[..text.len()].copy_from_slice(text);
    let len = first_mark(&window);
    (window.get(len) == Some(&b'"')).then_some(len)
}

/// Up to here strings are searched window by window, which is quicker than setting up a vectorised search.
const SHORT: usize = 128;

/// [`plain_len`] of a text whose first window is plain.
#[inline(never)]
fn longer_plain_len(text: &[u8]) -> Option<usize> {
    let (windows, rest) = text.as_chunks::<WINDOW>();
    let windows = &windows[..windows.len().min(SHORT / WINDOW)];
    for (i, window) in windows.iter().enumerate().skip(1) {
        let len = first_mark(window);
        if let Some(mark) = window.get(len) {
            return (*mark == b'"').then_some(i * WINDOW + len);
        }
    }
    let seen = windows.len() * WINDOW;
    if text.len() - seen == rest.len() {
        return last_plain_len(rest).map(|len| seen + len);
    }
    long_plain_len(text, seen)
}

/// So many bytes of a long string are gone through at once: they are still in the nearest cache when they are looked at the
/// second time.
const STRIDE: usize = 4 << 10;

/// [`plain_len`] of a text whose first `seen` bytes are plain.
fn long_plain_len(text: &[u8], seen: usize) -> Option<usize> {
    let mut len = seen;
    for part in text[seen..].chunks(STRIDE) {
        let end = memchr2(b'"', b'\\', part);
        if !part[..end.unwrap_or(part.len())].is_ascii() {
            return None;
        }
        if let Some(end) = end {
            return (part[end] == b'"').then_some(len + end);
        }
        len += part.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_strings_are_plain_only_if_all_of_them_is() {
        let ends =
            [SHORT - 1, SHORT, STRIDE - 1, STRIDE, STRIDE + SHORT - 1, STRIDE + SHORT, STRIDE + SHORT + 1, 3 * STRIDE];
        for len in ends {
            let text = [&vec![b'x'; len][..], b"\", "].concat();
            assert_eq!(plain_len(&text), Some(len));
            assert_eq!(plain_len(&text[..len]), None, "{len}, without an end");
            for at in ends.into_iter().chain([0, 7]).filter(|at| *at < len) {
                for other in [b'\\', 0x80, 0xFF] {
                    let mut text = text.clone();
                    text[at] = other;
                    assert_eq!(plain_len(&text), None, "{other:x} at {at} of {len}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_mark_is_what_ends_a_plain_string(
            plain in "[ -!#-\\[\\]-~]{0,200}",
            mark in prop::sample::select(vec![b'"', b'"', b'\\', 0x80, 0xFF]),
            behind in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let text = [plain.as_bytes(), &[mark], &behind].concat();
            let mark = text.iter().position(|b| matches!(b, b'"' | b'\\' | 0x80..));
            let expected = mark.filter(|at| text[*at] == b'"');
            prop_assert_eq!(plain_len(&text), expected, "{}", text.escape_ascii());
            // A guess is good only if it is right, and is then, unless there is a bracket or too little.
            for guess in 0..text.len() + 2 {
                let surely = guess >= 16 && !plain.contains(']');
                let good = is_plain_of_len(&text, guess);
                prop_assert!(if good { Some(guess) == expected } else { Some(guess) != expected || !surely }, "{}", guess);
            }
            // Wherever the mark is.
            let closed = |before: usize| [&plain.as_bytes()[..before], &text[plain.len()..=plain.len()], &plain.as_bytes()[before..], b"\""].concat();
            prop_assert!((0..=plain.len()).all(|before| !is_plain_of_len(&closed(before), plain.len() + 1)));
            if let Some(window) = text.first_chunk() {
                prop_assert_eq!(first_mark(window), mark.unwrap_or(WINDOW).min(WINDOW));
            }
        }
    }
}
