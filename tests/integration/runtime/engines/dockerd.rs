//! Docker's own engine on our runtime, by `--add-runtime`.

use std::process::{Child, Command, Stdio};

use testkit::{command, within};

use super::{Docker, Home, Keeper, PATIENCE};

/// A dockerd of our own whose default runtime is ours.
struct Dockerd {
    home: Home,
    daemon: Child,
}

impl Dockerd {
    fn start(keeper: Keeper) -> Option<Self> {
        let home = Home::of("dockerd", keeper)?;
        let log = std::fs::File::create(home.folder.join("log")).expect("a folder of ours");
        let mut dockerd = Command::new("dockerd");
        dockerd.args(["--bridge", "none", "--iptables=false"]);
        dockerd.args(["--default-runtime", "ours"]);
        dockerd.arg(format!("--add-runtime=ours={}", home.runtime().display()));
        for (name, file) in [
            ("data-root", "data"),
            ("exec-root", "exec"),
            ("pidfile", "pid"),
        ] {
            dockerd.arg(format!("--{name}")).arg(home.folder.join(file));
        }
        let socket = home.folder.join("sock");
        dockerd.arg(format!("--host=unix://{}", socket.display()));
        dockerd.arg(match keeper {
            Keeper::Files => "--exec-opt=native.cgroupdriver=cgroupfs",
            Keeper::Systemd => "--exec-opt=native.cgroupdriver=systemd",
        });
        let daemon = dockerd.stdout(Stdio::null()).stderr(log).spawn();
        let engine = Self {
            home,
            daemon: daemon.expect("it was found"),
        };
        within(PATIENCE, "dockerd answers", || {
            engine.cli("version").code == 0
        });
        let mut import = engine.command("import - busybox");
        command::run(&mut import, testkit::rootfs::archive()).success();
        Some(engine)
    }
}

impl Docker for Dockerd {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("docker");
        command
            .arg("--host")
            .arg(format!(
                "unix://{}",
                self.home.folder.join("sock").display()
            ))
            .args(command::words(line));
        command
    }

    fn common(&self) -> String {
        format!(
            "--network none --ulimit nofile=1024:1024 --cgroup-parent {}",
            self.home.parent
        )
    }

    fn home(&self) -> &Home {
        &self.home
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        drop(self.cli("rm --force --volumes c1"));
        super::end(&mut self.daemon);
    }
}

/// One story, told to a dockerd with such groups.
fn tell(keeper: Keeper, story: fn(&Dockerd)) {
    if let Some(dockerd) = Dockerd::start(keeper) {
        story(&dockerd);
    }
}

#[test]
fn dockerds_programs_run_on_us() {
    tell(Keeper::Files, |dockerd| super::programs_run(dockerd, 126));
}

#[test]
fn dockerds_limits_are_the_kernels() {
    tell(Keeper::Files, super::limits_hold);
}

#[test]
fn dockerds_weight_of_block_io_is_the_kernels() {
    tell(Keeper::Files, super::a_weight_of_block_io_holds);
}

#[test]
fn dockerd_hears_that_memory_has_ended() {
    tell(Keeper::Files, |dockerd| {
        super::memory_has_an_end(dockerd, true)
    });
}

#[test]
fn dockerd_stops_its_containers() {
    tell(Keeper::Files, super::containers_stop);
}

#[test]
fn dockerds_terminals_work() {
    tell(Keeper::Files, super::terminals_work);
}

#[test]
fn dockerds_profile_confines() {
    tell(Keeper::Files, |dockerd| {
        super::a_profile_confines(dockerd, "docker-default")
    });
}

#[test]
fn dockerds_programs_run_in_scopes() {
    tell(Keeper::Systemd, |dockerd| super::programs_run(dockerd, 126));
}

#[test]
fn dockerds_limits_in_scopes_are_the_kernels() {
    tell(Keeper::Systemd, super::limits_hold);
}

#[test]
fn dockerd_hears_that_memory_of_a_scope_has_ended() {
    tell(Keeper::Systemd, |dockerd| {
        super::memory_has_an_end(dockerd, true)
    });
}

#[test]
fn dockerd_stops_its_containers_in_scopes() {
    tell(Keeper::Systemd, super::containers_stop);
}
