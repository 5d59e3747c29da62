//! A request's method, path, query and body.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Method,
    body::{Body, Frame},
};
use serde_json::Value;
use tokio::sync::mpsc;

/// The body type of every request.
pub(crate) type Boxed = UnsyncBoxBody<Bytes, io::Error>;

/// A request's body.
#[derive(Default)]
pub enum Payload {
    /// Nothing.
    #[default]
    Empty,
    /// JSON text.
    Json(Bytes),
    /// A tar stream (or other bytes), sent chunk by chunk as they arrive.
    Stream(mpsc::Receiver<io::Result<Bytes>>),
    /// Blocks pulled from a reader as the socket takes them.
    Reader(Box<dyn io::Read + Send>),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Json(_) => "Json",
            Self::Stream(_) => "Stream",
            Self::Reader(_) => "Reader",
        })
    }
}

impl Payload {
    /// Whether the request may be sent a second time.
    pub(crate) fn repeat(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Json(text) => Some(Self::Json(text.clone())),
            Self::Stream(_) | Self::Reader(_) => None,
        }
    }

    pub(crate) fn into_body(self) -> Boxed {
        match self {
            Self::Empty => Full::new(Bytes::new())
                .map_err(|never| match never {})
                .boxed_unsync(),
            Self::Json(text) => Full::new(text)
                .map_err(|never| match never {})
                .boxed_unsync(),
            Self::Stream(chunks) => Chunks(chunks).boxed_unsync(),
            Self::Reader(reader) => Blocks {
                reader,
                buffer: vec![0; 256 * 1024],
            }
            .boxed_unsync(),
        }
    }
}

struct Chunks(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(cx)
            .map(|chunk| chunk.map(|result| result.map(Frame::data)))
    }
}

/// A local file or pipe as a body: reads block, which a one-request client can afford.
struct Blocks {
    reader: Box<dyn io::Read + Send>,
    buffer: Vec<u8>,
}

impl Body for Blocks {
    type Data = Bytes;
    type Error = io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { reader, buffer } = &mut *self;
        loop {
            return Poll::Ready(match reader.read(buffer) {
                Ok(0) => None,
                Ok(length) => Some(Ok(Frame::data(Bytes::copy_from_slice(&buffer[..length])))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Some(Err(error)),
            });
        }
    }
}

/// Query parameters in the order they were added.
#[derive(Debug, Default, Clone)]
pub struct Query(String);

impl Query {
    /// An empty query.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `name=value`, percent-encoded.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
        self.0.push('=');
        escape_into(&mut self.0, value.as_ref(), false);
        self
    }

    /// Adds `name=value` unless the value is empty.
    #[must_use]
    pub fn with_some(self, name: &str, value: impl AsRef<str>) -> Self {
        if value.as_ref().is_empty() {
            self
        } else {
            self.with(name, value)
        }
    }

    /// Adds `name=1` when `on`.
    #[must_use]
    pub fn with_flag(self, name: &str, on: bool) -> Self {
        if on { self.with(name, "1") } else { self }
    }
}

/// Percent-encodes one path segment; `/` is kept, since image names carry it.
pub(crate) fn escape_into(target: &mut String, text: &str, keep_slash: bool) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' | b'@' => {
                target.push(byte as char);
            }
            b'/' if keep_slash => target.push('/'),
            _ => target.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// One request to the daemon.
#[derive(Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) payload: Payload,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Request {
    fn new(method: Method, path: &[&str]) -> Self {
        let mut target = String::new();
        for segment in path {
            target.push('/');
            escape_into(&mut target, segment, true);
        }
        Self {
            method,
            target,
            payload: Payload::Empty,
            content_type: "application/json",
            headers: Vec::new(),
        }
    }

    /// A GET of the path's segments, each escaped.
    #[must_use]
    pub fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path)
    }

    /// A POST.
    #[must_use]
    pub fn post(path: &[&str]) -> Self {
        Self::new(Method::POST, path)
    }

    /// A PUT.
    #[must_use]
    pub fn put(path: &[&str]) -> Self {
        Self::new(Method::PUT, path)
    }

    /// A HEAD.
    #[must_use]
    pub fn head(path: &[&str]) -> Self {
        Self::new(Method::HEAD, path)
    }

    /// A DELETE.
    #[must_use]
    pub fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a query.
    #[must_use]
    pub fn query(mut self, query: Query) -> Self {
        self.target.push_str(&query.0);
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.payload = Payload::Json(Bytes::from(body.to_string()));
        self
    }

    /// Sets a body of another type, such as `application/x-tar`.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, payload: Payload) -> Self {
        self.content_type = content_type;
        self.payload = payload;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_escaped() {
        let request = Request::get(&["images", "a/b:c d", "json"])
            .query(Query::new().with("filters", "{\"a\":1}").with_some("x", ""));
        assert_eq!(
            request.target,
            "/images/a/b:c%20d/json?filters=%7B%22a%22:1%7D"
        );
    }
}
