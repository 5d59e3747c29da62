//! The Docker Engine API over HTTP: translates, holds no rules.
//!
//! ```text
//! listen ──► connection (hyper) ──► router (version, headers) ──► routes/<noun> ──► engine
//!                                                     render/<noun> ◄── views ──────┘
//! ```
//! A request is a [`call::Call`], an answer a `Reply`, a refusal a `Problem` (the one table from error kind to status).
//! Streams are bounded and end when the client goes. Attach and exec hand the client's raw socket to the engine (`hijack`).
#![forbid(unsafe_code)]

mod body;
mod call;
mod connection;
mod hijack;
mod listen;
mod peer;
mod problem;
mod query;
mod render;
mod reply;
mod rest;
mod router;
mod routes;
mod when;

pub use connection::serve;
pub use listen::{Error, Listener};
