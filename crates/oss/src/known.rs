//! Notifications of a making that is known: where everything is, without looking for it.
//!
//! A service writes its events by program, so that nearly all of a queue have the same few outlines. What was found in the first
//! of each is kept with its outline, and is where it was in every other one. Nothing is decided here that `locate` and `decoder`
//! had not decided; a body without a known outline is theirs.

use headwater_formats::Limits;
use headwater_formats::json::{Fit, Outline, Plain, Spot};

use crate::locate::Place;

/// How many outlines are kept. 4: an upload, one with a callback's variables, a removal, and one to spare; what each has that
/// others have not is compared with a body of none of them. One takes some 5 KiB, and 180 at most.
const OUTLINES: usize = 4;

/// After so many bodies in a row without a known outline, the outlines have a rest for [`REST`] bodies: comparing in vain is a
/// twentieth more work then, at most.
const IN_VAIN: u32 = 16;
const REST: u32 = 240;

/// The most bodies without a known outline that are let pass before one is learnt: learning costs as much as going through the
/// body. It doubles from one with each that is learnt, and is nothing again when what was learnt is met again.
const MAX_WAIT: u32 = 1 << 10;

/// The outlines that were met last.
#[derive(Debug)]
pub(crate) struct Known {
    layouts: Vec<Layout>,
    /// Their positions in `layouts`, the one that fitted last first.
    order: Vec<usize>,
    /// Where everything is in the body at hand.
    fit: Fit,
    /// Bodies in a row that none of them fitted, or that are still to be passed over.
    in_vain: u32,
    rest: u32,
    /// How many bodies to let pass before the next outline is learnt, and after that.
    wait: u32,
    next_wait: u32,
}

/// An outline and where in it the columns are.
#[derive(Debug)]
struct Layout {
    outline: Outline,
    places: Vec<Spotted>,
    /// How much it has in common with each of the others.
    common: [usize; OUTLINES],
    /// Whether it was never met again.
    fresh: bool,
}

/// A [`Place`] in every text of an outline.
#[derive(Debug, Clone, Copy)]
enum Spotted {
    Missing,
    Null(Spot),
    Value(Spot),
    NoObject(Spot),
}

/// The place of a column in a body of a known outline.
#[derive(Debug)]
pub(crate) struct Site<'k> {
    place: Spotted,
    fit: &'k Fit,
}

impl Default for Known {
    fn default() -> Self {
        let (layouts, order, fit) = (Vec::new(), Vec::new(), Fit::default());
        Self { layouts, order, fit, in_vain: 0, rest: 0, wait: 0, next_wait: 1 }
    }
}

impl Known {
    /// The places of the columns in a body of a known outline.
    pub(crate) fn places(&mut self, text: &[u8]) -> Option<impl Iterator<Item = Site<'_>>> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let Some(fitting) = self.fitting(text) else {
            self.in_vain += 1;
            if self.in_vain == IN_VAIN {
                (self.in_vain, self.rest) = (0, REST);
            }
            return None;
        };
        self.order[..=fitting].rotate_right(1);
        self.in_vain = 0;
        let layout = &mut self.layouts[self.order[0]];
        if std::mem::take(&mut layout.fresh) {
            (self.wait, self.next_wait) = (0, 1);
        }
        Some(layout.places.iter().map(|place| Site { place: *place, fit: &self.fit }))
    }

    /// Which of the outlines in their order fits a body.
    fn fitting(&mut self, text: &[u8]) -> Option<usize> {
        let mut before = None;
        self.fit.clear();
        self.order.iter().position(|at| {
            let Layout { outline, common, .. } = &mut self.layouts[*at];
            let common = before.replace(*at).map_or(0, |before: usize| common[before]);
            outline.fits_too(common, text, &mut self.fit)
        })
    }

    /// Learns the outline of a body in which the columns are at these places.
    pub(crate) fn learn(&mut self, text: &[u8], limits: &Limits, places: &[Place]) {
        if self.wait > 0 {
            self.wait -= 1;
            return;
        }
        self.wait = self.next_wait;
        self.next_wait = (self.next_wait * 2).min(MAX_WAIT);
        let Some(outline) = Outline::of(text, limits) else { return };
        let places = places.iter().map(|place| Spotted::of(*place, &outline)).collect();
        let at = if self.layouts.len() < OUTLINES { self.layouts.len() } else { self.order.pop().unwrap_or_default() };
        let mut common = [0; OUTLINES];
        for (other, layout) in self.layouts.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            common[other] = outline.common(&layout.outline);
            layout.common[at] = common[other];
        }
        let layout = Layout { outline, places, common, fresh: true };
        match self.layouts.get_mut(at) {
            Some(place) => *place = layout,
            None => self.layouts.push(layout),
        }
        self.order.push(at);
    }
}

