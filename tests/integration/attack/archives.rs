//! `docker cp` and its API (CVE-2018-15664, CVE-2019-14271, CVE-2026-41568): a live tree that is copied as root.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use testkit::tar::{Archive, Header};
use testkit::{Container, Engine, ms};

use super::support::{Secret, compile, for_seconds, over_by, soon};

/// PUTs an archive; the status.
fn put(engine: &Engine, container: &str, path: &str, archive: &[u8]) -> u16 {
    let mut stream = UnixStream::connect(engine.socket()).expect("it listens");
    stream.set_read_timeout(Some(ms(30_000))).expect("a socket");
    let head = format!(
        "PUT /containers/{container}/archive?path={path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        archive.len()
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    drop(stream.write_all(archive));
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

#[test]
fn archives_put_into_a_container_stay_in_it() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let victim = secret.path().display().to_string();
    let folder = secret.folder().display().to_string();
    let climb = format!("../../../../../../../..{victim}");
    drop(engine.run("--name live busybox sleep 600"));
    engine.ok("create --name still busybox sleep 600");
    let archives = [
        Archive::new().file(&climb, b"climbed"),
        Archive::new().file(&victim, b"absolute"),
        Archive::new()
            .with(&Header::symlink("l", &victim), &[])
            .file("l", b"followed"),
        Archive::new()
            .with(&Header::symlink("d", &folder), &[])
            .file("d/secret", b"through"),
        Archive::new()
            .with(&Header::symlink("d", &folder), &[])
            .file("d/planted", b"through"),
        Archive::new()
            .with(&Header::symlink("d", "/proc/1/root"), &[])
            .file(&format!("d{victim}"), b"magic"),
        Archive::new()
            .with(&Header::symlink("d", "/proc/self/root"), &[])
            .file(&format!("d{victim}"), b"magic"),
        Archive::new()
            .with(&Header::hard_link("h", &victim), &[])
            .file("h", b"linked"),
        Archive::new()
            .with(&Header::hard_link("h", &climb), &[])
            .file("h", b"linked"),
        Archive::new()
            .with(&Header::symlink("s", &victim), &[])
            .with(&Header::hard_link("h", "s"), &[])
            .file("h", b"both"),
        Archive::new().with(
            &Header {
                mode: 0o777,
                ..Header::folder("..")
            },
            &[],
        ),
        Archive::new().with(
            &Header {
                mode: 0,
                ..Header::folder("../../../..")
            },
            &[],
        ),
        Archive::new().file(".wh..wh..opq", b""),
        Archive::new().file("../.wh.secret", b""),
    ];
    for archive in archives {
        let bytes = archive.finish();
        for name in ["live", "still"] {
            for path in ["/", "/tmp", "/tmp/../../..", "/proc/self/cwd"] {
                put(&engine, name, path, &bytes);
                secret.is_safe_from("");
            }
        }
        // What one archive has planted is there for the next: by then the links stand in the container.
    }
    assert!(!std::path::Path::new("/planted").exists());
}

/// Exchanges a folder and a link for ever.
const EXCHANGE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int argc, char **argv) {
    mkdir("/w", 0755);
    mkdir("/w/folder", 0755);
    close(open("/w/folder/secret", O_CREAT | O_WRONLY, 0644));
    symlink(argv[1], "/w/link");
    close(open("/ready", O_CREAT | O_WRONLY, 0644));
    for (;;) {
        syscall(SYS_renameat2, AT_FDCWD, "/w/folder", AT_FDCWD, "/w/link", 2);
        unlink("/w/odd");
        symlink(argv[1], "/w/odd");
        unlink("/w/odd");
        close(open("/w/odd", O_CREAT | O_WRONLY, 0644));
        unlink("/w/odd");
        mkfifo("/w/odd", 0644);
    }
}
"#;

