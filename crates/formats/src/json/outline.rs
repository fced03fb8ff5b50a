//! What a JSON text is made of besides its values, to recognise the next text of the same making at a glance.
//!
//! Whoever writes JSON by program writes the same keys in the same order with the same blanks, time and again. An outline is
//! all of that: a text without what is in its strings and without its numbers. A text that has the outline of one that was
//! gone through before is good JSON, and has everything at the corresponding place. Many of the values are the same every time as
//! well (`steady`), so that most of a text is compared, and only what is left is looked at.

use super::fit::{Fit, Spot};
use super::plain::plain_len;
use super::scan::{Kind, ScanError, Scanner};
use super::steady::Steady;
use crate::Limits;
use crate::coerce::digits::Short;

/// The text of one JSON value without the insides of its strings and without its numbers.
///
/// ```
/// use headwater_formats::{Limits, json::{Fit, Outline}};
///
/// let limits = Limits::default();
/// let mut outline = Outline::of(br#"{"name": "a", "size": 1}"#, &limits).ok_or("too large")?;
/// let mut fit = Fit::default();
/// let other = br#"{"name": "another", "size": 23}"#;
/// assert!(outline.fits(other, &mut fit));
/// let size = fit.offset(outline.spot(22));
/// assert_eq!(&other[size..], b"23}");
/// let name = fit.plain(outline.spot(9)).ok_or("no plain string")?;
/// assert_eq!(&other[name.range()], b"another");
/// assert!(!outline.fits(br#"{"size": 1, "name": "a"}"#, &mut fit));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone)]
pub struct Outline {
    /// What stands before and between the values, end to end.
    fixed: Box<[u8]>,
    pieces: Box<[Piece]>,
    /// Where each piece begins in the text that this was made from.
    starts: Box<[usize]>,
    steady: Steady,
}

/// Some of the fixed text, and what comes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it begins and ends in all of the fixed text.
    from: usize,
    end: usize,
    pub(super) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The inside of a string.
    String,
    Number,
    /// Nothing that matters.
    End,
}

impl Piece {
    pub(super) fn len(self) -> usize {
        self.end - self.from
    }
}

impl Outline {
    /// The most bytes of fixed text and the most strings and numbers of an outline. An event has some hundred bytes and
    /// some dozens of values; what is far beyond is a text of a kind that does not come twice.
    const MAX_FIXED: usize = 16 << 10;
    const MAX_VALUES: usize = 512;

    /// The outline of the first value of a text; `None` if it is not JSON, or too large to be worth keeping.
    pub fn of(text: &[u8], limits: &Limits) -> Option<Self> {
        let mut outlining = Outlining::default();
        let mut scanner = Scanner::new(text, limits);
        outlining.value(text, &mut scanner)?;
        outlining.piece(text, scanner.rest().1, Then::End)?;
        let Outlining { fixed, pieces, starts, other, .. } = outlining;
        let steady = Steady::of(text, &pieces, &starts, &other);
        Some(Self { fixed: fixed.into(), pieces: pieces.into(), starts: starts.into(), steady })
    }

    /// Whether a text begins with a value that has this outline. If so, all of the value is as good as if it had been gone
    /// through by a [`Scanner`], with the limits that the outline was made with, and the fit says where everything is.
    ///
    /// What changes from text to text is learnt by the way; it makes a difference to nothing but the time that this takes.
    pub fn fits(&mut self, text: &[u8], fit: &mut Fit) -> bool {
        fit.clear();
        self.fits_behind(0, text, fit)
    }

    /// [`Self::fits`] after another outline did not fit, whose attempt `fit` is: most of what they have [in common](Self::common)
    /// is not compared again.
    pub fn fits_too(&mut self, common: usize, text: &[u8], fit: &mut Fit) -> bool {
        // Where the last piece begins is known, but it was that one that did not fit.
        let fitted = fit.starts().len().saturating_sub(1);
        self.fits_behind(common.min(fitted), text, fit)
    }

