//! `/containers`: the table of routes and the short ones.

mod archive;
mod create;
pub(crate) mod list;
mod logs;
mod stats;
mod streams;

use api::container::{ContainersPruned, UpdateRequest, UpdateResponse, WaitError, WaitResponse};
use engine::container::{RemoveOptions, Started, StopOptions, Stopped, WaitCondition};
use hyper::Method;

use super::{behind_noun, taken_apart};
use crate::body;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::reply::Reply;

/// Answers everything under `/containers`.
pub(crate) async fn route(mut call: Call) -> Result {
    let (method, path) = taken_apart(&mut call);
    match (&method, behind_noun(&path).as_slice()) {
        (&Method::GET, ["json"]) => list::list(call).await,
        (&Method::POST, ["create"]) => create::create(call).await,
        (&Method::POST, ["prune"]) => prune(call).await,
        (&Method::GET, [id, "json"]) => list::inspect(call, id).await,
        (&Method::GET, [id, "top"]) => list::top(call, id).await,
        (&Method::GET, [id, "logs"]) => logs::logs(call, id).await,
        (&Method::GET, [id, "changes"]) => list::changes(call, id).await,
        (&Method::GET, [id, "export"]) => archive::export(call, id).await,
        (&Method::GET, [id, "stats"]) => stats::stats(call, id).await,
        (&Method::POST, [id, "start"]) => start(call, id).await,
        (&Method::POST, [id, "stop"]) => stop(call, id).await,
        (&Method::POST, [id, "restart"]) => restart(call, id).await,
        (&Method::POST, [id, "kill"]) => kill(call, id).await,
        (&Method::POST, [id, "update"]) => update(call, id).await,
        (&Method::POST, [id, "rename"]) => rename(call, id).await,
        (&Method::POST, [id, "pause"]) => pause(call, id).await,
        (&Method::POST, [id, "unpause"]) => unpause(call, id).await,
        (&Method::POST, [id, "resize"]) => resize(call, id).await,
        (&Method::POST, [id, "wait"]) => wait(call, id).await,
        (&Method::POST, [id, "attach"]) => streams::attach(call, id).await,
        (&Method::GET, [_, "attach", "ws"]) => {
            Err(Problem::unimplemented("attach over a WebSocket"))
        }
        (&Method::POST, [id, "exec"]) => super::exec::create(call, id).await,
        (&Method::HEAD, [id, "archive"]) => archive::stat(call, id).await,
        (&Method::GET, [id, "archive"]) => archive::get(call, id).await,
        (&Method::PUT, [id, "archive"]) => archive::put(call, id).await,
        (&Method::DELETE, [id]) => remove(call, id).await,
        // A link is called as a path: its container and its alias.
        (&Method::DELETE, [id, alias]) if call.query.flag("link") => unlink(call, id, alias).await,
        (&Method::GET | &Method::POST, [_, "checkpoints", ..]) => {
            Err(Problem::unimplemented("checkpoint and restore"))
        }
        _ => Err(Problem::no_route()),
    }
}

async fn start(call: Call, id: &str) -> Result {
    match call.engine.start(id).await? {
        Started::Started => Ok(Reply::no_content()),
        Started::AlreadyStarted => Ok(Reply::not_modified()),
    }
}

/// Signal and time of a stop or restart.
fn stop_options(call: &Call) -> Result<StopOptions> {
    Ok(StopOptions {
        // Clients before 1.42 never sent it; what else they sent by this name is not ours to obey.
        signal: call
            .query
            .text("signal")
            .filter(|_| call.since(42))
            .map(str::to_owned),
        timeout_secs: call.query.number("t")?,
    })
}

async fn stop(call: Call, id: &str) -> Result {
    let options = stop_options(&call)?;
    match call.engine.stop(id, options).await? {
        Stopped::Stopped => Ok(Reply::no_content()),
        Stopped::AlreadyStopped => Ok(Reply::not_modified()),
    }
}

async fn restart(call: Call, id: &str) -> Result {
    let options = stop_options(&call)?;
    call.engine.restart(id, options).await?;
    Ok(Reply::no_content())
}

async fn kill(call: Call, id: &str) -> Result {
    let signal = call.query.text("signal").map(str::to_owned);
    call.engine.kill(id, signal).await?;
    Ok(Reply::no_content())
}

async fn update(mut call: Call, id: &str) -> Result {
    let wanted: UpdateRequest = body::json(&mut call.request).await?;
    let warnings = call.engine.update(id, wanted).await?;
    Ok(Reply::json(&UpdateResponse { warnings }))
}

async fn rename(call: Call, id: &str) -> Result {
    let Some(name) = call.query.text("name").map(str::to_owned) else {
        return Err(Problem::invalid("Neither old nor new names may be empty"));
    };
    call.engine.rename(id, name).await?;
    Ok(Reply::no_content())
}

async fn pause(call: Call, id: &str) -> Result {
    call.engine.pause(id).await?;
    Ok(Reply::no_content())
}

async fn unpause(call: Call, id: &str) -> Result {
    call.engine.unpause(id).await?;
    Ok(Reply::no_content())
}

async fn resize(call: Call, id: &str) -> Result {
    let (height, width) = size(&call)?;
    call.engine.resize(id, height, width).await?;
    Ok(Reply::ok())
}

/// The `h` and `w` of a resize.
pub(super) fn size(call: &Call) -> Result<(u16, u16)> {
    let side = |key| match call.query.number(key)?.map(u16::try_from) {
        Some(Ok(cells)) => Ok(cells),
        _ => Err(Problem::invalid(format!(
            "invalid resize {} {:?}: a number from 0 to 65535 is needed",
            if key == "h" { "height" } else { "width" },
            call.query.get(key).unwrap_or_default()
        ))),
    };
    Ok((side("h")?, side("w")?))
}

async fn remove(call: Call, id: &str) -> Result {
    let options = RemoveOptions {
        force: call.query.flag("force"),
        volumes: call.query.flag("v"),
        link: call.query.flag("link"),
    };
    call.engine.remove(id, options).await?;
    Ok(Reply::no_content())
}

async fn unlink(call: Call, id: &str, alias: &str) -> Result {
    call.engine.unlink(id, alias).await?;
    Ok(Reply::no_content())
}

/// The head goes out at once, so that a client knows its wait is registered; the body follows at the end.
async fn wait(call: Call, id: &str) -> Result {
    let condition = match call.query.text("condition") {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => return Err(Problem::invalid(format!("invalid condition: {other:?}"))),
    };
    let waiter = call.engine.wait(id, condition).await?;
    let (lines, reply) = Reply::lines(call.gone());
    tokio::spawn(async move {
        tokio::select! {
            outcome = waiter.outcome() => {
                let error = outcome.error.map(|message| WaitError { message });
                let _ = lines.send(&WaitResponse { error, status_code: outcome.code }).await;
            }
            () = lines.left() => {}
        }
    });
    Ok(reply)
}

async fn prune(call: Call) -> Result {
    let filters = call.query.filters()?;
    let pruned = call.engine.prune_containers(&filters).await?;
    Ok(Reply::json(&ContainersPruned {
        containers_deleted: pruned.removed,
        space_reclaimed: pruned.reclaimed,
    }))
}
