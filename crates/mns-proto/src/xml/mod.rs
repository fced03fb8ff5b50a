//! XML as the protocol needs it: a cursor to read with, a writer that escapes.

pub(crate) mod plain;
pub(crate) mod read;
pub(crate) mod write;
