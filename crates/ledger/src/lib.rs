//! What may be emitted, deleted and forgotten, and when: a sans-I/O state machine.
