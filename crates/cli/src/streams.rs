//! A container's streams on this terminal: stdin up, stdout and stderr down, demultiplexed.

use client::{Error, RawStream, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::{
    command::Failure,
    out::{self, Stream},
    terminal::{DetachScanner, RawMode, Stdin},
};

/// How a session on a container's streams ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The container closed its output.
    Finished,
    /// The user typed the detach keys.
    Detached,
}

/// What is joined to what.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The container has a terminal: one raw output, no frames.
    pub(crate) tty: bool,
    /// Standard input goes up.
    pub(crate) stdin: bool,
    /// Output is awaited; without it the session ends with the input.
    pub(crate) output: bool,
    /// Keys that detach, for terminals.
    pub(crate) detach_keys: Vec<u8>,
}

/// Joins this terminal to the stream until the container's output ends or the user detaches.
pub(crate) async fn join(stream: RawStream, session: &Session) -> Result<Ended, Failure> {
    let framed = !session.tty;
    let raw = (session.stdin && session.tty)
        .then(RawMode::enter)
        .flatten();
    let (reader, writer) = tokio::io::split(stream);
    let work = async {
        if !session.output {
            return send_input(writer, session).await.map(Some);
        }
        if !session.stdin {
            // The writing half stays open: closing it could end an attach at once.
            let _writer = writer;
            receive(reader, framed).await?;
            return Ok(Some(Ended::Finished));
        }
        let mut receiving = std::pin::pin!(receive(reader, framed));
        tokio::select! {
            result = &mut receiving => result.map(|()| Some(Ended::Finished)),
            result = send_input(writer, session) => match result? {
                Ended::Detached => Ok(Some(Ended::Detached)),
                Ended::Finished => receiving.await.map(|()| Some(Ended::Finished)),
            },
        }
    };
    if raw.is_none() {
        return Ok(work.await?.unwrap_or(Ended::Finished));
    }
    // In raw mode a deadly signal must restore the terminal before it ends this program.
    let mut deadly = crate::signals::Listener::deadly();
    tokio::select! {
        result = work => Ok(result?.unwrap_or(Ended::Finished)),
        (number, _) = deadly.next() => Err(Failure::silent(u8::try_from(128 + number).unwrap_or(255))),
    }
}

async fn send_input(mut writer: WriteHalf<RawStream>, session: &Session) -> Result<Ended, Failure> {
    let mut stdin = Stdin::open()?;
    let mut scanner = DetachScanner::new(session.detach_keys.clone());
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = stdin.read(&mut buffer).await?;
        if length == 0 {
            // Half-close: the container sees the end, its output goes on. It may have gone already.
            let _ = writer.shutdown().await;
            if session.output {
                hold(writer).await;
            }
            return Ok(Ended::Finished);
        }
        if session.tty {
            let (pass, detached) = scanner.feed(&buffer[..length]);
            if writer.write_all(&pass).await.is_err() {
                hold(writer).await;
            }
            if detached {
                return Ok(Ended::Detached);
            }
        } else if writer.write_all(&buffer[..length]).await.is_err() {
            // The container has closed its input; its output tells the rest.
            hold(writer).await;
        }
    }
}

/// Keeps the writing half alive without reading more input.
async fn hold(_writer: WriteHalf<RawStream>) -> ! {
    std::future::pending().await
}

async fn receive(mut reader: ReadHalf<RawStream>, framed: bool) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 * 1024];
    let mut frames = Frames::default();
    loop {
        let length = match reader.read(&mut buffer).await {
            Ok(length) => length,
            // A daemon that closes with unread input resets the connection: the output is complete.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(error.into()),
        };
        if length == 0 {
            return Ok(());
        }
        if framed {
            frames.feed(&buffer[..length], &mut show)?;
        } else {
            show(Stream::Out, &buffer[..length])?;
        }
    }
}

fn show(stream: Stream, bytes: &[u8]) -> Result<(), Failure> {
    match out::write(stream, bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::silent(141)),
        other => Ok(other?),
    }
}

/// Copies a log's body to this terminal until it ends.
pub(crate) async fn copy_body(mut body: Response, framed: bool) -> Result<(), Failure> {
    let mut frames = Frames::default();
    loop {
        match body.chunk().await {
            Ok(Some(piece)) if framed => frames.feed(&piece, &mut show)?,
            Ok(Some(piece)) => show(Stream::Out, &piece)?,
            Ok(None) => return Ok(()),
            Err(Error::Exchange { .. }) => {
                return Err(Failure::new("error from daemon in stream: unexpected EOF"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes the payload of a frame and the stream it belongs to.
pub(crate) type Sink<'a> = dyn FnMut(Stream, &[u8]) -> Result<(), Failure> + 'a;

/// Docker's stream frames: one byte for the stream, three zeros, four bytes of length, the bytes.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: Vec<u8>,
    left: usize,
    stream: u8,
    trouble: Vec<u8>,
}

impl Frames {
    /// Takes bytes as they come and hands payloads on as soon as their stream is known.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), Failure> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let need = 8 - self.header.len();
                let (head, rest) = bytes.split_at(need.min(bytes.len()));
                self.header.extend_from_slice(head);
                bytes = rest;
                if self.header.len() < 8 {
                    return Ok(());
                }
                self.stream = self.header[0];
                let length: [u8; 4] = [
                    self.header[4],
                    self.header[5],
                    self.header[6],
                    self.header[7],
                ];
                self.left = u32::from_be_bytes(length) as usize;
                self.header.clear();
                if self.stream > 3 {
                    return Err(Failure::new(format!(
                        "unrecognized input header: {}",
                        self.stream
                    )));
                }
                continue;
            }
            let (payload, rest) = bytes.split_at(self.left.min(bytes.len()));
            match self.stream {
                2 => sink(Stream::Err, payload)?,
                3 => self.trouble.extend_from_slice(payload),
                _ => sink(Stream::Out, payload)?,
            }
            self.left -= payload.len();
            bytes = rest;
            if self.stream == 3 && self.left == 0 {
                return Err(Failure::new(format!(
                    "error from daemon in stream: {}",
                    String::from_utf8_lossy(&self.trouble)
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_split_anywhere_come_out_whole() {
        let mut wire = vec![1, 0, 0, 0, 0, 0, 0, 3];
        wire.extend_from_slice(b"out");
        wire.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 4]);
        wire.extend_from_slice(b"errs");
        for step in 1..wire.len() {
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let mut frames = Frames::default();
            for piece in wire.chunks(step) {
                frames
                    .feed(piece, &mut |stream, bytes| {
                        match stream {
                            Stream::Out => stdout.extend_from_slice(bytes),
                            Stream::Err => stderr.extend_from_slice(bytes),
                        }
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!((stdout, stderr), (b"out".to_vec(), b"errs".to_vec()));
        }
    }

    #[test]
    fn an_unknown_stream_is_refused() {
        let mut frames = Frames::default();
        assert!(
            frames
                .feed(&[9, 0, 0, 0, 0, 0, 0, 1], &mut |_, _| Ok(()))
                .is_err()
        );
    }
}
