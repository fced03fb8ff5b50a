//! What a JSON text is made of besides its values, to recognise the next text of the same making at a glance.
//!
//! Whoever writes JSON by program writes the same keys in the same order with the same blanks, time and again. An outline is
//! all of that: a text without what is in its strings and without its numbers. A text that has the outline of one that was
//! gone through before is good JSON, and has everything at the corresponding place.

use super::plain::plain_len;
use super::scan::{Kind, ScanError, Scanner};
use crate::Limits;
use crate::coerce::digits::Short;
use crate::prefix::Prefix;

/// The text of one JSON value without the insides of its strings and without its numbers.
///
/// ```
/// use headwater_formats::{Limits, json::Outline};
///
/// let limits = Limits::default();
/// let outline = Outline::of(br#"{"name": "a", "size": 1}"#, &limits).ok_or("too large")?;
/// let mut starts = Vec::new();
/// let other = br#"{"name": "another", "size": 23}"#;
/// assert!(outline.fits(other, &mut starts));
/// let size = outline.spot(22).in_text(&starts);
/// assert_eq!(&other[size..], b"23}");
/// assert!(!outline.fits(br#"{"size": 1, "name": "a"}"#, &mut starts));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone)]
pub struct Outline {
    /// What stands before and between the values, end to end.
    fixed: Box<[u8]>,
    pieces: Box<[Piece]>,
    /// Where each piece begins in the text that this was made from.
    starts: Box<[usize]>,
}

/// Some of the fixed text, and what comes behind it.
#[derive(Debug, Clone)]
struct Piece {
    /// It, unless it is very long.
    lead: Prefix,
    /// Where it ends in all of the fixed text; it begins where the one before ends.
    end: usize,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The inside of a string.
    String,
    Number,
    /// Nothing that matters.
    End,
}

/// A place within an outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    piece: usize,
    behind: usize,
}

impl Spot {
    /// The corresponding place in a text that the outline fits, from what [`Outline::fits`] noted of it.
    #[inline]
    pub fn in_text(self, starts: &[usize]) -> usize {
        starts[self.piece] + self.behind
    }
}

impl Outline {
    /// The most bytes of fixed text and the most strings and numbers of an outline. An event has some hundred bytes and
    /// some dozens of values; what is far beyond is a text of a kind that does not come twice.
    const MAX_FIXED: usize = 16 << 10;
    const MAX_VALUES: usize = 512;

    /// The outline of the first value of a text; `None` if it is not JSON, or too large to be worth keeping.
    pub fn of(text: &[u8], limits: &Limits) -> Option<Self> {
        let mut outlining = Outlining { text, from: 0, fixed: Vec::new(), pieces: Vec::new(), starts: Vec::new() };
        let mut scanner = Scanner::new(text, limits);
        outlining.value(&mut scanner)?;
        outlining.piece(scanner.rest().1, Then::End)?;
        let Outlining { fixed, pieces, starts, .. } = outlining;
        Some(Self { fixed: fixed.into(), pieces: pieces.into(), starts: starts.into() })
    }

    /// Whether a text begins with a value that has this outline. If so, all of the value is as good as if it had been gone
    /// through by a [`Scanner`], with the limits that the outline was made with, and `starts` holds what [`Spot::in_text`]
    /// needs.
    pub fn fits(&self, text: &[u8], starts: &mut Vec<usize>) -> bool {
        starts.clear();
        self.fits_behind(0, text, starts)
    }

    /// [`Self::fits`] after another outline did not fit, of which `starts` is: what they have [in common](Self::common) is not
    /// compared again.
    pub fn fits_too(&self, common: usize, text: &[u8], starts: &mut Vec<usize>) -> bool {
        // Where the last piece begins is known, but it was that one that did not fit.
        let fitted = starts.len().saturating_sub(1);
        self.fits_behind(common.min(fitted), text, starts)
    }

