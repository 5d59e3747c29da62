//! The same call to docker's command line and to this one, on the same throwaway engine, prints the same text.
//!
//! Needs root, `dockerd`, `docker` and a static `busybox`; without them the test says so and passes.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A throwaway Docker engine in its own folder.
struct Engine {
    folder: PathBuf,
    daemon: Child,
}

impl Engine {
    fn start() -> Option<Self> {
        for tool in ["dockerd", "docker", "busybox", "tar"] {
            if !is_installed(tool) {
                skip(&format!("{tool} is not installed"));
                return None;
            }
        }
        if fs::read_to_string("/proc/self/loginuid").is_err() || !is_root() {
            skip("it needs root");
            return None;
        }
        let folder = env::temp_dir().join(format!("estiva-same-text-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the folder can be made");
        let path = |name: &str| folder.join(name).display().to_string();
        let log = fs::File::create(folder.join("log")).expect("the log can be made");
        let daemon = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["-H", &format!("unix://{}", path("docker.sock"))])
            .args([
                "--pidfile",
                &path("pid"),
                "--bridge",
                "none",
                "--iptables=false",
            ])
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log)
            .spawn()
            .expect("dockerd can be run");
        let engine = Self { folder, daemon };
        let began = Instant::now();
        while !engine.docker(&["version"], "").status.success() {
            if began.elapsed() > Duration::from_secs(30) {
                skip("dockerd does not come up here");
                return None;
            }
            thread::sleep(Duration::from_millis(100));
        }
        engine.import_image();
        Some(engine)
    }

    fn import_image(&self) {
        let root = self.folder.join("root");
        for name in ["bin", "etc", "tmp", "data"] {
            fs::create_dir_all(root.join(name)).expect("the root can be made");
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").expect("a file");
        let busybox = which("busybox").expect("busybox was found before");
        fs::copy(busybox, root.join("bin/busybox")).expect("busybox can be copied");
        for name in [
            "sh", "echo", "cat", "sleep", "true", "false", "env", "ls", "id",
        ] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("a link");
        }
        let archive = self.folder.join("root.tar");
        let packed = Command::new("tar")
            .args([
                "-C",
                &root.display().to_string(),
                "-cf",
                &archive.display().to_string(),
                ".",
            ])
            .status()
            .expect("tar can be run");
        assert!(packed.success());
        let imported = self.docker(&["import", &archive.display().to_string(), "bb"], "");
        assert!(imported.status.success(), "{imported:?}");
    }

    fn call(&self, mut program: Command, args: &[&str], input: &str) -> Output {
        let mut child = program
            .args(args)
            .env(
                "DOCKER_HOST",
                format!("unix://{}/docker.sock", self.folder.display()),
            )
            .env("DOCKER_CONFIG", self.folder.join("config"))
            .env("HOME", &self.folder)
            .env_remove("ESTIVA_HOST")
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // A program that does not read its input may have closed it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child
            .wait_with_output()
            .expect("the program can be waited for")
    }

    fn docker(&self, args: &[&str], input: &str) -> Output {
        self.call(Command::new("docker"), args, input)
    }

    fn ours(&self, args: &[&str], input: &str) -> Output {
        self.call(Command::new(self.folder.join("bin/docker")), args, input)
    }

    /// Calls both and compares output, errors and exit code.
    fn compare(&self, args: &[&str], input: &str) -> Option<String> {
        let (theirs, ours) = (self.docker(args, input), self.ours(args, input));
        let show = |output: &Output| {
            format!(
                "exit {:?}\n--out--\n{}--err--\n{}",
                output.status.code(),
                String::from_utf8_lossy(&output.stdout),
                same_names(&String::from_utf8_lossy(&output.stderr))
            )
        };
        let (theirs, ours) = (show(&theirs), show(&ours));
        (theirs != ours).then(|| {
            format!(
                "== docker {}\n-- docker --\n{theirs}\n-- ours --\n{ours}\n",
                args.join(" ")
            )
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let list = self.docker(&["ps", "-aq"], "");
        for id in String::from_utf8_lossy(&list.stdout).split_whitespace() {
            self.docker(&["rm", "-f", id], "");
        }
        let pid = self.daemon.id().to_string();
        // SIGTERM lets the engine unmount what it mounted.
        let _ = Command::new("kill").arg(&pid).status();
        let _ = self.daemon.wait();
        // Docker leaves the namespace of `--network none` and `host` pinned behind.
        let pinned = fs::read_dir(self.folder.join("exec/netns"));
        for entry in pinned.into_iter().flatten().flatten() {
            let _ = Command::new("umount").arg(entry.path()).status();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Words that differ by design.
fn same_names(text: &str) -> String {
    text.replace("estiva daemon", "Docker daemon")
        .replace("Is the Docker daemon", "Is the docker daemon")
}

fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn is_installed(name: &str) -> bool {
    which(name).is_some()
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

/// The example program beside this test, under the name `docker`.
fn install(engine: &Engine) {
    let test = env::current_exe().expect("this program has a path");
    let target = test
        .ancestors()
        .nth(2)
        .expect("tests lie two folders below the target");
    let example = target.join("examples/cli");
    let folder = engine.folder.join("bin");
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(&example, folder.join("docker")).expect("the example is built with the tests");
}

fn case_list() -> Vec<&'static str> {
    include_str!("same_text.list")
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect()
}

/// Splits at blanks; single quotes hold a word together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is always a word").push(c),
        }
    }
    words
}

#[test]
fn both_command_lines_print_the_same() {
    let Some(engine) = Engine::start() else {
        return;
    };
    install(&engine);
    fs::write(engine.folder.join("env"), "A=1\n# note\nB=x y\n").expect("a file");
    fs::write(engine.folder.join("file"), "contents\n").expect("a file");
    assert!(Path::new(&engine.folder.join("bin/docker")).exists());
    for setup in [
        &[
            "run",
            "-d",
            "--name",
            "r1",
            "-l",
            "com.x.y=1",
            "bb",
            "sleep",
            "10000",
        ][..],
        &["create", "--name", "c1", "bb", "true"],
        &["volume", "create", "v1"],
    ] {
        let made = engine.docker(setup, "");
        assert!(made.status.success(), "{made:?}");
    }
    // Ages in seconds would differ between two calls: wait until they are minutes no more, or stable words.
    thread::sleep(Duration::from_millis(1500));
    let mut different = Vec::new();
    for line in case_list() {
        let (line, input) = line.split_once(" <<< ").unwrap_or((line, ""));
        let args = words(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        // Two calls may fall on both sides of a second: one more try.
        if engine.compare(&args, input).is_some()
            && let Some(difference) = engine.compare(&args, input)
        {
            different.push(difference);
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
