//! podman on our runtime, with its own monitor.

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
        let mut import = podman.command("import - localhost/busybox");
        command::run(&mut import, testkit::rootfs::archive()).success();
        Some(podman)
    }
}

impl Docker for Podman {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("podman");
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
    }
}

/// One story, told to a podman with such groups.
fn tell(keeper: Keeper, story: fn(&Podman)) {
    if let Some(podman) = Podman::start(keeper) {
        story(&podman);
    }
}

/// conmon hears of it on cgroup v2 alone, with runc too.
fn memory_has_an_end(podman: &Podman) {
    super::memory_has_an_end(podman, testkit::cgroup::is_unified());
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
fn podman_hears_that_memory_has_ended() {
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
fn podmans_programs_run_in_scopes() {
    tell(Keeper::Systemd, |podman| super::programs_run(podman, 127));
}

#[test]
fn podmans_limits_in_scopes_are_the_kernels() {
    tell(Keeper::Systemd, super::limits_hold);
}

#[test]
fn podman_hears_that_memory_of_a_scope_has_ended() {
    tell(Keeper::Systemd, memory_has_an_end);
}

#[test]
fn podman_stops_its_containers_in_scopes() {
    tell(Keeper::Systemd, super::containers_stop);
}
