//! The values of a text column.
//!
//! Arrow checks the bytes of a string array when it is made of buffers: all of them, though the value that each is part of was
//! checked when it came. Its own builder takes nothing but text and has no need to; but a short text costs more there. So columns
//! of long texts are built by it, and all others in buffers of ours. Which of the two a column is shows in its last batch.

use std::convert::Infallible;

use arrow_array::StringArray;
use arrow_array::builder::{ArrayBuilder as _, StringBuilder};
use arrow_buffer::NullBuffer;
use simdutf8::basic::from_utf8;

use super::var_bytes::{MAX_PRESIZE, bytes_after};
use super::{BufferPool, SHORT, VarBytes};

/// From so many bytes a value on average the next batch is built by Arrow. At 256 checking a value costs as much as what its
/// builder does besides.
const LONG: usize = 256;

/// Texts of any length. What is written must be UTF-8, unless it says otherwise.
#[derive(Debug)]
pub(crate) struct Texts {
    /// The values, if there is no `long`.
    short: VarBytes,
    long: Option<StringBuilder>,
    /// The room that was asked for `long`: there may be more.
    room: usize,
    /// A value of `long` in the making.
    value: Vec<u8>,
}

impl Texts {
    pub(super) fn new(pool: &BufferPool) -> Self {
        Self { short: VarBytes::new(pool), long: None, room: 0, value: Vec::new() }
    }

    /// Whether the values are long, so that whether one is UTF-8 is best left to [`Self::push_utf8`].
    #[inline(always)]
    pub(crate) fn are_long(&self) -> bool {
        self.long.is_some()
    }

    /// Appends a whole value.
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        match &mut self.long {
            None => self.short.push(value),
            Some(long) => long.append_value(text(value)),
        }
    }

    /// Appends the value of that length that stands at an offset of a text.
    #[inline(always)]
    pub(crate) fn push_part(&mut self, whole: &[u8], at: usize, len: usize) {
        match &mut self.long {
            None => self.short.push_part(whole, at, len),
            Some(long) => long.append_value(text(&whole[at..at + len])),
        }
    }

    /// Appends the value of that length that a chunk begins with.
    #[inline(always)]
    pub(crate) fn push_short(&mut self, chunk: &[u8; SHORT], len: usize) {
        match &mut self.long {
            None => self.short.push_short(chunk, len),
            Some(_) => self.push(&chunk[..len]),
        }
    }

    /// Appends a whole value if it is UTF-8, and says whether it is.
    #[inline]
    pub(crate) fn push_utf8(&mut self, value: &[u8]) -> bool {
        match &mut self.long {
            None => {
                let good = value.is_ascii() || from_utf8(value).is_ok();
                if good {
                    self.short.push(value);
                }
                good
            }
            Some(long) => from_utf8(value).map(|text| long.append_value(text)).is_ok(),
        }
    }

    /// Appends what is written to the end of some bytes, and says how much that is.
    pub(crate) fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let Ok(len) = self.try_put(|out| {
            write(out);
            Ok::<_, Infallible>(())
        });
        len
    }

    /// [`Self::put`] for what may fail; nothing is appended then.
    pub(crate) fn try_put<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<usize, E> {
        let Some(long) = &mut self.long else {
            let bytes = &mut self.short.bytes;
            let start = bytes.len();
            write(bytes).inspect_err(|_| bytes.truncate(start))?;
            let len = bytes.len() - start;
            self.short.close();
            return Ok(len);
        };
        self.value.clear();
        write(&mut self.value)?;
        long.append_value(text(&self.value));
        Ok(self.value.len())
    }

    pub(super) fn append_null(&mut self) {
        match &mut self.long {
            None => self.short.close(),
            Some(long) => long.append_null(),
        }
    }

    /// The value with this index.
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        match &self.long {
            None => self.short.get(index),
            Some(long) => {
                let offsets = long.offsets_slice();
                // Offsets are never negative.
                &long.values_slice()[offsets[index] as usize..offsets[index + 1] as usize]
            }
        }
    }

    /// Takes back everything from value number `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        let Some(long) = &mut self.long else { return self.short.truncate(len) };
        if len >= long.len() {
            return;
        }
        // An array can be cut without touching it, and is a builder again as long as nobody else has it.
        let whole = long.finish();
        let cut = whole.slice(0, len);
        drop(whole);
        self.long = Some(cut.into_builder().unwrap_or_else(|cut| {
            let mut copy = StringBuilder::new();
            cut.iter().for_each(|value| copy.append_option(value));
            copy
        }));
    }

    /// The values so far; there are none afterwards, but room for as many again. The NULLs among them are these.
    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>) -> StringArray {
        let (count, bytes, had) = match &self.long {
            None => (self.short.offsets.len() - 1, self.short.bytes.len(), 0),
            Some(long) => (long.len(), long.values_slice().len(), self.room),
        };
        let room = (count.min(MAX_PRESIZE), bytes_after(bytes, had));
        self.room = room.1;
        let pool = &self.short.pool;
        let long = (bytes > count * LONG).then(|| pool.texts(room.0, room.1));
        let short = match (&long, &self.long) {
            (Some(_), _) => VarBytes::new(pool),
            (None, Some(_)) => VarBytes::with_capacity(room.0, room.1, pool),
            (None, None) => self.short.successor(),
        };
        let short = std::mem::replace(&mut self.short, short);
        match std::mem::replace(&mut self.long, long) {
            None => {
                let (offsets, bytes) = short.into_parts();
                StringArray::try_new(offsets, bytes, nulls).expect("text columns take nothing but UTF-8")
            }
            // It has noted the NULLs as well.
            Some(mut long) => {
                let capacity = long.values_capacity();
                let array = long.finish();
                self.short.pool.remember_texts(&array, capacity);
                array
            }
        }
    }
}

