//! One HTTP/1.1 connection and its reuse, version negotiation, and starting the default daemon on demand.

use std::{
    cell::RefCell,
    fmt, io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use hyper::{
    StatusCode,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use crate::{
    Endpoint, Error, NEWEST_VERSION, Result,
    request::{Boxed, Request},
    response::{Idle, RawStream, Response, Socket},
};

/// Starts the daemon of the default endpoint; returns when it has been asked to start.
pub type Start = Box<dyn Fn() -> std::result::Result<(), Box<dyn std::error::Error>>>;

/// How long a daemon started on demand may take to listen.
const START_PATIENCE: Duration = Duration::from_secs(15);

/// A daemon's address with connections to it, for use on a single-threaded runtime.
pub struct Client {
    endpoint: Endpoint,
    start: Option<Start>,
    version: RefCell<Option<String>>,
    idle: Idle,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that negotiates the API version by a ping before its first request.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let pinned = std::env::var("DOCKER_API_VERSION")
            .ok()
            .filter(|text| !text.is_empty())
            .map(|text| text.trim_start_matches('v').to_owned());
        Self {
            endpoint,
            start: None,
            version: RefCell::new(pinned),
            idle: Rc::default(),
        }
    }

    /// A client of our own default daemon: no negotiation, and `start` is called when nobody listens.
    #[must_use]
    pub fn connect_or_start(endpoint: Endpoint, start: Option<Start>) -> Self {
        let client = Self::new(endpoint);
        client
            .version
            .borrow_mut()
            .get_or_insert_with(|| NEWEST_VERSION.into());
        Self { start, ..client }
    }

    /// The daemon's address.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The API version in use, negotiated now if it was not yet.
    ///
    /// # Errors
    /// Nobody answers the ping.
    pub async fn version(&self) -> Result<String> {
        if let Some(version) = &*self.version.borrow() {
            return Ok(version.clone());
        }
        let answer = self.exchange(Request::head(&["_ping"]), "").await?;
        let server = answer.header("api-version").unwrap_or("1.24").to_owned();
        let version = if newer(&server, NEWEST_VERSION) {
            NEWEST_VERSION.to_owned()
        } else {
            server
        };
        answer.bytes().await?;
        *self.version.borrow_mut() = Some(version.clone());
        Ok(version)
    }

    /// Sends a request; an answer outside 2xx and 304 becomes [`Error::Daemon`].
    ///
    /// # Errors
    /// No connection, a broken one, or an error answered by the daemon.
    pub async fn send(&self, request: Request) -> Result<Response> {
        let prefix = format!("/v{}", self.version().await?);
        let answer = self.exchange(request, &prefix).await?;
        require_success(answer).await
    }

    /// Sends a request and reads its JSON answer.
    ///
    /// # Errors
    /// As [`Client::send`], and an answer that is not JSON.
    pub async fn json(&self, request: Request) -> Result<Value> {
        self.send(request).await?.json().await
    }

    /// Sends a request and drops its answer's body.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn call(&self, request: Request) -> Result<()> {
        self.send(request).await?.bytes().await.map(drop)
    }

    /// Sends a request that turns its connection into a raw stream (`Upgrade: tcp`).
    ///
    /// # Errors
    /// As [`Client::send`], and [`Error::Upgrade`] when the daemon does not switch.
    pub async fn hijack(&self, request: Request) -> Result<RawStream> {
        let prefix = format!("/v{}", self.version().await?);
        let request = request
            .header("connection", "Upgrade")
            .header("upgrade", "tcp");
        let answer = require_success(self.exchange(request, &prefix).await?).await?;
        if answer.inner.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::Upgrade {
                status: answer.status(),
            });
        }
        let content_type = answer.header("content-type").unwrap_or_default().to_owned();
        let operation = answer.operation.clone();
        let upgraded = hyper::upgrade::on(answer.inner)
            .await
            .map_err(|source| Error::Exchange { operation, source })?;
        let (socket, early) = match &self.endpoint {
            Endpoint::Unix(_) => {
                let parts = upgraded
                    .downcast::<TokioIo<UnixStream>>()
                    .expect("a unix endpoint upgrades a unix stream");
                (Socket::Unix(parts.io.into_inner()), parts.read_buf)
            }
            Endpoint::Tcp(_) => {
                let parts = upgraded
                    .downcast::<TokioIo<TcpStream>>()
                    .expect("a TCP endpoint upgrades a TCP stream");
                (Socket::Tcp(parts.io.into_inner()), parts.read_buf)
            }
        };
        Ok(RawStream {
            socket,
            early,
            content_type,
        })
    }

    async fn exchange(&self, request: Request, prefix: &str) -> Result<Response> {
        let operation = request.describe();
        let spare = request.payload.repeat();
        let Request {
            method,
            target,
            payload,
            content_type,
            headers,
        } = request;
        let build = |payload: crate::Payload| {
            let mut builder = hyper::Request::builder()
                .method(method.clone())
                .uri(format!("{prefix}{target}"))
                .header(header::HOST, "api.estiva.localhost")
                .header(
                    header::USER_AGENT,
                    concat!("estiva-client/", env!("CARGO_PKG_VERSION"), " (linux)"),
                );
            if !matches!(payload, crate::Payload::Empty) {
                builder = builder.header(header::CONTENT_TYPE, content_type);
            }
            for (name, value) in &headers {
                builder = builder.header(*name, value);
            }
            builder
                .body(payload.into_body())
                .expect("method, escaped path and headers are valid")
        };
        let fail = |source| Error::Exchange {
            operation: operation.clone(),
            source,
        };
        let kept = if spare.is_some() {
            self.take_idle().await
        } else {
            None
        };
        let (mut sender, reused) = match kept {
            Some(sender) => (sender, true),
            None => (self.connect().await?, false),
        };
        let first = sender.send_request(build(payload)).await;
        let inner = match (first, spare) {
            (Ok(answer), _) => answer,
            // The daemon may close a kept connection at any time: ask again on a fresh one.
            (Err(_), Some(spare)) if reused => {
                sender = self.connect().await?;
                sender.send_request(build(spare)).await.map_err(fail)?
            }
            (Err(source), _) => return Err(fail(source)),
        };
        Ok(Response {
            inner,
            operation,
            sender: Some(sender),
            idle: Rc::clone(&self.idle),
        })
    }

    async fn take_idle(&self) -> Option<SendRequest<Boxed>> {
        loop {
            let mut sender = self.idle.borrow_mut().pop()?;
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Boxed>> {
        match self.dial().await {
            Ok(sender) => Ok(sender),
            Err(Error::Connect { .. }) if self.start.is_some() => self.start_and_dial().await,
            Err(error) => Err(error),
        }
    }

    async fn start_and_dial(&self) -> Result<SendRequest<Boxed>> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::Rootless);
        }
        if let Some(start) = &self.start {
            start().map_err(|error| Error::Start {
                reason: error.to_string(),
            })?;
        }
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match self.dial().await {
                Err(Error::Connect { .. }) if began.elapsed() < START_PATIENCE => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
                result => return result,
            }
        }
    }

    async fn dial(&self) -> Result<SendRequest<Boxed>> {
        let fail = |source: io::Error| {
            let endpoint = self.endpoint.to_string();
            if source.kind() == io::ErrorKind::PermissionDenied {
                Error::Denied { endpoint, source }
            } else {
                Error::Connect { endpoint, source }
            }
        };
        match &self.endpoint {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(fail)?;
                self.shake_hands(stream).await
            }
            Endpoint::Tcp(address) => {
                let address = resolve(address).map_err(fail)?;
                let stream = TcpStream::connect(address).await.map_err(fail)?;
                stream.set_nodelay(true).map_err(fail)?;
                self.shake_hands(stream).await
            }
        }
    }

    async fn shake_hands<S>(&self, stream: S) -> Result<SendRequest<Boxed>>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|source| Error::Exchange {
                    operation: "handshake".into(),
                    source,
                })?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

