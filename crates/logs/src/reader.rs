//! The daemon's side: reads a log from any point, forwards, and waits for more.

mod source;
mod tail;
mod watch;

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};

use crate::error::file as at;
use crate::files::{Generation, Identity, current_path, generations, identity_at, number_of};
use crate::{Driver, Entry, Error, Result, Stream, Target, validate};

use source::Source;
use watch::Watch;
pub use watch::{Canceller, Wait};

/// How often the names are looked at while they move.
const LOOKS: usize = 1000;

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// Only the last so many lines of the whole log (counted before the other filters, as Docker does); `None`: all.
    pub tail: Option<u64>,
    /// Not what was written before this instant, in nanoseconds since the epoch.
    pub since: Option<i64>,
    /// Not what was written after this instant, in nanoseconds since the epoch.
    pub until: Option<i64>,
    /// Lines of stdout.
    pub stdout: bool,
    /// Lines of stderr.
    pub stderr: bool,
    /// Go on with what is written later.
    pub follow: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            tail: None,
            since: None,
            until: None,
            stdout: true,
            stderr: true,
            follow: false,
        }
    }
}

/// A position in a log.
///
/// Without `follow` it ends where the log ended when it was opened. With `follow`, [`Reader::read`] answering false means
/// "nothing more now": [`Reader::wait`] blocks until there may be more, across rotations. A line is given once, and only
/// when it is whole. What a reader can lose is what rotation deleted before it came there; it says so.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    driver: Driver,
    query: Query,
    source: Option<Source>,
    /// Not following: the file to end with, held from the beginning, while an older one is read.
    last: Option<Source>,
    /// The generation being read has been rotated away: when it is read out, the next follows.
    passed: bool,
    /// Something after `until` was seen.
    over: bool,
    /// Files that were deleted before they were read, not told yet.
    lost: u64,
    watch: Option<Watch>,
}

impl Reader {
    /// Opens a log at the place that the query asks for. A log that was never written is empty.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for the driver `none`; [`Error::File`].
    pub fn open(target: &Target, query: Query) -> Result<Self> {
        let settings = validate(&target.driver, &target.options)?;
        if settings.driver == Driver::None {
            return Err(Error::Unreadable);
        }
        let path = current_path(target, settings.driver);
        // Before the first look, so that nothing written after it is missed.
        let watch = query
            .follow
            .then(|| Watch::new(path.parent().unwrap_or(Path::new("/"))));
        let mut reader = Self {
            path,
            driver: settings.driver,
            query,
            source: None,
            last: None,
            passed: false,
            over: false,
            lost: 0,
            watch,
        };
        reader.seek()?;
        Ok(reader)
    }

    /// Reads the next line into `entry`, whose memory is used again; false when there is none (now, if following).
    ///
    /// # Errors
    /// [`Error::Overtaken`], once for each hole in the log; reading goes on behind it. [`Error::File`].
    pub fn read(&mut self, entry: &mut Entry) -> Result<bool> {
        while !self.over && self.read_any(entry)? {
            if self
                .query
                .since
                .is_some_and(|since| entry.time_unix_nanos < since)
            {
                continue;
            }
            if self
                .query
                .until
                .is_some_and(|until| entry.time_unix_nanos > until)
            {
                self.over = true;
                break;
            }
            let wanted = match entry.stream {
                Stream::Stdout => self.query.stdout,
                Stream::Stderr => self.query.stderr,
            };
            if wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next line as a value of its own; `None` as for [`Reader::read`].
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut entry = Entry::default();
        Ok(self.read(&mut entry)?.then_some(entry))
    }

    /// Whether nothing more will come whatever is written: not following, or past `until`.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over || !self.query.follow
    }

    /// Blocks until the log may have grown, someone called the [`Canceller`], or the time is up.
    ///
    /// # Errors
    /// [`Error::Watch`].
    pub fn wait(&mut self, timeout: Duration) -> Result<Wait> {
        match &mut self.watch {
            Some(watch) => watch.wait(timeout).map_err(|source| Error::Watch {
                path: self.path.clone(),
                source,
            }),
            None => Ok(Wait::Cancelled),
        }
    }

    /// A handle that ends or wakes [`Reader::wait`] from another thread; `None` when not following.
    #[must_use]
    pub fn canceller(&self) -> Option<Canceller> {
        self.watch.as_ref().map(Watch::canceller)
    }

