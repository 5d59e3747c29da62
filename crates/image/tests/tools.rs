//! What other tools write is read here, and what is written here they read: docker, podman, skopeo.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::{Commit, Image, Import, LoadOptions, SaveFormat};
use support::{Home, has_tool, read_at, run, tar};

/// A home with `me/app:1`, an image of two layers with everything a layer can be told by.
fn home_with_app() -> Home {
    let home = Home::new();
    let tree = home.dir.join("tree");
    for folder in ["etc", "bin", "opaque"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    fs::write(tree.join("etc/name"), "base").unwrap();
    fs::write(tree.join("etc/gone"), "x").unwrap();
    fs::write(tree.join("bin/tool"), vec![7; 300_000]).unwrap();
    fs::hard_link(tree.join("bin/tool"), tree.join("bin/same")).unwrap();
    std::os::unix::fs::symlink("../bin/tool", tree.join("etc/link")).unwrap();
    let base = home.dir.join("base.tar");
    run(
        "tar",
        &[
            "-C",
            tree.to_str().unwrap(),
            "--owner=0",
            "--group=0",
            "-cf",
            base.to_str().unwrap(),
            ".",
        ],
    );
    let import = Import::default();
    let parent = home
        .images()
        .import(fs::File::open(&base).unwrap(), &import)
        .unwrap();
    let commit = Commit {
        parent: Some(parent),
        execution: oci::image::Execution {
            cmd: Some(vec!["/bin/tool".to_owned()]),
            ..Default::default()
        },
        reference: Some("me/app:1".parse().unwrap()),
        ..Commit::default()
    };
    let top = tar(&[("etc/.wh.gone", b""), ("etc/name", b"top")]);
    home.images()
        .commit(&commit, &mut |to| to.write_all(&top))
        .unwrap();
    home
}

fn app(home: &Home) -> std::sync::Arc<Image> {
    home.images().resolve("me/app:1").unwrap()
}

fn save(home: &Home, name: &str, format: SaveFormat) -> PathBuf {
    let path = home.dir.join(name);
    let file = fs::File::create(&path).unwrap();
    home.images()
        .save(&["me/app:1".to_owned()], None, format, file)
        .unwrap();
    path
}

/// Loads a file or folder into a home of its own, and checks that it is the same file system.
fn check_loads(path: &Path, original: &Home, name: Option<&str>) {
    let other = Home::new();
    let ids = if path.is_dir() {
        other
            .images()
            .load_folder(path, &LoadOptions::default(), &mut |_| {})
    } else {
        other.images().load(
            fs::File::open(path).unwrap(),
            &LoadOptions::default(),
            &mut |_| {},
        )
    };
    let ids = ids.unwrap_or_else(|error| panic!("{}: {}", path.display(), fault::chain(&error)));
    let image = match name {
        Some(name) => other.images().resolve(name).unwrap(),
        None => other.images().get(&ids[0]).unwrap(),
    };
    assert_eq!(
        image.diff_ids(),
        app(original).diff_ids(),
        "{}",
        path.display()
    );
    assert_eq!(image.config.config.cmd.as_deref().unwrap(), ["/bin/tool"]);
    let view = other.view(&image.id);
    assert_eq!(read_at(&view, "etc/name").unwrap(), "top");
    assert!(read_at(&view, "etc/gone").is_err());
    assert_eq!(read_at(&view, "etc/link").unwrap().len(), 300_000);
    drop(view);
    other.remove_everything();
    assert_eq!(other.leftovers().len(), 0);
}

#[test]
fn skopeo_reads_ours_and_we_read_skopeos() {
    if !has_tool("skopeo") {
        return;
    }
    let home = home_with_app();
    let combined = save(&home, "combined.tar", SaveFormat::Combined);
    let oci = save(&home, "oci.tar", SaveFormat::OciArchive);
    let at = |name: &str| home.dir.join(name).to_str().unwrap().to_owned();
    let copies = [
        (
            format!("docker-archive:{}", combined.display()),
            format!("oci-archive:{}:me/app:1", at("a.tar")),
            "a.tar",
            vec![],
        ),
        (
            format!("oci-archive:{}", combined.display()),
            format!("docker-archive:{}:me/app:1", at("b.tar")),
            "b.tar",
            vec![],
        ),
        (
            format!("oci-archive:{}", oci.display()),
            format!("oci:{}:me/app:1", at("c")),
            "c",
            vec![],
        ),
        (
            format!("docker-archive:{}", combined.display()),
            format!("oci:{}:me/app:1", at("d")),
            "d",
            vec!["--dest-compress", "--dest-compress-format", "zstd"],
        ),
        (
            format!("docker-archive:{}", combined.display()),
            format!("oci-archive:{}:me/app:1", at("e.tar")),
            "e.tar",
            vec!["--dest-compress", "--dest-compress-format", "gzip"],
        ),
    ];
    for (from, to, name, options) in copies {
        let mut arguments = vec!["--insecure-policy", "copy", "-q"];
        arguments.extend(options);
        arguments.extend([from.as_str(), to.as_str()]);
        run("skopeo", &arguments);
        check_loads(&home.dir.join(name), &home, Some("me/app:1"));
    }
}

#[test]
fn podman_reads_ours_and_we_read_podmans() {
    if !has_tool("podman") {
        return;
    }
    let home = home_with_app();
    let at = |name: &str| home.dir.join(name).to_str().unwrap().to_owned();
    let (root, runroot) = (at("podman"), at("podman-run"));
    let podman = |arguments: &[&str]| {
        let mut all = vec![
            "--root",
            &root,
            "--runroot",
            &runroot,
            "--storage-driver",
            "vfs",
            "--cgroup-manager",
            "cgroupfs",
        ];
        all.extend(arguments);
        run("podman", &all)
    };
    for format in [
        SaveFormat::Combined,
        SaveFormat::DockerArchive,
        SaveFormat::OciArchive,
    ] {
        let path = save(&home, "ours.tar", format);
        podman(&["load", "-q", "-i", path.to_str().unwrap()]);
        let id = podman(&["images", "-q", "--no-trunc"]);
        assert_eq!(id.trim(), app(&home).id.as_str(), "{format:?}");
        podman(&["rmi", "-f", "-a"]);
    }
    podman(&["load", "-q", "-i", &at("ours.tar")]);
    let name = podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    for (format, file) in [
        ("docker-archive", "p.tar"),
        ("oci-archive", "q.tar"),
        ("oci-dir", "r"),
    ] {
        podman(&[
            "save",
            "-q",
            "--format",
            format,
            "-o",
            &at(file),
            name.trim(),
        ]);
        check_loads(&home.dir.join(file), &home, None);
    }
    podman(&["rmi", "-f", "-a"]);
}

/// A docker engine of its own, stopped when dropped.
struct Engine {
    child: Child,
    host: String,
}

impl Engine {
    /// `None`, and a word about it, when docker is not installed or does not come up here.
    fn start(dir: &Path) -> Option<Self> {
        if !has_tool("dockerd") || !has_tool("docker") {
            return None;
        }
        let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let host = format!("unix://{}", at("docker.sock"));
        let log = fs::File::create(dir.join("dockerd.log")).unwrap();
        let child = Command::new("dockerd")
            .args([
                "--data-root",
                &at("docker"),
                "--exec-root",
                &at("docker-exec"),
                "-H",
                &host,
                "--pidfile",
                &at("docker.pid"),
            ])
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let engine = Self { child, host };
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let version = Command::new("docker")
                .args(["-H", &engine.host, "version"])
                .output()
                .unwrap();
            if version.status.success() {
                return Some(engine);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!(
            "skipped: dockerd does not start here: {}",
            fs::read_to_string(dir.join("dockerd.log")).unwrap()
        );
        None
    }

    fn docker(&self, arguments: &[&str]) -> String {
        let mut all = vec!["-H", self.host.as_str()];
        all.extend(arguments);
        run("docker", &all)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn docker_reads_ours_and_we_read_dockers() {
    let home = home_with_app();
    let Some(engine) = Engine::start(&home.dir) else {
        return;
    };
    let id = app(&home).id.clone();
    for format in [SaveFormat::Combined, SaveFormat::DockerArchive] {
        let path = save(&home, "ours.tar", format);
        assert_eq!(
            engine.docker(&["load", "-q", "-i", path.to_str().unwrap()]),
            "Loaded image: me/app:1\n"
        );
        assert_eq!(
            engine
                .docker(&["image", "inspect", "-f", "{{.Id}}", "me/app:1"])
                .trim(),
            id.as_str()
        );
        engine.docker(&["rmi", "me/app:1"]);
    }
    // Layers that docker 20.10 could not read go in once more as plain tars.
    let zstd = home.dir.join("zstd");
    if has_tool("skopeo") {
        let from = format!("docker-archive:{}", home.dir.join("ours.tar").display());
        let to = format!("oci:{}:me/app:1", zstd.display());
        run(
            "skopeo",
            &[
                "--insecure-policy",
                "copy",
                "-q",
                "--dest-compress",
                "--dest-compress-format",
                "zstd",
                &from,
                &to,
            ],
        );
        let other = Home::new();
        other
            .images()
            .load_folder(&zstd, &LoadOptions::default(), &mut |_| {})
            .unwrap();
        let path = save(&other, "zstd.tar", SaveFormat::Combined);
        engine.docker(&["load", "-q", "-i", path.to_str().unwrap()]);
        assert_eq!(
            engine
                .docker(&["image", "inspect", "-f", "{{.Id}}", "me/app:1"])
                .trim(),
            app(&other).id.as_str()
        );
        engine.docker(&["rmi", "me/app:1"]);
    }
    engine.docker(&[
        "load",
        "-q",
        "-i",
        home.dir.join("ours.tar").to_str().unwrap(),
    ]);
    let theirs = home.dir.join("theirs.tar");
    engine.docker(&["save", "-o", theirs.to_str().unwrap(), "me/app:1"]);
    check_loads(&theirs, &home, Some("me/app:1"));
    let by_us = engine.docker(&["history", "--no-trunc", "-q", "me/app:1"]);
    assert_eq!(by_us.lines().next().unwrap(), id.as_str());
}
