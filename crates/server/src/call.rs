//! One request with everything a route needs to answer it.

use std::sync::Arc;

use api::version::ApiVersion;
use engine::Engine;
use hyper::body::Incoming;
use hyper::{Method, Request};

use crate::peer::{Gone, Peer};
use crate::query::Query;

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) engine: Arc<Engine>,
    pub(crate) version: ApiVersion,
    pub(crate) method: Method,
    /// The path behind the version, decoded, by segments.
    pub(crate) path: Vec<String>,
    pub(crate) query: Query,
    pub(crate) request: Request<Incoming>,
    pub(crate) peer: Peer,
}

impl Call {
    /// Whether the client speaks `1.minor` or newer.
    pub(crate) fn since(&self, minor: u16) -> bool {
        self.version >= ApiVersion::v1(minor)
    }

    /// Resolves when the client has gone.
    pub(crate) fn gone(&self) -> Gone {
        self.peer.gone()
    }
}