fn text(value: &[u8]) -> &str {
    from_utf8(value).expect("text columns take nothing but UTF-8")
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use proptest::prelude::*;

    use super::*;

    /// What is done to a column.
    #[derive(Debug, Clone)]
    enum Step {
        Push(String),
        PushPart(String),
        PushUtf8(Vec<u8>),
        Put(String),
        Fail(String),
        Null,
        Truncate(prop::sample::Index),
        Finish,
    }

    fn step() -> impl Strategy<Value = Step> {
        let text = || prop_oneof![3 => "[a-cé日]{0,9}", 2 => "[a-cé日]{200,900}"];
        prop_oneof![
            text().prop_map(Step::Push),
            text().prop_map(Step::PushPart),
            text().prop_map(|text| Step::PushUtf8(text.into_bytes())),
            prop::collection::vec(any::<u8>(), 0..4).prop_map(Step::PushUtf8),
            text().prop_map(Step::Put),
            text().prop_map(Step::Fail),
            Just(Step::Null),
            any::<prop::sample::Index>().prop_map(Step::Truncate),
            Just(Step::Finish),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn long_and_short_texts_are_the_same_to_everybody(steps in prop::collection::vec(step(), 0..40)) {
            let mut texts = Texts::new(&BufferPool::default());
            let mut expected: Vec<Option<String>> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(text) => {
                        texts.push(text.as_bytes());
                        expected.push(Some(text));
                    }
                    Step::PushPart(text) => {
                        texts.push_part(format!("\"{text}\",").as_bytes(), 1, text.len());
                        expected.push(Some(text));
                    }
                    Step::PushUtf8(bytes) => {
                        let text = String::from_utf8(bytes.clone()).ok();
                        prop_assert_eq!(texts.push_utf8(&bytes), text.is_some());
                        expected.extend(text.map(Some));
                    }
                    Step::Put(text) => {
                        prop_assert_eq!(texts.put(|out| out.extend_from_slice(text.as_bytes())), text.len());
                        expected.push(Some(text));
                    }
                    Step::Fail(text) => {
                        let failed = texts.try_put(|out| {
                            out.extend_from_slice(text.as_bytes());
                            Err(7)
                        });
                        prop_assert_eq!(failed, Err(7));
                    }
                    Step::Null => {
                        texts.append_null();
                        expected.push(None);
                    }
                    Step::Truncate(len) => {
                        let len = len.index(expected.len() + 2);
                        texts.truncate(len);
                        expected.truncate(len);
                    }
                    Step::Finish => finish(&mut texts, &mut expected)?,
                }
                for (i, text) in expected.iter().enumerate() {
                    prop_assert_eq!(texts.get(i), text.as_deref().unwrap_or_default().as_bytes());
                }
            }
            finish(&mut texts, &mut expected)?;
        }
    }

    fn finish(texts: &mut Texts, expected: &mut Vec<Option<String>>) -> Result<(), TestCaseError> {
        let nulls: NullBuffer = expected.iter().map(Option::is_some).collect::<Vec<_>>().into();
        let array = texts.finish(Some(nulls).filter(|nulls| nulls.null_count() > 0));
        prop_assert!(array.to_data().validate_full().is_ok());
        prop_assert_eq!(array.nulls().is_some(), expected.iter().any(Option::is_none));
        prop_assert_eq!(array.iter().collect::<Vec<_>>(), expected.iter().map(Option::as_deref).collect::<Vec<_>>());
        let bytes: usize = expected.iter().flatten().map(String::len).sum();
        prop_assert_eq!(texts.are_long(), bytes > expected.len() * LONG);
        expected.clear();
        Ok(())
    }

    #[test]
    fn taking_back_long_texts_copies_nothing() {
        let mut texts = Texts::new(&BufferPool::default());
        texts.push(&[b'x'; 10_000]);
        texts.finish(None);
        assert!(texts.are_long());
        (0..3).for_each(|_| texts.push(&[b'y'; 1_000]));
        let place = texts.get(0).as_ptr();
        texts.truncate(2);
        texts.append_null();
        assert_eq!(texts.get(0).as_ptr(), place);
        let array = texts.finish(None);
        assert_eq!((array.len(), array.null_count(), array.value(1).len()), (3, 1, 1_000));
    }

    /// After a batch of 400 KB and one of 100 KB there is room for one of 300 KB.
    #[test]
    fn a_large_batch_is_remembered_for_some_smaller_ones() {
        let mut texts = Texts::new(&BufferPool::default());
        for values in [4, 400, 100] {
            (0..values).for_each(|_| texts.push(&[b'x'; 1_000]));
            assert_eq!(texts.finish(None).len(), values);
        }
        assert!(texts.long.is_some_and(|long| long.values_capacity() >= 300_000));
    }
}
