//! The terminal: out of the container's own devpts, by descriptors only.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::mounts::attach;
use crate::channel::ChildEnd;
use crate::failure::{Failure, Step, Tried};
use crate::inroot::{Root, Want};

/// `DEVPTS_SUPER_MAGIC`.
const DEVPTS: i64 = 0x1cd1;

/// Both ends of a terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
}

/// Opens a new terminal. The other end is got from the master itself, never by the name `/dev/pts/N`, where the image
/// or a neighbour could have put something else (CVE-2025-52565).
pub(super) fn open(root: &Root, size: Option<(u16, u16)>) -> Step<Terminal> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = root
        .open("dev/pts/ptmx", flags)
        .tried(|| "open /dev/pts/ptmx".to_owned())?;
    let magic = rustix::fs::fstatfs(&master)
        .tried(|| "look at /dev/pts".to_owned())?
        .f_type;
    if magic as i64 != DEVPTS {
        return Err(Failure::new("/dev/pts is not a devpts"));
    }
    rustix::pty::unlockpt(&master).tried(|| "unlock the terminal".to_owned())?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave =
        rustix::pty::ioctl_tiocgptpeer(&master, flags).tried(|| "open the terminal".to_owned())?;
    if let Some((rows, columns)) = size {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&master, size).tried(|| "size the terminal".to_owned())?;
    }
    Ok(Terminal { master, slave })
}

/// Makes it the container's `/dev/console`.
pub(super) fn bind(root: &Root, terminal: &Terminal) -> Step {
    let target = root
        .make(Path::new("/dev/console"), Want::File)
        .tried(|| "make /dev/console".to_owned())?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree =
        open_tree(&terminal.slave, c"", flags).tried(|| "open the terminal's mount".to_owned())?;
    attach(&tree, &target)
}

/// Makes it our standard streams and our session's own, and gives the other end to the parent.
pub(super) fn hand_over(terminal: Terminal, channel: &ChildEnd) -> Step {
    channel
        .send_console(&terminal.master)
        .tried(|| "hand the terminal over".to_owned())?;
    rustix::process::ioctl_tiocsctty(&terminal.slave)
        .tried(|| "control the terminal".to_owned())?;
    let slave = std::os::fd::AsFd::as_fd(&terminal.slave);
    crate::stdio::lay_out(slave, slave, slave).tried(|| "standard streams".to_owned())
}