    /// A descriptor that becomes readable when the log may have grown, for event loops; after it did, call
    /// [`Reader::wait`] with no time to take the notice, then read. `None` when not following, or when the machine has no
    /// inotify instance left: then wait for at most 100 ms at a time.
    #[must_use]
    pub fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().and_then(Watch::readiness)
    }

    /// Reads and waits until the query is over, `sink` breaks, the canceller is called, or `ended` says that nobody writes
    /// any more (asked after each wait, at least once a second; wake the canceller to have it asked at once).
    ///
    /// # Errors
    /// As [`Reader::read`] and [`Reader::wait`].
    pub fn drain(
        &mut self,
        mut ended: impl FnMut() -> bool,
        mut sink: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut entry = Entry::default();
        loop {
            // Asked before reading: what was written before the end is there when it says so.
            let last = self.is_over() || ended();
            while self.read(&mut entry)? {
                if sink(&entry).is_break() {
                    return Ok(());
                }
            }
            if last || self.is_over() || self.wait(Duration::from_secs(1))? == Wait::Cancelled {
                return Ok(());
            }
        }
    }

    // --- positions --------------------------------------------------------------------------

    /// Finds the first line to read: backwards from the newest file when only a tail is wanted.
    fn seek(&mut self) -> Result<()> {
        // A file can lose its name between the listing and its opening: then the names have moved, and are listed again.
        for _ in 0..LOOKS {
            let found = generations(&self.path)?;
            if found.is_empty() {
                return Ok(());
            }
            let opened = match self.query.tail {
                Some(wanted) => self.open_tail(&found, wanted)?,
                None => self.open_ends(&found)?,
            };
            if let Some((first, last)) = opened {
                self.source = Some(first);
                self.last = last.filter(|_| !self.query.follow);
                return Ok(());
            }
        }
        Err(self.restless())
    }

    /// The oldest file and, where it is another, the newest.
    fn open_ends(&self, found: &[Generation]) -> Result<Option<(Source, Option<Source>)>> {
        let (Some(newest), Some(oldest)) = (found.first(), found.last()) else {
            return Ok(None);
        };
        let Some(last) = self.open_generation(newest, !self.query.follow)? else {
            return Ok(None);
        };
        if found.len() == 1 {
            return Ok(Some((last, None)));
        }
        let first = self.open_generation(oldest, false)?;
        Ok(first.map(|first| (first, Some(last))))
    }

    /// The file in which the last `wanted` lines begin, and the newest where it is another.
    fn open_tail(
        &self,
        found: &[Generation],
        mut wanted: u64,
    ) -> Result<Option<(Source, Option<Source>)>> {
        let mut newest = None;
        let mut first = None;
        for generation in found {
            let limited = newest.is_none() && first.is_none() && !self.query.follow;
            let Some(mut source) = self.open_generation(generation, limited)? else {
                return Ok(None);
            };
            wanted -= source
                .keep_last(wanted)
                .map_err(at("read", &generation.path))?;
            if let Some(newer) = first.replace(source) {
                newest.get_or_insert(newer);
            }
            if wanted == 0 {
                break;
            }
        }
        Ok(first.map(|first| (first, newest)))
    }

    /// Any next line, unfiltered.
    fn read_any(&mut self, entry: &mut Entry) -> Result<bool> {
        loop {
            if self.lost > 0 {
                let files = std::mem::take(&mut self.lost);
                return Err(Error::Overtaken { files });
            }
            if let Some(source) = &mut self.source
                && source.read(entry).map_err(at("read", &self.path))?
            {
                return Ok(true);
            }
            let more = match self.query.follow {
                true => self.step_over()?,
                false => self.step_on()?,
            };
            if !more {
                return Ok(false);
            }
        }
    }

    /// After the end of a file that is not the last to be read: goes on to its successor. False: it was the last.
    fn step_on(&mut self) -> Result<bool> {
        let Some(last) = self.last.take() else {
            return Ok(false);
        };
        let end = last.refresh().map_err(at("stat", &self.path))?;
        match self.open_successor(Some(&end))? {
            Some(next) => {
                self.go_on_with(next);
                self.last = Some(last);
            }
            None => self.go_on_with(last),
        }
        Ok(true)
    }

    /// After the end of the newest known file: looks whether it was rotated, reads it out once more, and goes on to its
    /// successor. False: it is still the newest, there is nothing more now.
    fn step_over(&mut self) -> Result<bool> {
        let Some(source) = &self.source else {
            self.seek()?;
            return Ok(self.source.is_some());
        };
        if self.passed {
            self.passed = false;
            let Some(next) = self.open_successor(None)? else {
                return Ok(false);
            };
            self.go_on_with(next);
            return Ok(true);
        }
        let newest = identity_at(&self.path);
        if newest.is_some_and(|newest| newest.is_file(&source.identity)) {
            return Ok(false);
        }
        // The writer had written all of the old file before it gave the name away.
        self.passed = true;
        Ok(true)
    }

    /// The file that followed the one just read out; `None` when there is none now, or when it is `end`. Names move while
    /// we look, so the look is repeated until it is stable.
    fn open_successor(&self, end: Option<&Identity>) -> Result<Option<Source>> {
        let Some(source) = &self.source else {
            return Ok(None);
        };
        let now = source.refresh().map_err(at("stat", &self.path))?;
        for _ in 0..LOOKS {
            let found = generations(&self.path)?;
            let next = match found.iter().find(|g| g.holds(&now)) {
                Some(ours) => found.iter().rev().find(|g| g.index < ours.index),
                // Ours was deleted: whatever is left is newer, and beyond the end when that was deleted too.
                None => found
                    .last()
                    .filter(|_| end.is_none_or(|end| found.iter().any(|g| g.holds(end)))),
            };
            // None: between the rename and the creation of the new file.
            let Some(next) = next.filter(|next| end.is_none_or(|end| !next.holds(end))) else {
                return Ok(None);
            };
            if let Some(opened) = self.open_generation(next, false)? {
                // Had the names moved meanwhile, this would not be the same list; its head alone could be, because a new
                // file may get the inode of one that was just deleted.
                if same_names(&generations(&self.path)?, &found) {
                    return Ok(Some(opened));
                }
            }
        }
        match end {
            // Whoever follows comes again.
            None => Ok(None),
            Some(_) => Err(self.restless()),
        }
    }

    /// Turns to the next file, and counts those that should have stood between.
    fn go_on_with(&mut self, next: Source) {
        let before = self.source.as_ref().and_then(|source| source.number);
        if let (Some(before), Some(now)) = (before, next.number) {
            self.lost += now.saturating_sub(before + 1);
        }
        self.source = Some(next);
    }

    /// The names were never still enough to say which file follows which.
    fn restless(&self) -> Error {
        let busy = io::Error::new(
            io::ErrorKind::ResourceBusy,
            "it is rotated faster than it can be looked at; a larger max-size helps",
        );
        at("read", &self.path)(busy)
    }

    /// Opens the file that the listing saw, or `None` when its name has moved on; its present end is that of what is read
    /// if `limited`.
    fn open_generation(&self, generation: &Generation, limited: bool) -> Result<Option<Source>> {
        match open_as(&generation.path, &generation.identity)? {
            Some(file) => self.source_of(file, generation, limited).map(Some),
            None => Ok(None),
        }
    }

    fn source_of(&self, file: File, generation: &Generation, limited: bool) -> Result<Source> {
        let number = number_of(&file);
        let file = if generation.compressed {
            unpack(file, &generation.path)?
        } else {
            file
        };
        Source::new(file, self.driver, generation.identity, number, limited)
            .map_err(at("stat", &generation.path))
    }
}

