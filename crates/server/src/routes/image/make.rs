//! Making images: `create` (import; pull comes with registries) and `commit`.

use api::container::ContainerConfig;
use api::image::{CommitResponse, Progress};
use engine::image::{Commit, Import};
use hyper::StatusCode;
use oci::{Platform, Reference};

use crate::body;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::reply::Reply;

/// `POST /images/create`.
pub(super) async fn create(call: Call) -> Result {
    if let Some(name) = call.query.text("fromImage") {
        let tag = call
            .query
            .text("tag")
            .map(|tag| format!(":{tag}"))
            .unwrap_or_default();
        return Err(Problem::unimplemented(&format!(
            "pulling from registries: bring \"{name}{tag}\" with load or import, it"
        )));
    }
    match call.query.text("fromSrc") {
        Some("-") => import(call).await,
        Some(url) => Err(Problem::unimplemented(&format!(
            "importing from {url:?}: send the archive itself (\"-\"); that"
        ))),
        None => Err(Problem::invalid(
            "bad parameter: either fromImage or fromSrc is needed",
        )),
    }
}

/// What an import asks for; known wrong before the first byte, so that the client gets a refusal and not a broken stream.
fn wanted(call: &Call) -> Result<Import> {
    let reference = named(
        call.query.get("repo").unwrap_or_default(),
        call.query.get("tag").unwrap_or_default(),
    )?;
    let message = match call.query.text("message") {
        Some(message) => message.to_owned(),
        None => "Imported from -".to_owned(),
    };
    let import = Import {
        changes: changes(call),
        message,
        reference,
        platform: platform(call.query.text("platform"))?,
    };
    engine::image::check_changes(&import.changes)?;
    Ok(import)
}

/// A tar of a root file system becomes an image of one layer.
async fn import(call: Call) -> Result {
    let import = match wanted(&call) {
        Ok(import) => import,
        Err(problem) => return Err(body::refuse(call.request.into_body(), problem).await),
    };
    let (lines, reply) = Reply::lines(call.gone());
    let engine = call.engine;
    tokio::spawn(async move {
        let done = body::feed(call.request.into_body(), |tar| engine.import(tar, import)).await;
        let _ = match done {
            Ok(id) => {
                lines
                    .send(&Progress {
                        status: id,
                        ..Progress::default()
                    })
                    .await
            }
            Err(error) => lines.send(&Progress::failed(fault::chain(&error))).await,
        };
    });
    Ok(reply)
}

/// `POST /commit`.
pub(super) async fn commit(mut call: Call) -> Result {
    let Some(container) = call.query.text("container").map(str::to_owned) else {
        return Err(Problem::invalid("bad parameter: container is needed"));
    };
    let config: Option<ContainerConfig> = body::json_or_default(&mut call.request).await?;
    let commit = Commit {
        container,
        config,
        changes: changes(&call),
        author: call.query.get("author").unwrap_or_default().to_owned(),
        comment: call.query.get("comment").unwrap_or_default().to_owned(),
        reference: named(
            call.query.get("repo").unwrap_or_default(),
            call.query.get("tag").unwrap_or_default(),
        )?,
        // Before 1.13 no client could say so, and all of them wanted it.
        pause: call.query.flag_or("pause", true),
    };
    let id = call.engine.commit(commit).await?;
    Ok(Reply::json(&CommitResponse { id }).status(StatusCode::CREATED))
}

/// The Dockerfile instructions of `changes`, one or several a parameter.
fn changes(call: &Call) -> Vec<String> {
    call.query
        .all("changes")
        .flat_map(str::lines)
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

/// A name from `repo` and `tag`; None when there is no `repo`.
pub(super) fn named(repository: &str, tag: &str) -> Result<Option<Reference>> {
    if repository.is_empty() {
        return Ok(None);
    }
    let text = match tag {
        "" => repository.to_owned(),
        tag => format!("{repository}:{tag}"),
    };
    let wrong = |e| Problem::invalid(fault::chain(&e));
    Ok(Some(text.parse::<Reference>().map_err(wrong)?))
}

/// `os/arch[/variant]`, or the JSON that newer clients send.
pub(super) fn platform(text: Option<&str>) -> Result<Option<Platform>> {
    match text {
        None => Ok(None),
        Some(json) if json.starts_with('{') => serde_json::from_str(json)
            .map(Some)
            .map_err(|e| Problem::invalid(format!("invalid platform: {e}"))),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|e| Problem::invalid(fault::chain(&e))),
    }
}
