//! Bodies: what we send (empty, whole, streamed) and what we read (JSON with a cap, or a stream).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use engine::stream::ChunkReader;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Request};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::peer::Gone;
use crate::problem::Problem;

/// The largest JSON body we read. Docker's largest real ones, with seccomp profiles inside, stay under 200 kB.
const JSON_CAP: usize = 4 << 20;

/// Bytes on their way to the client; the channel's bound is the back-pressure.
pub(crate) type Chunks = mpsc::Receiver<io::Result<Vec<u8>>>;

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct ReplyBody(Kind);

enum Kind {
    Whole(Option<Bytes>),
    Stream { chunks: Chunks, gone: Gone },
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(bytes).finish(),
            Self::Stream { .. } => f.write_str("Stream"),
        }
    }
}

impl ReplyBody {
    pub(crate) fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(Some(bytes)))
    }

    pub(crate) fn stream(chunks: Chunks, gone: Gone) -> Self {
        Self(Kind::Stream { chunks, gone })
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|all| Ok(Frame::data(all)))),
            Kind::Stream { chunks, gone } => {
                match chunks.poll_recv(cx) {
                    Poll::Ready(Some(chunk)) => {
                        return Poll::Ready(Some(chunk.map(|bytes| Frame::data(bytes.into()))));
                    }
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => {}
                }
                // An error rather than an end: hyper then closes the connection at once.
                gone.as_mut()
                    .poll(cx)
                    .map(|()| Some(Err(io::ErrorKind::BrokenPipe.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Kind::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Kind::Stream { .. } => SizeHint::default(),
        }
    }
}

/// Reads a JSON body.
pub(crate) async fn json<T: DeserializeOwned>(
    request: &mut Request<Incoming>,
) -> Result<T, Problem> {
    require_json(request.headers(), request.body().is_end_stream())?;
    let bytes = whole(request.body_mut()).await?;
    if bytes.is_empty() {
        return Err(Problem::invalid(
            "invalid JSON: got EOF while reading request body",
        ));
    }
    serde_json::from_slice(&bytes).map_err(|e| Problem::invalid(format!("invalid JSON: {e}")))
}

/// Reads a JSON body that may be missing.
pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(
    request: &mut Request<Incoming>,
) -> Result<T, Problem> {
    require_json(request.headers(), request.body().is_end_stream())?;
    let bytes = whole(request.body_mut()).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let read: Option<T> = serde_json::from_slice(&bytes)
        .map_err(|e| Problem::invalid(format!("invalid JSON: {e}")))?;
    Ok(read.unwrap_or_default())
}

/// Reads a small body to its end.
async fn whole(body: &mut Incoming) -> Result<Bytes, Problem> {
    match Limited::new(body, JSON_CAP).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::invalid(
            format!("request body too large: at most {} MiB", JSON_CAP >> 20),
        )),
        Err(error) => Err(Problem::invalid(format!("read the request body: {error}"))),
    }
}

/// Docker refuses other types so that a web page cannot post forms to a local daemon.
fn require_json(headers: &HeaderMap, is_empty: bool) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).map(|v| v.to_str().unwrap_or("?"));
    let bare = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    match bare.to_ascii_lowercase().as_str() {
        "application/json" => Ok(()),
        "" if is_empty => Ok(()),
        _ => Err(Problem::invalid(format!(
            "unsupported Content-Type header ({}): must be 'application/json'",
            kind.unwrap_or_default()
        ))),
    }
}

/// How long what is left of a body is read after the work on it has failed.
const DRAIN: Duration = Duration::from_secs(30);

/// Feeds a request's body to work that reads it; the work's slowness slows the client.
pub(crate) async fn feed<F: Future>(
    mut body: Incoming,
    work: impl FnOnce(ChunkReader) -> F,
) -> F::Output {
    let (to, reader) = engine::stream::inward();
    let work = work(reader);
    tokio::pin!(work);
    // Work that fails lets go of its reader first, so the pump may well be the one that ends here.
    let done = tokio::select! {
        done = &mut work => done,
        () = pump(&mut body, to) => (&mut work).await,
    };
    // A client in the middle of sending would see a broken pipe instead of our answer.
    let _ = tokio::time::timeout(DRAIN, drain(&mut body)).await;
    done
}

async fn pump(body: &mut Incoming, to: mpsc::Sender<io::Result<Vec<u8>>>) {
    while let Some(frame) = body.frame().await {
        let chunk = match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => Ok(Vec::from(data)),
                Err(_trailers) => continue,
            },
            Err(error) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
        };
        let is_last = chunk.is_err();
        if to.send(chunk).await.is_err() || is_last {
            return;
        }
    }
}

/// Refuses a request whose body is a stream. It is read to its end first: a client in the middle of sending would see a
/// broken pipe instead of the refusal.
pub(crate) async fn refuse(mut body: Incoming, problem: Problem) -> Problem {
    let _ = tokio::time::timeout(DRAIN, drain(&mut body)).await;
    problem
}

async fn drain(body: &mut Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}