/// Opens a name only if it still means that file.
fn open_as(path: &Path, identity: &Identity) -> Result<Option<File>> {
    let file = match open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    ) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(at("open the log", path)(error)),
    };
    let actual = Identity::of(&file).map_err(at("stat", path))?;
    Ok(actual.is_file(identity).then_some(file))
}

/// A rotated file, unpacked into memory that has no name; a torn end is kept as far as it goes.
fn unpack(file: File, path: &Path) -> Result<File> {
    let mut plain = memfd_create("log", MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(at("unpack", path))?;
    let mut decoder = flate2::read::MultiGzDecoder::new(file);
    let mut block = vec![0; 64 * 1024];
    loop {
        match decoder.read(&mut block) {
            Ok(0) => return Ok(plain),
            Ok(n) => plain.write_all(&block[..n]).map_err(at("unpack", path))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_damage(&error) => return Ok(plain),
            Err(error) => return Err(at("unpack", path)(error)),
        }
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
}

/// Whether two lists name the same files by the same names.
fn same_names(one: &[Generation], other: &[Generation]) -> bool {
    let key = |g: &Generation| (g.index, g.compressed, g.identity.device, g.identity.inode);
    one.iter().map(key).eq(other.iter().map(key))
}

#[cfg(test)]
mod tests;
