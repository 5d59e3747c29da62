//! The log of a container for clients: as entries, and replayed into a stream before an attach.

use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;

use tokio::sync::{mpsc, oneshot};

use super::prepare;
use super::record::Record;
use super::request::{Attach, LogQuery};
use crate::blocking;
use crate::engine::{Engine, Shared};
use crate::error::{Error, Result};

/// Entries that may wait for a slow client.
const BACKLOG: usize = 256;

/// A log being read.
#[derive(Debug)]
pub struct LogStream {
    /// The container has a terminal: its output is one raw stream.
    pub tty: bool,
    /// The lines; closed at the end.
    pub entries: mpsc::Receiver<Result<logs::Entry>>,
}

impl Engine {
    /// Reads a container's log; with `follow`, until the container ends or the receiver is dropped.
    ///
    /// # Errors
    /// No such container; a driver that keeps nothing.
    pub async fn logs(&self, target: &str, query: LogQuery) -> Result<LogStream> {
        let handle = self.containers().require(target)?;
        let view = handle.view();
        let log = prepare::log_target(&self.shared, &view.record);
        let query = logs::Query {
            tail: query.tail,
            since: query.since_unix_nanos,
            until: query.until_unix_nanos,
            stdout: query.stdout,
            stderr: query.stderr,
            follow: query.follow,
        };
        let mut reader =
            blocking::run("log reading", move || Ok(logs::Reader::open(&log, query)?)).await?;
        let (send, entries) = mpsc::channel(BACKLOG);
        let mut watch = handle.watch();
        let (done, mut is_done) = oneshot::channel::<()>();
        if let Some(canceller) = reader.canceller() {
            let leaving = send.clone();
            // Wakes the reader when the container changes, and ends it when nobody listens any more.
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        () = leaving.closed() => { canceller.cancel(); break }
                        _ = &mut is_done => break,
                        changed = watch.changed() => match changed {
                            Ok(()) => canceller.wake(),
                            // The container is removed: there is nothing to follow.
                            Err(_) => { canceller.cancel(); break }
                        }
                    }
                }
            });
        }
        let ended = move || !handle.view().record.state.is_running();
        tokio::task::spawn_blocking(move || {
            let _done = done;
            let read = reader.drain(ended, |entry| match send.blocking_send(Ok(entry.clone())) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
            if let Err(error) = read {
                let _ = send.blocking_send(Err(error.into()));
            }
        });
        Ok(LogStream {
            tty: view.record.config.tty,
            entries,
        })
    }
}

/// Writes the log so far into a client's stream: raw for a terminal, otherwise in stdcopy frames.
pub(super) async fn replay(shared: &Shared, record: &Record, attach: &Attach) -> Result<()> {
    let failed = |source| Error::Shim {
        peer: "client",
        id: record.id.clone(),
        source,
    };
    let stream = attach.stream.try_clone().map_err(failed)?;
    let log = prepare::log_target(shared, record);
    let query = logs::Query {
        stdout: attach.stdout,
        stderr: attach.stderr,
        ..logs::Query::default()
    };
    let tty = record.config.tty;
    blocking::run("log replay", move || {
        let mut stream = UnixStream::from(stream);
        let mut reader = logs::Reader::open(&log, query)?;
        while let Some(entry) = reader.next_entry()? {
            let number = match entry.stream {
                logs::Stream::Stdout => 1,
                logs::Stream::Stderr => 2,
            };
            let mut frame = Vec::with_capacity(entry.line.len() + 8);
            if !tty {
                frame.extend([number, 0, 0, 0]);
                frame.extend(
                    u32::try_from(entry.line.len())
                        .unwrap_or(u32::MAX)
                        .to_be_bytes(),
                );
            }
            frame.extend_from_slice(&entry.line);
            // A client that has left is noticed by the attach that follows.
            if write_slowly(&mut stream, &frame).is_err() {
                break;
            }
        }
        Ok(())
    })
    .await
}

/// Writes all of it to a socket that may be in nonblocking mode.
fn write_slowly(stream: &mut UnixStream, mut bytes: &[u8]) -> std::io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(len) => bytes = &bytes[len..],
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&*stream, PollFlags::OUT)], None)?;
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
