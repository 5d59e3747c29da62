//! `/networks`.

use api::network::{
    ConnectRequest, DisconnectRequest, NetworkCreateRequest, NetworkCreateResponse, NetworksPruned,
};
use hyper::{Method, StatusCode};

use super::{behind_noun, taken_apart};
use crate::body;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::render;
use crate::reply::Reply;

/// Answers everything under `/networks`.
pub(crate) async fn route(mut call: Call) -> Result {
    let (method, path) = taken_apart(&mut call);
    match (&method, behind_noun(&path).as_slice()) {
        (&Method::GET, [] | [""]) => list(call).await,
        (&Method::POST, ["prune"]) => prune(call).await,
        (&Method::POST, ["create"]) => create(call).await,
        (&Method::GET, [name]) => inspect(call, name).await,
        (&Method::DELETE, [name]) => remove(call, name).await,
        (&Method::POST, [name, "connect"]) => connect(call, name).await,
        (&Method::POST, [name, "disconnect"]) => disconnect(call, name).await,
        _ => Err(Problem::no_route()),
    }
}

async fn list(call: Call) -> Result {
    let found = call.engine.networks(&call.query.filters()?).await?;
    let shown: Vec<_> = found
        .iter()
        .map(|view| render::network::network(view, false))
        .collect();
    Ok(Reply::json(&shown))
}

async fn inspect(call: Call, name: &str) -> Result {
    let scope = call.query.text("scope").unwrap_or_default();
    if !["", "local"].contains(&scope) {
        return Err(Problem::new(
            fault::Kind::NotFound,
            format!("network {name} not found"),
        ));
    }
    let view = call.engine.network(name).await?;
    Ok(Reply::json(&render::network::network(&view, true)))
}

async fn create(mut call: Call) -> Result {
    let wanted: NetworkCreateRequest = body::json(&mut call.request).await?;
    let made = call.engine.create_network(wanted).await?;
    Ok(Reply::json(&NetworkCreateResponse {
        id: made.id,
        warning: made.warning,
    })
    .status(StatusCode::CREATED))
}

async fn remove(call: Call, name: &str) -> Result {
    call.engine.remove_network(name).await?;
    Ok(Reply::no_content())
}

async fn connect(mut call: Call, name: &str) -> Result {
    let wanted: ConnectRequest = body::json(&mut call.request).await?;
    let endpoint = wanted.endpoint_config.unwrap_or_default();
    call.engine
        .connect(name, &wanted.container, endpoint)
        .await?;
    Ok(Reply::ok())
}

async fn disconnect(mut call: Call, name: &str) -> Result {
    let wanted: DisconnectRequest = body::json(&mut call.request).await?;
    call.engine
        .disconnect(name, &wanted.container, wanted.force)
        .await?;
    Ok(Reply::ok())
}

async fn prune(call: Call) -> Result {
    let removed = call.engine.prune_networks(&call.query.filters()?).await?;
    Ok(Reply::json(&NetworksPruned {
        networks_deleted: removed,
    }))
}
