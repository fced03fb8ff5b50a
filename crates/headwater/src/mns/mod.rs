//! Alibaba Cloud Simple Message Queue (SMQ, formerly MNS) as a source.

mod builder;
mod config;
mod factory;
mod options;

pub use builder::{MnsSource, MnsSourceBuilder};
pub use factory::MnsSourceFactory;
pub use options::{MNS_OPTIONS, MnsOption, OptionKind};
