//! The functions that may be called, each with Flink's meaning.

pub(crate) mod zone;
