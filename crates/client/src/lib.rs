//! Typed client of the Engine API over unix sockets and TCP.
//!
//! * `endpoint`: which daemon to talk to (flags, environment, contexts, the default socket);
//! * `context`: Docker's contexts, read from and written to its own files;
//! * `connection`: one HTTP/1.1 connection and its reuse;
//! * `request`: a request's method, path, query and body;
//! * `response`: a streamed answer, and the raw stream of an upgraded connection;
//! * `error`: what can go wrong, in the words users know.
#![forbid(unsafe_code)]

mod connection;
pub mod context;
pub mod endpoint;
mod error;
mod request;
mod response;

pub use connection::{Client, Start};
pub use endpoint::{DEFAULT_HOST, Endpoint};
pub use error::Error;
pub use request::{Payload, Query, Request};
pub use response::{RawStream, Response};

/// The newest Engine API version this client speaks.
pub const NEWEST_VERSION: &str = "1.51";

/// A result of talking to a daemon.
pub type Result<T> = std::result::Result<T, Error>;
