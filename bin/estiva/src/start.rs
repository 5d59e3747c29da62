//! Starting the daemon from the command line: when nobody listens at the default socket, a command starts one and goes on.

use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon may take until it listens; recovery of many containers is part of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the daemon with its defaults and waits until it listens.
pub(crate) fn daemon() -> Result<(), Box<dyn Error>> {
    if !rustix::process::geteuid().is_root() {
        return Err(
            "estiva needs root for now: run this command as root (rootless is not built yet), \
                    or name a running daemon with -H or DOCKER_HOST"
                .into(),
        );
    }
    let run = Path::new("/run/estiva");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(run)?;
    let log_path = run.join("daemon.log");
    let log = File::create(&log_path)?;
    let mut child = Command::new("/proc/self/exe")
        .args(["daemon", "--background"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .spawn()?;
    let socket = run.join("estiva.sock");
    let begun = Instant::now();
    loop {
        if UnixStream::connect(&socket).is_ok() {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            // Another command may have been faster: its daemon is as good.
            if UnixStream::connect(&socket).is_ok() {
                return Ok(());
            }
            let text = fs::read_to_string(&log_path).unwrap_or_default();
            return Err(format!("the daemon did not start ({status}): {}", text.trim()).into());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("the daemon does not answer; see {}", log_path.display()).into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
