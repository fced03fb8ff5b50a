//! Alibaba Cloud Simple Message Queue (SMQ, formerly MNS) as a source.

mod builder;
mod commit_log;
mod config;
mod dead;
mod documents;
mod envelope;
mod factory;
mod letter_queue;
mod options;

pub use builder::{MnsSource, MnsSourceBuilder};
pub use documents::read_documents;
pub use envelope::{ENVELOPE_MODES, EnvelopeMode};
pub use factory::MnsSourceFactory;
pub use options::{MNS_OPTIONS, MnsOption, OptionKind};
