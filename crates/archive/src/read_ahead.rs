//! Reads a stream on a second thread while the first works on what came before: decompression and hashing
//! cost no time of the extraction.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

use sha2::{Digest, Sha256};

/// Size of one piece in bytes.
const PIECE: usize = 256 << 10;
/// Pieces on the way at most: 2 MiB of memory.
const PIECES: usize = 8;

/// The reading end: a [`BufRead`] over pieces that another thread has filled.
pub(crate) struct ReadAhead {
    current: Piece,
    at: usize,
    ready: Option<Receiver<io::Result<Piece>>>,
    used: Sender<Vec<u8>>,
}

/// Filled bytes, and at the end of the stream the digest of all of it.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    end: Option<Option<[u8; 32]>>,
}

impl ReadAhead {
    /// Starts to read `source`; with `digest` the SHA-256 of all bytes is computed on the way.
    ///
    /// A stream of less than one piece is read at once, and no thread is started for it.
    pub(crate) fn start<'scope, R: Read + Send + 'scope>(
        scope: &'scope Scope<'scope, '_>,
        source: R,
        digest: bool,
    ) -> io::Result<Self> {
        let mut producer = Producer {
            source,
            hash: digest.then(Sha256::new),
        };
        let (give_back, used) = channel();
        let current = producer.fill(vec![0; PIECE])?;
        let ready = if current.end.is_some() {
            None
        } else {
            let (send, ready) = sync_channel(PIECES - 2);
            std::thread::Builder::new()
                .name("read-ahead".into())
                .spawn_scoped(scope, move || producer.run(&send, &used))?;
            Some(ready)
        };
        Ok(Self {
            current,
            at: 0,
            ready,
            used: give_back,
        })
    }

    /// Reads what is left and gives the digest of the whole stream, if one was asked for.
    pub(crate) fn finish(mut self) -> io::Result<Option<[u8; 32]>> {
        while self.current.end.is_none() {
            self.at = self.current.bytes.len();
            self.fill_buf()?;
        }
        Ok(self.current.end.flatten())
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.current.bytes.len() && self.current.end.is_none() {
            let Some(ready) = &self.ready else { break };
            let next = ready
                .recv()
                .unwrap_or_else(|_| Err(io::Error::other("the reading thread ended early")))?;
            let old = std::mem::replace(&mut self.current, next);
            self.at = 0;
            let _ = self.used.send(old.bytes);
        }
        Ok(&self.current.bytes[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

struct Producer<R> {
    source: R,
    hash: Option<Sha256>,
}

impl<R: Read> Producer<R> {
    fn run(mut self, send: &SyncSender<io::Result<Piece>>, used: &Receiver<Vec<u8>>) {
        let mut made = 0;
        loop {
            let buffer = match used.try_recv() {
                Ok(buffer) => buffer,
                Err(_) if made < PIECES => {
                    made += 1;
                    vec![0; PIECE]
                }
                Err(_) => match used.recv() {
                    Ok(buffer) => buffer,
                    Err(_) => return,
                },
            };
            let piece = self.fill(buffer);
            let is_last = piece.as_ref().map_or(true, |p| p.end.is_some());
            if send.send(piece).is_err() || is_last {
                return;
            }
        }
    }

    /// Fills one buffer whole, or to the end of the stream.
    fn fill(&mut self, mut bytes: Vec<u8>) -> io::Result<Piece> {
        bytes.resize(PIECE, 0);
        let mut have = 0;
        let mut ended = false;
        while have < PIECE {
            match self.source.read(&mut bytes[have..]) {
                Ok(0) => {
                    ended = true;
                    break;
                }
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        bytes.truncate(have);
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes);
        }
        let end = ended.then(|| self.hash.take().map(|hash| hash.finalize().into()));
        Ok(Piece { bytes, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(len: usize) -> (Vec<u8>, Option<[u8; 32]>) {
        let data: Vec<u8> = (0..len).map(|i| (i / 7) as u8).collect();
        std::thread::scope(|scope| {
            let mut ahead = ReadAhead::start(scope, &data[..], true).unwrap();
            let mut out = Vec::new();
            ahead.read_to_end(&mut out).unwrap();
            assert_eq!(out, data);
            (out, ahead.finish().unwrap())
        })
    }

    #[test]
    fn every_byte_arrives_once_and_is_hashed() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 20 * PIECE + 5] {
            let (data, digest) = through(len);
            let expected: [u8; 32] = Sha256::digest(&data).into();
            assert_eq!(digest, Some(expected), "{len}");
        }
    }

    #[test]
    fn a_reader_that_stops_early_stops_the_thread() {
        std::thread::scope(|scope| {
            let ahead = ReadAhead::start(scope, io::repeat(7), false).unwrap();
            drop(ahead);
        });
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        std::thread::scope(|scope| {
            let source = io::repeat(1).take(3 * PIECE as u64).chain(Fails);
            let mut ahead = ReadAhead::start(scope, source, false).unwrap();
            let mut out = vec![0; 3 * PIECE];
            ahead.read_exact(&mut out).unwrap();
            assert_eq!(ahead.read(&mut out).unwrap_err().to_string(), "gone");
        });
    }
}