    /// How many pieces this and another outline begin with that are the same.
    pub fn common(&self, other: &Self) -> usize {
        let both = self.pieces.iter().zip(&other.pieces);
        let same = both.take_while(|(one, another)| (one.end, one.then) == (another.end, another.then)).count();
        let len = self.fixed.iter().zip(&other.fixed).take_while(|(one, another)| one == another).count();
        self.pieces[..same].partition_point(|piece| piece.end <= len)
    }

    /// Whether the pieces behind so many fit, which begin at the last of the `starts` that are left then.
    fn fits_behind(&self, pieces: usize, text: &[u8], starts: &mut Vec<usize>) -> bool {
        let mut at = starts.get(pieces).copied().unwrap_or_default();
        starts.truncate(pieces);
        let mut from = pieces.checked_sub(1).map_or(0, |last| self.pieces[last].end);
        for piece in &self.pieces[pieces..] {
            starts.push(at);
            let Some(end) = piece.lead.end_in(text, at).or_else(|| self.end_in(piece, from, text, at)) else {
                return false;
            };
            (from, at) = (piece.end, end);
            let len = match piece.then {
                Then::String => plain_len(&text[at..]).or_else(|| string(text, at)),
                Then::Number => number(text, at),
                Then::End => Some(0),
            };
            let Some(len) = len else { return false };
            at += len;
        }
        true
    }

    /// [`Prefix::end_in`] for a piece that is too long for it, or too near the end of a text.
    #[cold]
    fn end_in(&self, piece: &Piece, from: usize, text: &[u8], at: usize) -> Option<usize> {
        let fixed = &self.fixed[from..piece.end];
        text[at..].starts_with(fixed).then_some(at + fixed.len())
    }

    /// The spot of an offset in the text that this was made from. It must not be within a string or a number, but may be
    /// where one begins.
    pub fn spot(&self, at: usize) -> Spot {
        let piece = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        Spot { piece, behind: at - self.starts.get(piece).copied().unwrap_or_default() }
    }
}

/// The length of the inside of a string that begins before `at` and has more in it than plain ASCII.
#[cold]
fn string(text: &[u8], at: usize) -> Option<usize> {
    let scanner = Scanner::new(text, &Limits::default());
    let read = scanner.again(at.checked_sub(1)?).string().ok()?;
    scanner.check(read).ok().map(|()| read.raw.len())
}

/// The length of a number.
#[inline]
fn number(text: &[u8], at: usize) -> Option<usize> {
    if let Some((_, end)) = Short::read(text, at) {
        return Some(end - at);
    }
    let rest = text.get(at..).filter(|rest| matches!(rest.first(), Some(b'-' | b'0'..=b'9')))?;
    Scanner::new(rest, &Limits::default()).number().ok().map(|number| number.raw.len())
}

/// An outline in the making.
struct Outlining<'t> {
    text: &'t [u8],
    /// Where the piece at hand begins.
    from: usize,
    fixed: Vec<u8>,
    pieces: Vec<Piece>,
    starts: Vec<usize>,
}

impl Outlining<'_> {
    /// Ends a piece.
    fn piece(&mut self, to: usize, then: Then) -> Option<()> {
        let fixed = &self.text[self.from..to];
        let lead = Prefix::new(fixed).unwrap_or_else(Prefix::never);
        self.fixed.extend_from_slice(fixed);
        self.starts.push(self.from);
        self.pieces.push(Piece { lead, end: self.fixed.len(), then });
        (self.fixed.len() <= Outline::MAX_FIXED && self.pieces.len() <= Outline::MAX_VALUES).then_some(())
    }

    /// Goes through the value that comes next, without recursion: how deep it is, its sender chooses.
    fn value(&mut self, scanner: &mut Scanner<'_>) -> Option<()> {
        let mut objects = Vec::new();
        loop {
            let mut first = false;
            match scanner.peek().ok()? {
                kind @ (Kind::Object | Kind::Array) => {
                    scanner.enter().ok()?;
                    objects.push(kind == Kind::Object);
                    first = true;
                }
                kind => self.leaf(scanner, kind)?,
            }
            loop {
                let more = match objects.last() {
                    Some(true) => next_key(scanner, first).ok()?,
                    Some(false) => scanner.next_item(first).ok()?,
                    None => return Some(()),
                };
                if more {
                    break;
                }
                objects.pop();
                first = false;
            }
        }
    }

    fn leaf(&mut self, scanner: &mut Scanner<'_>, kind: Kind) -> Option<()> {
        let at = scanner.position();
        match kind {
            Kind::String => {
                let text = scanner.string().ok()?;
                scanner.check(text).ok()?;
                self.piece(text.at, Then::String)?;
                self.from = text.at + text.raw.len();
            }
            Kind::Number => {
                let number = scanner.number().ok()?;
                self.piece(at, Then::Number)?;
                self.from = at + number.raw.len();
            }
            word => scanner.word(word).ok()?,
        }
        Some(())
    }
}

