//! `POST /containers/{id}/attach`.

use engine::container::Attach;

use crate::call::Call;
use crate::hijack::{Content, hijack};
use crate::problem::Result;

/// Joins a client to a container's streams.
pub(super) async fn attach(call: Call, id: &str) -> Result {
    let view = call.engine.container(id)?;
    view.permits(lifecycle::Use::Attach)?;
    let content = Content::of(view.record.config.tty, call.since(42));
    let keys = call.query.text("detachKeys").map(str::to_owned);
    let [stdin, stdout, stderr, logs, follow] =
        ["stdin", "stdout", "stderr", "logs", "stream"].map(|key| call.query.flag(key));
    let engine = call.engine;
    let target = view.record.id.to_string();
    let coming = engine.expect_attach(&target, keys.as_deref())?;
    hijack(call.request, &call.peer, content, move |raw| async move {
        let attached = engine.attach(
            &target,
            Attach {
                stream: raw.socket,
                early_input: raw.early_input,
                stdin,
                stdout,
                stderr,
                logs,
                follow,
                detach_keys: keys,
            },
        );
        let attached = attached.await;
        drop(coming);
        if let Err(error) = attached {
            // The client has its 101 already: all it can see now is the end of the stream.
            tracing::warn!(container = target, error = fault::chain(&error), "attach");
        }
    })
}
