//! Signals that reach this program go on to the container; size changes of the terminal too.

use std::{future::poll_fn, task::Poll};

use client::{Client, Query, Request};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::terminal;

/// The signals that are passed on, with their names in the API. SIGCHLD, SIGPIPE and SIGURG concern this program only.
const PROXIED: &[(i32, &str)] = &[
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (20, "TSTP"),
    (21, "TTIN"),
    (22, "TTOU"),
    (26, "VTALRM"),
    (28, "WINCH"),
    (29, "IO"),
    (30, "PWR"),
];

/// Signals being listened for.
#[derive(Debug)]
pub(crate) struct Listener(Vec<(i32, &'static str, Signal)>);

impl Listener {
    /// Listens for every signal that can be passed on.
    pub(crate) fn proxied() -> Self {
        Self::of(PROXIED)
    }

    /// Listens for the signals that would end this program.
    pub(crate) fn deadly() -> Self {
        Self::of(&[(1, "HUP"), (2, "INT"), (3, "QUIT"), (15, "TERM")])
    }

    fn of(wanted: &[(i32, &'static str)]) -> Self {
        Self(
            wanted
                .iter()
                .filter_map(|(number, name)| {
                    let stream = signal(SignalKind::from_raw(*number)).ok()?;
                    Some((*number, *name, stream))
                })
                .collect(),
        )
    }

    /// The next signal's number and name.
    pub(crate) async fn next(&mut self) -> (i32, &'static str) {
        poll_fn(|cx| {
            for (number, name, stream) in &mut self.0 {
                if stream.poll_recv(cx).is_ready() {
                    return Poll::Ready((*number, *name));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Passes signals on to a container for ever.
pub(crate) async fn proxy(client: &Client, container: &str, listener: &mut Listener) {
    loop {
        let (_, name) = listener.next().await;
        let request = Request::post(&["containers", container, "kill"])
            .query(Query::new().with("signal", name));
        // The container may have ended in this moment: the wait tells.
        let _ = client.call(request).await;
    }
}

/// Tells the daemon the terminal's size, now and at each change, for ever. `path` is the resize endpoint.
pub(crate) async fn follow_size(client: &Client, path: &[&str], send_now: bool) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else {
        return std::future::pending().await;
    };
    if send_now {
        send_size(client, path).await;
    }
    while changes.recv().await.is_some() {
        send_size(client, path).await;
    }
}

/// Makes a program in a terminal draw anew: a size it does not have, then the true one.
pub(crate) async fn redraw(client: &Client, path: &[&str]) {
    if let Some((rows, columns)) = terminal::size() {
        send(
            client,
            path,
            rows.saturating_add(1),
            columns.saturating_add(1),
        )
        .await;
    }
}

async fn send_size(client: &Client, path: &[&str]) {
    if let Some((rows, columns)) = terminal::size() {
        send(client, path, rows, columns).await;
    }
}

async fn send(client: &Client, path: &[&str], rows: u16, columns: u16) {
    let request = Request::post(path).query(
        Query::new()
            .with("h", rows.to_string())
            .with("w", columns.to_string()),
    );
    // The process may not run yet or any more.
    let _ = client.call(request).await;
}
