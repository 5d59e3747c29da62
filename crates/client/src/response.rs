//! A streamed answer, and the raw stream of an upgraded connection.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use crate::{Error, Result, request::Boxed};

/// Connections that may carry another request.
pub(crate) type Idle = Rc<RefCell<Vec<SendRequest<Boxed>>>>;

/// An answer whose body is read piece by piece.
#[derive(Debug)]
pub struct Response {
    pub(crate) inner: hyper::Response<Incoming>,
    pub(crate) operation: String,
    pub(crate) sender: Option<SendRequest<Boxed>>,
    pub(crate) idle: Idle,
}

impl Response {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    /// A header's text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// The next piece of the body, `None` at its end.
    ///
    /// # Errors
    /// The connection broke off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.inner.body_mut().frame().await {
            let frame = frame.map_err(|source| Error::Exchange {
                operation: self.operation.clone(),
                source,
            })?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        if let Some(sender) = self.sender.take() {
            self.idle.borrow_mut().push(sender);
        }
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// The connection broke off.
    pub async fn bytes(mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.chunk().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    /// The whole body as JSON; an empty body is `null`.
    ///
    /// # Errors
    /// The connection broke off, or the text is not JSON.
    pub async fn json(self) -> Result<Value> {
        let operation = self.operation.clone();
        let text = self.bytes().await?;
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&text).map_err(|source| Error::Answer { operation, source })
    }

    /// The next value of a body that is a sequence of JSON texts; `buffer` keeps what is left over.
    ///
    /// # Errors
    /// The connection broke off, or the text is not JSON.
    pub async fn next_json(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Value>> {
        loop {
            let mut values = serde_json::Deserializer::from_slice(buffer).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => {
                    let used = values.byte_offset();
                    buffer.drain(..used);
                    return Ok(Some(value));
                }
                Some(Err(source)) if !source.is_eof() => {
                    return Err(Error::Answer {
                        operation: self.operation.clone(),
                        source,
                    });
                }
                _ => {}
            }
            match self.chunk().await? {
                Some(piece) => buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

/// The two-way byte stream of an upgraded connection (attach, exec).
#[derive(Debug)]
pub struct RawStream {
    pub(crate) socket: Socket,
    /// Bytes that arrived with the answer's head.
    pub(crate) early: Bytes,
    /// The stream's media type: `application/vnd.docker.multiplexed-stream` or `...raw-stream`.
    pub content_type: String,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl AsyncRead for RawStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match &mut self.socket {
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for RawStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the writing half only: the daemon sees the end of stdin, output goes on.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
