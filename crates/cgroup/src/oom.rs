//! The kernel's OOM killer in a group: how often it struck, and a word when it may have.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::group::{Group, Place};
use crate::hierarchy::Controller;

impl Group {
    /// How often the kernel's OOM killer struck in the group (Linux 4.13 for v1).
    ///
    /// # Errors
    /// When the count cannot be read.
    pub fn oom_kills(&self) -> Result<u64> {
        let (dir, file) = match self.place(Controller::Memory) {
            Some(Place::V1(dir)) => (dir, "memory.oom_control"),
            Some(Place::V2(dir)) => (dir, "memory.events"),
            None => return Ok(0),
        };
        let text = dir.get(Controller::Memory, file)?;
        Ok(crate::text::value(&text, "oom_kill").unwrap_or(0))
    }

    /// A descriptor that becomes readable when [`Group::oom_kills`] may have grown or is about to: v1 tells before it kills,
    /// v2 of every event of memory. To be read empty each time; nonblocking, and at most 4096 bytes are there at once.
    /// `None` without the memory controller. See cgroup-v1/memcg_test.rst and inotify(7).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn oom_notifier(&self) -> Result<Option<OwnedFd>> {
        let (dir, file, notifier) = match self.place(Controller::Memory) {
            Some(Place::V1(dir)) => (dir, "cgroup.event_control", notify_v1(dir)),
            Some(Place::V2(dir)) => (dir, "memory.events", self.notify_v2()),
            None => return Ok(None),
        };
        notifier.map(Some).map_err(|source| Error::Notify {
            group: dir.group().to_owned(),
            file,
            source,
        })
    }

    fn notify_v2(&self) -> io::Result<OwnedFd> {
        let tree = self.host.unified.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let file = tree.mount.join(&self.path).join("memory.events");
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watch, file, inotify::WatchFlags::MODIFY)?;
        Ok(watch)
    }
}

/// The kernel keeps what it needs of both descriptors; the event ends with the group.
fn notify_v1(dir: &Dir) -> io::Result<OwnedFd> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let control = dir.open_read("memory.oom_control")?;
    let order = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    dir.try_set("cgroup.event_control", &order)?;
    Ok(event)
}
