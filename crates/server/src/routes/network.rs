//! `/networks`: `none` and `host`; the others come with networking.

use api::network::NetworksPruned;
use hyper::Method;

use super::{behind_noun, taken_apart};
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::render::network;
use crate::reply::Reply;

/// Answers everything under `/networks`.
pub(crate) async fn route(mut call: Call) -> Result {
    let (method, path) = taken_apart(&mut call);
    match (&method, behind_noun(&path).as_slice()) {
        (&Method::GET, [] | [""]) => list(&call),
        (&Method::POST, ["prune"]) => Ok(Reply::json(&NetworksPruned::default())),
        (&Method::POST, ["create"]) => Err(Problem::unimplemented("creating networks")),
        (&Method::GET, [name]) => inspect(name),
        (&Method::DELETE, [name]) => remove(name),
        (&Method::POST, [name, "connect" | "disconnect"]) => {
            find(name)?;
            Err(Problem::unimplemented("connecting containers to networks"))
        }
        _ => Err(Problem::no_route()),
    }
}

/// A predefined network by name, id or the beginning of its id.
fn find(wanted: &str) -> Result<(&'static str, &'static str)> {
    let is_it =
        |name: &str| name == wanted || (wanted.len() >= 4 && network::id(name).starts_with(wanted));
    network::NAMES
        .into_iter()
        .find(|(name, _)| is_it(name))
        .ok_or_else(|| Problem::new(fault::Kind::NotFound, format!("network {wanted} not found")))
}

fn list(call: &Call) -> Result {
    let filters = call.query.filters()?;
    filters.require_known(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
    let only_dangling = filters.flag("dangling", false)?;
    let wanted = |(name, driver): &(&str, &str)| {
        filters.matches_any("name", |part| name.contains(part))
            && filters.matches_any("id", |part| network::id(name).contains(part))
            && filters.matches("driver", driver)
            && filters.matches("scope", "local")
            && filters.matches("type", "builtin")
            && !filters.contains("label")
            && !only_dangling
    };
    let found: Vec<_> = network::NAMES
        .into_iter()
        .filter(wanted)
        .map(|(name, driver)| network::network(name, driver, 0))
        .collect();
    Ok(Reply::json(&found))
}

fn inspect(name: &str) -> Result {
    let (name, driver) = find(name)?;
    Ok(Reply::json(&network::network(name, driver, 0)))
}

fn remove(name: &str) -> Result {
    let (name, _) = find(name)?;
    Err(Problem::new(
        fault::Kind::Denied,
        format!("{name} is a pre-defined network and cannot be removed"),
    ))
}
