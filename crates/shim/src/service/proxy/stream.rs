//! One connection that is passed on: two sockets, and a direction each way.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown, sockopt};
use rustix::pipe::{SpliceFlags, splice};

use super::Side;
use super::pipe::{Pipe, Pipes, SIZE};
use crate::service::poller::{Poller, Ready, Watched, What};

/// A connection.
#[derive(Debug)]
pub(super) struct Stream {
    /// The port it came by.
    pub(super) port: u32,
    near: Watched,
    far: Watched,
    /// The container has not taken it yet.
    connecting: bool,
    /// From the client to the container.
    inward: Direction,
    outward: Direction,
}

/// What becomes of a connection after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Goes,
    /// Both sides have said all.
    Over,
    /// One side has failed: the other is to see that.
    Broken,
}

/// Bytes going one way.
#[derive(Debug, Default)]
struct Direction {
    /// While bytes are in it, or may be.
    pipe: Option<Pipe>,
    in_pipe: usize,
    /// The source has said all.
    ended: bool,
    /// The sink was told so.
    told: bool,
    /// There was no pipe to be had.
    starved: bool,
}

impl Stream {
    pub(super) fn new(port: u32, near: OwnedFd, far: OwnedFd) -> Self {
        for socket in [&near, &far] {
            // Neither is worth failing for.
            let _ = sockopt::set_tcp_nodelay(socket, true);
            let _ = sockopt::set_socket_keepalive(socket, true);
        }
        Self {
            port,
            near: Watched::new(near),
            far: Watched::new(far),
            connecting: true,
            inward: Direction::default(),
            outward: Direction::default(),
        }
    }

    /// Moves what can be moved.
    pub(super) fn serve(&mut self, side: Side, ready: Ready, pipes: &mut Pipes) -> State {
        if self.connecting {
            if side == Side::Near || !matches!(sockopt::socket_error(&self.far), Ok(Ok(()))) {
                return State::Broken;
            }
            self.connecting = !ready.contains(Ready::OUT);
            if self.connecting {
                return State::Goes;
            }
        } else if ready.contains(Ready::ERR) {
            return State::Broken;
        }
        let (near, far) = (self.near.as_fd(), self.far.as_fd());
        let moved = self
            .inward
            .pump(near, far, pipes)
            .and_then(|()| self.outward.pump(far, near, pipes));
        match moved {
            Err(_) => State::Broken,
            Ok(()) if self.inward.told && self.outward.told => State::Over,
            Ok(()) => State::Goes,
        }
    }

    /// Asks for exactly what can be done now. A side from which nothing is wanted is asked for its failure only.
    pub(super) fn ask(&mut self, flow: u32, poller: &mut Poller) {
        let (near, far) = if self.connecting {
            (Ready::ERR, Ready::OUT)
        } else {
            (
                interest(&self.inward, &self.outward),
                interest(&self.outward, &self.inward),
            )
        };
        poller.ask(&mut self.near, What::Flow(flow, Side::Near), near);
        poller.ask(&mut self.far, What::Flow(flow, Side::Far), far);
    }

    /// It may ask for a pipe again; answers whether it had got none.
    pub(super) fn end_starvation(&mut self) -> bool {
        let starved = self.inward.starved || self.outward.starved;
        self.inward.starved = false;
        self.outward.starved = false;
        starved
    }

    /// Both ends will see a connection that was cut rather than one that has ended.
    pub(super) fn reset(&self) {
        reset(&self.near);
        reset(&self.far);
    }

    /// Takes the sockets out of the set, before they close.
    pub(super) fn release(&mut self, poller: &mut Poller) {
        poller.forget(&mut self.near);
        poller.forget(&mut self.far);
    }
}

/// What a side is asked for, of which one direction is the source and another the sink.
fn interest(from: &Direction, to: &Direction) -> Ready {
    let mut interest = Ready::empty();
    if !from.ended && !from.starved && from.in_pipe == 0 {
        interest |= Ready::IN;
    }
    if to.in_pipe > 0 {
        interest |= Ready::OUT;
    }
    if interest.is_empty() && !to.told {
        // Its failure is told. Once it was told that no more comes, its own end would be, again and again.
        interest = Ready::ERR;
    }
    interest
}

/// Lets a socket end with a reset when it is closed.
pub(super) fn reset(socket: impl AsFd) {
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
}

impl Direction {
    /// Moves a pipe's fill, or what is left of one; then it is another's turn.
    fn pump(
        &mut self,
        source: BorrowedFd<'_>,
        sink: BorrowedFd<'_>,
        pipes: &mut Pipes,
    ) -> Result<(), Errno> {
        if self.in_pipe == 0 && !self.ended {
            self.fill(source, pipes)?;
        }
        self.empty(sink)?;
        if self.in_pipe == 0 {
            if let Some(pipe) = self.pipe.take() {
                pipes.give_back(pipe);
            }
            if self.ended && !self.told {
                self.told = true;
                match shutdown(sink, Shutdown::Write) {
                    // It has gone altogether: nothing is left to be told.
                    Ok(()) | Err(Errno::NOTCONN) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }

    /// Takes bytes from the source, if there are any.
    fn fill(&mut self, source: BorrowedFd<'_>, pipes: &mut Pipes) -> Result<(), Errno> {
        let pipe = match &self.pipe {
            Some(pipe) => pipe,
            None => match pipes.take() {
                Some(pipe) => self.pipe.insert(pipe),
                None => {
                    self.starved = true;
                    return Ok(());
                }
            },
        };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        match splice(source, None, &pipe.write, None, SIZE, flags) {
            Ok(0) => self.ended = true,
            Ok(got) => self.in_pipe = got,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Gives bytes to the sink, as many as it takes now.
    fn empty(&mut self, sink: BorrowedFd<'_>) -> Result<(), Errno> {
        let Some(pipe) = &self.pipe else {
            return Ok(());
        };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        while self.in_pipe > 0 {
            match splice(&pipe.read, None, sink, None, self.in_pipe, flags) {
                Ok(0) => return Err(Errno::PIPE),
                Ok(gave) => self.in_pipe -= gave,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}
