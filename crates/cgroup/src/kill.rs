//! Killing every process of a group, whatever it forks meanwhile.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::group::{Group, Place};
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
                Ok(()) => {
                    if self.nobody_beside_the_tree(&tree.dir)? {
                        return self.thaw_legacy();
                    }
                }
                Err(Errno::NOENT | Errno::OPNOTSUPP) => {}
                Err(errno) => {
                    let refused =
                        tree.dir
                            .refused(Controller::Core, "cgroup.kill", "1".into(), errno);
                    return Err(refused);
                }
            }
        }
        self.kill_frozen()
    }

    /// Whether every process of the v1 hierarchies is in the v2 tree too, and so has been killed with it. One that was moved
    /// by hand need not be.
    fn nobody_beside_the_tree(&self, tree: &Dir) -> Result<bool> {
        if self.legacy.is_empty() {
            return Ok(true);
        }
        let mut killed = Vec::new();
        tree.pids(&mut killed)
            .map_err(|errno| tree.unreadable(Controller::Core, "cgroup.procs", errno))?;
        Ok(self.pids()?.iter().all(|pid| killed.contains(pid)))
    }

    /// A frozen v2 group dies without thawing, one frozen by the v1 controller does not.
    fn thaw_legacy(&self) -> Result<()> {
        match self.place(Controller::Freezer) {
            Some(Place::V1(_)) if self.is_frozen()? => self.thaw(),
            _ => Ok(()),
        }
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
