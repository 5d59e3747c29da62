//! One invocation of a command-line client: words in, exit code and output back, never without a deadline.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No single command of a story takes longer.
const DEADLINE: Duration = Duration::from_secs(90);

/// Splits a line into words as a shell would, with single and double quotes and no expansion.
///
/// # Panics
/// On an open quote.
#[must_use]
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "open quote in {line:?}");
    words.extend(word);
    words
}

/// What a finished command left.
#[derive(Debug)]
pub struct Output {
    /// The exit code; 128+n after signal n.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    line: String,
}

impl Output {
    /// Standard output as text, without the last line end.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// Standard error as text, without the last line end.
    #[must_use]
    pub fn error(&self) -> String {
        String::from_utf8_lossy(&self.stderr)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// Standard output of a command that must succeed.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(
            self.code == 0,
            "{}\n  exit code {}\n  stdout: {}\n  stderr: {}",
            self.line,
            self.code,
            self.text(),
            self.error()
        );
        self.text()
    }

    /// Standard error of a command that must fail with this code.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    pub fn failure(self, code: i32) -> String {
        assert!(
            self.code == code,
            "{}\n  exit code {}, expected {code}\n  stdout: {}\n  stderr: {}",
            self.line,
            self.code,
            self.text(),
            self.error()
        );
        self.error()
    }
}

/// A command that still runs; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    line: String,
}

impl Running {
    /// Starts a command with all three streams piped.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let line = format!("{command:?}");
        // Whoever started the stories in the background may have had it ignored, and programs inherit that.
        sys::signal::reset(rustix::process::Signal::INT.as_raw());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {line}: {error}"));
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        Self {
            child,
            stdin,
            stdout,
            stderr,
            line,
        }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Writes to its standard input, which stays open. A reader that has gone is no error.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            drop(stdin.write_all(bytes));
        }
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        crate::proc::signal(self.pid(), signal);
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When the kernel does not know it.
    pub fn is_over(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child of ours can be waited for")
            .is_some()
    }

    /// Waits for its end. Standard input stays open until then: its end alone makes a client leave.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    #[must_use]
    pub fn finish(mut self) -> Output {
        use std::os::unix::process::ExitStatusExt;
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self
                .child
                .try_wait()
                .expect("a child of ours can be waited for")
            {
                break status;
            }
            if Instant::now() > deadline {
                let line = std::mem::take(&mut self.line);
                drop(self);
                panic!("{line}\n  has not ended after {DEADLINE:?}");
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let joined = |reader: Option<JoinHandle<Vec<u8>>>| {
            reader.map_or_else(Vec::new, |reader| {
                reader.join().expect("a reader does not panic")
            })
        };
        Output {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: joined(self.stdout.take()),
            stderr: joined(self.stderr.take()),
            line: std::mem::take(&mut self.line),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn drain(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        bytes
    })
}

/// Runs a command to its end with `input` as standard input.
#[track_caller]
#[must_use]
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut running = Running::start(command);
    if let Some(mut stdin) = running.stdin.take() {
        let input = input.to_vec();
        // Beside the wait, or a command that answers before it has read all would stand still with us.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    running.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_is_quoted_together() {
        let check = |line: &str, expect: &[&str]| assert_eq!(words(line), expect);
        check("run  --rm busybox", &["run", "--rm", "busybox"]);
        check(
            "sh -c 'echo \"a b\"; exit 3'",
            &["sh", "-c", "echo \"a b\"; exit 3"],
        );
        check("-e X='a b' ''", &["-e", "X=a b", ""]);
    }
}
