//! An attached client: frames out, bytes in, and the ways in which it leaves.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use logs::Stream;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown, sendmsg, shutdown};

use super::Shim;
use super::detach::DetachKeys;
use super::poller::{Poller, Ready, Watched, What};
use super::process::{Key, set_nonblocking};
use crate::protocol::{Event, Request, Target};

/// From here on the process's output is not read any more until the client has taken some: it waits as in a pipe.
const CONGESTED: usize = 256 * 1024;
const READ: usize = 16 * 1024;
/// How many clients may wait for processes that do not exist yet.
const MAX_WAITING: usize = 256;

/// One client of one process.
#[derive(Debug)]
pub(crate) struct Client {
    id: u64,
    fd: Option<Watched>,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    /// Raw bytes rather than stdcopy frames.
    raw: bool,
    keys: DetachKeys,
    /// Input that came with the request.
    early: Vec<u8>,
    /// What it has not taken yet.
    queue: Vec<u8>,
    /// Nothing more comes from it.
    silent: bool,
    /// Nothing more goes to it than what is queued.
    finishing: bool,
    /// It does not take bytes any more.
    lost: bool,
}

impl Client {
    pub(crate) fn wants(&self, stream: Stream) -> bool {
        let asked = match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        asked && !self.finishing && !self.lost
    }

    /// Whether the process's output must wait for it; for one that leaves it need not.
    pub(crate) fn is_congested(&self) -> bool {
        self.queue.len() >= CONGESTED && !self.finishing && !self.lost
    }

    pub(crate) fn is_done(&self) -> bool {
        self.fd.is_none() || self.lost || (self.finishing && self.queue.is_empty())
    }

    pub(crate) fn gives_input(&self) -> bool {
        self.stdin
    }

    /// Whether it hung up before it was let go.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost && !self.finishing
    }

    /// Lets it go when it has taken what is queued.
    pub(crate) fn finish(&mut self) {
        self.finishing = true;
    }

    /// Ends the connection now.
    pub(crate) fn hang_up(&mut self, poller: &mut Poller) {
        if let Some(mut fd) = self.fd.take() {
            poller.forget(&mut fd);
            let _ = shutdown(&fd, Shutdown::Both);
        }
        self.queue = Vec::new();
    }

    /// Closes our descriptor, and leaves the connection to others who have one.
    pub(crate) fn let_go(&mut self, poller: &mut Poller) {
        if let Some(mut fd) = self.fd.take() {
            poller.forget(&mut fd);
        }
    }

    pub(crate) fn ask(&mut self, poller: &mut Poller, key: Key, process_takes_input: bool) {
        let id = self.id;
        let mut interest = Ready::empty();
        if !self.queue.is_empty() {
            interest |= Ready::OUT;
        }
        if !self.silent && (process_takes_input || !self.stdin) {
            interest |= Ready::IN;
        }
        if self.silent && interest.is_empty() {
            interest = Ready::ERR; // told always, and so is a hang-up
        }
        if let Some(fd) = &mut self.fd {
            poller.ask(fd, What::Client(key, id), interest);
        }
    }

    /// Gives it output; what it does not take now is queued. Answers whether it took any now.
    pub(crate) fn give(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        let mut header = [0; 8];
        header[0] = match stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        let length = u32::try_from(bytes.len()).expect("a read is far below 4 GiB");
        header[4..].copy_from_slice(&length.to_be_bytes());
        let header: &[u8] = if self.raw { &[] } else { &header };
        let mut sent = 0;
        if self.queue.is_empty()
            && let Some(fd) = &self.fd
        {
            let parts = [IoSlice::new(header), IoSlice::new(bytes)];
            match send(fd, &parts) {
                Ok(n) => sent = n,
                Err(Errno::AGAIN) => {}
                Err(_) => {
                    self.lost = true; // dropped by the next settling
                    return false;
                }
            }
        }
        let of_header = sent.min(header.len());
        self.queue.extend_from_slice(&header[of_header..]);
        self.queue.extend_from_slice(&bytes[sent - of_header..]);
        sent > 0
    }

    /// Writes on what is queued. Answers whether it took any.
    fn flush(&mut self) -> bool {
        let Some(fd) = &self.fd else { return false };
        let mut done = 0;
        while done < self.queue.len() {
            match send(fd, &[IoSlice::new(&self.queue[done..])]) {
                Ok(n) => done += n,
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.lost = true;
                    done = self.queue.len();
                }
            }
        }
        if done == self.queue.len() {
            self.queue = Vec::new();
        } else {
            self.queue.drain(..done);
        }
        done > 0
    }
}

