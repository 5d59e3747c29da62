//! Containers that hang, fork or fill: nobody else waits for them.

use testkit::{Container, Engine, ms};

use super::support::{compile, over_by, soon};

#[track_caller]
fn check_others(engine: &Engine, other: &Container<'_>) {
    soon(ms(2000), "ps", || engine.ok("ps -a"));
    soon(ms(2000), "inspect", || other.inspect());
    soon(ms(2000), "logs", || {
        engine.ok(&format!("logs {}", other.id()))
    });
    soon(ms(3000), "exec", || other.exec("true"));
    soon(ms(5000), "run", || engine.ok("run --rm busybox true"));
}

#[test]
fn a_fork_bomb_with_a_limit_keeps_nobody_waiting() {
    let engine = testkit::engine();
    let other = engine.run("--name other busybox sleep 600");
    let bomb = [
        "run",
        "-d",
        "--name",
        "bomb",
        "--pids-limit",
        "200",
        "--cpus",
        "0.5",
        "busybox",
        "sh",
        "-c",
        "b() { b | b & }; while :; do b; done",
    ];
    engine.cli_words(bomb).run().success();
    for _ in 0..3 {
        check_others(&engine, &other);
    }
    // An exec into it may fail, but comes back.
    drop(soon(ms(15_000), "exec into it", || {
        engine.cli("exec bomb true").run()
    }));
    soon(ms(15_000), "rm -f of it", || engine.ok("rm -f bomb"));
}

/// A FUSE file system that never answers.
const FUSE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    char options[100];
    int fd = open("/dev/fuse", O_RDWR);
    mkdir("/hung", 0755);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
    if (fd < 0 || mount("hung", "/hung", "fuse", 0, options) != 0) {
        perror("fuse");
        return 1;
    }
    puts("hung");
    fflush(stdout);
    for (;;)
        pause();
}
"#;

#[test]
fn a_file_system_that_never_answers_keeps_nobody_else_waiting() {
    if std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .is_err()
    {
        return testkit::skip("this machine has no FUSE");
    }
    let engine = testkit::engine();
    let other = engine.run("--name other busybox sleep 600");
    let program = compile(&engine, "hang", FUSE);
    let line = format!(
        "run -d --name hung --device /dev/fuse --cap-add SYS_ADMIN --security-opt seccomp=unconfined \
         --security-opt apparmor=unconfined -v {}:/hang:ro busybox /hang",
        program.display()
    );
    engine.ok(&line);
    let hung = Container::new(&engine, "hung".to_owned());
    hung.await_log("hung");
    let out = engine.root().join("out");
    let stuck = [
        engine.cli("exec -w /hung hung true").start(),
        engine.cli("exec hung ls /hung/x").start(),
        engine
            .cli(&format!("cp hung:/hung/file {}", out.display()))
            .start(),
        engine.cli(&format!("cp hung:/ {}", out.display())).start(),
        engine.cli("exec hung /hung/program").start(),
    ];
    std::thread::sleep(ms(500));
    for _ in 0..3 {
        check_others(&engine, &other);
        soon(ms(2000), "inspect of the hung one", || hung.inspect());
    }
    over_by(ms(20_000), &engine, "rm -f hung").success();
    drop(stuck);
    check_others(&engine, &other);
}

#[test]
fn fifos_where_files_are_expected_keep_nobody_waiting() {
    let engine = testkit::engine();
    let other = engine.run("--name other busybox sleep 600");
    let script = "rm -f /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group /fifo; touch /ready; sleep 600";
    engine
        .cli_words(["run", "-d", "--name", "sly", "busybox", "sh", "-c", script])
        .run()
        .success();
    let sly = Container::new(&engine, "sly".to_owned());
    sly.await_file("/ready");
    let stuck = [
        engine.cli("exec sly cat /fifo").start(),
        engine.cli("exec -u guest sly true").start(),
        engine.cli("cp sly:/fifo -").start(),
        engine.cli("exec sly /fifo").start(),
    ];
    for _ in 0..3 {
        check_others(&engine, &other);
    }
    soon(ms(15_000), "rm -f", || engine.ok("rm -f sly"));
    drop(stuck);
}
