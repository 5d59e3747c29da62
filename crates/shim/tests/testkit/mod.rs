//! A container made of busybox in a temporary folder, and the daemon's side of its shim.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use logs::{Entry, Query, Reader};
use oci::runtime::{Linux, LinuxResources, Mount, Namespace, NamespaceKind, Process, Root, Spec};
use shim::client;
use shim::protocol::{Event, ExecLaunch, Exit, Launch, LogTarget, Request, Target, Transport};
use shim::spawner::SpawnerHandle;

/// A test: a story with one container or several.
pub(crate) type Test = fn(&Kit);

/// Longer than anything here takes on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What all tests share.
pub(crate) struct Kit {
    spawner: SpawnerHandle,
    root: tempfile::TempDir,
}

impl Kit {
    pub(crate) fn new(spawner: SpawnerHandle) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let bin = root.path().join("rootfs/bin");
        for folder in [
            "rootfs/bin",
            "rootfs/proc",
            "rootfs/dev",
            "rootfs/tmp",
            "rootfs/sys",
        ] {
            std::fs::create_dir_all(root.path().join(folder)).expect("a folder");
        }
        std::fs::copy("/usr/bin/busybox", bin.join("busybox"))
            .expect("these tests need Debian's busybox-static");
        for applet in [
            "sh", "cat", "echo", "sleep", "yes", "head", "true", "kill", "stty", "tty", "readlink",
            "ls", "dd", "seq", "tail",
        ] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).expect("a link");
        }
        Self { spawner, root }
    }

    /// Ends the spawner; the folder stays until the value is dropped.
    pub(crate) fn stop_spawner(self) -> tempfile::TempDir {
        self.spawner.stop();
        self.root
    }

    pub(crate) fn spawner_pid(&self) -> i32 {
        self.spawner.pid()
    }

    /// The root of all containers here.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.root.path().join("rootfs")
    }

    /// A shell script in a container, not yet started.
    pub(crate) fn prepare(&self, script: &str) -> Prepared<'_> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", std::process::id());
        let folder = self.root.path().join(&id);
        let run_dir = folder.join("run");
        std::fs::create_dir_all(&run_dir).expect("a folder");
        let launch = Launch {
            id: id.clone(),
            exit_file: folder.join("exit.json"),
            durable: true,
            spec: spec(&id, &["sh", "-c", script]),
            rootfs: oci::Rootfs::Path {
                path: self.root.path().join("rootfs"),
            },
            seccomp_file: None,
            open_stdin: false,
            stdin_once: false,
            init: false,
            log: LogTarget {
                driver: "json-file".to_owned(),
                path: folder.join("log"),
                ..LogTarget::default()
            },
            run_dir,
        };
        Prepared { kit: self, launch }
    }

    /// The script, started.
    pub(crate) fn run(&self, script: &str) -> Container {
        self.prepare(script).start()
    }
}

/// A container before its start; change `launch` at will.
pub(crate) struct Prepared<'kit> {
    kit: &'kit Kit,
    pub(crate) launch: Launch,
}

impl Prepared<'_> {
    pub(crate) fn terminal(mut self) -> Self {
        self.process().terminal = true;
        self.launch.open_stdin = true;
        self
    }

    pub(crate) fn stdin(mut self) -> Self {
        self.launch.open_stdin = true;
        self.launch.stdin_once = true;
        self
    }

    pub(crate) fn log(mut self, driver: &str, options: &[(&str, &str)]) -> Self {
        self.launch.log.driver = driver.to_owned();
        self.launch.log.options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        self
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.launch.spec.process.as_mut().expect("spec() made one")
    }

    /// The shim, before `Start`.
    pub(crate) fn spawn(self) -> Container {
        let file = self.launch.run_dir.join("launch.json");
        std::fs::write(&file, serde_json::to_vec(&self.launch).expect("JSON")).expect("write");
        self.spawn_without_order()
    }

    /// A shim that finds no `launch.json`.
    pub(crate) fn spawn_without_order(self) -> Container {
        let (ours, theirs) = client::pair().expect("a pair");
        let shim = self
            .kit
            .spawner
            .spawn(&self.launch.run_dir, theirs)
            .expect("a shim");
        Container {
            launch: self.launch,
            shim,
            pid: 0,
            control: Some(ours),
            events: Vec::new(),
        }
    }

    pub(crate) fn start(self) -> Container {
        let mut container = self.spawn();
        container.start();
        container
    }
}

/// A container and the daemon's end of its shim.
pub(crate) struct Container {
    pub(crate) launch: Launch,
    pub(crate) shim: i32,
    pub(crate) pid: i32,
    control: Option<OwnedFd>,
    /// Told and not asked for yet.
    events: Vec<Event>,
}

