//! A client of Alibaba Cloud Simple Message Queue (SMQ, formerly MNS), and its queues as Headwater's
//! [`Queue`](headwater_core::Queue).
//!
//! It connects, signs, sends, reads, and repeats what is safe to repeat. It deliberately knows nothing of ledgers,
//! checkpoints or formats, starts no task and reads no clock of its own: connections are driven by the calls made on
//! them, and the time comes from a [`Clock`](headwater_core::Clock).
//!
//! * Connections are kept and reused; receives, which wait, and all other calls have separate ones.
//! * TLS certificates are always verified, against the system's authorities (or `SSL_CERT_FILE`).
//! * `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are followed; see [`Proxies`].
//! * Redirects are not followed: they are an error that names where they point.
//! * Answers are read up to a size that no valid one exceeds.
//! * A key that the service does not know is asked for anew once; see [`CredentialsProvider`].
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use headwater_core::{Queue, ReceiveRequest};
//! use headwater_mns_client::{Credentials, Endpoint, MnsClient};
//!
//! async fn consume() -> Result<(), Box<dyn std::error::Error>> {
//!     let endpoint = Endpoint::parse("https://123456789.mns.cn-hangzhou.aliyuncs.com")?;
//!     let client = MnsClient::builder(endpoint, Credentials::from_env()).build()?;
//!     let queue = client.queue("orders");
//!     let received = queue.receive(ReceiveRequest { max: 16, wait: Duration::from_secs(30) }).await?;
//!     let handles: Vec<_> = received.messages.iter().map(|message| message.handle.clone()).collect();
//!     if !handles.is_empty() {
//!         println!("{:?}", queue.delete(&handles).await?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Reading order
//!
//! [`MnsClient`] and [`MnsQueue`]; then `client.rs` for the life of a call, `net/` for the life of a connection,
//! `retry.rs` for what is repeated, `error.rs` for what is said when it fails.

mod client;
mod credentials;
mod damage;
mod endpoint;
mod error;
mod hide;
mod net;
mod operations;
mod queue;
mod received;
mod retry;
mod settings;
mod skew;
mod wire;

pub use client::{BuildError, MnsClient, MnsClientBuilder};
pub use credentials::{Credentials, CredentialsError, CredentialsProvider};
pub use endpoint::{Endpoint, EndpointError};
pub use error::MnsError;
pub use headwater_mns_proto as proto;
pub use net::{Proxies, ProxyError, TlsError, TlsRoots};
pub use queue::MnsQueue;
pub use settings::ClientSettings;
pub use skew::ClockOffset;
