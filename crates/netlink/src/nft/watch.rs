//! What others change, as the kernel tells everyone who listens.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::net::sockopt;

use crate::error::Error;
use crate::message::Message;
use crate::nft::dump::{family, text};
use crate::nft::{Family, HEADER, SUBSYSTEM};
use crate::socket::Socket;

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// `NFT_MSG_NEWGEN`: the end of each transaction.
const NEW_GENERATION: u16 = 15;

/// What the kernel may keep for us.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A socket that hears of every change in its namespace.
#[derive(Debug)]
pub struct Watch {
    socket: Socket,
}

/// Something in a table was made, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Of the table.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The [`port`](Socket::port) of the socket that asked for it.
    pub port: u32,
}

impl Watch {
    /// Listens in the namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Open`] or [`Error::Join`].
    pub fn open() -> Result<Self, Error> {
        let socket = Socket::netfilter()?;
        // Not charged until notices pile up; without it a burst of some hundred changes is lost.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES);
        socket.join(GROUP)?;
        Ok(Self { socket })
    }

    /// Waits for the next changes; none when the time is over.
    ///
    /// # Errors
    /// [`Error::Lost`] when more happened than could be told: look at everything anew.
    pub fn next(&self, within: Duration) -> Result<Vec<Event>, Error> {
        let messages = self.socket.receive(Some(within))?;
        Ok(messages.iter().filter_map(read).collect())
    }
}

impl AsFd for Watch {
    /// Readable when something has changed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// All kinds of notices name their table in attribute 1, but the one that ends a transaction.
fn read(message: &Message) -> Option<Event> {
    if message.kind >> 8 != SUBSYSTEM || message.kind & 0xff == NEW_GENERATION {
        return None;
    }
    Some(Event {
        family: family(message)?,
        table: text(&message.attributes(HEADER), 1)?,
        port: message.port,
    })
}
