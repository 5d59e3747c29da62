//! `/volumes`.

use api::volume::{VolumeCreateRequest, VolumeList, VolumesPruned};
use engine::volume::NewVolume;
use hyper::{Method, StatusCode};

use super::{behind_noun, taken_apart};
use crate::body;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::render;
use crate::reply::Reply;

/// Answers everything under `/volumes`.
pub(crate) async fn route(mut call: Call) -> Result {
    let (method, path) = taken_apart(&mut call);
    match (&method, behind_noun(&path).as_slice()) {
        (&Method::GET, [] | [""]) => list(call).await,
        (&Method::POST, ["create"]) => create(call).await,
        (&Method::POST, ["prune"]) => prune(call).await,
        (&Method::GET, [name]) => inspect(call, name).await,
        (&Method::DELETE, [name]) => remove(call, name).await,
        (&Method::PUT, [_]) => Err(Problem::unimplemented("updating cluster volumes")),
        _ => Err(Problem::no_route()),
    }
}

async fn list(call: Call) -> Result {
    let found = call.engine.volumes(&call.query.filters()?)?;
    let volumes = found
        .iter()
        .map(|view| render::volume::volume(view, None))
        .collect();
    Ok(Reply::json(&VolumeList {
        volumes,
        warnings: Vec::new(),
    }))
}

async fn inspect(call: Call, name: &str) -> Result {
    let view = call.engine.volume(name)?;
    Ok(Reply::json(&render::volume::volume(&view, None)))
}

async fn create(mut call: Call) -> Result {
    let wanted: VolumeCreateRequest = body::json_or_default(&mut call.request).await?;
    let view = call
        .engine
        .create_volume(NewVolume {
            name: Some(wanted.name).filter(|name| !name.is_empty()),
            driver: if wanted.driver.is_empty() {
                "local".into()
            } else {
                wanted.driver
            },
            options: wanted.driver_opts,
            labels: wanted.labels,
        })
        .await?;
    Ok(Reply::json(&render::volume::volume(&view, None)).status(StatusCode::CREATED))
}

async fn remove(call: Call, name: &str) -> Result {
    call.engine
        .remove_volume(name, call.query.flag("force"))
        .await?;
    Ok(Reply::no_content())
}

async fn prune(call: Call) -> Result {
    let mut filters = call.query.filters()?;
    // Until 1.42 a prune took named volumes too.
    if !call.since(42) {
        filters.add("all", "true");
    }
    let pruned = call.engine.prune_volumes(&filters).await?;
    Ok(Reply::json(&VolumesPruned {
        volumes_deleted: pruned.removed,
        space_reclaimed: pruned.reclaimed,
    }))
}
