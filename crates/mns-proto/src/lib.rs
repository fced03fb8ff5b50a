//! The wire of Alibaba Cloud Simple Message Queue (SMQ, formerly MNS): requests, answers, signatures, error codes and
//! limits, as values and bytes.
//!
//! A client and a server built on this crate cannot drift apart: what one writes is defined by what the other reads.
//! The crate deliberately knows no socket, no HTTP library, no clock and no retry: a [`Request`] becomes a
//! [`WireRequest`] (method, target, headers, body), a status and body become a typed answer, and the time is an
//! argument.
//!
//! # Example
//!
//! ```
//! use headwater_mns_proto::{AccessKey, Request, Signer, answer};
//!
//! // A client writes and signs a request...
//! let request = Request::ReceiveMessage { queue: "orders".into(), batch: Some(16), wait_seconds: Some(10) };
//! let wire = request.write()?;
//! assert_eq!(wire.target, "/queues/orders/messages?numOfMessages=16&waitseconds=10");
//! let signer = Signer::new(AccessKey::new("testid", "testsecret"));
//! let headers = signer.headers(&wire, 1_795_161_600);
//!
//! // ...a server checks and reads it...
//! let sent = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
//! headwater_mns_proto::verify("GET", &wire.target, sent.clone(), |id| (id == "testid").then_some(&signer), None)?;
//! assert_eq!(Request::read("GET", &wire.target, sent, b"")?, request);
//!
//! // ...and the client reads the answer: no message is not an error.
//! let body = b"<Error><Code>MessageNotExist</Code><Message>Message not exist.</Message></Error>";
//! assert!(answer::received(404, body)?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading order
//!
//! [`Request`] and [`Answer`] name what can be said; `request/` and `answer/` write and read it; `sign` and `verify`
//! are the two sides of the signature; [`ErrorCode`] and [`Failure`] say what can go wrong and what to do about it;
//! [`Notification`] and [`OversizedPointer`] are what bodies can be; [`numbers`] holds every limit with its source.

mod answers;
mod attributes;
mod code;
mod date;
mod digest;
mod failure;
mod key;
mod message;
mod notification;
pub mod numbers;
mod operation;
mod pointer;
mod queue_name;
mod request;
mod sign;
mod target;
mod verify;
mod xml;

pub use answers::read as answer;
pub use answers::{
    Answer, ChangedVisibility, DeleteFailure, ListedQueue, QueueCreation, QueueList, SendFailure, WireAnswer,
};
pub use attributes::{AccountAttributes, QueueAttributes, QueueSettings};
pub use code::{ErrorClass, ErrorCode};
pub use date::{format_date, parse_date};
pub use digest::{BodyMd5, content_md5, content_md5_matches, content_md5_of_hex, message_body_md5};
pub use failure::{Failure, ServiceError};
pub use key::AccessKey;
pub use message::{Message, NewMessage, Property, PropertyType, Received, SentMessage};
pub use notification::{Notification, NotificationError};
pub use operation::Operation;
pub use pointer::{OVERSIZED_PREFIX, OversizedPointer};
pub use queue_name::{QueueNameError, check_queue_name};
pub use request::{ListQueues, Method, Request, WireRequest, WriteError};
pub use sign::{SECURITY_TOKEN_HEADER, Signer, string_to_sign};
pub use verify::verify;
