//! The daemon as the shim sees it: a connection that may end and come again.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::Mode;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with, sockopt,
};

use super::Shim;
use super::poller::{Poller, Ready, Watched, What};
use super::process::{INIT, set_nonblocking};
use crate::client::{SOCKET, address};
use crate::packet;
use crate::protocol::{Event, Packet, Request, Target};

/// Events kept for a daemon that does not read; one that lets more gather is dead to us, and finds all in `Hello` again.
const MAX_QUEUE: usize = 1024;

/// The listening socket and the present connection.
#[derive(Debug)]
pub(crate) struct Daemon {
    listener: Watched,
    connection: Option<Watched>,
    queue: VecDeque<Vec<u8>>,
}

impl Daemon {
    /// Binds `shim.sock` in the run folder, for our own user only.
    pub(crate) fn listen(run_dir: &Path, poller: &mut Poller) -> io::Result<Self> {
        let (_folder, address) = address(run_dir)?;
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        let _ = rustix::fs::unlink(run_dir.join(SOCKET)); // of a shim that was killed
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = bind(&socket, &address);
        rustix::process::umask(before);
        bound?;
        listen(&socket, 4)?;
        let mut listener = Watched::new(socket);
        poller.ask(&mut listener, What::Listener, Ready::IN);
        Ok(Self {
            listener,
            connection: None,
            queue: VecDeque::new(),
        })
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Takes a new connection in place of the old one, whose undelivered events are void.
    pub(crate) fn replace(&mut self, connection: OwnedFd, poller: &mut Poller) {
        self.disconnect(poller);
        set_nonblocking(&connection);
        let mut connection = Watched::new(connection);
        poller.ask(&mut connection, What::Control, Ready::IN);
        self.connection = Some(connection);
    }

    fn disconnect(&mut self, poller: &mut Poller) {
        if let Some(mut old) = self.connection.take() {
            poller.forget(&mut old);
        }
        self.queue.clear();
    }

    /// Tells the daemon, if there is one.
    pub(crate) fn send(&mut self, event: &Event) {
        if self.connection.is_some()
            && let Ok(bytes) = serde_json::to_vec(event)
        {
            self.queue.push_back(bytes);
        }
    }

    /// Sends what can be sent now.
    pub(crate) fn flush(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        while let Some(bytes) = self.queue.front() {
            match packet::send(connection.as_fd(), bytes, None) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.queue.clear(); // its end is told by epoll
                    break;
                }
            }
        }
    }

    /// Sends what can be sent, and asks epoll to say when the rest can.
    pub(crate) fn settle(&mut self, poller: &mut Poller) {
        self.flush();
        if self.queue.len() > MAX_QUEUE {
            self.disconnect(poller);
        }
        let waiting = !self.queue.is_empty();
        if let Some(connection) = &mut self.connection {
            let interest = if waiting {
                Ready::IN | Ready::OUT
            } else {
                Ready::IN
            };
            poller.ask(connection, What::Control, interest);
        }
    }
}

impl Shim {
    /// A new daemon has connected; only our own user and root may.
    pub(super) fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(connection) = accept_with(&self.daemon.listener, flags) else {
            return;
        };
        let own = rustix::process::geteuid();
        match sockopt::socket_peercred(&connection) {
            Ok(peer) if peer.uid == own || peer.uid.is_root() => {}
            _ => return,
        }
        self.daemon.replace(connection, &mut self.poller);
        // Until its end is complete it counts as running: `Exited` follows.
        let pid = self
            .processes
            .get(&INIT)
            .filter(|_| !self.finished)
            .map(|init| init.pid);
        let execs = self
            .processes
            .values()
            .filter(|p| !p.told)
            .filter_map(|p| match &p.target {
                Target::Exec(id) => Some((id.clone(), p.pid)),
                Target::Init => None,
            })
            .collect();
        let hello = Event::Hello {
            pid,
            execs,
            exit: self.exit.filter(|_| self.finished),
        };
        self.daemon.send(&hello);
    }

    /// Requests are there, or the daemon has gone.
    pub(super) fn serve_daemon(&mut self, ready: Ready) {
        if !ready.intersects(Ready::IN | Ready::HUP | Ready::ERR) {
            return;
        }
        while !self.leave {
            let Some(connection) = &self.daemon.connection else {
                return;
            };
            match packet::receive(connection.as_fd()) {
                Ok(Some((bytes, fd))) => {
                    if let Ok(request) = serde_json::from_slice(&bytes) {
                        self.serve(Packet { request, fd });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => {
                    self.daemon.disconnect(&mut self.poller);
                    return;
                }
            }
        }
    }

    fn serve(&mut self, packet: Packet) {
        match packet.request {
            Request::Start => self.start(),
            Request::Exec { id, file } => self.exec(id, &file),
            request @ Request::Attach { .. } => self.attach(request, packet.fd),
            Request::Resize {
                target,
                height,
                width,
            } => self.resize(&target, height, width),
            Request::Signal {
                target,
                signal,
                all,
            } => self.signal(&target, signal, all),
            Request::Publish { transport, target } => {
                self.publish(transport, target, packet.fd);
            }
            Request::Redirect {
                transport,
                host,
                target,
            } => {
                let poller = &mut self.poller;
                self.proxy.redirect(transport, host, target, poller);
            }
            Request::Unpublish { transport, host } => {
                self.proxy.unpublish(transport, host, &mut self.poller);
            }
            Request::Forget => {
                // Without a record there is a container still, or one yet to come: nothing to forget.
                if self.finished {
                    self.daemon.disconnect(&mut self.poller);
                }
            }
        }
    }
}
