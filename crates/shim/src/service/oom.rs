//! The OOM killer's visits to a container that has a memory limit, told while it lives.

use std::time::{Duration, Instant};

use super::Shim;
use super::poller::{Poller, Ready, Watched, What};
use crate::protocol::Event;

/// When the count is looked at again after a notice: v1 gives it before it has killed, and the victim takes its time.
const LOOKS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// The kernel's notices and what was told of them.
#[derive(Debug)]
pub(crate) struct OomWatch {
    notifier: Watched,
    /// The count that the daemon knows.
    told: u64,
    noticed: Instant,
    /// Which of [`LOOKS`] comes next; none when all are over.
    look: usize,
}

impl OomWatch {
    /// Watches, and looks at once at what has happened since `told` was counted.
    pub(crate) fn new(notifier: std::os::fd::OwnedFd, told: u64, poller: &mut Poller) -> Self {
        let mut notifier = Watched::new(notifier);
        poller.ask(&mut notifier, What::Oom, Ready::IN);
        Self {
            notifier,
            told,
            noticed: Instant::now(),
            look: 0,
        }
    }

    /// When the count is to be looked at without a notice.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        LOOKS.get(self.look).map(|pause| self.noticed + *pause)
    }

    /// The kernel gave notice: the looks begin anew.
    fn notice(&mut self) {
        let mut buffer = [0; 4096];
        // What it says is no news: the count is.
        let _ = rustix::io::read(&self.notifier, &mut buffer);
        self.noticed = Instant::now();
        self.look = 0;
    }

    /// Answers whether there is something to tell.
    fn look(&mut self, count: u64) -> bool {
        self.look += 1;
        let grown = count > self.told;
        self.told = self.told.max(count);
        grown
    }
}

impl Shim {
    /// The kernel's notice has come.
    pub(super) fn notice_oom(&mut self) {
        if let Some(watch) = &mut self.oom {
            watch.notice();
        }
    }

    /// Looks at the count when it is time.
    pub(super) fn settle_oom(&mut self) {
        let due = |watch: &OomWatch| watch.deadline().is_some_and(|at| at <= Instant::now());
        if self.oom.as_ref().is_some_and(due) {
            let count = self.container.as_ref().map_or(0, |c| c.ooms());
            self.tell_oom(count);
        }
    }

    /// The last look: the group goes.
    pub(super) fn end_oom(&mut self, count: u64) {
        self.tell_oom(count);
        if let Some(mut watch) = self.oom.take() {
            self.poller.forget(&mut watch.notifier);
        }
    }

    fn tell_oom(&mut self, count: u64) {
        if let Some(watch) = &mut self.oom
            && watch.look(count)
        {
            self.daemon.send(&Event::Oom);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_told_once_and_the_looks_come_to_an_end() {
        let mut poller = Poller::new().expect("an epoll set");
        let (notifier, kernel) = rustix::pipe::pipe().expect("a pipe");
        let mut watch = OomWatch::new(notifier, 1, &mut poller);
        let told: Vec<bool> = [1, 2, 2, 0].map(|count| watch.look(count)).to_vec();
        assert_eq!(told, [false, true, false, false]);
        assert_eq!(watch.deadline(), None);
        rustix::io::write(&kernel, b"again").expect("room in the pipe");
        watch.notice();
        assert!(watch.deadline().is_some_and(|at| at <= Instant::now()));
        assert!(watch.look(3));
    }
}
