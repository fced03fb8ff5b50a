//! What Avro values are read from: bytes in the binary encoding, or text in the JSON encoding.
//!
//! The calls follow the schema, value by value, as the encodings do not say themselves what comes next.

use crate::DecodeError;

/// A value, or why there is none.
pub(super) type Outcome<T> = Result<T, DecodeError>;

/// One body, or one block of a container file, that is read from front to back.
pub(super) trait Source: Clone {
    /// Bytes from the start of the body to what is read next.
    fn position(&self) -> usize;

    fn null(&mut self) -> Outcome<()>;
    fn boolean(&mut self) -> Outcome<bool>;
    fn int(&mut self) -> Outcome<i32>;
    fn long(&mut self) -> Outcome<i64>;
    fn float(&mut self) -> Outcome<f32>;
    fn double(&mut self) -> Outcome<f64>;

    /// The bytes of a `bytes`.
    fn bytes(&mut self) -> Outcome<&[u8]>;

    /// The text of a `string`, which need not be UTF-8.
    fn string(&mut self) -> Outcome<&[u8]>;

    /// The bytes of a `fixed` of that size.
    fn fixed(&mut self, size: usize) -> Outcome<&[u8]>;

    /// The position of an enum's symbol among those of its schema.
    fn symbol(&mut self, symbols: &[Box<str>]) -> Outcome<usize>;

    /// The position of the branch of a union that follows.
    fn branch(&mut self, labels: &[Box<str>]) -> Outcome<usize>;

    /// After the value of a branch.
    fn end_branch(&mut self);

    fn begin_record(&mut self) -> Outcome<()>;
    fn field(&mut self, name: &str, aliases: &[Box<str>]) -> Outcome<()>;
    fn end_field(&mut self);
    fn end_record(&mut self);

    /// How many items follow before [`Source::next_items`] must be asked again; none is the end.
    fn begin_array(&mut self) -> Outcome<u64>;
    fn next_items(&mut self) -> Outcome<u64>;

    /// As [`Source::begin_array`], each entry being a key and a value.
    fn begin_map(&mut self) -> Outcome<u64>;
    fn next_entries(&mut self) -> Outcome<u64>;
    fn key(&mut self) -> Outcome<&[u8]>;
}
