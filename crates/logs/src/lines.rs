//! Cuts a stream of bytes into lines as Docker does: at newlines, and every 16 KiB of a line that has none.

use memchr::{memchr, memchr_iter, memrchr};

/// The longest piece of a line that is written as one record.
pub(crate) const MAX_LINE: usize = 16 * 1024;

/// Holds the begun line of one stream between reads; empty and without memory most of the time.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Hands every line (with its newline) and every full piece (without) to `emit`; keeps the rest.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8])) {
        while !self.begun.is_empty() && !bytes.is_empty() {
            let room = &bytes[..bytes.len().min(MAX_LINE - self.begun.len())];
            let take = memchr(b'\n', room).map_or(room.len(), |at| at + 1);
            self.begun.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.begun.ends_with(b"\n") {
                emit(&self.begun);
                self.begun = Vec::new();
            } else if self.begun.len() == MAX_LINE {
                let rest = self.begun.split_off(piece(&self.begun));
                emit(&self.begun);
                self.begun = rest;
            }
        }
        let mut start = 0;
        for newline in memchr_iter(b'\n', bytes) {
            while newline - start >= MAX_LINE {
                let cut = piece(&bytes[start..]);
                emit(&bytes[start..start + cut]);
                start += cut;
            }
            emit(&bytes[start..=newline]);
            start = newline + 1;
        }
        while bytes.len() - start >= MAX_LINE {
            let cut = piece(&bytes[start..]);
            emit(&bytes[start..start + cut]);
            start += cut;
        }
        if start < bytes.len() {
            self.begun.extend_from_slice(&bytes[start..]);
        }
    }

    /// Hands over whole lines in one piece, as many as there are; a begun line is kept up to [`MAX_LINE`].
    pub(crate) fn feed_blocks(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            let take = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            self.begun.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.begun.ends_with(b"\n") || self.begun.len() >= MAX_LINE {
                emit(&self.begun);
                self.begun = Vec::new();
            }
        }
        let whole = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        if whole > 0 {
            emit(&bytes[..whole]);
        }
        let rest = &bytes[whole..];
        if rest.len() >= MAX_LINE {
            emit(rest);
        } else if !rest.is_empty() {
            self.begun.extend_from_slice(rest);
        }
    }

    /// The stream has ended: hands over a line that never got its newline.
    pub(crate) fn finish(&mut self, emit: impl FnOnce(&[u8])) {
        if !self.begun.is_empty() {
            emit(&std::mem::take(&mut self.begun));
        }
    }
}

/// Where to cut a line of at least [`MAX_LINE`] bytes: there, or before the character that lies across (Docker cuts it in two
/// and stores neither half).
fn piece(line: &[u8]) -> usize {
    let continues = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (MAX_LINE - 3..=MAX_LINE)
        .rev()
        .find(|&at| !continues(at))
        .filter(|&at| at == MAX_LINE || line[at] >= 0xc0)
        .unwrap_or(MAX_LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> Vec<usize> {
        let mut lines = Lines::default();
        let mut sizes = Vec::new();
        let mut all = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, |line| {
                sizes.push(line.len());
                all.extend_from_slice(line);
            });
        }
        lines.finish(|line| {
            sizes.push(line.len());
            all.extend_from_slice(line);
        });
        assert_eq!(all, chunks.concat(), "no byte is lost or doubled");
        sizes
    }

    #[test]
    fn lines_are_cut_as_docker_cuts_them() {
        let long = [vec![b'x'; 40_000], vec![b'\n']].concat();
        let edge = [vec![b'y'; MAX_LINE], vec![b'\n']].concat();
        assert_eq!(pieces(&[b"a\nbc\n\nd"]), [2, 3, 1, 1]);
        assert_eq!(pieces(&[&long]), [16384, 16384, 7233]);
        assert_eq!(pieces(&[&edge]), [16384, 1]);
        assert_eq!(pieces(&[&edge[1..]]), [16384]);
    }

    #[test]
    fn chunks_do_not_show_in_the_lines() {
        let long = [b"ab\n".to_vec(), vec![b'x'; 40_000], b"\nend".to_vec()].concat();
        let whole = pieces(&[&long]);
        for size in [1, 7, 4096, 16384, 16385] {
            let chunks: Vec<&[u8]> = long.chunks(size).collect();
            assert_eq!(pieces(&chunks), whole, "chunks of {size}");
        }
    }

    #[test]
    fn a_character_across_the_cut_stays_whole() {
        let text = [vec![b'x'; MAX_LINE - 1], "é\n".into()].concat();
        assert_eq!(pieces(&[&text]), [MAX_LINE - 1, 3]);
        let (left, right) = text.split_at(MAX_LINE);
        assert_eq!(
            pieces(&[left, right]),
            [MAX_LINE, 2],
            "the half was already there"
        );
    }

    #[test]
    fn blocks_keep_every_byte() {
        let text = b"one\ntwo\nthree\nfo".repeat(3000);
        for size in [1, 5, 1000, 100_000] {
            let (mut lines, mut all) = (Lines::default(), Vec::new());
            for chunk in text.chunks(size) {
                lines.feed_blocks(chunk, |block| all.extend_from_slice(block));
            }
            lines.finish(|block| all.extend_from_slice(block));
            assert_eq!(all, text);
        }
    }
}
