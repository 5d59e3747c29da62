//! Accepting clients and serving their connections until told to stop.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::listen::{Listener, Stream};
use crate::peer::Peer;
use crate::rest::Rest;
use crate::router;

/// How long running requests may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(3);

/// Serves the API on all listeners until `shutdown` resolves, then lets running requests end for a moment.
pub async fn serve(
    listeners: Vec<Listener>,
    engine: Arc<Engine>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (stop, stopping) = watch::channel(false);
    let rest = Rest::default();
    // What starting has needed goes as well.
    rest.stir();
    let mut doors = JoinSet::new();
    for listener in listeners {
        doors.spawn(accept(
            listener,
            engine.clone(),
            rest.clone(),
            stopping.clone(),
        ));
    }
    shutdown.await;
    // Accepting ends at once; connections that drain hold a receiver until they are done.
    let _ = stop.send(true);
    drop(stopping);
    if tokio::time::timeout(DRAIN, doors.join_all()).await.is_err() {
        tracing::debug!("some connections were still open at shutdown");
    }
}

/// Accepts on one listener; returns when all its connections have ended.
async fn accept(
    listener: Listener,
    engine: Arc<Engine>,
    rest: Rest,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            _ = stopping.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
        };
        match stream {
            Ok(stream) => {
                connections.spawn(connection(
                    stream,
                    engine.clone(),
                    rest.clone(),
                    stopping.clone(),
                ));
            }
            // Out of descriptors, most likely: give the others time to end.
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: Stream,
    engine: Arc<Engine>,
    rest: Rest,
    stopping: watch::Receiver<bool>,
) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => return tracing::warn!(%error, "look at a new connection"),
    };
    match stream {
        Stream::Unix(unix) => http(unix, peer, engine, rest, stopping).await,
        Stream::Tcp(tcp) => http(tcp, peer, engine, rest, stopping).await,
    }
}

async fn http<S>(
    stream: S,
    peer: Peer,
    engine: Arc<Engine>,
    rest: Rest,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Into<Stream> + Unpin + Send + 'static,
{
    let asker = peer.clone();
    let service = service_fn(move |request| {
        rest.stir();
        let answer = router::answer(engine.clone(), asker.clone(), request);
        let rest = rest.clone();
        async move {
            let answer = answer.await;
            rest.stir();
            answer
        }
    });
    let mut connection = http1::Builder::new()
        // Clients may end their input and still read: `docker run -i < file` does.
        .half_close(true)
        // As Go writes them: scripts look for `Api-Version`.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let ended = tokio::select! {
        done = &mut connection => Some(done),
        _ = stopping.wait_for(|stop| *stop) => None,
    };
    let done = match ended {
        Some(done) => done,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    match peer.taken_over().zip(connection.into_parts()) {
        Some((by, parts)) => {
            by.run(parts.io.into_inner().into(), parts.read_buf.into())
                .await;
        }
        None => log_end(done),
    }
}

fn log_end(done: hyper::Result<()>) {
    if let Err(error) = done {
        tracing::debug!(error = fault::chain(&error), "connection ended early");
    }
}
