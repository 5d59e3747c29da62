//! Handing a client's raw stream over: the shim serves it, and it outlives this daemon.
//!
//! A client that asks for `Upgrade: tcp` gets 101, and its socket goes to the engine together with the bytes hyper had
//! already read. An old client that does not ask gets Docker's old answer: 200 without a length, and the raw stream
//! behind it. hyper cannot answer so: its connection is ended unanswered, and the socket taken from it. A request with
//! a body that is still to come is answered with an ordinary body, carried through a socket pair.

use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue, UPGRADE, USER_AGENT};
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use crate::listen::Stream;
use crate::peer::{Gone, Peer};
use crate::problem::{Problem, Result};
use crate::reply::Reply;

/// A client's stream, free of HTTP.
#[derive(Debug)]
pub(crate) struct Raw {
    /// The socket, non-blocking.
    pub(crate) socket: OwnedFd,
    /// Bytes of input that came along with the request.
    pub(crate) early_input: Vec<u8>,
}

/// What the client is told its stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// The terminal's bytes, or a client too old to care.
    Raw,
    /// Docker's 8-byte frames.
    Multiplexed,
}

impl Content {
    pub(crate) fn of(tty: bool, multiplexed_known: bool) -> Self {
        if !tty && multiplexed_known {
            Self::Multiplexed
        } else {
            Self::Raw
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Raw => "application/vnd.docker.raw-stream",
            Self::Multiplexed => "application/vnd.docker.multiplexed-stream",
        }
    }
}

/// What becomes of a connection that is taken from HTTP: the answer's content, and who is given the stream.
pub(crate) struct TakeOver {
    content: Content,
    serve: Serve,
}

type Serve = Box<dyn FnOnce(Raw) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

impl std::fmt::Debug for TakeOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TakeOver")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl TakeOver {
    /// Writes the answer's head to a socket that HTTP has let go of, and hands the stream over.
    pub(crate) async fn run(self, mut stream: Stream, early_input: Vec<u8>) {
        let media_type = self.content.media_type();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n\r\n");
        let written = match &mut stream {
            Stream::Unix(unix) => unix.write_all(head.as_bytes()).await,
            Stream::Tcp(tcp) => tcp.write_all(head.as_bytes()).await,
        };
        let socket = match stream {
            Stream::Unix(unix) => unix.into_std().map(OwnedFd::from),
            Stream::Tcp(tcp) => tcp.into_std().map(OwnedFd::from),
        };
        match written.and(socket) {
            Ok(socket) => {
                (self.serve)(Raw {
                    socket,
                    early_input,
                })
                .await;
            }
            Err(error) => {
                tracing::debug!(%error, "the client left before its stream was taken over")
            }
        }
    }
}

/// Answers the request and calls `serve` with the stream as soon as the answer's head is on its way.
pub(crate) fn hijack<F>(
    mut request: Request<Incoming>,
    peer: &Peer,
    content: Content,
    serve: impl FnOnce(Raw) -> F + Send + 'static,
) -> Result
where
    F: Future<Output = ()> + Send + 'static,
{
    let asked = request
        .headers()
        .get(UPGRADE)
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    match asked {
        Some(protocol) if protocol.eq_ignore_ascii_case("tcp") => {
            let upgrade = hyper::upgrade::on(&mut request);
            let reads_past_head = reads_past_head(&request);
            tokio::spawn(async move {
                // Docker clients send no body with an upgrade but exec's JSON, which has been read.
                drop(request);
                match upgrade.await.map(raw) {
                    Ok(Ok(raw)) => {
                        if reads_past_head {
                            head_is_read(&raw).await;
                        }
                        serve(raw).await;
                    }
                    Ok(Err(error)) => tracing::warn!(%error, "take over a client's stream"),
                    Err(error) => {
                        tracing::debug!(%error, "the client left before its stream was taken over")
                    }
                }
            });
            Ok(Reply::ok()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header(hyper::header::CONTENT_TYPE, content.media_type())
                .header(CONNECTION, "Upgrade")
                .header_value("upgrade", HeaderValue::from_static("tcp")))
        }
        Some(protocol) => Err(Problem::invalid(format!(
            "cannot upgrade to {protocol:?}: only \"tcp\""
        ))),
        None if request.body().is_end_stream() => {
            peer.take_over(TakeOver {
                content,
                serve: Box::new(move |raw| Box::pin(serve(raw))),
            });
            Ok(Reply::none())
        }
        None => carried(request, peer.gone(), content, serve),
    }
}

/// docker-py reads the head through a buffer and the stream past it: what arrives together with the head is lost to it.
/// Unnecessary once docker-py reads its buffer first.
fn reads_past_head(request: &Request<Incoming>) -> bool {
    let agent = request.headers().get(USER_AGENT);
    agent
        .and_then(|v| v.to_str().ok())
        .is_some_and(|agent| agent.contains("python"))
}

/// Waits until the client has taken the head from its socket; not for ever, since a client may read when it likes.
async fn head_is_read(raw: &Raw) {
    for _ in 0..1000 {
        match sys::fds::unread_by_peer(raw.socket.as_fd()) {
            Ok(0) | Err(_) => return,
            Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// The socket under an upgraded connection.
fn raw(upgraded: Upgraded) -> std::io::Result<Raw> {
    let upgraded = match upgraded.downcast::<TokioIo<UnixStream>>() {
        Ok(parts) => {
            let socket = parts.io.into_inner().into_std()?;
            return Ok(Raw {
                socket: socket.into(),
                early_input: parts.read_buf.into(),
            });
        }
        Err(other) => other,
    };
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let socket = parts.io.into_inner().into_std()?;
            Ok(Raw {
                socket: socket.into(),
                early_input: parts.read_buf.into(),
            })
        }
        Err(_) => Err(std::io::Error::other("neither a unix nor a TCP stream")),
    }
}

/// Carries the stream as the bodies of an ordinary request and answer.
fn carried<F>(
    request: Request<Incoming>,
    gone: Gone,
    content: Content,
    serve: impl FnOnce(Raw) -> F + Send + 'static,
) -> Result
where
    F: Future<Output = ()> + Send + 'static,
{
    let failed =
        |e: std::io::Error| Problem::new(fault::Kind::Internal, format!("make a socket pair: {e}"));
    let (near, far) = UnixStream::pair().map_err(failed)?;
    let socket = far.into_std().map_err(failed)?.into();
    let (mut output, input) = near.into_split();
    let (to_client, chunks) = mpsc::channel(4);
    tokio::spawn(carry_input(request.into_body(), input));
    tokio::spawn(async move {
        let mut buffer = vec![0; 32 << 10];
        loop {
            let n = tokio::select! {
                read = output.read(&mut buffer) => read.unwrap_or(0),
                () = to_client.closed() => 0,
            };
            if n == 0 || to_client.send(Ok(buffer[..n].to_vec())).await.is_err() {
                break;
            }
        }
    });
    tokio::spawn(serve(Raw {
        socket,
        early_input: Vec::new(),
    }));
    Ok(Reply::stream(content.media_type(), chunks, gone))
}

/// The body is the input and its end is the input's end.
async fn carry_input(mut body: Incoming, mut input: OwnedWriteHalf) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref()
            && input.write_all(data).await.is_err()
        {
            return;
        }
    }
}
