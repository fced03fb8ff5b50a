//! Large buffers of batches, used again.
//!
//! A megabyte that is allocated for every batch is a megabyte of fresh pages for every batch: the kernel clears and maps them,
//! and no cache knows them. So a large buffer that was handed out is remembered, and once nobody holds the batch any more the
//! next one is written to it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::builder::StringBuilder;
use arrow_array::{Array as _, StringArray};
use arrow_buffer::Buffer;

/// Smaller buffers are left to the allocator: 256 KiB, of which a batch of the usual megabyte has four at most. Many small ones of
/// all sizes would be kept for nothing: an allocator makes one of several.
const LARGE: usize = 256 << 10;

/// Bytes remembered at most, of texts and of other bytes each: seven batches of the usual megabyte. With two threads four may wait for
/// the consumer, one is with it, and two are free.
const MOST: usize = 8 << 20;

/// Large buffers of batches that were handed out, for the batches to come. Those of a format's decoders share one: what one has
/// handed out, another writes to.
///
/// A buffer is used again when all arrays that share it are gone, and not before. At most 8 MiB of long texts (of 256 bytes and
/// more on average) and as much of all other bytes, short texts among them, are remembered, whatever consumers keep, and stay so
/// when nothing comes any more. While one is remembered its consumer is not the only one who holds it: what works in place, as
/// `shrink_to_fit` and `into_builder` do, leaves it as it is.
#[derive(Clone, Default)]
pub struct BufferPool(Arc<Pools>);

#[derive(Default)]
struct Pools {
    texts: Pool<StringArray>,
    bytes: Pool<Buffer>,
}

impl BufferPool {
    /// An empty builder with room for so many bytes, and in general for as many values.
    pub(super) fn texts(&self, values: usize, bytes: usize) -> StringBuilder {
        self.0.texts.take(bytes).unwrap_or_else(|| StringBuilder::with_capacity(values, bytes))
    }

    /// Remembers the buffers of an array that is handed out, which has room for so many bytes.
    pub(super) fn remember_texts(&self, array: &StringArray, room: usize) {
        // All that it holds counts: many empty texts are nothing but offsets.
        let nulls = array.nulls().map_or(0, |nulls| nulls.buffer().capacity());
        let holds = room + array.offsets().inner().inner().capacity() + nulls;
        // Without values, and so without a look at them when it is made a builder again.
        self.0.texts.remember(room, holds, || array.slice(0, 0));
    }

    /// No bytes yet, but room for so many.
    pub(super) fn bytes(&self, bytes: usize) -> Vec<u8> {
        self.0.bytes.take(bytes).unwrap_or_else(|| Vec::with_capacity(bytes))
    }

    /// Remembers a buffer that is handed out.
    pub(super) fn remember_bytes(&self, buffer: &Buffer) {
        self.0.bytes.remember(buffer.capacity(), buffer.capacity(), || buffer.clone());
    }
}

impl fmt::Debug for BufferPool {
    /// How many bytes are remembered, and none of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (texts, bytes) = (self.0.texts.lock().bytes, self.0.bytes.lock().bytes);
        f.debug_struct("BufferPool").field("texts", &texts).field("bytes", &bytes).finish()
    }
}

/// What was handed out and may be written to again.
struct Pool<T>(Mutex<Remembered<T>>);

struct Remembered<T> {
    /// The newest last.
    buffers: VecDeque<Kept<T>>,
    /// What they all hold.
    bytes: usize,
}

struct Kept<T> {
    /// Room for the bytes of values.
    room: usize,
    /// Bytes of memory.
    holds: usize,
    what: T,
}

/// What is handed out, and can be had back by the last who holds it.
trait Shared: Sized {
    type Room;

    /// Whether nobody else holds it, as far as a glance tells. Nobody can begin to who has not got it.
    fn is_alone(&self) -> bool;

    /// Empty, and with all its room. `None`, and gone, if somebody else holds a part of it.
    fn reclaim(self) -> Option<Self::Room>;
}

impl Shared for StringArray {
    type Room = StringBuilder;

    fn is_alone(&self) -> bool {
        self.values().strong_count() == 1 && self.offsets().inner().inner().strong_count() == 1
    }

    fn reclaim(self) -> Option<StringBuilder> {
        self.into_builder().ok()
    }
}

impl Shared for Buffer {
    type Room = Vec<u8>;

    fn is_alone(&self) -> bool {
        self.strong_count() == 1
    }

    fn reclaim(self) -> Option<Vec<u8>> {
        let mut bytes = self.into_vec().ok()?;
        bytes.clear();
        Some(bytes)
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Remembered { buffers: VecDeque::new(), bytes: 0 }))
    }
}

impl<T> Pool<T> {
    fn remember(&self, room: usize, holds: usize, what: impl FnOnce() -> T) {
        if room < LARGE || holds > MOST {
            return;
        }
        let mut remembered = self.lock();
        while remembered.bytes + holds > MOST
            && let Some(oldest) = remembered.buffers.pop_front()
        {
            remembered.bytes -= oldest.holds;
        }
        remembered.bytes += holds;
        remembered.buffers.push_back(Kept { room, holds, what: what() });
    }

