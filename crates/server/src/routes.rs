//! The routes, one file a noun: read the request, ask the engine, render its answer.

pub(crate) mod container;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod network;
pub(crate) mod system;
pub(crate) mod volume;

use crate::call::Call;

/// The method and the path's segments, so that a route table can match on them while it gives the call away.
fn taken_apart(call: &mut Call) -> (hyper::Method, Vec<String>) {
    (call.method.clone(), std::mem::take(&mut call.path))
}

/// Borrows the segments behind the first one.
fn behind_noun(path: &[String]) -> Vec<&str> {
    path.iter().skip(1).map(String::as_str).collect()
}
