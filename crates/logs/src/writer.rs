//! The shim's side: takes what was read from the container and appends it to the log.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;

use crate::error::file as at;
use crate::files::{Files, current_path};
use crate::lines::Lines;
use crate::{Driver, Result, Stream, Target, json_file, local, validate};

/// How many encoded bytes are gathered before they are written.
const WRITE_BYTES: usize = 512 * 1024;

/// Appends to one log. One at a time per log; it needs no closing but [`Writer::end`] for each stream.
#[derive(Debug)]
pub struct Writer {
    driver: Driver,
    files: Option<Files>,
    attrs: BTreeMap<String, String>,
    stdout: Lines,
    stderr: Lines,
    out: Vec<u8>,
}

impl Writer {
    /// Opens the log for appending and cuts off a record that a crash has torn.
    ///
    /// # Errors
    /// Those of [`validate`], and [`crate::Error::File`].
    pub fn open(target: &Target) -> Result<Self> {
        let settings = validate(&target.driver, &target.options)?;
        if settings.driver == Driver::Local {
            match mkdir(&target.path, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(at("create the log folder", &target.path)(error)),
            }
        }
        let path = current_path(target, settings.driver);
        let files = match settings.driver {
            Driver::JsonFile => Some(Files::open(path, settings, json_file::sound_length)?),
            Driver::Local => Some(Files::open(path, settings, local::sound_length)?),
            Driver::None => None,
        };
        Ok(Self {
            driver: settings.driver,
            files,
            attrs: target.attrs.clone(),
            stdout: Lines::default(),
            stderr: Lines::default(),
            out: Vec::new(),
        })
    }

    /// Whether anything is kept at all.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.files.is_some()
    }

    /// The open file, for a process about to close all others.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.files.as_ref().map(Files::descriptor)
    }

    /// Takes what was read at `unix_nanos` (one time for all its lines). A line without its end waits for the rest, up to 16 KiB.
    ///
    /// # Errors
    /// [`crate::Error::File`], as when the disk is full: the chunk's lines that could not be written are lost, those of the next
    /// call are tried again.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], unix_nanos: i64) -> Result<()> {
        self.store(stream, unix_nanos, |lines, driver, emit| match driver {
            Driver::JsonFile => lines.feed(bytes, emit),
            Driver::Local => lines.feed_blocks(bytes, emit),
            Driver::None => {}
        })
    }

    /// The stream has ended: writes a line that never got its newline.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn end(&mut self, stream: Stream, unix_nanos: i64) -> Result<()> {
        self.store(stream, unix_nanos, |lines, _, emit| lines.finish(emit))
    }

    /// Gives the memory of a busy time back; to be called when nothing has come for a while.
    pub fn rest(&mut self) {
        self.out = Vec::new();
    }

    fn store(
        &mut self,
        stream: Stream,
        unix_nanos: i64,
        feed: impl FnOnce(&mut Lines, Driver, &mut dyn FnMut(&[u8])),
    ) -> Result<()> {
        let Some(files) = &mut self.files else {
            return Ok(());
        };
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let out = &mut self.out;
        out.clear();
        let mut outcome = files.rotate_if_full();
        let mut room = bound(files);
        let mut flush = |out: &mut Vec<u8>, room: &mut usize| {
            let written = files.append(out).and_then(|()| files.rotate_if_full());
            *room = bound(files);
            out.clear();
            if outcome.is_ok() {
                outcome = written;
            }
        };
        match self.driver {
            Driver::JsonFile => {
                let closing = json_file::closing(stream, &self.attrs, unix_nanos);
                feed(lines, self.driver, &mut |line| {
                    json_file::encode(out, line, &closing);
                    if out.len() >= room {
                        flush(out, &mut room);
                    }
                });
            }
            Driver::Local => feed(lines, self.driver, &mut |block| {
                local::encode(out, stream, unix_nanos, block);
                flush(out, &mut room);
            }),
            Driver::None => {}
        }
        if !out.is_empty() {
            flush(out, &mut room);
        }
        outcome
    }
}

/// How much to gather: what the file takes before it is full, and no more than is written at once.
fn bound(files: &Files) -> usize {
    usize::try_from(files.room()).map_or(WRITE_BYTES, |room| room.clamp(1, WRITE_BYTES))
}
