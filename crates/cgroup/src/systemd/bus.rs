//! One conversation with systemd: log in, call, wait for a job.
//!
//! Spec: D-Bus Specification, "Authentication Protocol" (EXTERNAL: the kernel tells who we are).

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::wire::{self, Body, FIXED, Kind, Message};

/// How long systemd may take for a job; it is busy with others while a machine boots.
const PATIENCE: Duration = Duration::from_secs(30);

const OBJECT: &str = "/org/freedesktop/systemd1";

/// Why systemd did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Trouble {
    /// The socket failed, or systemd was silent for too long.
    Socket(io::Error),
    /// It does not take us for who we are.
    NotAdmitted(String),
    /// What it said is no D-Bus.
    Garbled,
    /// It refused: the error's name and words.
    Refused(String, String),
    /// The job ended otherwise than `done`: `failed`, `timeout`, `canceled`…
    Job(String),
}

impl Trouble {
    /// Whether it is a refusal of this name.
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused(name, _) if name == wanted)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "{error}"),
            Self::NotAdmitted(line) => write!(f, "not admitted: {line}"),
            Self::Garbled => f.write_str("its answer is not understood"),
            Self::Refused(name, words) => write!(f, "{words} ({name})"),
            Self::Job(result) => write!(f, "the job ended as {result:?}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// A call of one of systemd's methods.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) interface: &'static str,
    pub(super) member: &'static str,
    pub(super) body: Body,
}

/// A connection that systemd has admitted.
#[derive(Debug)]
pub(super) struct Bus {
    socket: UnixStream,
    serial: u32,
    deadline: Instant,
    /// Jobs that ended while we waited for something else.
    ended: Vec<(String, String)>,
}

impl Bus {
    /// Connects and logs in.
    pub(super) fn connect(path: &Path) -> Result<Self, Trouble> {
        let socket = UnixStream::connect(path)?;
        let mut bus = Self {
            socket,
            serial: 0,
            deadline: Instant::now() + PATIENCE,
            ended: Vec::new(),
        };
        let uid = rustix::process::geteuid().as_raw().to_string();
        let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        // All at once: a call that arrives together with BEGIN stays unread in systemd's buffer until more comes.
        let log_in = format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n");
        bus.socket.write_all(log_in.as_bytes())?;
        let line = bus.line()?;
        if !line.starts_with("OK ") {
            return Err(Trouble::NotAdmitted(line));
        }
        Ok(bus)
    }

    /// Calls a method, and waits for its answer.
    pub(super) fn call(&mut self, call: Call) -> Result<Message, Trouble> {
        self.serial += 1;
        let bytes = wire::call(self.serial, OBJECT, call.interface, call.member, &call.body);
        self.socket.write_all(&bytes)?;
        loop {
            let message = self.next()?;
            match &message.kind {
                Kind::Return { to } if *to == self.serial => return Ok(message),
                Kind::Refusal { to, name } if *to == self.serial => {
                    let words = message.one_text().unwrap_or_default();
                    return Err(Trouble::Refused(name.clone(), words));
                }
                Kind::Signal { member } if member == "JobRemoved" => {
                    self.ended.extend(message.removed_job());
                }
                _ => {}
            }
        }
    }

    /// Waits for the end of the job whose path is in an answer.
    pub(super) fn await_job(&mut self, answer: &Message) -> Result<(), Trouble> {
        let job = answer.one_text().ok_or(Trouble::Garbled)?;
        loop {
            if let Some((_, result)) = self.ended.iter().find(|(path, _)| *path == job) {
                return match result.as_str() {
                    "done" => Ok(()),
                    other => Err(Trouble::Job(other.to_owned())),
                };
            }
            let message = self.next()?;
            if matches!(&message.kind, Kind::Signal { member } if member == "JobRemoved") {
                self.ended.extend(message.removed_job());
            }
        }
    }

    fn next(&mut self) -> Result<Message, Trouble> {
        let mut bytes = vec![0; FIXED];
        self.read(&mut bytes)?;
        let fixed = bytes.first_chunk().expect("it has that length");
        let len = wire::message_len(fixed).ok_or(Trouble::Garbled)?;
        bytes.resize(len, 0);
        self.read(&mut bytes[FIXED..])?;
        Message::parse(&bytes).ok_or(Trouble::Garbled)
    }

    /// A line of the log-in, without its end.
    fn line(&mut self) -> Result<String, Trouble> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 512 {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Trouble> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        self.socket.set_read_timeout(Some(left))?;
        self.socket.read_exact(bytes).map_err(Trouble::Socket)
    }
}