impl Container {
    pub(crate) fn send(&self, request: &Request) {
        self.send_with(request, None);
    }

    fn send_with(&self, request: &Request, fd: Option<OwnedFd>) {
        let control = self.control.as_ref().expect("connected");
        client::send_request(control.as_fd(), request, fd.as_ref().map(AsFd::as_fd))
            .expect("the shim listens");
    }

    pub(crate) fn start(&mut self) {
        self.send(&Request::Start);
        self.pid = self.expect(|event| match event {
            Event::Started { pid } => Some(*pid),
            Event::Failed(failure) => panic!("not started: {failure:?}"),
            _ => None,
        });
    }

    /// Waits for an event of one kind; others are kept.
    pub(crate) fn expect<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        self.expect_within(LONG, pick).expect("the event in time")
    }

    pub(crate) fn expect_within<T>(
        &mut self,
        time: Duration,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + time;
        loop {
            for index in 0..self.events.len() {
                if let Some(found) = pick(&self.events[index]) {
                    self.events.remove(index);
                    return Some(found);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let control = self.control.as_ref().expect("connected");
            match client::wait_event(control.as_fd(), left) {
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => panic!("the shim hung up; it had told {:?}", self.events),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return None,
                Err(error) => panic!("receive an event: {error}"),
            }
        }
    }

    pub(crate) fn wait(&mut self) -> Exit {
        self.expect(|event| match event {
            Event::Exited(exit) => Some(*exit),
            _ => None,
        })
    }

    pub(crate) fn is_connected_to_shim(&self) -> bool {
        Path::new(&format!("/proc/{}", self.shim)).exists()
    }

    /// A client's end of an attached stream.
    pub(crate) fn attach(&self, target: Target, stdin: bool, keys: &[u8]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        self.send_with(
            &Request::Attach {
                target,
                stdin,
                stdout: true,
                stderr: true,
                early_input: Vec::new(),
                detach_keys: keys.to_vec(),
            },
            Some(theirs.into()),
        );
        ours.set_read_timeout(Some(LONG)).expect("a timeout");
        ours
    }

    /// Hands a port's socket over.
    pub(crate) fn publish(&self, transport: Transport, socket: OwnedFd, target: SocketAddr) {
        self.send_with(&Request::Publish { transport, target }, Some(socket));
    }

    pub(crate) fn exec(&mut self, id: &str, script: &str, open_stdin: bool, terminal: bool) {
        let mut process = process(&["sh", "-c", script]);
        process.terminal = terminal;
        self.exec_process(id, process, open_stdin);
    }

    pub(crate) fn exec_process(&mut self, id: &str, process: Process, open_stdin: bool) {
        let file = self.launch.run_dir.join(format!("exec-{id}.json"));
        let order = ExecLaunch {
            process,
            open_stdin,
            seccomp_file: None,
        };
        std::fs::write(&file, serde_json::to_vec(&order).expect("JSON")).expect("write");
        self.send(&Request::Exec {
            id: id.to_owned(),
            file,
        });
    }

    pub(crate) fn exec_code(&mut self, wanted: &str) -> i32 {
        self.expect(|event| match event {
            Event::ExecExited { id, code } if id == wanted => Some(*code),
            Event::ExecFailed { id, failure } if id == wanted => panic!("{failure:?}"),
            _ => None,
        })
    }

    pub(crate) fn signal(&self, signal: i32, all: bool) {
        self.send(&Request::Signal {
            target: Target::Init,
            signal,
            all,
        });
    }

    pub(crate) fn log_entries(&self) -> Vec<Entry> {
        let mut reader = Reader::open(&self.launch.log, Query::default()).expect("a log");
        let next = || loop {
            match reader.next_entry() {
                // Rotation went on while we read.
                Err(logs::Error::Overtaken { .. }) => {}
                entry => return entry.expect("read"),
            }
        };
        std::iter::from_fn(next).collect()
    }

    pub(crate) fn log_text(&self) -> String {
        let bytes = self
            .log_entries()
            .into_iter()
            .flat_map(|e| e.line)
            .collect();
        String::from_utf8(bytes).expect("text")
    }

    /// Waits until the log holds the text.
    pub(crate) fn await_log(&self, text: &str) {
        await_that(&format!("{text:?} in the log"), || {
            self.launch.log.path.exists() && self.log_text().contains(text)
        });
    }

    /// The daemon dies: its end closes.
    pub(crate) fn disconnect(&mut self) {
        self.control = None;
        self.events.clear();
    }

    /// The next daemon comes.
    pub(crate) fn reconnect(&mut self) -> Event {
        self.control = Some(client::connect_to(&self.launch.run_dir).expect("the shim listens"));
        self.expect(|event| Some(event.clone()))
    }

    /// The next daemon comes while the old one still holds its end.
    pub(crate) fn swap_connection(&mut self) -> Event {
        let old = self.control.take();
        let hello = self.reconnect();
        drop(old);
        hello
    }

    pub(crate) fn exit_record(&self) -> Option<Exit> {
        let text = std::fs::read(&self.launch.exit_file).ok()?;
        Some(serde_json::from_slice(&text).expect("the record is whole"))
    }

    /// The cgroup's folders that exist.
    pub(crate) fn cgroup_folders(&self) -> Vec<PathBuf> {
        let path = cgroup_path(&self.launch.id);
        let Ok(hierarchies) = std::fs::read_dir("/sys/fs/cgroup") else {
            return Vec::new();
        };
        hierarchies
            .filter_map(Result::ok)
            .map(|entry| entry.path().join(path.trim_start_matches('/')))
            .filter(|path| path.exists())
            .collect()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.is_connected_to_shim() {
            if self.control.is_none() {
                self.control = client::connect_to(&self.launch.run_dir).ok();
            }
            if let Some(control) = &self.control {
                for request in [
                    Request::Signal {
                        target: Target::Init,
                        signal: 9,
                        all: true,
                    },
                    Request::Forget,
                ] {
                    let _ = client::send_request(control.as_fd(), &request, None);
                }
            }
            self.control = None;
            let deadline = Instant::now() + Duration::from_secs(5);
            while self.is_connected_to_shim() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Waits until the claim holds.
pub(crate) fn await_that(what: &str, claim: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !claim() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Everything up to the end of the stream.
pub(crate) fn read_all(mut stream: &UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("read the stream");
    bytes
}

/// Reads until the text has come.
pub(crate) fn read_until(mut stream: &UnixStream, text: &str) -> String {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    while !String::from_utf8_lossy(&bytes).contains(text) {
        let got = stream.read(&mut block).expect("read the stream");
        assert!(
            got > 0,
            "the stream ended at {:?}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.extend_from_slice(&block[..got]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn type_in(mut stream: &UnixStream, text: &[u8]) {
    stream.write_all(text).expect("write to the stream");
}

pub(crate) fn close_input(stream: &UnixStream) {
    stream.shutdown(Shutdown::Write).expect("half-close");
}

/// Takes stdcopy frames apart: what came on stdout and on stderr.
pub(crate) fn unframe(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut streams = BTreeMap::from([(1, Vec::new()), (2, Vec::new())]);
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[4..8].try_into().expect("four bytes")) as usize;
        assert_eq!(bytes[1..4], [0, 0, 0], "a frame begins here");
        streams
            .get_mut(&bytes[0])
            .expect("stdout or stderr")
            .extend_from_slice(&bytes[8..8 + length]);
        bytes = &bytes[8 + length..];
    }
    let err = streams.remove(&2).expect("made above");
    (streams.remove(&1).expect("made above"), err)
}

pub(crate) fn cgroup_path(id: &str) -> String {
    format!("/estiva-test-shim-{id}")
}

pub(crate) fn process(args: &[&str]) -> Process {
    Process {
        args: args.iter().map(|a| (*a).to_owned()).collect(),
        env: vec!["PATH=/bin".to_owned()],
        cwd: "/".to_owned(),
        ..Process::default()
    }
}

fn spec(id: &str, args: &[&str]) -> Spec {
    let mount = |kind: &str, destination: &str| Mount {
        kind: kind.to_owned(),
        source: kind.to_owned(),
        destination: destination.into(),
        ..Mount::default()
    };
    let namespace = |kind| Namespace { kind, path: None };
    Spec {
        process: Some(process(args)),
        root: Some(Root {
            path: "rootfs".into(),
            readonly: false,
        }),
        hostname: "box".to_owned(),
        mounts: vec![
            mount("proc", "/proc"),
            mount("tmpfs", "/dev"),
            mount("devpts", "/dev/pts"),
        ],
        linux: Some(Linux {
            namespaces: vec![
                namespace(NamespaceKind::Pid),
                namespace(NamespaceKind::Mount),
                namespace(NamespaceKind::Uts),
                namespace(NamespaceKind::Ipc),
                namespace(NamespaceKind::Network),
            ],
            cgroups_path: cgroup_path(id),
            resources: Some(LinuxResources::default()),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}
