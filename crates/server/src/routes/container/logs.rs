//! `GET /containers/{id}/logs`.

use engine::container::LogQuery;
use logs::Entry;
use tokio::sync::mpsc;

use crate::call::Call;
use crate::hijack::Content;
use crate::problem::{Problem, Result, in_words};
use crate::render::log::{Dress, append, append_failure};
use crate::reply::Reply;
use crate::when;

/// Bytes of log lines that go out together.
const CHUNK: usize = 64 << 10;

/// Streams a container's log.
pub(super) async fn logs(call: Call, id: &str) -> Result {
    let query = query(&call)?;
    let log = call.engine.logs(id, query).await?;
    let dress = Dress {
        timestamps: call.query.flag("timestamps"),
        details: call.query.flag("details"),
        frames: !log.tty,
    };
    let (to, chunks) = mpsc::channel(4);
    tokio::spawn(dressed(log.entries, dress, to));
    let content = Content::of(log.tty, call.since(42)).media_type();
    Ok(Reply::stream(content, chunks, call.gone()))
}

fn query(call: &Call) -> Result<LogQuery> {
    let (stdout, stderr) = (call.query.flag("stdout"), call.query.flag("stderr"));
    if !(stdout || stderr) {
        return Err(Problem::invalid(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let time = |key| {
        call.query
            .text(key)
            .filter(|t| *t != "0")
            .map(|text| when::parse(key, text))
            .transpose()
    };
    Ok(LogQuery {
        stdout,
        stderr,
        since_unix_nanos: time("since")?,
        until_unix_nanos: time("until")?,
        // Whatever is not a number means all, as in Docker.
        tail: call.query.text("tail").and_then(|tail| tail.parse().ok()),
        follow: call.query.flag("follow"),
    })
}

/// Dresses entries and sends them in large pieces: what is there is gathered, what is awaited is not held back. What goes
/// wrong is told in the stream, where clients look for it, and ends it.
async fn dressed(
    mut entries: mpsc::Receiver<engine::Result<Entry>>,
    dress: Dress,
    to: mpsc::Sender<std::io::Result<Vec<u8>>>,
) {
    loop {
        let mut next = tokio::select! {
            next = entries.recv() => next,
            () = to.closed() => return,
        };
        let mut chunk = Vec::new();
        let mut has_failed = false;
        while let Some(entry) = next {
            match entry {
                Ok(entry) => append(&mut chunk, &entry, dress),
                Err(error) => {
                    append_failure(&mut chunk, &in_words(&fault::chain(&error)), dress);
                    has_failed = true;
                }
            }
            next = match chunk.len() < CHUNK && !has_failed {
                true => entries.try_recv().ok(),
                false => None,
            };
        }
        if chunk.is_empty() || to.send(Ok(chunk)).await.is_err() || has_failed {
            return;
        }
    }
}