fn send(fd: &Watched, parts: &[IoSlice<'_>]) -> Result<usize, Errno> {
    loop {
        match sendmsg(
            fd,
            parts,
            &mut SendAncillaryBuffer::default(),
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        ) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

impl Shim {
    /// `Request::Attach`.
    pub(super) fn attach(&mut self, request: Request, stream: Option<OwnedFd>) {
        let Request::Attach {
            target,
            stdin,
            stdout,
            stderr,
            early_input,
            detach_keys,
        } = request
        else {
            return;
        };
        let Some(stream) = stream else { return };
        set_nonblocking(&stream);
        let mut client = Client {
            id: 0,
            fd: Some(Watched::new(stream)),
            stdin,
            stdout,
            stderr,
            raw: false,
            keys: DetachKeys::new(detach_keys),
            early: early_input,
            queue: Vec::new(),
            silent: false,
            finishing: false,
            lost: false,
        };
        let key = self
            .processes
            .iter()
            .find(|(_, process)| process.target == target && !process.told)
            .map(|(key, _)| *key);
        match key {
            Some(key) => self.join(key, client),
            None if self.exit.is_some()
                || self.waiting.len() >= MAX_WAITING
                || (target == Target::Init && self.launch.is_none()) =>
            {
                client.hang_up(&mut self.poller);
            }
            None => self.waiting.push((target, client)),
        }
    }

    /// Joins a client to a running process.
    fn join(&mut self, key: Key, mut client: Client) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        client.id = process.next_client;
        process.next_client += 1;
        client.raw = process.terminal;
        if !process.terminal {
            client.keys = DetachKeys::default();
        }
        let early = std::mem::take(&mut client.early);
        let id = client.id;
        process.clients.push(client);
        if !early.is_empty() {
            self.take_input(key, id, &early);
        }
    }

    /// The process is there: those who waited for it join.
    pub(super) fn join_waiting(&mut self, key: Key) {
        let Some(target) = self.processes.get(&key).map(|p| p.target.clone()) else {
            return;
        };
        for (wanted, client) in std::mem::take(&mut self.waiting) {
            if wanted == target {
                self.join(key, client);
            } else {
                self.waiting.push((wanted, client));
            }
        }
    }

    /// The process will never be there. The streams are only let go: the daemon keeps a descriptor, tells its client why, and
    /// ends them then.
    pub(super) fn dismiss_waiting(&mut self, target: &Target) {
        for (wanted, mut client) in std::mem::take(&mut self.waiting) {
            if wanted == *target {
                client.let_go(&mut self.poller);
            } else {
                self.waiting.push((wanted, client));
            }
        }
    }

    /// A client is ready to read or write, or has hung up.
    pub(super) fn serve_client(&mut self, key: Key, id: u64, ready: Ready) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        let Some(client) = process.clients.iter_mut().find(|c| c.id == id) else {
            return;
        };
        if ready.contains(Ready::OUT) && client.flush() {
            process.moved = std::time::Instant::now();
        }
        let Some(client) = process.clients.iter_mut().find(|c| c.id == id) else {
            return;
        };
        let gone = ready.intersects(Ready::HUP | Ready::ERR);
        if client.silent {
            if gone {
                self.client_gone(key, id);
            }
            return;
        }
        let Some(fd) = &client.fd else { return };
        let mut buffer = [0; READ];
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => {
                client.silent = true;
                self.client_ended_input(key, id);
                if gone {
                    self.client_gone(key, id);
                }
            }
            Ok(n) => {
                if client.stdin {
                    self.take_input(key, id, &buffer[..n]);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.client_gone(key, id),
        }
    }

    /// Passes a client's bytes on, unless it leaves by its keys.
    fn take_input(&mut self, key: Key, id: u64, bytes: &[u8]) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        let Some(client) = process.clients.iter_mut().find(|c| c.id == id) else {
            return;
        };
        if !client.stdin {
            return;
        }
        let mut input = Vec::new();
        let leaves = client.keys.filter(bytes, &mut input);
        if leaves {
            client.finish();
        }
        process.input.push(&input);
        if leaves {
            let target = process.target.clone();
            self.daemon.send(&Event::Detached {
                target,
                by_keys: true,
            });
        }
    }

    /// A client has closed its sending half. Where stdin does not end with it, Docker ends the attachment; so do we.
    fn client_ended_input(&mut self, key: Key, id: u64) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        let Some(client) = process.clients.iter_mut().find(|c| c.id == id) else {
            return;
        };
        if !client.stdin || process.input.client_ended() {
            return;
        }
        client.finish();
        let target = process.target.clone();
        self.daemon.send(&Event::Detached {
            target,
            by_keys: false,
        });
    }

    /// A client has hung up altogether.
    fn client_gone(&mut self, key: Key, id: u64) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        let Some(index) = process.clients.iter().position(|c| c.id == id) else {
            return;
        };
        let mut client = process.clients.remove(index);
        client.hang_up(&mut self.poller);
        if client.stdin {
            process.input.client_ended();
        }
        let target = process.target.clone();
        if !client.finishing && !process.told {
            self.daemon.send(&Event::Detached {
                target,
                by_keys: false,
            });
        }
    }
}
