//! A terminal for a client: what a person at a keyboard has, without the person.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// A command that runs on a terminal of its own; killed when dropped.
#[derive(Debug)]
pub struct Pty {
    controller: std::fs::File,
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Pty {
    /// Starts a command on a new terminal of 80 by 24.
    ///
    /// # Panics
    /// When there is no terminal to be had or the command cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(command: &Command) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("the machine has terminals");
        grantpt(&controller).expect("a terminal of our own");
        unlockpt(&controller).expect("a terminal of our own");
        resize(&controller, 24, 80);
        let name = ptsname(&controller, Vec::new()).expect("a terminal has a name");
        let path = name.to_str().expect("an ASCII path");
        let open = || {
            let file = std::fs::File::options().read(true).write(true).open(path);
            Stdio::from(file.expect("a terminal of our own"))
        };
        // setsid(1) makes it the controlling terminal, which only unsafe code could do here.
        let mut wrapped = Command::new("setsid");
        wrapped.arg("-c");
        wrapped.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                wrapped.env(key, value);
            }
        }
        let child = wrapped
            .env("TERM", "xterm")
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("setsid is installed");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let controller = std::fs::File::from(controller);
        let mut reader = controller.try_clone().expect("a descriptor to spare");
        let shared = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let mut screen = shared.lock().expect("nobody panics with the screen");
                screen.extend(&bytes[..count]);
            }
        });
        Self {
            controller,
            child,
            screen,
            reader,
        }
    }

    /// Types these bytes.
    ///
    /// # Panics
    /// When the terminal has gone.
    #[track_caller]
    pub fn type_keys(&mut self, keys: &str) {
        self.controller
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
    }

    /// Everything shown so far.
    ///
    /// # Panics
    /// When the reading thread did.
    #[must_use]
    pub fn screen(&self) -> String {
        let screen = self.screen.lock().expect("nobody panics with the screen");
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Waits until a text is shown.
    #[track_caller]
    pub fn await_text(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.screen().contains(text) {
            assert!(
                Instant::now() < deadline,
                "{text:?} was never shown; the screen says:\n{}",
                self.screen()
            );
            std::thread::sleep(crate::ms(10));
        }
    }

    /// Makes the window this large, as dragging its corner would.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.controller, rows, columns);
    }

    /// Whether the terminal is in its ordinary mode, with echo and line editing.
    ///
    /// # Panics
    /// When the terminal has gone.
    #[must_use]
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.controller).expect("a terminal of our own");
        modes
            .local_modes
            .contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// The pid of the client itself: setsid(1) becomes it.
    #[must_use]
    pub fn client_pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Waits for the command's end, and until what it showed last is on the screen; gives its exit code.
    ///
    /// # Panics
    /// When it has not ended within a minute.
    #[track_caller]
    pub fn finish(&mut self) -> i32 {
        let code = self.await_end();
        // The terminal is read to its end once nobody has it open any more; a daemon started by the command may.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.reader.is_finished() && Instant::now() < deadline {
            std::thread::sleep(crate::ms(5));
        }
        code
    }

    #[track_caller]
    fn await_end(&mut self) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self
                .child
                .try_wait()
                .expect("a child of ours can be waited for")
            {
                return status.code().unwrap_or(-1);
            }
            assert!(
                Instant::now() < deadline,
                "the command has not ended; the screen says:\n{}",
                self.screen()
            );
            std::thread::sleep(crate::ms(5));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn resize(terminal: &impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("a terminal of our own");
}
