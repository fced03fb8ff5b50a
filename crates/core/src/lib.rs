//! The vocabulary of Headwater: Source, Queue, Batch, Plan, Sink, CheckpointStore, Clock.