async fn require_success(answer: Response) -> Result<Response> {
    let status = answer.inner.status();
    if status.is_success() || status.is_informational() || status == StatusCode::NOT_MODIFIED {
        return Ok(answer);
    }
    let text = answer.bytes().await?;
    let message = serde_json::from_slice::<Value>(&text)
        .ok()
        .and_then(|body| Some(body.get("message")?.as_str()?.trim().to_owned()))
        .unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            if text.is_empty() {
                format!("unexpected status {status}")
            } else {
                text
            }
        });
    Err(Error::Daemon {
        status: status.as_u16(),
        message,
    })
}

/// Whether version `a` (`1.51`) is newer than `b`.
fn newer(a: &str, b: &str) -> bool {
    let parts = |text: &str| -> Vec<u32> {
        text.split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    parts(a) > parts(b)
}

/// Finds the address of `host:port` from literals and `/etc/hosts`, never through the C library.
fn resolve(address: &str) -> io::Result<SocketAddr> {
    if let Ok(found) = address.parse() {
        return Ok(found);
    }
    let unknown = || {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("no such host: {address} (give an IP address or a name in /etc/hosts)"),
        )
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(unknown)?;
    let port: u16 = port.parse().map_err(|_| unknown())?;
    if host == "localhost" {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    hosts
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let ip: IpAddr = words.next()?.parse().ok()?;
            words.any(|word| word == host).then_some(ip)
        })
        .next()
        .map(|ip| SocketAddr::new(ip, port))
        .ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(newer("1.100", "1.51"));
        assert!(!newer("1.41", "1.51"));
        assert!(!newer("1.51", "1.51"));
    }

    #[test]
    fn addresses_need_no_resolver() {
        assert_eq!(resolve("localhost:5").unwrap().port(), 5);
        assert!(resolve("no.such.name.invalid:5").is_err());
    }
}
