//! `/exec`: further processes in a running container.

use std::io::Write;
use std::os::fd::OwnedFd;

use api::exec::{ExecConfig, ExecCreateResponse, ExecStartRequest};
use engine::exec::ExecStart;
use hyper::{Method, StatusCode};

use super::{behind_noun, taken_apart};
use crate::body;
use crate::call::Call;
use crate::hijack::{Content, hijack};
use crate::problem::{Problem, Result};
use crate::render;
use crate::reply::Reply;

/// Answers everything under `/exec`.
pub(crate) async fn route(mut call: Call) -> Result {
    let (method, path) = taken_apart(&mut call);
    match (&method, behind_noun(&path).as_slice()) {
        (&Method::POST, [id, "start"]) => start(call, id).await,
        (&Method::POST, [id, "resize"]) => resize(call, id).await,
        (&Method::GET, [id, "json"]) => inspect(call, id).await,
        _ => Err(Problem::no_route()),
    }
}

/// `POST /containers/{id}/exec`.
pub(super) async fn create(mut call: Call, container: &str) -> Result {
    let config: ExecConfig = body::json(&mut call.request).await?;
    let id = call.engine.exec_create(container, config).await?;
    Ok(Reply::json(&ExecCreateResponse { id }).status(StatusCode::CREATED))
}

async fn start(mut call: Call, id: &str) -> Result {
    let exec = call.engine.exec_inspect(id).await?;
    let wanted: ExecStartRequest = body::json_or_default(&mut call.request).await?;
    let mut start = ExecStart {
        detach: wanted.detach,
        tty: wanted.tty,
        console_size: wanted.console_size.map(cells).transpose()?,
        stream: None,
        early_input: Vec::new(),
    };
    if wanted.detach {
        call.engine.exec_start(id, start).await?;
        return Ok(Reply::ok());
    }
    let content = Content::of(exec.config.tty, call.since(42));
    let engine = call.engine;
    hijack(call.request, &call.peer, content, move |raw| async move {
        // The shim serves the stream. A second descriptor is kept until the start has gone well, for the error text.
        let Ok(spare) = raw.socket.try_clone() else {
            return tracing::warn!(exec = exec.id, "no descriptor left for an exec's stream");
        };
        start.stream = Some(raw.socket);
        start.early_input = raw.early_input;
        if let Err(error) = engine.exec_start(&exec.id, start).await {
            tell(
                spare,
                exec.config.tty,
                &crate::problem::in_words(&fault::chain(&error)),
            )
            .await;
        }
    })
}

/// Height and width as a terminal has them.
fn cells(size: [u64; 2]) -> Result<(u16, u16)> {
    match size.map(u16::try_from) {
        [Ok(height), Ok(width)] => Ok((height, width)),
        _ => Err(Problem::invalid(format!("invalid ConsoleSize {size:?}"))),
    }
}

/// Writes why an exec could not be started into its stream, as Docker does, and ends the stream.
async fn tell(stream: OwnedFd, tty: bool, message: &str) {
    let text = format!("{message}\r\n");
    let mut bytes = Vec::with_capacity(text.len() + 8);
    if !tty {
        bytes.extend_from_slice(&frame_head(STDOUT, text.len()));
    }
    bytes.extend_from_slice(text.as_bytes());
    let written = tokio::task::spawn_blocking(move || {
        // Whatever family the socket has, a stream is a stream to write(2).
        let mut stream = std::fs::File::from(stream);
        stream.write_all(&bytes)?;
        match rustix::net::shutdown(&stream, rustix::net::Shutdown::Both) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    });
    if let Ok(Err(error)) = written.await.map(|done: std::io::Result<()>| done) {
        tracing::debug!(%error, "the client of an exec left before the error was told");
    }
}

/// The stream of a frame that is neither input nor an error.
const STDOUT: u8 = 1;

/// Docker's frame head: the stream, three zeros, the length (big-endian).
fn frame_head(stream: u8, len: usize) -> [u8; 8] {
    let [a, b, c, d] = u32::try_from(len)
        .expect("an error text is shorter than 4 GiB")
        .to_be_bytes();
    [stream, 0, 0, 0, a, b, c, d]
}

async fn resize(call: Call, id: &str) -> Result {
    let (height, width) = super::container::size(&call)?;
    call.engine.exec_resize(id, height, width).await?;
    Ok(Reply::ok())
}

async fn inspect(call: Call, id: &str) -> Result {
    let exec = call.engine.exec_inspect(id).await?;
    Ok(Reply::json(&render::exec::inspect(&exec)))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn a_failed_start_is_told_in_a_frame_and_ends_the_stream() {
        let (near, mut far) = UnixStream::pair().expect("a socket pair");
        tell(near.into(), false, "no such file").await;
        let mut got = Vec::new();
        far.read_to_end(&mut got).expect("an end");
        assert_eq!(got, b"\x01\0\0\0\0\0\0\x0eno such file\r\n");
    }
}
