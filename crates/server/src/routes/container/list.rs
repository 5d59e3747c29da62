//! Looking at containers: list, inspect, top, changes.

use api::container::{Change, ChangeKind, Top};
use engine::Engine;
use engine::container::{ListQuery, View};

use crate::call::Call;
use crate::problem::Result;
use crate::render;
use crate::reply::Reply;

/// `GET /containers/json`.
pub(super) async fn list(call: Call) -> Result {
    let limit = call
        .query
        .number("limit")?
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n > 0);
    let query = ListQuery {
        all: call.query.flag("all"),
        limit,
        size: call.query.flag("size"),
        filters: call.query.filters()?,
    };
    let views = call.engine.list(&query).await?;
    let sizes = match query.size {
        true => call
            .engine
            .sizes(&views)
            .await?
            .into_iter()
            .map(Some)
            .collect(),
        false => vec![None; views.len()],
    };
    let now = render::now();
    let rows: Vec<_> = views
        .iter()
        .zip(sizes)
        .map(|(view, size)| {
            render::container::summary(view, shown_image(&call.engine, view), size, now)
        })
        .collect();
    Ok(Reply::json(&rows))
}

/// The image's name as the user gave it, or its id when that name means another image by now.
pub(crate) fn shown_image(engine: &Engine, view: &View) -> String {
    let name = &view.record.config.image;
    match engine.image(name) {
        Ok(image) if image.id.to_string() == *view.record.image_id => name.clone(),
        _ => view.record.image_id.to_string(),
    }
}

/// `GET /containers/{id}/json`.
pub(super) async fn inspect(call: Call, id: &str) -> Result {
    let view = call.engine.container(id)?;
    let size = match call.query.flag("size") {
        true => call.engine.sizes(std::slice::from_ref(&view)).await?.pop(),
        false => None,
    };
    let root = &call.engine.options().data_root;
    let folders = call.engine.container_folders(&view);
    Ok(Reply::json(&render::container::inspect(
        &view, size, root, folders,
    )))
}

/// `GET /containers/{id}/top`.
pub(super) async fn top(call: Call, id: &str) -> Result {
    let arguments = call.query.text("ps_args").unwrap_or("-ef").to_owned();
    let table = call.engine.top(id, &arguments).await?;
    Ok(Reply::json(&Top {
        processes: table.processes,
        titles: table.titles,
    }))
}

/// `GET /containers/{id}/changes`.
pub(super) async fn changes(call: Call, id: &str) -> Result {
    let changes: Vec<_> = call
        .engine
        .changes(id)
        .await?
        .into_iter()
        .map(|change| Change {
            path: String::from_utf8_lossy(&change.path).into_owned(),
            kind: match change.kind {
                archive::ChangeKind::Modified => ChangeKind::Modified,
                archive::ChangeKind::Added => ChangeKind::Added,
                archive::ChangeKind::Deleted => ChangeKind::Deleted,
            },
        })
        .collect();
    match changes.is_empty() {
        // A nil slice, in Go.
        true => Ok(Reply::json(&None::<()>)),
        false => Ok(Reply::json(&changes)),
    }
}
