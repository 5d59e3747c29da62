//! rtnetlink and nf_tables, spoken to the kernel: messages, sockets, and the few families that containers need.
#![forbid(unsafe_code)]

pub mod batch;
pub mod conntrack;
pub mod error;
pub mod message;
pub mod nft;
pub mod route;
pub mod socket;

pub use error::Error;
