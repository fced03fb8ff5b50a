//! A local Alibaba Cloud SMQ (formerly MNS): the queue API over HTTP, behaving as the service does, on a clock and
//! with faults of your choice.
//!
//! It is the back-end of Headwater's own demo and tests, and meant for yours: official SDKs work against it
//! unmodified, nothing is written anywhere, and a run can be repeated from its seed. Where the service's documents
//! contradict each other or say nothing, the stricter reading is the default.
//!
//! # Example
//!
//! ```
//! use headwater_mns_proto::NewMessage;
//! use headwater_mns_server::Server;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().queue("orders").start().await?;
//! println!("point your client at {}", server.endpoint());
//! server.put("orders", vec![NewMessage::new("hello")])?;
//! assert_eq!(server.counts("orders")?.visible, 1);
//! server.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//! Topics, FIFO queues and dead-letter policies (the last two cannot be made over this API in the service either),
//! version 4 signatures, TLS. It knows no client of ours and no ledger: only the wire.
//!
//! # Reading order
//! [`state`] is what a queue is, as a pure machine; `router` makes requests and answers of it; `listener` adds
//! sockets and polls that wait; [`Faults`] lists what can be made to go wrong; [`Server`] and [`ServerHandle`] are how
//! to hold it.

mod faults;
mod journal;
mod listener;
pub mod random;
mod router;
mod server;
pub mod state;

pub use faults::{AbnormalConsumption, DeadHandle, Dose, Faults, PerOperation, ShortLease, Span};
pub use journal::{Entry, Journal};
pub use server::{ClockNotManual, PutError, Server, ServerBuilder, ServerHandle, StartError};
