//! The last lines of a file, found backwards from its end.

use std::io;
use std::os::unix::fs::FileExt;

use memchr::{memchr_iter, memrchr_iter};

use super::source::Source;
use crate::local::{HEADER, record_before, sound_length};
use crate::{Driver, json_file};

const BLOCK: usize = 64 * 1024;

impl Source {
    /// Moves a fresh source to where its last `wanted` lines begin, or to its start when it has fewer; answers how many it has
    /// from there.
    pub(super) fn keep_last(&mut self, wanted: u64) -> io::Result<u64> {
        match self.driver {
            Driver::JsonFile => self.keep_last_json(wanted),
            Driver::Local => self.keep_last_local(wanted),
            Driver::None => Ok(0),
        }
    }

    fn keep_last_json(&mut self, wanted: u64) -> io::Result<u64> {
        // What is torn at the end is no line yet; a follower reads it when it is whole.
        let end = json_file::sound_length(&self.file)?.min(self.end()?);
        if wanted == 0 {
            self.offset = end;
            return Ok(0);
        }
        let mut newlines = 0;
        let mut block = vec![0; BLOCK];
        let mut high = end;
        while high > 0 {
            let low = high.saturating_sub(BLOCK as u64);
            let part = &mut block[..usize::try_from(high - low).expect("at most a block")];
            self.file.read_exact_at(part, low)?;
            for at in memrchr_iter(b'\n', part) {
                if newlines == wanted {
                    self.offset = low + at as u64 + 1;
                    return Ok(wanted);
                }
                newlines += 1;
            }
            high = low;
        }
        self.offset = 0;
        Ok(newlines)
    }

    fn keep_last_local(&mut self, wanted: u64) -> io::Result<u64> {
        let limit = self.end()?;
        let mut end = match record_before(&self.file, limit)? {
            Some(_) => limit,
            None => sound_length(&self.file)?.min(limit),
        };
        self.offset = end;
        let mut lines = 0;
        let mut payload = Vec::new();
        while lines < wanted {
            let Some((start, header)) = record_before(&self.file, end)? else {
                break;
            };
            payload.resize(header.payload, 0);
            self.file
                .read_exact_at(&mut payload, start + HEADER as u64)?;
            let begun = u64::from(!payload.ends_with(b"\n"));
            let here = memchr_iter(b'\n', &payload).count() as u64 + begun;
            self.offset = start;
            self.skip_lines = (lines + here).saturating_sub(wanted);
            lines = (lines + here).min(wanted);
            end = start;
        }
        Ok(lines)
    }
}
