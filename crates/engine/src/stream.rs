//! Byte streams between async faces and blocking work: bounded, so that the slower side sets the pace.

use std::io::{self, Read, Write};

use tokio::sync::mpsc;

/// Chunks that may wait between the two sides.
const DEPTH: usize = 4;
/// Bytes gathered before a chunk is handed over.
const CHUNK: usize = 256 << 10;

/// The blocking end that writes; the async end receives chunks and sees the channel close at the end.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk: Vec<u8>,
    to: mpsc::Sender<io::Result<Vec<u8>>>,
}

/// What the async side reads: chunks, then an error or the end.
pub type Chunks = mpsc::Receiver<io::Result<Vec<u8>>>;

/// A pipe from blocking work to an async face.
#[must_use]
pub fn outward() -> (ChunkWriter, Chunks) {
    let (to, from) = mpsc::channel(DEPTH);
    (
        ChunkWriter {
            chunk: Vec::new(),
            to,
        },
        from,
    )
}

impl ChunkWriter {
    /// Tells the reader that the stream ends by a failure.
    pub fn fail(mut self, error: io::Error) {
        let _ = self.flush();
        let _ = self.to.blocking_send(Err(error));
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.to
            .blocking_send(Ok(chunk))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()
    }
}

impl Drop for ChunkWriter {
    fn drop(&mut self) {
        // A stream that ends well has been flushed; this only sends what a forgotten flush would lose.
        let _ = self.hand_over();
    }
}

/// The blocking end that reads what an async face sends.
#[derive(Debug)]
pub struct ChunkReader {
    chunk: Vec<u8>,
    used: usize,
    from: Chunks,
}

/// A pipe from an async face to blocking work.
#[must_use]
pub fn inward() -> (mpsc::Sender<io::Result<Vec<u8>>>, ChunkReader) {
    let (to, from) = mpsc::channel(DEPTH);
    (
        to,
        ChunkReader {
            chunk: Vec::new(),
            used: 0,
            from,
        },
    )
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.chunk.len() {
            match self.from.blocking_recv() {
                Some(chunk) => (self.chunk, self.used) = (chunk?, 0),
                None => return Ok(0),
            }
        }
        let len = buffer.len().min(self.chunk.len() - self.used);
        buffer[..len].copy_from_slice(&self.chunk[self.used..self.used + len]);
        self.used += len;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_through_in_order_and_the_end_is_seen() {
        let (to, mut reader) = inward();
        std::thread::spawn(move || {
            for chunk in [vec![1, 2], vec![], vec![3]] {
                to.blocking_send(Ok(chunk)).expect("the reader waits");
            }
        });
        let mut all = Vec::new();
        reader.read_to_end(&mut all).expect("no error was sent");
        assert_eq!(all, [1, 2, 3]);
    }

    #[test]
    fn a_writer_whose_reader_left_sees_a_broken_pipe() {
        let (mut writer, chunks) = outward();
        drop(chunks);
        let error = writer.write_all(&[0; CHUNK + 1]).expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