    /// How many pieces this and another outline begin with that are the same.
    pub fn common(&self, other: &Self) -> usize {
        let both = self.pieces.iter().zip(&other.pieces);
        let same = both.take_while(|(one, another)| (one.end, one.then) == (another.end, another.then)).count();
        let len = self.fixed.iter().zip(&other.fixed).take_while(|(one, another)| one == another).count();
        self.pieces[..same].partition_point(|piece| piece.end <= len)
    }

    /// Whether the pieces behind so many fit, which begin at the last of the starts that are left then.
    fn fits_behind(&mut self, pieces: usize, text: &[u8], fit: &mut Fit) -> bool {
        match self.steady.fits(pieces, text, fit) {
            Ok(fits) => fits,
            Err((piece, at)) => self.fits_changed(piece, at, text, fit),
        }
    }

    /// [`Self::fits_behind`] piece by piece, from the one on that begins there: a value may have changed that never did before.
    #[inline(never)]
    fn fits_changed(&mut self, first: usize, mut at: usize, text: &[u8], fit: &mut Fit) -> bool {
        for (i, piece) in self.pieces.iter().enumerate().skip(first) {
            fit.note(i, at, &[0]);
            let fixed = &self.fixed[piece.from..piece.end];
            if !text[at..].starts_with(fixed) {
                return false;
            }
            at += fixed.len();
            let Some(len) = value(piece.then, text, at, i, fit) else { return false };
            at += len;
        }
        self.steady.learn(text, &self.pieces, fit);
        true
    }

    /// The spot of an offset in the text that this was made from. It must not be within a string or a number, but may be
    /// where one begins.
    pub fn spot(&self, at: usize) -> Spot {
        let piece = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        let behind = at - self.starts.get(piece).copied().unwrap_or_default();
        let quoted = |piece: &Piece| piece.then == Then::String && piece.len() == behind + 1;
        Spot { piece, behind, quoted: self.pieces.get(piece).is_some_and(quoted) }
    }
}

/// The length of what comes behind a piece, noted if it is a string with more in it than plain ASCII.
#[inline(always)]
pub(super) fn value(then: Then, text: &[u8], at: usize, piece: usize, fit: &mut Fit) -> Option<usize> {
    match then {
        Then::String => plain_len(&text[at..]).or_else(|| string(text, at, piece, fit)),
        Then::Number => number(text, at),
        Then::End => Some(0),
    }
}