/// Whether there is a next key, which is passed over.
fn next_key(scanner: &mut Scanner<'_>, first: bool) -> Result<bool, ScanError> {
    scanner.next_key(first)?.map(|key| scanner.check(key)).transpose().map(|key| key.is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outline(text: &str) -> Outline {
        Outline::of(text.as_bytes(), &Limits::default()).expect("an outline")
    }

    fn fits(outline: &Outline, text: &[u8]) -> Option<Vec<usize>> {
        let mut starts = vec![7];
        outline.fits(text, &mut starts).then_some(starts)
    }

    #[test]
    fn values_may_change_and_nothing_else() {
        let outline = outline(r#"{"a": "x", "b":[1, -2.5e3], "c":{"d":null}, "e":"" } behind"#);
        for text in [
            r#"{"a": "x", "b":[1, -2.5e3], "c":{"d":null}, "e":"" }"#,
            r#"{"a": "", "b":[0, 7], "c":{"d":null}, "e":"long enough to be more than a word" }"#,
            r#"{"a": "é\n\"\ud83c\udf89", "b":[12345678901234567890123, 0.1], "c":{"d":null}, "e":"," }]"#,
        ] {
            assert!(fits(&outline, text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "",
            r#"{"a": "x", "b":[1, -2.5e3], "c":{"d":null}, "e":"""#,
            r#"{"a": "x", "b":[1, -2.5e3], "c":{"d":null}, "e":""}"#,
            r#"{"a": 1, "b":[1, -2.5e3], "c":{"d":null}, "e":"" }"#,
            r#"{"a": "x", "b":["1", -2.5e3], "c":{"d":null}, "e":"" }"#,
            r#"{"a": "x", "b":[1, -2.5e3], "c":{"d":true}, "e":"" }"#,
            r#"{"a": "x", "b":[ 1, -2.5e3], "c":{"d":null}, "e":"" }"#,
            r#"{"a": "x", "b":[01, -2.5e3], "c":{"d":null}, "e":"" }"#,
            r#"{"a": "x", "b":[1, -2.5e], "c":{"d":null}, "e":"" }"#,
            r#"{"a": "x", "b":[1, -], "c":{"d":null}, "e":"" }"#,
            r#"{"a": "\x", "b":[1, -2.5e3], "c":{"d":null}, "e":"" }"#,
            r#"{"b": "x", "a":[1, -2.5e3], "c":{"d":null}, "e":"" }"#,
        ] {
            assert_eq!(fits(&outline, text.as_bytes()), None, "{text}");
        }
        assert_eq!(fits(&outline, b"{\"a\": \"\xff\", \"b\":[1, -2.5e3], \"c\":{\"d\":null}, \"e\":\"\" }"), None);
    }

    #[test]
    fn what_outlines_have_in_common_is_compared_once() {
        let [one, another] = [r#"{"a":"x","b":12,"c":[]}"#, r#"{"a":"y","b":3,"d":"z"}"#].map(outline);
        assert_eq!([one.common(&another), another.common(&one), one.common(&one)], [2, 2, 3]);
        let mut starts = Vec::new();
        let text = br#"{"a":"long","b":345,"d":""}"#;
        assert!(!one.fits(text, &mut starts));
        assert_eq!(starts, [0, 10, 19]);
        assert!(another.fits_too(2, text, &mut starts));
        assert_eq!(Some(&starts), fits(&another, text).as_ref());
        // What did not fit is not in common, even if it would fit somewhere else.
        let text = br#"","b":345,"d":""}"#;
        assert!(!one.fits(text, &mut starts));
        assert!(!another.fits_too(2, text, &mut starts));
        let other_name = outline(r#"{"a":"x","c":12,"c":[]}"#);
        assert_eq!([one.common(&other_name), other_name.common(&one)], [1, 1]);
    }

    #[test]
    fn spots_are_found_again() {
        let (text, other) = (r#" {"a":"x","b":12,"c":[true,{}]}"#, r#" {"a":"xyz","b":345,"c":[true,{}]}"#);
        let outline = outline(text);
        let starts = fits(&outline, other.as_bytes()).expect("the same outline");
        for (at, there) in [(0, " {"), (1, "{"), (6, "\"xyz"), (14, "345"), (16, ",\"c\""), (21, "[true"), (27, "{}]")]
        {
            let found = outline.spot(at).in_text(&starts);
            assert!(other[found..].starts_with(there), "{at}: {}", &other[found..]);
        }
    }

    #[test]
    fn what_is_no_json_or_too_large_has_none() {
        let limits = Limits::default();
        for text in [
            &b""[..],
            b"{",
            b"{\"a\":01}",
            b"[1 2]",
            b"{\"a\":\"\xff\"}",
            b"{\"\xff\":1}",
            &[b'['; 2_000],
            &[b' '; 20_000],
        ] {
            assert!(Outline::of(text, &limits).is_none(), "{}", text.escape_ascii());
        }
        let list = |n: usize| format!("[{}1]", "1,".repeat(n)).into_bytes();
        assert!(Outline::of(&list(500), &limits).is_some());
        assert!(Outline::of(&list(600), &limits).is_none());
        let key = |n: usize| format!("{{\"{}\":1}}", "k".repeat(n)).into_bytes();
        assert!(Outline::of(&key(16_000), &limits).is_some());
        assert!(Outline::of(&key(17_000), &limits).is_none());
    }

    /// What JSON gives a meaning to, and some.
    const OTHERS: &[u8] = b"\"\\,:[]{}0123456789.-e xn";

    proptest! {
        #[test]
        fn only_good_json_fits(
            text in r#"\{("[a-c]":("[a-dé\\]{0,20}"|-?[0-9]{1,3}(\.[0-9]{1,20})?|null|\[1,"x"\]),?){1,4}\}[ }]{0,9}"#,
            other in r#"\{("[a-c]":("[a-d]{0,9}"|-?[0-9]{1,3}|null),?){1,4}\}"#,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let limits = Limits::default();
            let Some(outline) = Outline::of(text.as_bytes(), &limits) else { return Ok(()) };
            prop_assert!(fits(&outline, text.as_bytes()).is_some());
            let mut changed = text.clone().into_bytes();
            for (at, byte) in changes {
                let at = at.index(changed.len());
                changed[at] = if byte < 0x80 { OTHERS[usize::from(byte) % OTHERS.len()] } else { byte };
            }
            // After another one did not fit, with what they have in common.
            let mut starts = Vec::new();
            if let Some(other) = Outline::of(other.as_bytes(), &limits)
                && !other.fits(&changed, &mut starts)
            {
                let too = outline.fits_too(other.common(&outline), &changed, &mut starts);
                prop_assert_eq!(too.then_some(starts), fits(&outline, &changed));
            }
            let Some(starts) = fits(&outline, &changed) else { return Ok(()) };
            // It is JSON, and what was made of it says the same.
            let again = Outline::of(&changed, &limits);
            prop_assert_eq!(again.as_ref().map(|o| &o.fixed), Some(&outline.fixed));
            prop_assert_eq!(again.map(|o| o.starts.to_vec()), Some(starts));
        }
    }
}