    fn lock(&self) -> MutexGuard<'_, Remembered<T>> {
        // Nothing in here panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Shared> Pool<T> {
    /// The one with the least room, but so much and at most twice that, of those that nobody else holds; of equal ones the
    /// newest, which caches know best.
    fn take(&self, wanted: usize) -> Option<T::Room> {
        if wanted < LARGE {
            return None;
        }
        let mut remembered = self.lock();
        let newest_first = remembered.buffers.iter().enumerate().rev();
        let fits = |kept: &Kept<T>| (wanted..=2 * wanted).contains(&kept.room) && kept.what.is_alone();
        let (at, _) = newest_first.filter(|(_, kept)| fits(kept)).min_by_key(|(_, kept)| kept.room)?;
        let kept = remembered.buffers.remove(at)?;
        remembered.bytes -= kept.holds;
        drop(remembered);
        // `None` where somebody holds nothing but its NULLs: rather a new one than a search for the next best.
        kept.what.reclaim()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::ArrayRef;
    use arrow_array::cast::AsArray;
    use proptest::prelude::*;

    use super::*;
    use crate::column::Column;

    impl BufferPool {
        /// Bytes of texts and of other bytes, and how many buffers of each.
        fn remembered(&self) -> [(usize, usize); 2] {
            let (texts, bytes) = (self.0.texts.lock(), self.0.bytes.lock());
            [(texts.bytes, texts.buffers.len()), (bytes.bytes, bytes.buffers.len())]
        }
    }

    fn place(room: impl AsRef<[u8]>) -> usize {
        room.as_ref().as_ptr() as usize
    }

    /// After a batch of long texts the next is built for such, whatever comes: here nothing but offsets.
    #[test]
    fn all_that_an_array_holds_counts() {
        let kind: crate::DataType = "STRING".parse().expect("a type");
        let pool = BufferPool::default();
        let mut column = Column::new(&kind.logical, &pool);
        let mut held = Vec::new();
        for batch in 0..40 {
            for _ in 0..if batch % 2 == 0 { 2 } else { 200_000 } {
                let crate::column::Data::Text(texts) = &mut column.data else { panic!("not a text column") };
                texts.push(if batch % 2 == 0 { &[b'x'; 160_000] } else { b"" });
                column.valid();
            }
            held.push(column.finish());
        }
        let arrays = |pool: &BufferPool| -> usize {
            let memory = |kept: &Kept<StringArray>| {
                kept.what.values().capacity() + kept.what.offsets().inner().inner().capacity()
            };
            pool.0.texts.lock().buffers.iter().map(memory).sum()
        };
        assert!(pool.remembered()[0].0 > MOST / 2, "{pool:?}");
        assert!(arrays(&pool) <= MOST, "{} bytes", arrays(&pool));
    }

    /// Hands out a buffer with that room, and says where it lies.
    fn hand_out(pool: &BufferPool, room: usize) -> (usize, Buffer) {
        let mut bytes = pool.bytes(room);
        bytes.push(1);
        let buffer = Buffer::from_vec(bytes);
        pool.remember_bytes(&buffer);
        (buffer.as_ptr() as usize, buffer)
    }

    #[test]
    fn a_buffer_is_used_again_once_nobody_holds_a_part_of_it() {
        let pool = BufferPool::default();
        let (first, buffer) = hand_out(&pool, LARGE);
        let part = buffer.slice(1);
        drop(buffer);
        let (second, other) = hand_out(&pool, LARGE);
        assert_ne!(first, second, "a part of the first is held");
        drop((part, other));
        let (third, _held) = hand_out(&pool, LARGE);
        assert_eq!((third, hand_out(&pool, LARGE).0), (second, first), "the newest first");
        assert_eq!(pool.remembered()[1], (2 * LARGE, 2));
        assert!(pool.bytes(LARGE).is_empty());
    }

    #[test]
    fn of_those_that_fit_the_smallest_is_taken_and_none_of_more_than_twice_the_size() {
        let pool = BufferPool::default();
        let held = [3, 2, 4, 2].map(|sizes| hand_out(&pool, sizes * LARGE));
        let places = held.each_ref().map(|(place, _)| *place);
        drop(held);
        let taken = [2, 2, 2].map(|sizes| pool.bytes(sizes * LARGE));
        assert_eq!(taken.each_ref().map(place), [places[3], places[1], places[0]]);
        assert_eq!(pool.remembered()[1], (4 * LARGE, 1));
        for wanted in [LARGE, 2 * LARGE - 1, 4 * LARGE + 1] {
            assert_ne!(place(pool.bytes(wanted)), places[2], "{wanted}");
        }
        assert_eq!(place(pool.bytes(4 * LARGE)), places[2]);
    }

    #[test]
    fn no_more_is_remembered_than_the_limit() {
        let pool = BufferPool::default();
        for size in [1, LARGE - 1, MOST + 1] {
            hand_out(&pool, size);
        }
        assert_eq!(pool.remembered()[1], (0, 0), "small ones are left to the allocator, and huge ones let go");
        let size = MOST / 4 - 1;
        let held: Vec<_> = (0..9).map(|_| hand_out(&pool, size)).collect();
        assert_eq!(pool.remembered()[1], (4 * size, 4));
        let newest: Vec<usize> = held[5..].iter().rev().map(|(place, _)| *place).collect();
        drop(held);
        let taken: Vec<_> = (0..4).map(|_| pool.bytes(size)).collect();
        assert_eq!(taken.iter().map(place).collect::<Vec<_>>(), newest);
        hand_out(&pool, MOST);
        assert_eq!(pool.remembered()[1], (MOST, 1));
    }

    #[test]
    fn what_is_shown_is_how_much_and_not_what() {
        let pool = BufferPool::default();
        hand_out(&pool, LARGE);
        assert_eq!(format!("{pool:?}"), "BufferPool { texts: 0, bytes: 262144 }");
    }

    /// Two columns of one kind with a pool in common, as two decoders have them; what each hands out, and who keeps it for how long.
    fn batches(kind: &str, steps: &[(bool, usize, usize, usize)]) -> Result<(), TestCaseError> {
        let kind: crate::DataType = kind.parse().expect("a type");
        let pool = BufferPool::default();
        let mut columns = [Column::new(&kind.logical, &pool), Column::new(&kind.logical, &pool)];
        let mut kept: Vec<(ArrayRef, Vec<Option<Vec<u8>>>)> = Vec::new();
        for (number, &(first, values, length, keeps)) in steps.iter().enumerate() {
            let column = &mut columns[usize::from(first)];
            let mut expected = Vec::new();
            for at in 0..values {
                let value = vec![b'a' + ((number + at) % 26) as u8; length];
                match &mut column.data {
                    _ if at % 7 == 6 => column.append_null(),
                    crate::column::Data::Text(texts) => texts.push(&value),
                    crate::column::Data::Bytes(bytes) => bytes.push(&value),
                    other => unreachable!("{other:?}"),
                }
                if at % 7 != 6 {
                    column.valid();
                }
                expected.push((at % 7 != 6).then_some(value));
            }
            kept.push((column.finish(), expected));
            // Some of the oldest are let go, or one in the middle.
            match keeps {
                0 => drop(kept.remove(0)),
                1 => drop(kept.swap_remove(kept.len() / 2)),
                _ => {}
            }
            for (array, expected) in &kept {
                let seen: Vec<Option<&[u8]>> = match array.as_string_opt::<i32>() {
                    Some(texts) => texts.iter().map(|text| text.map(str::as_bytes)).collect(),
                    None => array.as_binary::<i32>().iter().collect(),
                };
                prop_assert!(seen == expected.iter().map(Option::as_deref).collect::<Vec<_>>(), "after {}", number);
            }
        }
        let [texts, bytes] = pool.remembered();
        prop_assert!(texts.0 <= MOST && bytes.0 <= MOST);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// With texts that are short, long, and of both kinds in turn.
        #[test]
        fn what_was_handed_out_stays_as_it_is(
            binary in any::<bool>(),
            steps in prop::collection::vec(
                (any::<bool>(), 0..40_usize, prop_oneof![Just(0_usize), 1..40_usize, 3_000..60_000_usize], 0..3_usize),
                1..24,
            ),
        ) {
            batches(if binary { "BYTES" } else { "STRING" }, &steps)?;
        }
    }

    /// What two decoders have handed out is remembered by their factory, of which one writes to it.
    #[test]
    fn decoders_of_one_table_share_their_buffers() {
        let columns: crate::RowType = "t STRING".parse().expect("a row type");
        let text = "x".repeat(400_000);
        for (format, body) in
            [(crate::Format::json(), format!("{{\"t\": \"{text}\"}}")), (crate::Format::raw(), text.clone())]
        {
            let factory = format.factory(&columns).expect("a decoder");
            let mut decoders = [factory.decoder(), factory.decoder()];
            let mut batch_of = |decoder: usize| {
                decoders[decoder].decode(body.as_bytes(), crate::OnBadRow::Fail).expect("a row");
                decoders[decoder].flush().column(0).as_string::<i32>().values().clone()
            };
            // Each begins with a column of short texts.
            let first = [batch_of(0), batch_of(1)];
            let second = [batch_of(0), batch_of(1)];
            let shown = format!("{factory:?}");
            let room: usize =
                shown.split("texts: ").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok()).expect("a pool");
            assert!(room >= 2 * text.len(), "{room} bytes in {shown}");
            assert!(first.iter().chain(&second).all(|values| values.as_slice() == text.as_bytes()));
        }
    }
}
