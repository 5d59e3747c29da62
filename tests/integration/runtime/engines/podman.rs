//! podman on our runtime, with its own monitor.

use std::path::PathBuf;
use std::process::Command;

use testkit::command;

use super::{Docker, Home, Keeper};

/// A podman with a storage of its own.
struct Podman {
    home: Home,
}

impl Podman {
    fn start(keeper: Keeper) -> Option<Self> {
        let podman = Self {
            home: Home::of("podman", keeper)?,
        };
        // Otherwise the locks are those of every podman of the machine.
        let config = "[engine]\nlock_type = \"file\"\n";
        std::fs::write(podman.config(), config).expect("a folder of ours");
        let mut import = podman.command("import - localhost/busybox");
        command::run(&mut import, testkit::rootfs::archive()).success();
        Some(podman)
    }

    fn config(&self) -> PathBuf {
        self.home.folder.join("containers.conf")
    }
}

impl Docker for Podman {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("podman");
        // conmon leaves a file where it was started when memory has ended.
        command.current_dir(&self.home.folder);
        command.env("CONTAINERS_CONF", self.config());
        for name in ["root", "runroot", "tmpdir"] {
            let folder = self.home.folder.join(name);
            command.arg(format!("--{name}")).arg(folder);
        }
        command.arg(match self.home.keeper {
            Keeper::Files => "--cgroup-manager=cgroupfs",
            Keeper::Systemd => "--cgroup-manager=systemd",
        });
        command.args(["--events-backend=file", "--storage-driver=vfs"]);
        command.arg("--runtime").arg(self.home.runtime());
        command.args(command::words(line));
        command
    }

    fn common(&self) -> String {
        format!(
            "--network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --cgroup-parent {}",
            self.home.parent
        )
    }

    fn home(&self) -> &Home {
        &self.home
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.cli("rm --all --force --time 0"));
        // On v1 podman takes hugetlb for mounted, and writes plain files where it is not.
        let folder = format!("/sys/fs/cgroup/hugetlb{}", self.home.parent);
        drop(std::fs::remove_dir_all(folder));
    }
}

/// One story, told to a podman with such groups.
fn tell(keeper: Keeper, story: fn(&Podman)) {
    if let Some(podman) = Podman::start(keeper) {
        story(&podman);
    }
}

/// Debian's podman does not learn of it, with runc neither: it looks for conmon's file elsewhere.
fn memory_has_an_end(podman: &Podman) {
    super::memory_has_an_end(podman, false);
}

#[test]
fn podmans_programs_run_on_us() {
    tell(Keeper::Files, |podman| super::programs_run(podman, 127));
}

#[test]
fn podmans_limits_are_the_kernels() {
    tell(Keeper::Files, super::limits_hold);
}

#[test]
fn podmans_weight_of_block_io_is_the_kernels() {
    tell(Keeper::Files, super::a_weight_of_block_io_holds);
}

#[test]
fn podmans_memory_has_an_end() {
    tell(Keeper::Files, memory_has_an_end);
}

#[test]
fn podman_stops_its_containers() {
    tell(Keeper::Files, super::containers_stop);
}

#[test]
fn podmans_terminals_work() {
    tell(Keeper::Files, super::terminals_work);
}

#[test]
fn podmans_profile_confines() {
    // Its name has a version.
    tell(Keeper::Files, |podman| {
        super::a_profile_confines(podman, "containers-default-0.50.1")
    });
}

#[test]
fn podmans_programs_run_in_scopes() {
    tell(Keeper::Systemd, |podman| super::programs_run(podman, 127));
}

#[test]
fn podmans_limits_in_scopes_are_the_kernels() {
    tell(Keeper::Systemd, super::limits_hold);
}

#[test]
fn podmans_memory_in_a_scope_has_an_end() {
    tell(Keeper::Systemd, memory_has_an_end);
}

#[test]
fn podman_stops_its_containers_in_scopes() {
    tell(Keeper::Systemd, super::containers_stop);
}
