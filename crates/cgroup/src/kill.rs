//! Killing every process of a group, whatever it forks meanwhile.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result};
use crate::group::Group;
use crate::hierarchy::Controller;

impl Group {
    /// Sends SIGKILL to every process of the group and of all groups inside it, and thaws it, so that they die. It does
    /// not wait for them to be gone.
    ///
    /// One write where the v2 tree has `cgroup.kill` (Linux 5.14); otherwise the group is frozen first, so that no fork
    /// escapes and no pid can be reused between reading and killing.
    ///
    /// # Errors
    /// When a process cannot be killed.
    pub fn kill_all(&self) -> Result<()> {
        if let Some(tree) = &self.unified {
            match tree.dir.try_set("cgroup.kill", "1") {
                Ok(()) | Err(Errno::NOENT | Errno::OPNOTSUPP) => {}
                Err(errno) => {
                    let refused =
                        tree.dir
                            .refused(Controller::Core, "cgroup.kill", "1".into(), errno);
                    return Err(refused);
                }
            }
            // A frozen v2 group dies without thawing, and a process can hide from the tree only in a v1 hierarchy.
            if self.legacy.is_empty() && self.pids_alive()?.is_empty() {
                return Ok(());
            }
        }
        self.kill_frozen()
    }

    fn kill_frozen(&self) -> Result<()> {
        if self.pids_alive()?.is_empty() {
            return Ok(());
        }
        // A process that cannot be frozen now is no reason to let the others live: one pass without it, then another.
        let frozen = self.freeze_for_kill();
        for _ in 0..if frozen { 1 } else { 5 } {
            let pids = self.pids_alive()?;
            if pids.is_empty() {
                break;
            }
            for pid in pids {
                kill(&self.path, pid)?;
            }
        }
        if self.place(Controller::Freezer).is_some() {
            self.thaw()?;
        }
        Ok(())
    }

    /// Freezing of processes that die already does not always come to an end, so this does not wait long.
    fn freeze_for_kill(&self) -> bool {
        use crate::group::Place;
        match self.place(Controller::Freezer) {
            Some(Place::V1(dir)) => {
                for _ in 0..20 {
                    if dir.try_set("freezer.state", "FROZEN").is_err() {
                        return false;
                    }
                    match dir.try_get("freezer.state") {
                        Ok(state) if state.trim() == "FROZEN" => return true,
                        _ => std::thread::sleep(std::time::Duration::from_micros(200)),
                    }
                }
                false
            }
            Some(Place::V2(_)) => self.freeze().is_ok(),
            None => false,
        }
    }

    /// The processes that are not zombies yet: those are dead and only wait for their parent.
    fn pids_alive(&self) -> Result<Vec<i32>> {
        let mut pids = self.pids()?;
        pids.retain(|pid| !is_zombie(*pid));
        Ok(pids)
    }
}

fn kill(group: &str, pid: i32) -> Result<()> {
    let Some(target) = Pid::from_raw(pid) else {
        return Ok(());
    };
    match kill_process(target, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(Error::Kill {
            group: format!("/{group}"),
            pid,
            source: errno.into(),
        }),
    }
}

/// Whether the process is dead or gone. See proc_pid_stat(5): the state follows the command in parentheses.
fn is_zombie(pid: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        Err(_) => true,
    }
}
