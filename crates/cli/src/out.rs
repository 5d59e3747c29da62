//! The one way to the terminal: standard output and standard error, quiet when the reader has gone.

use std::io;

/// The stream a reader looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Writes bytes whole.
///
/// # Errors
/// The stream refuses them; a closed pipe is reported as [`io::ErrorKind::BrokenPipe`].
pub(crate) fn write(stream: Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = match stream {
            Stream::Out => rustix::io::write(rustix::stdio::stdout(), bytes),
            Stream::Err => rustix::io::write(rustix::stdio::stderr(), bytes),
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait_until_writable(stream),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_until_writable(stream: Stream) {
    use rustix::event::{PollFd, PollFlags, poll};
    let (out, err) = (rustix::stdio::stdout(), rustix::stdio::stderr());
    let fd = match stream {
        Stream::Out => &out,
        Stream::Err => &err,
    };
    // A failed poll only means that the next write reports what is wrong.
    let _ = poll(&mut [PollFd::new(fd, PollFlags::OUT)], None);
}

/// Prints text on standard output; a reader that has gone ends the program quietly.
pub(crate) fn print(text: impl AsRef<[u8]>) {
    if write(Stream::Out, text.as_ref()).is_err() {
        // Nobody reads what follows: the shell's convention for SIGPIPE.
        std::process::exit(141);
    }
}

/// Prints a line on standard output.
pub(crate) fn line(text: impl AsRef<str>) {
    let mut text = text.as_ref().to_owned();
    text.push('\n');
    print(text);
}

/// Prints a line on standard error; failure has nowhere to be told.
pub(crate) fn complain(text: impl AsRef<str>) {
    let mut text = text.as_ref().to_owned();
    text.push('\n');
    let _ = write(Stream::Err, text.as_bytes());
}

/// Whether standard output is a terminal.
#[must_use]
pub(crate) fn is_terminal(stream: Stream) -> bool {
    match stream {
        Stream::Out => rustix::termios::isatty(rustix::stdio::stdout()),
        Stream::Err => rustix::termios::isatty(rustix::stdio::stderr()),
    }
}

/// The terminal's width in columns, 80 where there is none.
#[must_use]
pub(crate) fn width() -> usize {
    rustix::termios::tcgetwinsize(rustix::stdio::stdout())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(80)
}
