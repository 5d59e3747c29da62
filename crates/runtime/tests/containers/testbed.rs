//! A root file system with busybox, a spec like a container engine's, and what a run of it said.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use oci::Rootfs;
use oci::runtime::{Capabilities, Linux, Mount, Namespace, NamespaceKind, Process, Root, Spec};
use runtime::{Create, Error, Exec, Started, Stdio};
use rustix::process::{WaitId, WaitIdOptions, waitid};

const BUSYBOX: &str = "/bin/busybox";

/// Why the tests cannot be run here.
pub(crate) fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root");
    }
    (!Path::new(BUSYBOX).exists()).then_some("no /bin/busybox (Debian: busybox-static)")
}

/// A container to be: everything may be changed before it is run.
pub(crate) struct Bed {
    pub(crate) spec: Spec,
    pub(crate) dir: PathBuf,
    pub(crate) rootfs: Rootfs,
    pub(crate) id: String,
    pub(crate) init_reaper: bool,
    pub(crate) seccomp: Option<Vec<u8>>,
    pub(crate) cgroup: Option<cgroup::Group>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

fn mount(destination: &str, kind: &str, options: &str) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.to_owned(),
        source: kind.to_owned(),
        options: options.split(',').map(str::to_owned).collect(),
        ..Mount::default()
    }
}

pub(crate) fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|each| (*each).to_owned()).collect()
}

/// Docker's default set.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