/// The length of the inside of a string that begins before `at` and has more in it than plain ASCII.
#[cold]
fn string(text: &[u8], at: usize, piece: usize, fit: &mut Fit) -> Option<usize> {
    let scanner = Scanner::new(text, &Limits::default());
    let read = scanner.again(at.checked_sub(1)?).string().ok()?;
    scanner.check(read).ok()?;
    fit.other.push(piece);
    Some(read.raw.len())
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
#[derive(Default)]
struct Outlining {
    /// Where the piece at hand begins.
    from: usize,
    fixed: Vec<u8>,
    pieces: Vec<Piece>,
    starts: Vec<usize>,
    /// The pieces before strings with more in them than plain ASCII.
    other: Vec<usize>,
}

impl Outlining {
    /// Ends a piece.
    fn piece(&mut self, text: &[u8], to: usize, then: Then) -> Option<()> {
        let from = self.fixed.len();
        self.fixed.extend_from_slice(&text[self.from..to]);
        self.starts.push(self.from);
        self.pieces.push(Piece { from, end: self.fixed.len(), then });
        (self.fixed.len() <= Outline::MAX_FIXED && self.pieces.len() <= Outline::MAX_VALUES).then_some(())
    }

    /// Goes through the value that comes next, without recursion: how deep it is, its sender chooses.
    fn value(&mut self, text: &[u8], scanner: &mut Scanner<'_>) -> Option<()> {
        let mut objects = Vec::new();
        loop {
            let mut first = false;
            match scanner.peek().ok()? {
                kind @ (Kind::Object | Kind::Array) => {
                    scanner.enter().ok()?;
                    objects.push(kind == Kind::Object);
                    first = true;
                }
                kind => self.leaf(text, scanner, kind)?,
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

    fn leaf(&mut self, text: &[u8], scanner: &mut Scanner<'_>, kind: Kind) -> Option<()> {
        let at = scanner.position();
        match kind {
            Kind::String => {
                let string = scanner.string().ok()?;
                scanner.check(string).ok()?;
                if !string.plain {
                    self.other.push(self.pieces.len());
                }
                self.piece(text, string.at, Then::String)?;
                self.from = string.at + string.raw.len();
            }
            Kind::Number => {
                let number = scanner.number().ok()?;
                self.piece(text, at, Then::Number)?;
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

    /// Where the pieces begin, and which are before strings that are not plain.
    type Found = (Vec<usize>, Vec<usize>);

    fn found(fit: &Fit) -> Found {
        (fit.starts().to_vec(), fit.other.clone())
    }

    fn fits(outline: &mut Outline, text: &[u8]) -> Option<Found> {
        let mut fit = Fit::default();
        fit.other.push(7);
        outline.fits(text, &mut fit).then(|| found(&fit))
    }

    /// What must be found in a text: everything where it is found by going through it, if it turns out to be made alike.
    fn expected(outline: &Outline, text: &[u8]) -> Option<Found> {
        let mut outlining = Outlining::default();
        let mut scanner = Scanner::new(text, &Limits::default());
        outlining.value(text, &mut scanner)?;
        outlining.piece(text, scanner.rest().1, Then::End)?;
        let Outlining { fixed, pieces, starts, other, .. } = outlining;
        (*fixed == *outline.fixed && *pieces == *outline.pieces).then_some((starts, other))
    }

    #[test]
    fn values_may_change_and_nothing_else() {
        let mut outline = outline(r#"{"a": "x", "b":[1, -2.5e3], "c":{"d":null}, "e":"" } behind"#);
        for text in [
            r#"{"a": "x", "b":[1, -2.5e3], "c":{"d":null}, "e":"" }"#,
            r#"{"a": "", "b":[0, 7], "c":{"d":null}, "e":"long enough to be more than a word" }"#,
            r#"{"a": "é\n\"\ud83c\udf89", "b":[12345678901234567890123, 0.1], "c":{"d":null}, "e":"," }]"#,
        ] {
            assert!(fits(&mut outline, text.as_bytes()).is_some(), "{text}");
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
            assert_eq!(fits(&mut outline, text.as_bytes()), None, "{text}");
        }
        assert_eq!(fits(&mut outline, b"{\"a\": \"\xff\", \"b\":[1, -2.5e3], \"c\":{\"d\":null}, \"e\":\"\" }"), None);
    }

    #[test]
    fn values_are_steady_until_they_change() {
        let long = "l".repeat(65);
        let text = |a: &str, b: u32, c: &str| format!(r#"{{"a":"{a}","b":{b},"é":"{long}","c":"{c}","d":[1,"x"]}} 0"#);
        let mut outline = outline(&text("x", 1, "é").replace('é', "e"));
        // What is long changes from the beginning.
        let e = r#"","c":"e","d":[1,"x"]}"#;
        assert_eq!(outline.steady.stretches(), [r#"{"a":"x","b":1,"e":""#, e]);
        let mut other = text("x", 1, "e").replace('é', "e");
        assert!(fits(&mut outline, other.as_bytes()).is_some());
        assert_eq!(outline.steady.stretches().len(), 2);
        // What does not fit teaches nothing.
        other = other.replace(":1", ":2").replace("\"x\"]", "null]");
        assert_eq!(fits(&mut outline, other.as_bytes()), None);
        assert_eq!(outline.steady.stretches().len(), 2);
        other = other.replace("null]", "\"x\"]");
        assert!(fits(&mut outline, other.as_bytes()).is_some());
        assert_eq!(outline.steady.stretches(), [r#"{"a":"x","b":"#, r#","e":""#, e]);
        // Once is enough, even if it is what it was.
        other = other.replace(":2", ":1").replace("\"e\",\"d", "\"\\u0065\",\"d");
        assert!(fits(&mut outline, other.as_bytes()).is_some());
        let learnt = [r#"{"a":"x","b":"#, r#","e":""#, r#"","c":""#, r#"","d":[1,"x"]}"#];
        assert_eq!(outline.steady.stretches(), learnt);
        other = other.replace("\\u0065", "e");
        assert!(fits(&mut outline, other.as_bytes()).is_some());
        assert_eq!(outline.steady.stretches(), learnt);
    }

    #[test]
    fn values_are_not_shown() {
        let shown = |value: &str| format!("{:?}", outline(&format!(r#"{{"name":"{value}"}}"#)));
        assert_eq!(shown("Alice"), shown("Carol"));
    }

    #[test]
    fn what_is_not_plain_is_never_steady() {
        let mut outline = outline(r#"{"a":"é","b":"\n","c":"x"}"#);
        assert_eq!(outline.steady.stretches(), [r#"{"a":""#, r#"","b":""#, r#"","c":"x"}"#]);
        let found = fits(&mut outline, r#"{"a":"e","b":"\n","c":"x"}"#.as_bytes());
        assert_eq!(found.map(|(_, other)| other), Some(vec![1]));
    }

    #[test]
    fn a_number_without_an_end_is_not_the_same_as_a_longer_one() {
        let mut outline = outline("12");
        assert_eq!(fits(&mut outline, b"12"), Some((vec![0, 2], vec![])));
        assert_eq!(fits(&mut outline, b"123"), Some((vec![0, 3], vec![])));
    }

    #[test]
    fn what_outlines_have_in_common_is_compared_once() {
        let [mut one, mut another] = [r#"{"a":"x","b":12,"c":[]}"#, r#"{"a":"y","b":3,"d":"z"}"#].map(outline);
        assert_eq!([one.common(&another), another.common(&one), one.common(&one)], [2, 2, 3]);
        let mut fit = Fit::default();
        let text = br#"{"a":"long\n","b":345,"d":""}"#;
        assert!(!one.fits(text, &mut fit));
        assert_eq!(found(&fit), (vec![0, 12, 21], vec![0]));
        assert!(another.fits_too(2, text, &mut fit));
        assert_eq!(Some(found(&fit)), expected(&another, text));
        assert_eq!(Some(found(&fit)), fits(&mut another, text));
        // What did not fit is not in common, even if it would fit somewhere else.
        let text = br#"","b":345,"d":""}"#;
        assert!(!one.fits(text, &mut fit));
        assert!(!another.fits_too(2, text, &mut fit));
        let other_name = outline(r#"{"a":"x","c":12,"c":[]}"#);
        assert_eq!([one.common(&other_name), other_name.common(&one)], [1, 1]);
    }

    #[test]
    fn spots_are_found_again() {
        let (text, other) = (r#" {"a":"x","b":12,"c":[true,{}]}"#, r#" {"a":"xyz","b":345,"c":[true,{}]}"#);
        let mut outline = outline(text);
        let mut fit = Fit::default();
        assert!(outline.fits(other.as_bytes(), &mut fit));
        for (at, there) in [(0, " {"), (1, "{"), (6, "\"xyz"), (14, "345"), (16, ",\"c\""), (21, "[true"), (27, "{}]")]
        {
            let found = fit.offset(outline.spot(at));
            assert!(other[found..].starts_with(there), "{at}: {}", &other[found..]);
        }
    }

    #[test]
    fn plain_strings_are_those_that_stand_as_they_are() {
        let text = r#" {"a":"x","b":12,"c":[true,"",""]}"#;
        let mut outline = outline(text);
        let mut fit = Fit::default();
        for (text, [first, second, third]) in [
            (text, [Some("x"), Some(""), Some("")]),
            (r#" {"a":"","b":1,"c":[true,"some","more"]}"#, [Some(""), Some("some"), Some("more")]),
            (r#" {"a":"\n","b":1,"c":[true,"some","é"]}"#, [None, Some("some"), None]),
            (r#" {"a":"x","b":1,"c":[true,"é","x"]}"#, [Some("x"), None, Some("x")]),
        ] {
            assert!(outline.fits(text.as_bytes(), &mut fit));
            for (at, expected) in [(6, first), (27, second), (30, third)] {
                let plain = fit.plain(outline.spot(at)).map(|plain| &text[plain.range()]);
                assert_eq!(plain, expected, "{at} of {text}");
            }
            // A key, a quote behind a string, a number and before it, brackets, and where a string begins behind its quote.
            for at in [2, 8, 13, 14, 16, 21, 28] {
                assert_eq!(fit.plain(outline.spot(at)), None, "{at} of {text}");
            }
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
    const OTHERS: &[u8] = b"\"\\,:[]{}0123456789.-e xn\n\x01";

    /// Some changes of a text: a byte becomes another one, is left out, or gets one before it.
    fn changed(text: &str, changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
        let mut changed = text.as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at.index(changed.len());
            let byte = if *byte < 0x80 { OTHERS[usize::from(*byte) % OTHERS.len()] } else { *byte };
            match how % 4 {
                0 | 1 => changed[at] = byte,
                2 => changed.insert(at, byte),
                _ if changed.len() > 1 => drop(changed.remove(at)),
                _ => {}
            }
        }
        changed
    }

    fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 0..4)
    }

    /// The values of a text, some of which are often the same.
    fn values() -> impl Strategy<Value = [String; 5]> {
        let number = || prop_oneof![Just("7".to_owned()), Just("12".to_owned()), "-?(0|[1-9][0-9]{0,18})(\\.5)?(e1)?"];
        let text = || {
            prop_oneof![
                4 => prop::sample::select(vec!["", "x", "cn-hangzhou", "2026-11-21T10:00:00.000Z", "é"]).prop_map(str::to_owned),
                3 => "[a-c\\]]{15,70}",
                1 => r#"([a-dé日]|\\n|\\"|\\\\){0,40}"#,
            ]
        };
        (text(), number(), text(), number(), text()).prop_map(|(a, b, c, d, e)| [a, b, c, d, e])
    }

    /// One of some makings, of which most have much in common.
    fn made(making: usize, [a, b, c, d, e]: &[String; 5]) -> String {
        let event = "a name that is longer than two words of sixteen bytes";
        match making % 5 {
            0 => format!(r#"{{"a":"{a}","b":{b},"c":{{"{event}":"{c}","d":[{d},null]}},"e":"{e}"}}"#),
            1 => format!(r#"{{"a":"{a}","b":{b},"c":{{"{event}":"{c}","d":[{d},true]}},"e":"{e}"}} "#),
            2 => format!(r#"{{"a":"{a}","b":{b},"c":{{"{event}":"{c}"}},"d":{d},"e":"{e}","f":"{a}"}}\n"#),
            3 => format!(r#"{{"a":"{a}","b":"{b}", "c":"{c}"}}{e}"#),
            _ => format!(r#"[{b},{d},"{event}","{a}"]"#),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn only_good_json_fits(
            text in r#"\{("[a-c]":("[a-dé\\]{0,20}"|-?[0-9]{1,3}(\.[0-9]{1,20})?|null|\[1,"x"\]),?){1,4}\}[ }]{0,9}"#,
            changes in changes(),
        ) {
            let Some(mut outline) = Outline::of(text.as_bytes(), &Limits::default()) else { return Ok(()) };
            prop_assert!(fits(&mut outline, text.as_bytes()).is_some());
            let changed = changed(&text, &changes);
            let expected = expected(&outline, &changed);
            // The second time it has been learnt.
            prop_assert_eq!(fits(&mut outline, &changed), expected.clone());
            prop_assert_eq!(fits(&mut outline, &changed), expected);
        }

        /// Whatever texts an outline has met, and whichever outline was tried before it.
        #[test]
        fn what_was_met_before_makes_no_difference(
            first in (0..5usize, values()),
            second in (0..5usize, values()),
            met in prop::collection::vec((0..5usize, values(), changes()), 1..8),
        ) {
            let [mut one, mut another] =
                [first, second].map(|(making, values)| outline(&made(making, &values)));
            let common = one.common(&another);
            let mut fit = Fit::default();
            for (making, values, changes) in met {
                let text = changed(&made(making, &values), &changes);
                let shown = text.escape_ascii();
                fit.clear();
                for outline in [&mut one, &mut another] {
                    let expected = expected(outline, &text);
                    let fits = outline.fits_too(common, &text, &mut fit);
                    prop_assert_eq!(fits.then(|| found(&fit)), expected, "{}", shown);
                    if fits {
                        break;
                    }
                }
            }
        }
    }
}
