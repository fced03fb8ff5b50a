//! Large rooms for answers, used again.
//!
//! A megabyte that is allocated for every answer is a megabyte of fresh pages for every answer: the kernel clears and maps
//! them, which costs more than copying the answer does. So a room that was handed out is remembered, and once nobody holds a
//! part of it, the next large answer arrives in it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;

/// Smaller rooms are left to the allocator: 64 KiB, half of what allocators commonly begin to return to the kernel at once.
const LARGE: usize = 64 * 1_024;

/// Larger rooms are not remembered: what an answer of the usual kind needs, grown to by doubling. A hostile one may take 6.5 MB.
const LARGEST: usize = 2 * super::MAX_GUESS;

/// Rooms remembered at most: one for each of the eight polls that hide a round trip. With answers of sixteen bodies of 64 KiB
/// they are 9 MiB, and never more than 18.
const KEPT: usize = 8;

/// The rooms of one client.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<VecDeque<BytesMut>>);

impl Rooms {
    /// An empty room for at least `wanted` bytes: one that nobody holds a part of any more, or a new one.
    pub(super) fn take(&self, wanted: usize) -> BytesMut {
        if wanted >= LARGE {
            let mut rooms = self.lock();
            for _ in 0..rooms.len() {
                let Some(mut room) = rooms.pop_front() else { break };
                if room.try_reclaim(wanted) {
                    return room;
                }
                rooms.push_back(room);
            }
        }
        BytesMut::with_capacity(wanted)
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
        let (first, body) = answer(&rooms, LARGE);
        let part = body.slice(10..20);
        drop(body);
        let (second, other) = answer(&rooms, LARGE);
        assert_ne!(first, second, "a part of the first is held");
        drop((part, other));
        let (third, _held) = answer(&rooms, LARGE);
        let (fourth, _) = answer(&rooms, LARGE);
        assert_eq!((third, fourth), (first, second));
        assert_eq!(rooms.lock().len(), 2);
    }

    #[test]
    fn rooms_that_are_too_small_or_too_large_are_left() {
        let rooms = Rooms::default();
        answer(&rooms, LARGE);
        let (large, _) = answer(&rooms, 3 * LARGE);
        assert_eq!(rooms.lock().len(), 2);
        assert_eq!(answer(&rooms, 2 * LARGE).0, large);
        answer(&rooms, LARGE - 1);
        assert_eq!(rooms.lock().len(), 2, "small ones are not remembered");
        answer(&rooms, LARGEST + 1);
        assert_eq!(rooms.lock().len(), 2, "nor are huge ones");
    }

    #[test]
    fn no_more_are_remembered_than_the_limit() {
        let rooms = Rooms::default();
        let held: Vec<_> = (0..3 * KEPT).map(|_| answer(&rooms, LARGE)).collect();
        assert_eq!(rooms.lock().len(), KEPT);
        let oldest = held[2 * KEPT].0;
        drop(held);
        assert_eq!(answer(&rooms, LARGE).0, oldest);
    }
}