#[test]
fn copies_of_a_tree_that_changes_under_them_neither_read_nor_write_the_host() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let program = compile(&engine, "exchange", EXCHANGE);
    let sly = engine.run(&format!(
        "--name sly -v {}:/exchange:ro busybox /exchange {}",
        program.display(),
        secret.folder().display()
    ));
    sly.await_file("/ready");
    let planted = Archive::new()
        .file("secret", b"overwritten")
        .file("planted", b"planted")
        .finish();
    let out = engine.root().join("out");
    for_seconds(6, || {
        put(&engine, "sly", "/w/folder", &planted);
        put(&engine, "sly", "/w/link", &planted);
        for from in [
            "/w/folder/secret",
            "/w/folder/.",
            "/w/link/.",
            "/w/odd",
            "/w",
        ] {
            let line = format!("cp sly:{from} {}", out.display());
            drop(over_by(ms(10_000), &engine, &line));
            for file in [
                out.clone(),
                out.join("secret"),
                out.join("folder/secret"),
                out.join("link/secret"),
            ] {
                // Links are what they are in the container; what they point to is not our word.
                let is_file = file.symlink_metadata().is_ok_and(|meta| meta.is_file());
                let through_link = file.ancestors().skip(1).take(2).any(|p| p.is_symlink());
                if is_file && !through_link {
                    secret.is_safe_from(&std::fs::read_to_string(&file).unwrap_or_default());
                }
            }
            remove(&out);
        }
        secret.is_safe_from("");
    });
}

fn remove(path: &PathBuf) {
    drop(std::fs::remove_file(path));
    drop(std::fs::remove_dir_all(path));
}

#[test]
fn what_comes_out_of_a_container_is_unpacked_where_it_was_asked_for() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let script = format!(
        "mkdir -p /out/dir; ln -s {0} /out/up; ln -s {0}/secret /out/dir/secret; ln -s {0} /out/dir/folder; mkfifo /out/fifo; \
         mknod /out/null c 1 3; touch /ready; sleep 600",
        secret.folder().display()
    );
    engine
        .cli_words(["run", "-d", "--name", "sly", "busybox", "sh", "-c", &script])
        .run()
        .success();
    let sly = Container::new(&engine, "sly".to_owned());
    sly.await_file("/ready");
    let here = engine.root().join("here");
    std::fs::create_dir_all(&here).expect("ours");
    for _ in 0..2 {
        // The second time the links stand in the way.
        drop(engine.cli(&format!("cp sly:/out {}", here.display())).run());
        drop(
            engine
                .cli(&format!("cp sly:/out/. {}", here.display()))
                .run(),
        );
        secret.is_safe_from("");
    }
    drop(
        engine
            .cli(&format!(
                "cp sly:/out/dir/secret {}",
                here.join("got").display()
            ))
            .run(),
    );
    let got = here.join("got");
    assert!(
        got.is_symlink() || !got.exists(),
        "the link came, not the host's file"
    );
    // Followed, it is followed in the container, where there is no such file.
    let followed = here.join("followed");
    let output = engine
        .cli(&format!("cp -L sly:/out/dir/secret {}", followed.display()))
        .run();
    assert_ne!(output.code, 0);
    assert!(!followed.exists());
    secret.is_safe_from("");
}

#[test]
fn special_files_are_not_opened_by_a_copy() {
    let engine = testkit::engine();
    let script = "mkfifo /fifo; mknod /device c 10 130; touch /ready; sleep 600";
    engine
        .cli_words(["run", "-d", "--name", "sly", "busybox", "sh", "-c", script])
        .run()
        .success();
    let sly = Container::new(&engine, "sly".to_owned());
    sly.await_file("/ready");
    for path in ["/fifo", "/device"] {
        let line = format!("cp sly:{path} -");
        let output = over_by(ms(5000), &engine, &line);
        assert!(output.stdout.len() >= 512, "{path}: {}", output.error());
    }
    soon(ms(20_000), "export", || {
        drop(engine.cli("export sly").run())
    });
}