pub(crate) fn spec(args: &[&str]) -> Spec {
    Spec {
        oci_version: "1.2.1".to_owned(),
        process: Some(process(args)),
        root: Some(Root::default()),
        hostname: "testbed".to_owned(),
        mounts: vec![
            mount("/proc", "proc", "nosuid,noexec,nodev"),
            mount("/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
            mount(
                "/dev/pts",
                "devpts",
                "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
            ),
            mount("/sys", "sysfs", "nosuid,noexec,nodev,ro"),
            mount("/sys/fs/cgroup", "cgroup", "ro,nosuid,noexec,nodev"),
            mount("/dev/mqueue", "mqueue", "nosuid,noexec,nodev"),
            mount(
                "/dev/shm",
                "tmpfs",
                "nosuid,noexec,nodev,mode=1777,size=67108864",
            ),
        ],
        linux: Some(Linux {
            namespaces: [
                NamespaceKind::Mount,
                NamespaceKind::Network,
                NamespaceKind::Uts,
                NamespaceKind::Pid,
                NamespaceKind::Ipc,
                NamespaceKind::Cgroup,
            ]
            .into_iter()
            .map(Namespace::new)
            .collect(),
            masked_paths: strings(&[
                "/proc/asound",
                "/proc/acpi",
                "/proc/interrupts",
                "/proc/kcore",
                "/proc/keys",
                "/proc/latency_stats",
                "/proc/timer_list",
                "/proc/timer_stats",
                "/proc/sched_debug",
                "/proc/scsi",
                "/sys/firmware",
                "/sys/devices/virtual/powercap",
            ]),
            readonly_paths: strings(&[
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger",
            ]),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

pub(crate) fn process(args: &[&str]) -> Process {
    let caps = strings(&CAPABILITIES);
    Process {
        args: strings(args),
        env: strings(&["PATH=/bin:/usr/bin"]),
        cwd: "/".to_owned(),
        capabilities: Some(Capabilities {
            bounding: caps.clone(),
            effective: caps.clone(),
            permitted: caps,
            ..Capabilities::default()
        }),
        ..Process::default()
    }
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Bed {
    /// A container of the given program on an overlay of one layer.
    pub(crate) fn new(args: &[&str]) -> Self {
        let id = format!(
            "estiva-test-runtime-{}-{}",
            rustix::process::getpid().as_raw_nonzero(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let dir = std::env::temp_dir().join(&id);
        let layer = dir.join("layer");
        for folder in ["bin", "etc", "tmp", "root", "usr/bin", "upper", "work"] {
            let base = if matches!(folder, "upper" | "work") {
                &dir
            } else {
                &layer
            };
            fs::create_dir_all(base.join(folder)).expect("a folder in our own temporary one");
        }
        fs::hard_link(BUSYBOX, layer.join("bin/busybox"))
            .or_else(|_| fs::copy(BUSYBOX, layer.join("bin/busybox")).map(drop))
            .expect("busybox");
        for name in [
            "sh", "cat", "true", "false", "sleep", "id", "ls", "grep", "echo", "mount", "stat",
            "touch", "mknod", "test", "hostname", "ip", "ulimit", "kill", "tty", "stty",
            "readlink", "ps", "dd", "chmod", "mkdir", "env", "pwd", "wc", "head", "date", "setsid",
            "nc", "umask", "awk", "sort", "rm",
        ] {
            symlink("busybox", layer.join("bin").join(name)).expect("a link in our own folder");
        }
        fs::write(
            layer.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        )
        .expect("a file in our own folder");
        Self {
            spec: spec(args),
            rootfs: Rootfs::Overlay {
                lower: vec![layer],
                upper: dir.join("upper"),
                work: dir.join("work"),
                idmap: None,
            },
            dir,
            id,
            init_reaper: false,
            seccomp: None,
            cgroup: None,
        }
    }

    /// A shell script in a container.
    pub(crate) fn sh(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    pub(crate) fn layer(&self) -> PathBuf {
        self.dir.join("layer")
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.dir.join("upper")
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.spec.process.as_mut().expect("the testbed made one")
    }

    pub(crate) fn linux(&mut self) -> &mut Linux {
        self.spec.linux.as_mut().expect("the testbed made one")
    }

    pub(crate) fn without(mut self, kind: NamespaceKind) -> Self {
        self.linux().namespaces.retain(|each| each.kind != kind);
        self
    }

    /// With a cgroup of its own.
    pub(crate) fn grouped(mut self) -> Self {
        let path = format!("/{}", self.id);
        let resources = self.linux().resources.clone().unwrap_or_default();
        self.cgroup = Some(cgroup::Group::create(&path, &resources).expect("a cgroup as root"));
        self
    }

    pub(crate) fn create(&self, stdio: Stdio) -> Create<'_> {
        Create {
            id: &self.id,
            spec: &self.spec,
            rootfs: &self.rootfs,
            bundle: Some(&self.dir),
            seccomp: self.seccomp.as_deref(),
            cgroup: self.cgroup.as_ref(),
            stdio,
            init_reaper: self.init_reaper,
            manner: runtime::Manner::default(),
        }
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Result<Outcome, Error> {
        let streams = Streams::new();
        let started = runtime::run(self.create(streams.stdio()))?;
        Ok(streams.collect(&started.pidfd))
    }

    /// Runs it to its end, which must come with status 0, and gives what it wrote.
    pub(crate) fn output(&self) -> String {
        let outcome = self
            .run()
            .unwrap_or_else(|error| panic!("{}", fault::chain(&error)));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout
    }

    /// Starts it and lets it run.
    pub(crate) fn start(&self) -> Running<'_> {
        let streams = Streams::new();
        let started = runtime::run(self.create(streams.stdio()))
            .unwrap_or_else(|error| panic!("{}", fault::chain(&error)));
        Running {
            bed: self,
            started,
            streams,
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(group) = &self.cgroup {
            let _ = group.kill_all();
            for _ in 0..100 {
                if group.remove().is_ok() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A container that runs.
pub(crate) struct Running<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) started: Started,
    streams: Streams,
}

impl Running<'_> {
    pub(crate) fn exec(&self, process: &Process) -> Result<Outcome, Error> {
        let streams = Streams::new();
        let made = runtime::exec(Exec {
            id: &self.bed.id,
            init: self.started.pidfd.as_fd(),
            spec: &self.bed.spec,
            process,
            bundle: None,
            seccomp: self.bed.seccomp.as_deref(),
            cgroup: self.bed.cgroup.as_ref(),
            stdio: streams.stdio(),
            manner: runtime::Manner::default(),
        })?;
        Ok(streams.collect(&made.pidfd))
    }

    /// What a shell script in it says.
    pub(crate) fn exec_sh(&self, script: &str) -> Outcome {
        self.exec(&process(&["sh", "-c", script]))
            .unwrap_or_else(|error| panic!("{}", fault::chain(&error)))
    }

    pub(crate) fn signal(&self, signal: i32) {
        sys::process::send_signal(self.started.pidfd.as_fd(), signal).expect("it runs");
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Outcome {
        self.streams.collect(&self.started.pidfd)
    }

    /// Kills it.
    pub(crate) fn kill(self) {
        let _ = sys::process::send_signal(self.started.pidfd.as_fd(), 9);
        self.end();
    }
}

/// Files that a container writes to: nothing blocks, whatever it does.
pub(crate) struct Streams {
    stdin: OwnedFd,
    stdout: File,
    stderr: File,
}

impl Streams {
    pub(crate) fn new() -> Self {
        let file = || -> File {
            rustix::fs::memfd_create("stream", rustix::fs::MemfdFlags::CLOEXEC)
                .expect("memfd")
                .into()
        };
        Self {
            stdin: File::open("/dev/null").expect("/dev/null").into(),
            stdout: file(),
            stderr: file(),
        }
    }

    pub(crate) fn stdio(&self) -> Stdio {
        Stdio::Pipes {
            stdin: self.stdin.try_clone().expect("dup"),
            stdout: self.stdout.try_clone().expect("dup").into(),
            stderr: self.stderr.try_clone().expect("dup").into(),
        }
    }

    pub(crate) fn collect(mut self, pidfd: &OwnedFd) -> Outcome {
        let code = wait(pidfd);
        Outcome {
            code,
            stdout: whole(&mut self.stdout),
            stderr: whole(&mut self.stderr),
        }
    }
}

fn whole(file: &mut File) -> String {
    use std::io::Seek;
    let mut bytes = Vec::new();
    file.rewind().expect("a memfd can be rewound");
    file.read_to_end(&mut bytes).expect("a memfd can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for a child; 128+n after signal n.
pub(crate) fn wait(pidfd: &OwnedFd) -> i32 {
    let status =
        rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED))
            .expect("it is our child")
            .expect("without NOHANG a status comes");
    status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
        .expect("it has ended")
}
