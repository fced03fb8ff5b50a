//! Notifications of Alibaba Cloud OSS as flat rows.
//!
//! An upload, download or removal in a bucket arrives in a queue as a JSON event with nested objects. This crate reads
//! it into the flat columns of the SMQ connector's OSS mode ([`COLUMNS`]): a table declares the ones it wants, by name
//! and in any letter case, and gets one row an event. It is one more [`DecoderFactory`](headwater_formats::DecoderFactory),
//! so a source drives it like any format.
//!
//! It deliberately does not know queues, and it does not fetch the object that an event names.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use headwater_formats::{OnBadRow, RowType};
//! use headwater_oss::{OssEvents, OssFactory};
//!
//! let columns: RowType = "eventName STRING, ossBucketName STRING, ossObjectKey STRING, ossObjectSize BIGINT".parse()?;
//! let factory = OssFactory::create(&columns, &BTreeMap::new(), OssEvents::First)?;
//! let mut decoder = headwater_formats::DecoderFactory::decoder(factory.as_ref());
//! let body = br#"{"events":[{"eventName":"ObjectCreated:PutObject",
//!     "oss":{"bucket":{"name":"photos"},"object":{"key":"a/b.jpg","size":1024}}}]}"#;
//! assert_eq!(decoder.decode(body, OnBadRow::Fail)?.rows, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is accepted
//!
//! - `{"events": […]}`, a CloudEvent whose `data` is one event, or one event alone; plain or in base64.
//! - Each value at the event's own level or, where it is not there, inside of `oss`: the documentation's example has
//!   `region` and its neighbours there, real events do not.
//! - Event names that nobody has heard of, unknown fields, missing fields (NULL unless `json.fail-on-missing-field`),
//!   numbers as strings.
//! - `eventTime` with `Z`, with an offset, or with neither, read as UTC.
//!
//! Object keys are left as they come: OSS does not URL-encode them, `%2F` in a key is the key's own text.
//!
//! Reading order: `columns` (what there is and where it lies), `locate` (finding it), `known` (not
//! finding it again), `decoder`.

mod columns;
mod decoder;
mod known;
mod locate;

pub use columns::{COLUMNS, OssColumn};
pub use decoder::{OSS_EVENTS, OssEvents, OssFactory};
