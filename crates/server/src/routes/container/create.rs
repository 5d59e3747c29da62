//! `POST /containers/create`.

use api::container::{CreateRequest, CreateResponse};
use engine::container::NewContainer;
use hyper::StatusCode;

use crate::body;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::reply::Reply;

/// Creates a container.
pub(super) async fn create(mut call: Call) -> Result {
    let name = call
        .query
        .text("name")
        .map(|name| name.strip_prefix('/').unwrap_or(name).to_owned());
    let platform = call.query.text("platform").map(str::to_owned);
    let wanted: CreateRequest = body::json(&mut call.request).await?;
    if wanted.config == api::container::ContainerConfig::default() {
        return Err(Problem::invalid(
            "config cannot be empty in order to create a container",
        ));
    }
    let mut host = wanted.host_config.unwrap_or_default();
    // A negative limit meant "unlimited" to older clients.
    host.resources.pids_limit = host.resources.pids_limit.filter(|limit| *limit > 0);
    let created = call
        .engine
        .create(NewContainer {
            name,
            config: wanted.config,
            host,
            networking: wanted.networking_config.unwrap_or_default(),
            platform,
        })
        .await?;
    Ok(Reply::json(&CreateResponse {
        id: created.id,
        warnings: created.warnings,
    })
    .status(StatusCode::CREATED))
}
