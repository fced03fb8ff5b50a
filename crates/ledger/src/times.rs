//! Points in time that matter for many ids at once: those of one answer share their lease, so there is a point per answer and not
//! one per message.

use std::collections::{BTreeMap, VecDeque};

use crate::entries::Spot;
use crate::ids::Mono;

/// Points in time, each as often as it was added: the first is all that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times(BTreeMap<Mono, u32>);

impl Times {
    pub(crate) fn add(&mut self, at: Mono, count: u32) {
        if count > 0 {
            *self.0.entry(at).or_default() += count;
        }
    }

    pub(crate) fn remove(&mut self, at: Mono, count: u32) {
        if let Some(left) = self.0.get_mut(&at) {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.0.remove(&at);
            }
        }
    }

    pub(crate) fn first(&self) -> Option<Mono> {
        self.0.first_key_value().map(|(at, _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Mono> for Times {
    fn from_iter<I: IntoIterator<Item = Mono>>(times: I) -> Self {
        let mut out = Self::default();
        times.into_iter().for_each(|at| out.add(at, 1));
        out
    }
}

/// Equal points that follow each other, to be added or removed together.
#[derive(Debug, Default)]
pub(crate) struct Run<T> {
    at: T,
    count: u32,
}

impl<T: Copy + PartialEq> Run<T> {
    /// Counts one more; what came before it, if that is another point.
    #[inline]
    pub(crate) fn next(&mut self, at: T) -> Option<(T, u32)> {
        if at == self.at {
            self.count += 1;
            return None;
        }
        let before = std::mem::replace(self, Self { at, count: 1 });
        before.end()
    }

    /// Counts one more at the point that the last one had.
    #[inline]
    pub(crate) const fn again(&mut self) {
        self.count += 1;
    }

    pub(crate) fn end(self) -> Option<(T, u32)> {
        (self.count > 0).then_some((self.at, self.count))
    }
}

/// Ids that share a point: those that have been taken out are passed over when their turn comes.
#[derive(Clone, Debug, Default)]
struct Bunch {
    live: u32,
    /// In the order of keys, once the first was asked for.
    spots: VecDeque<Spot>,
    sorted: bool,
}

/// When something is to be done for an id. Whether one is still scheduled for a point, its entry says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule(BTreeMap<Mono, Bunch>);

/// Ids of a point that have been taken out, as many as are in it and this many more, are kept until their turn comes: 32, two answers.
const STALE: usize = 32;

impl Schedule {
    pub(crate) fn insert(&mut self, at: Mono, spot: Spot) {
        self.insert_all(at, &[spot]);
    }

    /// Several for one point.
    pub(crate) fn insert_all(&mut self, at: Mono, spots: &[Spot]) {
        let bunch = self.0.entry(at).or_default();
        bunch.live += spots.len() as u32;
        bunch.sorted = false;
        bunch.spots.extend(spots);
    }

    /// Takes out so many, which their entries say already; `waits` says whether one is still scheduled for then.
    pub(crate) fn cancel(&mut self, at: Mono, count: u32, waits: impl Fn(Spot) -> bool) {
        let Some(bunch) = self.0.get_mut(&at) else { return };
        bunch.live = bunch.live.saturating_sub(count);
        if bunch.live == 0 {
            self.0.remove(&at);
        } else if bunch.spots.len() > 2 * bunch.live as usize + STALE {
            bunch.spots.retain(|spot| waits(*spot));
        }
    }

    /// The next that is due at `now`, in the order of points and, of one point, in that of keys. Its entry has to be told.
    pub(crate) fn pop(&mut self, now: Mono, waits: impl Fn(Mono, Spot) -> bool) -> Option<Spot> {
        let mut first = self.0.first_entry().filter(|first| *first.key() <= now)?;
        let at = *first.key();
        let Bunch { spots, sorted, .. } = first.get_mut();
        if !std::mem::replace(sorted, true) {
            spots.make_contiguous().sort_unstable_by_key(|spot| spot.key);
        }
        let spot = std::iter::from_fn(|| spots.pop_front()).find(|spot| waits(at, *spot));
        let bunch = first.get_mut();
        bunch.live = bunch.live.saturating_sub(1);
        if bunch.live == 0 {
            first.remove();
        }
        spot
    }

    pub(crate) fn first(&self) -> Option<Mono> {
        self.0.first_key_value().map(|(at, _)| *at)
    }

    /// Every point, how many are scheduled for it, and who is listed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Mono, u32, &VecDeque<Spot>)> {
        self.0.iter().map(|(at, bunch)| (*at, bunch.live, &bunch.spots))
    }

    /// The bytes it takes, about: nodes of a tree are between half full and full.
    pub(crate) fn memory_bytes(&self) -> usize {
        let lists: usize = self.0.values().map(|bunch| bunch.spots.capacity()).sum();
        lists * size_of::<Spot>() + self.0.len() * size_of::<(Mono, Bunch)>() * 3 / 2
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::entries::Entries;
    use crate::ids::MessageKey;
    use crate::unconfirmed::Unhandled;

    const T: fn(u64) -> Mono = Mono::from_millis;

    #[test]
    fn a_point_stays_as_often_as_it_was_added() {
        let mut times: Times = [T(3), T(5), T(3)].into_iter().collect();
        times.remove(T(3), 1);
        assert_eq!((times.first(), times.len()), (Some(T(3)), 2));
        times.remove(T(3), 1);
        times.remove(T(4), 1);
        assert_eq!(times.first(), Some(T(5)));
        times.remove(T(5), 1);
        assert_eq!((times.first(), times), (None, Times::default()));
    }

    #[test]
    fn a_run_ends_where_the_point_changes() {
        let mut run = Run::default();
        assert_eq!([T(0), T(0), T(2)].map(|at| run.next(at)), [None, None, Some((T(0), 2))]);
        assert_eq!(run.end(), Some((T(2), 1)));
        assert_eq!(Run::<Mono>::default().end(), None);
    }

    #[test]
    fn those_of_one_point_go_in_the_order_of_their_keys_whenever_they_came() {
        let mut entries = Entries::default();
        let mut spot = |n: u64| {
            let id = Unhandled {
                key: MessageKey(n.into()),
                rank: crate::entry::HandleRank::default(),
                enqueued: crate::ServerMs(0),
                checkpoint: crate::CheckpointId(0),
                changed: false,
            };
            Spot { slot: entries.insert(id.key, id.entry()), key: id.key }
        };
        let [one, two, three, four, five] = [1, 2, 3, 4, 5].map(&mut spot);
        let mut schedule = Schedule::default();
        schedule.insert_all(T(1), &[five, two, four]);
        schedule.insert_all(T(2), &[one]);
        assert_eq!(schedule.pop(T(1), |_, _| true), Some(two));
        schedule.insert_all(T(1), &[three, one]);
        let rest: Vec<_> = std::iter::from_fn(|| schedule.pop(T(1), |_, _| true)).collect();
        assert_eq!((rest, schedule.first()), (vec![one, three, four, five], Some(T(2))));
    }

    /// A point at which some id always waits does not collect those that do not.
    #[test]
    fn what_is_taken_out_is_not_kept_for_ever() {
        let mut entries = Entries::default();
        let mut schedule = Schedule::default();
        let mut live = BTreeSet::new();
        let id = |n: u64| Unhandled {
            key: MessageKey(n.into()),
            rank: crate::entry::HandleRank::default(),
            enqueued: crate::ServerMs(0),
            checkpoint: crate::CheckpointId(0),
            changed: false,
        };
        for n in 0..10_000 {
            let spot = Spot { slot: entries.insert(id(n).key, id(n).entry()), key: id(n).key };
            schedule.insert(T(1), spot);
            live.insert(spot.key);
            if live.len() > 3 {
                let gone = live.pop_first().unwrap();
                schedule.cancel(T(1), 1, |spot| live.contains(&spot.key));
                entries.remove(&gone);
            }
            assert!(schedule.iter().all(|(_, count, spots)| count as usize == live.len() && spots.len() <= 40));
        }
        assert_eq!(schedule.pop(T(0), |_, _| true), None);
        let left: Vec<_> = std::iter::from_fn(|| schedule.pop(T(1), |_, spot| live.contains(&spot.key))).collect();
        assert!(left.iter().map(|spot| spot.key).eq(live.iter().copied()));
        assert_eq!(schedule.first(), None);
    }
}
