//! What MNS does, as a pure machine: no I/O, no clock, no randomness but what it is given.
//!
//! `now` is an argument everywhere, in milliseconds since the Unix epoch, and one seed gives one sequence of ids and
//! handles. Read `queue` first: it is the whole life of a message; `account` only finds queues by name.

mod account;
mod attributes;
mod error;
mod handle;
mod message;
mod queue;

pub use account::{Account, Created, Page};
pub use attributes::Attributes;
pub use error::{
    ChangeVisibilityError, CreateQueueError, HandleError, OutOfRange, QueueNotExist, SendError, SetAttributesError,
};
pub use message::{Content, Delivery, MessageId, Millis, Peeked, Sent};
pub use queue::{Counts, Queue, Quirks};
