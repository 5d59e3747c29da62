//! From a request to its route: version prefix, common headers, and which noun answers.

use std::sync::Arc;

use api::version::ApiVersion;
use engine::Engine;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request, Response};

use crate::body::ReplyBody;
use crate::call::Call;
use crate::peer::Peer;
use crate::problem::{Problem, Result};
use crate::query::{Query, decode};
use crate::routes;

/// A request that HTTP does not answer: its connection is taken over.
#[derive(Debug, thiserror::Error)]
#[error("the connection is taken from HTTP")]
pub(crate) struct Taken;

/// Answers one request; refusals are answers too.
///
/// # Errors
/// The connection is to be taken from HTTP: see [`Peer::taken_over`].
pub(crate) async fn answer(
    engine: Arc<Engine>,
    peer: Peer,
    request: Request<Incoming>,
) -> std::result::Result<Response<ReplyBody>, Taken> {
    tracing::debug!(method = %request.method(), path = request.uri().path(), uid = peer.uid, "request");
    let reply = match call(engine, peer, request) {
        Ok(call) => route(call).await,
        Err(problem) => Err(problem),
    };
    let reply = reply.unwrap_or_else(Problem::into_reply);
    if reply.is_none() {
        return Err(Taken);
    }
    let mut response = reply.into_response();
    common_headers(response.headers_mut());
    Ok(response)
}

/// Takes a request apart.
fn call(engine: Arc<Engine>, peer: Peer, request: Request<Incoming>) -> Result<Call> {
    let uri = request.uri();
    let (version, path) = split_version(uri.path())?;
    let path = path
        .split('/')
        .skip(1)
        .map(|segment| decode(segment, false))
        .collect::<Result<_>>()?;
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let method = request.method().clone();
    Ok(Call {
        engine,
        version,
        method,
        path,
        query,
        request,
        peer,
    })
}

/// Takes the optional `/v1.41` off a path and checks it.
fn split_version(path: &str) -> Result<(ApiVersion, &str)> {
    let Some(rest) = path.strip_prefix("/v") else {
        return Ok((ApiVersion::NEWEST, path));
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let Ok(version) = rest[..end].parse::<ApiVersion>() else {
        return Ok((ApiVersion::NEWEST, path));
    };
    if version > ApiVersion::NEWEST {
        return Err(Problem::invalid(format!(
            "client version {version} is too new. Maximum supported API version is {}",
            ApiVersion::NEWEST
        )));
    }
    if version < ApiVersion::OLDEST {
        return Err(Problem::invalid(format!(
            "client version {version} is too old. Minimum supported API version is {}, please upgrade your client to a newer version",
            ApiVersion::OLDEST
        )));
    }
    Ok((version, &rest[end..]))
}

/// The first segment of the path chooses the noun.
async fn route(call: Call) -> Result {
    match call.path.first().map_or("", String::as_str) {
        "containers" => routes::container::route(call).await,
        "exec" => routes::exec::route(call).await,
        "images" | "commit" | "build" | "distribution" => routes::image::route(call).await,
        "volumes" => routes::volume::route(call).await,
        "networks" => routes::network::route(call).await,
        _ => routes::system::route(call).await,
    }
}

/// What every answer carries; clients negotiate their version by these.
fn common_headers(headers: &mut HeaderMap) {
    const NEWEST: &str = "1.51";
    headers.insert("Api-Version", HeaderValue::from_static(NEWEST));
    headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
    headers.insert("Ostype", HeaderValue::from_static("linux"));
    headers.insert("Server", HeaderValue::from_static(SERVER));
}

/// Product, version and system, as in Docker's header.
const SERVER: &str = concat!("Estiva/", env!("CARGO_PKG_VERSION"), " (linux)");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_prefix_is_optional_and_checked() {
        let split = |path: &str| split_version(path).map(|(v, p)| (v.to_string(), p.to_owned()));
        assert_eq!(
            split("/info").expect("none"),
            ("1.51".into(), "/info".into())
        );
        assert_eq!(
            split("/v1.41/info").expect("1.41"),
            ("1.41".into(), "/info".into())
        );
        assert_eq!(
            split("/volumes/x").expect("none"),
            ("1.51".into(), "/volumes/x".into())
        );
        assert!(split("/v1.52/info").is_err());
        assert!(split("/v1.23/info").is_err());
        assert_eq!(ApiVersion::NEWEST.to_string(), "1.51");
    }
}