impl Spotted {
    fn of(place: Place, outline: &Outline) -> Self {
        match place {
            Place::Missing => Self::Missing,
            Place::Null(at) => Self::Null(outline.spot(at)),
            Place::Value(at) => Self::Value(outline.spot(at)),
            Place::NoObject(at) => Self::NoObject(outline.spot(at)),
        }
    }
}

impl Site<'_> {
    /// It, if it is a string without escapes that need not be looked at again.
    #[inline]
    pub(crate) fn plain(&self) -> Option<Plain> {
        let Spotted::Value(spot) = self.place else { return None };
        self.fit.plain(spot)
    }

    /// It in the body.
    #[inline]
    pub(crate) fn place(&self) -> Place {
        match self.place {
            Spotted::Missing => Place::Missing,
            Spotted::Null(spot) => Place::Null(self.fit.offset(spot)),
            Spotted::Value(spot) => Place::Value(self.fit.offset(spot)),
            Spotted::NoObject(spot) => Place::NoObject(self.fit.offset(spot)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body with one value, and where that is.
    fn body(key: &str, value: usize) -> (String, Place) {
        let head = format!("{{\"{key}\":");
        let place = Place::Value(head.len());
        (format!("{head}{value}}}"), place)
    }

    /// Whether the body was known; if not, it is offered to be learnt.
    fn meet(known: &mut Known, key: &str, value: usize) -> bool {
        let (text, place) = body(key, value);
        let found: Option<Vec<Place>> =
            known.places(text.as_bytes()).map(|sites| sites.map(|site| site.place()).collect());
        match found {
            Some(places) => assert_eq!(places, [place, Place::Missing], "{text}"),
            None => {
                known.learn(text.as_bytes(), &Limits::default(), &[place, Place::Missing]);
                return false;
            }
        }
        true
    }

    #[test]
    fn what_was_met_before_is_known() {
        let mut known = Known::default();
        let met: Vec<bool> = (0..5).map(|value| meet(&mut known, "a", value * 1_000)).collect();
        assert_eq!(met, [false, true, true, true, true]);
        // As many as there is room for, in turns.
        for key in ["b", "c", "d"] {
            while !meet(&mut known, key, 1) {}
        }
        assert!(["a", "b", "c", "d", "a", "d"].iter().all(|key| meet(&mut known, key, 2)));
        // One more takes the place of the one that was not met for longest.
        while !meet(&mut known, "e", 1) {}
        assert_eq!(known.layouts.len(), OUTLINES);
        assert!(["e", "d", "a", "c"].iter().all(|key| meet(&mut known, key, 3)));
        assert!(!meet(&mut known, "b", 3));
    }

    #[test]
    fn a_mixture_of_two_outlines_is_none_of_them() {
        let mut known = Known::default();
        let [one, another] = [r#"{"a":"x","b":1,"z":null}"#, r#"{"a":"x","c":1,"z":true}"#].map(str::as_bytes);
        for text in [one, another] {
            while known.places(text).is_none() {
                known.learn(text, &Limits::default(), &[Place::Value(5)]);
            }
        }
        for text in [r#"{"a":"x","b":1,"z":true}"#, r#"{"a":"x","c":1,"z":null}"#].map(str::as_bytes) {
            for last in [one, another] {
                assert!(known.places(last).is_some());
                assert!(known.places(text).is_none(), "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn bodies_that_never_come_twice_cost_ever_less() {
        let mut known = Known::default();
        let (mut compared, mut learnt) = (0, 0);
        for i in 0..10_000 {
            compared += u32::from(known.rest == 0);
            let wait = known.wait;
            assert!(!meet(&mut known, &format!("key{i}"), 1));
            learnt += u32::from(wait == 0);
        }
        assert_eq!((compared, learnt), (640, 19));
        // And one that does come twice is found all the same.
        assert!((0..3_000).any(|_| meet(&mut known, "key", 1)));
    }
}
