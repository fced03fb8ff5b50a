//! The wire of Alibaba Cloud Simple Message Queue (MNS): XML, signing, errors, limits.
