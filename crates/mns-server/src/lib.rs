//! A local Alibaba Cloud SMQ (formerly MNS).

pub mod random;
pub mod state;
