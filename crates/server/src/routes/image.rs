//! `/images`, `/commit`: the table of routes and the short ones.

mod make;
mod transfer;

use api::image::{ImagesPruned, ManifestSummary};
use engine::image::{Image, ImageQuery, RemoveOptions};
use hyper::{Method, StatusCode};
use oci::Platform;

use super::taken_apart;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::render;
use crate::reply::Reply;

/// Answers everything under `/images`, `/commit`, `/build` and `/distribution`.
pub(crate) async fn route(mut call: Call) -> Result {
    let (method, path) = taken_apart(&mut call);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    // Names hold slashes: everything between the noun and the verb is the name.
    match (&method, path.as_slice()) {
        (&Method::GET, ["images", "json"]) => list(call).await,
        (&Method::POST, ["images", "load"]) => transfer::load(call).await,
        (&Method::GET, ["images", "get"]) => transfer::save_named(call).await,
        (&Method::POST, ["images", "create"]) => make::create(call).await,
        (&Method::POST, ["images", "prune"]) => prune(call).await,
        (&Method::GET, ["images", "search"]) => Err(Problem::unimplemented("searching registries")),
        (&Method::GET, ["images", name @ .., "json"]) => inspect(call, &name.join("/")).await,
        (&Method::GET, ["images", name @ .., "history"]) => history(call, &name.join("/")).await,
        (&Method::GET, ["images", name @ .., "get"]) => {
            transfer::save(call, vec![name.join("/")]).await
        }
        (&Method::POST, ["images", name @ .., "tag"]) => tag(call, &name.join("/")).await,
        (&Method::POST, ["images", name @ .., "push"]) => {
            call.engine.image(&name.join("/"))?;
            Err(Problem::unimplemented("pushing to registries"))
        }
        (&Method::DELETE, ["images", name @ ..]) => remove(call, &name.join("/")).await,
        (&Method::POST, ["commit"]) => make::commit(call).await,
        (&Method::POST, ["build", "prune"]) => {
            Ok(Reply::json(&render::image::NoBuildCache::default()))
        }
        (&Method::POST, ["build", ..]) => Err(Problem::unimplemented("building images")),
        (&Method::GET, ["distribution", ..]) => Err(Problem::unimplemented("asking registries")),
        _ => Err(Problem::no_route()),
    }
}

async fn list(call: Call) -> Result {
    let mut filters = call.query.filters()?;
    // Before 1.41 a single name could stand beside the filters.
    if let Some(name) = call.query.text("filter").filter(|_| !call.since(41)) {
        filters.add("reference", name);
    }
    let count_shared = call.query.flag("shared-size");
    let query = ImageQuery {
        all: call.query.flag("all"),
        filters,
    };
    let found = call.engine.images(&query)?;
    let shared = match count_shared {
        true => Some(call.engine.disk_usage().await?.images),
        false => None,
    };
    let rows: Vec<_> = found
        .iter()
        .map(|image| {
            let mut row = render::image::summary(image, call.version);
            row.repo_tags = call.engine.tags_shown(image, &query);
            if call.since(47) && call.query.flag("manifests") {
                row.manifests = manifests(&call, image);
                row.containers = i64::try_from(call.engine.containers_of(image)).unwrap_or(-1);
            }
            if let Some(usage) = &shared {
                row.shared_size = render::image::shared(image, usage);
            }
            row
        })
        .collect();
    Ok(Reply::json(&rows))
}

async fn inspect(call: Call, name: &str) -> Result {
    let platform = platform(&call, 49)?;
    let wants_manifests = call.since(48) && call.query.flag("manifests");
    if wants_manifests && platform.is_some() {
        return Err(Problem::invalid(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let image = call.engine.image_for(name, platform.as_ref())?;
    let manifests = match wants_manifests {
        true => manifests(&call, &image),
        false => Vec::new(),
    };
    let folders = call.engine.image_folders(&image);
    Ok(Reply::json(&render::image::inspect(
        &image,
        call.version,
        folders,
        manifests,
    )))
}

fn manifests(call: &Call, image: &Image) -> Vec<ManifestSummary> {
    let found = call.engine.manifests(image).into_iter();
    found.map(render::image::manifest).collect()
}

/// The one platform a client speaks of, if it is new enough to.
fn platform(call: &Call, minor: u16) -> Result<Option<Platform>> {
    make::platform(call.query.text("platform").filter(|_| call.since(minor)))
}

async fn history(call: Call, name: &str) -> Result {
    let steps = call
        .engine
        .image_history(name, platform(&call, 48)?.as_ref())?;
    let lines: Vec<_> = steps.iter().map(render::image::history).collect();
    Ok(Reply::json(&lines))
}

async fn tag(call: Call, name: &str) -> Result {
    let repository = call.query.get("repo").unwrap_or_default();
    let reference = make::named(repository, call.query.get("tag").unwrap_or_default())?
        .ok_or_else(|| Problem::invalid("repository name must have at least one component"))?;
    call.engine.tag(name, reference).await?;
    Ok(Reply::ok().status(StatusCode::CREATED))
}

async fn remove(call: Call, name: &str) -> Result {
    if name.is_empty() {
        return Err(Problem::invalid("image name cannot be blank"));
    }
    let options = RemoveOptions {
        force: call.query.flag("force"),
        no_prune: call.query.flag("noprune"),
    };
    let platforms = call.query.all("platforms").filter(|_| call.since(50));
    let platforms: Vec<Platform> = platforms
        .filter_map(|text| make::platform(Some(text)).transpose())
        .collect::<Result<_>>()?;
    let removed = call.engine.remove_image(name, &platforms, options).await?;
    let steps: Vec<_> = removed.iter().map(render::image::removed).collect();
    Ok(Reply::json(&steps))
}

async fn prune(call: Call) -> Result {
    let (removed, space_reclaimed) = call.engine.prune_images(&call.query.filters()?).await?;
    let images_deleted = removed.iter().map(render::image::removed).collect();
    Ok(Reply::json(&ImagesPruned {
        images_deleted,
        space_reclaimed,
    }))
}
