//! Message bodies to rows in Arrow builders, with Flink's options and coercions.
