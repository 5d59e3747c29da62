//! The end of a process: its status, the container's exit record, and what must be gone before anyone is told.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{Mode, OFlags, fsync, open, rename};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::Shim;
use super::process::{Ended, INIT, Key};
use crate::protocol::Exit;

impl Shim {
    /// A pidfd says that its process has ended.
    pub(super) fn note_exit(&mut self, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        let status = waitid(
            WaitId::PidFd(process.pidfd.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        let code = match status {
            Ok(Some(status)) => status
                .exit_status()
                .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
                .unwrap_or(255),
            Ok(None) => return,
            Err(_) => 255, // somebody else has waited for our child: its status is lost
        };
        let at = Instant::now();
        process.ended = Some(Ended { code, at });
        process.moved = at;
        self.poller.forget(&mut process.pidfd);
        if key == INIT {
            self.record_exit(code);
        }
    }

    /// Ends what is left of the container and writes the record.
    fn record_exit(&mut self, code: i32) {
        let Some(container) = &self.container else {
            return;
        };
        let at_unix_nanos = logs::unix_nanos_now();
        let ooms = container.ooms();
        container.kill_leftovers();
        let exit = Exit {
            code,
            oom_killed: ooms > container.ooms_before,
            at_unix_nanos,
            started_unix_nanos: container.started_unix_nanos,
        };
        self.end_oom(ooms);
        self.exit = Some(exit);
        // Should the disk refuse, the daemon is still told; after a crash of both, the container counts as lost.
        let _ = write_record(&self.facts.exit_file, &exit, self.facts.durable);
    }
}

/// Writes the record so that it is there whole or not at all.
pub(crate) fn write_record(path: &Path, exit: &Exit, durable: bool) -> io::Result<()> {
    let mut scratch = path.as_os_str().to_owned();
    scratch.push(".tmp");
    let mut file = File::from(open(
        &scratch,
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::from_raw_mode(0o600),
    )?);
    file.write_all(&serde_json::to_vec(exit)?)?;
    if durable {
        fsync(&file)?;
    }
    rename(&scratch, path)?;
    if durable && let Some(folder) = path.parent() {
        fsync(open(
            folder,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_replaces_the_one_before_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("exit.json");
        for code in [1, 137] {
            let exit = Exit {
                code,
                oom_killed: true,
                at_unix_nanos: 5,
                started_unix_nanos: 3,
            };
            write_record(&path, &exit, code == 1).expect("write");
            let read: Exit = serde_json::from_slice(&std::fs::read(&path).expect("read"))
                .expect("the record is JSON");
            assert_eq!(read, exit);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
    }
}
