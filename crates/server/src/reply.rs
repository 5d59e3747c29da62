//! Answers: status, headers and a body that is empty, whole or a stream.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::body::{Chunks, ReplyBody};
use crate::peer::Gone;

/// An answer in the making.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: ReplyBody,
    is_none: bool,
}

impl Reply {
    fn with(body: ReplyBody) -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body,
            is_none: false,
        }
    }

    /// 204.
    pub(crate) fn no_content() -> Self {
        Self::with(ReplyBody::empty()).status(StatusCode::NO_CONTENT)
    }

    /// 200 without a body.
    pub(crate) fn ok() -> Self {
        Self::with(ReplyBody::empty())
    }

    /// No answer at all: the connection is taken from HTTP, see [`crate::hijack`].
    pub(crate) fn none() -> Self {
        Self {
            is_none: true,
            ..Self::ok()
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.is_none
    }

    /// 304: it was so already.
    pub(crate) fn not_modified() -> Self {
        Self::with(ReplyBody::empty()).status(StatusCode::NOT_MODIFIED)
    }

    /// A JSON document, closed by a newline as Docker does.
    pub(crate) fn json<T: Serialize>(value: &T) -> Self {
        let mut text = serde_json::to_vec(value).expect("wire types have string keys only");
        text.push(b'\n');
        Self::with(ReplyBody::whole(text.into())).header(CONTENT_TYPE, "application/json")
    }

    /// Plain text.
    pub(crate) fn text(text: &'static str) -> Self {
        Self::with(ReplyBody::whole(Bytes::from_static(text.as_bytes())))
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
    }

    /// A stream that ends with its source or with the client.
    pub(crate) fn stream(content_type: &'static str, chunks: Chunks, gone: Gone) -> Self {
        Self::with(ReplyBody::stream(chunks, gone)).header(CONTENT_TYPE, content_type)
    }

    /// A stream of JSON lines.
    pub(crate) fn lines(gone: Gone) -> (Lines, Self) {
        let (to, chunks) = mpsc::channel(16);
        (Lines { to }, Self::stream("application/json", chunks, gone))
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    pub(crate) fn header_value(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn into_response(self) -> Response<ReplyBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The sending end of a stream of JSON documents, one a line.
#[derive(Debug)]
pub(crate) struct Lines {
    to: mpsc::Sender<std::io::Result<Vec<u8>>>,
}

/// The client left: there is nobody to write to.
#[derive(Debug)]
pub(crate) struct Left;

impl Lines {
    pub(crate) async fn send<T: Serialize>(&self, value: &T) -> Result<(), Left> {
        let mut line = serde_json::to_vec(value).expect("wire types have string keys only");
        line.extend_from_slice(b"\r\n");
        self.to.send(Ok(line)).await.map_err(|_| Left)
    }

    /// Waits until the client has left.
    pub(crate) async fn left(&self) {
        self.to.closed().await;
    }
}
