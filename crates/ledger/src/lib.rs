//! What may be emitted, deleted and forgotten, and when: Headwater's exactly-once ledger.
//!
//! # What this is
//! A state machine without I/O, threads or clock. A driver tells it what happened (`now` is an argument) and asks it what
//! to do; the same calls always give the same answers. Every decision about safety is made here:
//!
//! ```text
//!   begin_receive ─► Grant ─► screen ─► Fresh ─► hand_out ─► barrier(N) ─► commit(N) ─► next_deletes ─► delete_done
//!                      │        │                (epoch N)    Snapshot                       ▲   │        │
//!                      │        ├─► Duplicate: newer handle kept ─── committed? ────────────►┘   │        ├ Deleted → remembered → tick forgets
//!                      └► abandon └► Lapse (ledger full)                                 retry ◄─┘        └ Stale → waits for its redelivery
//! ```
//!
//! * A message is **uncommitted** from [`hand_out`](Ledger::hand_out) until [`commit`](Ledger::commit) of the checkpoint whose
//!   [`barrier`](Ledger::barrier) followed it, **deletable** after that, **unconfirmed** when its handle has died, **deleted** once the
//!   queue confirmed it, and forgotten by [`tick`](Ledger::tick) when no answer can carry it any more.
//! * Snapshots are cumulative: N holds every id handed out before its barrier and not yet forgotten. They are stored as a
//!   base [`Segment`] and deltas, so that a checkpoint costs what changed.
//! * While a message is neither committed nor held for too long, its lease is extended, where that is asked for: [`next_extends`](Ledger::next_extends)
//!   and [`extend_done`](Ledger::extend_done). One operation per id: a delete waits for an extension that is out, and takes the handle it brings.
//! * No decision about safety reads a lease: lease ends only schedule checkpoints and extensions.
//!
//! # What it deliberately does not know
//! Rows, Arrow, HTTP, async, any clock, any queue. It sees a message as a 128-bit key, a handle and a size.
//!
//! # SUBTLE: a delete that timed out, and a message that came back
//! 1. `delete(h1)` is sent and its answer is lost. It may have happened, so the id stays (indeterminate).
//! 2. A retry with `h1` answers "does not exist". Deleted by the first try? Or had the lease lapsed, and the message is
//!    with another receive of ours right now? The code cannot tell; forgetting here would emit the message twice.
//! 3. So the handle is dropped and the id kept, unconfirmed. If the message comes back, [`screen`](Ledger::screen) calls it a
//!    duplicate, takes the new handle and deletes it. If it never comes back, the id goes when the queue itself must have
//!    dropped the message: send time + retention + 1 h on the queue's clock.
//! 4. Even after a confirmed delete, a receive that began earlier may carry the message in an answer still on its way:
//!    the id is forgotten only when all those receives have ended, and a grace period is over.
//!
//! # Example
//! ```
//! use headwater_ledger::*;
//!
//! let t = Mono::from_millis;
//! let mut ledger = Ledger::new(Limits::default(), t(0)).unwrap();
//! let grant = ledger.begin_receive(t(0)).unwrap();
//! let key = MessageKey::of("5F290C926D472878-2-14D9529A8FA-200000001");
//! let delivery = Delivery {
//!     key, handle: Handle::new("1-ODU4"), dequeue_count: 1, bytes: 300,
//!     next_visible: ServerMs(1_642_865_202_119), enqueued: ServerMs(1_642_865_171_557), lease_end: Some(t(30_000)),
//! };
//! assert_eq!(ledger.screen(grant.ticket, vec![delivery]), [Verdict::Fresh]);
//! ledger.hand_out(&[key]);
//! assert_eq!(ledger.next_deletes(t(1)), None); // nothing early: not before its checkpoint is committed
//! let snapshot = ledger.barrier(CheckpointId(1), t(10)).unwrap();
//! // … the caller stores `snapshot` durably …
//! ledger.commit(snapshot.checkpoint).unwrap();
//! let batch = ledger.next_deletes(t(11)).unwrap();
//! assert_eq!(batch.keys.len(), 1);
//! ledger.delete_done(batch.token, &[DeleteOutcome::Deleted], t(12));
//! assert_eq!(ledger.counts().deleted, 1);
//! ```
//!
//! # Reading order
//! [`Ledger`] (ledger.rs: the state), receive.rs, checkpoint.rs, delete.rs, extend.rs, forget.rs, graves.rs (deleted ids), unconfirmed.rs (ids without a
//! handle), log.rs (messages that are durable before any checkpoint), then append.rs and segment.rs (the durable form), chain.rs and
//! invariant.rs (what must always hold, as a table of named checks).

mod append;
mod bucket;
mod buckets;
mod chain;
mod checkpoint;
mod delete;
mod entries;
mod entry;
mod extend;
mod forget;
mod graves;
mod ids;
mod inspect;
mod invariant;
mod ledger;
mod limits;
mod log;
mod parts;
mod receive;
mod replay;
mod segment;
mod text;
mod times;
#[cfg(feature = "traps")]
mod traps;
mod unconfirmed;
mod writer;

pub use chain::StoredSegment;
pub use checkpoint::{CheckpointError, DueReason, Snapshot};
pub use delete::{DeleteBatch, DeleteOutcome, DeleteReport, Release};
pub use extend::{ExtendOutcome, Extension};
pub use ids::{CheckpointId, DeleteToken, Handle, MessageKey, Mono, ServerMs, Ticket};
#[doc(hidden)]
pub use inspect::{IdView, Names};
pub use invariant::{INVARIANTS, Invariant, Violation};
pub use ledger::{Counts, Ledger};
pub use limits::{LimitError, Limits, LogLimits};
pub use log::LogCounts;
pub use receive::{Blocked, Delivery, Grant, Verdict};
pub use segment::{SEGMENT_VERSION, Segment, SegmentError};
pub use text::SharedStr;
#[cfg(feature = "traps")]
#[doc(hidden)]
pub use traps::Trap;
