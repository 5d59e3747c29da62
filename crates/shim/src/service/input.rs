//! A process's stdin: what clients sent, in a bounded queue, written as the process takes it.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::Shim;
use super::poller::{Poller, Ready, Watched, What};
use super::process::Key;

/// From here on clients are not read any more until the process has taken some.
const FULL: usize = 64 * 1024;

/// The queue.
#[derive(Debug)]
pub(crate) struct Input {
    fd: Option<Watched>,
    queue: Vec<u8>,
    /// It ends with the client that gave it.
    ends_with_client: bool,
    ending: bool,
}

impl Input {
    pub(crate) fn new(fd: Option<OwnedFd>, ends_with_client: bool) -> Self {
        Self {
            fd: fd.map(Watched::new),
            queue: Vec::new(),
            ends_with_client,
            ending: false,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < FULL
    }

    /// Takes a client's bytes. Nobody reads them when stdin is closed: they are dropped, as a shell would see SIGPIPE.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.fd.is_some() && !self.ending {
            self.queue.extend_from_slice(bytes);
            self.write();
        }
    }

    /// The client has ended its input; answers whether stdin ends with it.
    pub(crate) fn client_ended(&mut self) -> bool {
        self.ending |= self.ends_with_client;
        self.ends_with_client
    }

    fn write(&mut self) {
        let Some(fd) = &self.fd else { return };
        let mut done = 0;
        while done < self.queue.len() {
            match rustix::io::write(fd, &self.queue[done..]) {
                Ok(n) => done += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.ending = true;
                    done = self.queue.len();
                }
            }
        }
        if done == self.queue.len() {
            self.queue = Vec::new();
        } else {
            self.queue.drain(..done);
        }
    }

    pub(crate) fn ask(&mut self, poller: &mut Poller, key: Key) {
        if self.ending && self.queue.is_empty() {
            self.close(poller);
        }
        if let Some(fd) = &mut self.fd {
            let interest = if self.queue.is_empty() {
                Ready::empty()
            } else {
                Ready::OUT
            };
            poller.ask(fd, What::Input(key), interest);
        }
    }

    pub(crate) fn close(&mut self, poller: &mut Poller) {
        if let Some(mut fd) = self.fd.take() {
            poller.forget(&mut fd);
        }
        self.queue = Vec::new();
    }
}

impl Shim {
    /// A process takes input again.
    pub(super) fn feed(&mut self, key: Key) {
        if let Some(process) = self.processes.get_mut(&key) {
            process.input.write();
        }
    }
}
