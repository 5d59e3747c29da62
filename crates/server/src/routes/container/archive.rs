//! Files in and out of containers: `archive` (docker cp) and `export`.

use engine::container::{PathStat, PutOptions};
use hyper::header::HeaderValue;

use crate::body;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::render::{self, base64};
use crate::reply::Reply;

const TAR: &str = "application/x-tar";

/// `HEAD /containers/{id}/archive`.
pub(super) async fn stat(call: Call, id: &str) -> Result {
    let path = path(&call)?;
    let stat = call.engine.stat_path(id, &path).await?;
    Ok(with_stat(Reply::ok(), &stat))
}

/// `GET /containers/{id}/archive`.
pub(super) async fn get(call: Call, id: &str) -> Result {
    let path = path(&call)?;
    let (stat, chunks) = call.engine.get_archive(id, &path).await?;
    Ok(with_stat(Reply::stream(TAR, chunks, call.gone()), &stat))
}

/// `PUT /containers/{id}/archive`.
pub(super) async fn put(call: Call, id: &str) -> Result {
    let path = path(&call)?;
    let options = PutOptions {
        no_overwrite_dir_non_dir: call.query.flag("noOverwriteDirNonDir"),
        copy_uid_gid: call.query.flag("copyUIDGID"),
    };
    let engine = call.engine;
    body::feed(call.request.into_body(), |tar| {
        engine.put_archive(id, &path, options, tar)
    })
    .await?;
    Ok(Reply::ok())
}

/// `GET /containers/{id}/export`.
pub(super) async fn export(call: Call, id: &str) -> Result {
    let chunks = call.engine.export(id).await?;
    Ok(Reply::stream(
        "application/octet-stream",
        chunks,
        call.gone(),
    ))
}

fn path(call: &Call) -> Result<String> {
    let path = call.query.text("path").map(str::to_owned);
    path.ok_or_else(|| Problem::invalid("bad parameter: path cannot be empty"))
}

fn with_stat(reply: Reply, stat: &PathStat) -> Reply {
    let json =
        serde_json::to_vec(&render::path::stat(stat)).expect("wire types have string keys only");
    let text = HeaderValue::from_str(&base64::encode(&json)).expect("base64 is printable");
    reply.header_value("x-docker-container-path-stat", text)
}
