//! Large rooms for answers, used again.
//!
//! A megabyte that is allocated for every answer is a megabyte of fresh pages for every answer: the kernel clears and maps
//! them, which costs more than copying the answer does. So a room that was handed out is remembered, and once nobody holds a
//! part of it, the next large answer arrives in it. They come in few sizes, so that an answer a little longer than the one before fits.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;

/// Smaller rooms are left to the allocator: 64 KiB, half of what allocators commonly begin to return to the kernel at once.
const LARGE: usize = 64 * 1_024;

/// Larger rooms are not remembered: what an answer of the usual kind needs, grown to by doubling. A hostile one may take 6.5 MB.
const LARGEST: usize = 2 * (super::MAX_GUESS + LARGE);

/// Rooms remembered at most, besides those that polls are reading into: one for each default poll. With answers of sixteen bodies
/// of 64 KiB they are 4.75 MiB, and never more than 9.5. Eight took 6 MiB more, and no less time.
const KEPT: usize = 4;

/// The rooms of one client.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<VecDeque<BytesMut>>);

impl Rooms {
    /// An empty room for at least `wanted` bytes: the newest that nobody holds a part of any more, or a new one.
    pub(super) fn take(&self, wanted: usize) -> BytesMut {
        if wanted >= LARGE {
            let mut rooms = self.lock();
            for at in (0..rooms.len()).rev() {
                if rooms[at].try_reclaim(wanted)
                    && let Some(room) = rooms.remove(at)
                {
                    return room;
                }
            }
        }
        // One byte more has to fit in: something may follow an answer.
        BytesMut::with_capacity(if wanted < LARGE { wanted } else { (wanted + 1).next_multiple_of(LARGE) })
    }

    /// Remembers a room by what is left of it: its parts may be held for long. Of too many the oldest is let go.
    pub(super) fn remember(&self, mut rest: BytesMut, capacity: usize) {
        if !(LARGE..=LARGEST).contains(&capacity) {
            return;
        }
        // Something may have followed the answer, which must not be taken for the beginning of another connection's.
        rest.clear();
        let mut rooms = self.lock();
        if rooms.len() == KEPT {
            rooms.pop_front();
        }
        rooms.push_back(rest);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<BytesMut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the byte that may follow, it fills a room.
    const FULL: usize = 2 * LARGE - 1;

    /// Fills a room, as an answer does, and hands the answer out.
    fn answer(rooms: &Rooms, length: usize) -> (usize, bytes::Bytes) {
        let mut room = rooms.take(length);
        let capacity = room.capacity();
        room.resize(length, b'a');
        let body = room.split().freeze();
        rooms.remember(room, capacity);
        (body.as_ptr() as usize, body)
    }

    #[test]
    fn a_room_is_used_again_once_nobody_holds_a_part_of_it() {
        let rooms = Rooms::default();
        let (first, body) = answer(&rooms, FULL);
        let part = body.slice(10..20);
        drop(body);
        let (second, other) = answer(&rooms, FULL);
        assert_ne!(first, second, "a part of the first is held");
        drop((part, other));
        let (third, _held) = answer(&rooms, FULL);
        let (fourth, _) = answer(&rooms, FULL);
        assert_eq!((third, fourth), (second, first), "the newest first: caches know it best");
        assert_eq!(rooms.lock().len(), 2);
    }

    #[test]
    fn an_answer_a_little_longer_than_the_one_before_fits() {
        let rooms = Rooms::default();
        for (wanted, longer) in [(LARGE, 2 * LARGE - 1), (LARGE + 1, 2 * LARGE - 1), (16 * LARGE - 1, 16 * LARGE - 1)] {
            let room = rooms.take(wanted);
            assert!(room.capacity() > longer, "{} bytes for {wanted}", room.capacity());
        }
        assert_eq!(rooms.take(LARGE - 1).capacity(), LARGE - 1, "small ones are as they are wanted");
    }

    #[test]
    fn rooms_that_are_too_small_or_too_large_are_left() {
        let rooms = Rooms::default();
        answer(&rooms, FULL);
        let (large, _) = answer(&rooms, 4 * LARGE - 1);
        assert_eq!(rooms.lock().len(), 2);
        assert_eq!(answer(&rooms, 3 * LARGE - 1).0, large);
        answer(&rooms, LARGE - 1);
        assert_eq!(rooms.lock().len(), 2, "small ones are not remembered");
        answer(&rooms, LARGEST + 1);
        assert_eq!(rooms.lock().len(), 2, "nor are huge ones");
    }

    #[test]
    fn no_more_are_remembered_than_the_limit() {
        let rooms = Rooms::default();
        let held: Vec<_> = (0..3 * KEPT).map(|_| answer(&rooms, FULL)).collect();
        assert_eq!(rooms.lock().len(), KEPT);
        let newest: Vec<usize> = held[2 * KEPT..].iter().rev().map(|(place, _)| *place).collect();
        drop(held);
        let again: Vec<_> = (0..KEPT).map(|_| answer(&rooms, FULL)).collect();
        assert_eq!(again.iter().map(|(place, _)| *place).collect::<Vec<_>>(), newest);
    }
}
