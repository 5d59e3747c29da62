//! A process on its way to its program (CVE-2016-9962): still our binary, already in reach of those inside. Who is the same
//! user there and may not trace must not look into it.
//!
//! A system call filter that asks somebody outside about `execve` holds the process up in its last step, for as long as the
//! one inside needs to look. See "Ptrace access mode checking" in ptrace(2): nothing but the attribute "not dumpable" keeps
//! a process of the same user with the same capabilities out.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use serde_json::json;
use sys::seccomp::{Answer, Notification, answer, receive};
use testkit::command::Running;
use testkit::{Bundle, eventually, proc};

use crate::runtime::listener::take;

/// Is told a pid in `/ask`, tries every way into that process, and says in `/said` what came of each.
const SPY: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    static const char *links[] = {"exe", "cwd", "root", "fd/0", "ns/mnt", 0};
    static const char *files[] = {"mem", "maps", "environ", "root/", "cwd/", "io", 0};
    char path[64], text[4096];
    int pid;
    for (;;) {
        usleep(2000);
        FILE *ask = fopen("/ask", "re");
        if (!ask)
            continue;
        int count = fscanf(ask, "%d.", &pid);
        fclose(ask);
        if (count != 1)
            continue;
        FILE *said = fopen("/said.draft", "we");
        for (int at = 0; links[at]; at++) {
            snprintf(path, sizeof path, "/proc/%d/%s", pid, links[at]);
            int len = readlink(path, text, sizeof text);
            fprintf(said, "%s: %s\n", links[at], len >= 0 ? "OPEN" : strerror(errno));
        }
        for (int at = 0; files[at]; at++) {
            snprintf(path, sizeof path, "/proc/%d/%s", pid, files[at]);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            int len = fd < 0 || strchr(files[at], '/') || !strcmp(files[at], "mem") ? 0 : read(fd, text, sizeof text);
            fprintf(said, "%s: %s\n", files[at], fd >= 0 && len >= 0 ? "OPEN" : strerror(errno));
            if (fd >= 0)
                close(fd);
        }
        fclose(said);
        unlink("/ask");
        rename("/said.draft", "/said");
    }
}
"#;

/// A bundle whose program is the spy.
fn spying() -> Bundle {
    let mut bundle = Bundle::sh("");
    let source = bundle.folder.join("spy.c");
    std::fs::write(&source, SPY).expect("a folder of ours");
    let mut cc = std::process::Command::new("cc");
    cc.args(["-O1", "-static", "-o"])
        .arg(bundle.folder.join("rootfs/spy"))
        .arg(&source);
    testkit::command::run(&mut cc, &[]).success();
    bundle.set("/process/args", json!(["/spy"]));
    bundle.set("/root/readonly", json!(false));
    bundle
}

/// Has every program of the container wait for an answer in its `execve`; whom to ask listens here.
fn held_up(bundle: &mut Bundle) -> UnixListener {
    let agent = bundle.folder.join("agent");
    bundle.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": agent,
        "syscalls": [{ "names": ["execve", "execveat"], "action": "SCMP_ACT_NOTIFY" }],
    });
    UnixListener::bind(agent).expect("a free name")
}

/// The next process that has come to its `execve`, and how it goes on.
fn next(listener: &UnixListener) -> (Notification, OwnedFd) {
    let (socket, _) = listener.accept().expect("the runtime comes");
    let (_, notifications) = take(socket.as_fd());
    let asked = receive(&notifications).expect("a call");
    (asked, notifications)
}

fn go_on((asked, notifications): (Notification, OwnedFd)) {
    answer(&notifications, asked.id, Answer::Continue).expect("it waits");
}

/// Has the spy look at a process that is held up.
#[track_caller]
fn check_closed(spy: &Bundle, asked: &Notification) {
    let pid = asked.pid.cast_signed();
    // It is still us, and as mighty as the spy: nothing else keeps it out.
    assert!(proc::read(pid, "cmdline").is_some_and(|line| line.contains("runtime")));
    for field in ["CapEff", "CapPrm", "Uid", "Gid"] {
        assert_eq!(proc::status(pid, field), proc::status(spy.pid(), field));
    }
    let inside = proc::status(pid, "NSpid");
    let inside = inside
        .split_whitespace()
        .last()
        .expect("a number")
        .to_owned();
    let root = spy.folder.join("rootfs");
    std::fs::write(root.join("ask"), format!("{inside}.")).expect("a folder of ours");
    eventually("the spy has looked", || root.join("said").exists());
    let said = std::fs::read_to_string(root.join("said")).expect("it is there");
    assert_eq!(said.lines().count(), 11, "{said}");
    for line in said.lines() {
        let refused = ["Permission denied", "Operation not permitted"];
        assert!(refused.iter().any(|word| line.ends_with(word)), "{said}");
    }
}

#[test]
fn a_process_that_is_executed_in_a_container_lets_nobody_in_look_into_it() {
    if Bundle::is_peer() {
        return testkit::skip("the peer's words are others");
    }
    let mut bundle = spying();
    let listener = held_up(&mut bundle);
    std::thread::scope(|scope| {
        scope.spawn(|| go_on(next(&listener)));
        bundle.start();
    });
    let line = format!("exec {} /bin/true", bundle.id);
    let exec = Running::start(&mut bundle.runtime(&line));
    let held = next(&listener);
    check_closed(&bundle, &held.0);
    go_on(held);
    exec.finish().success();
}

#[test]
fn the_first_process_of_a_container_in_anothers_pid_namespace_lets_that_one_not_look_into_it() {
    if Bundle::is_peer() {
        return testkit::skip("the peer's words are others");
    }
    let spy = spying();
    spy.start();
    let mut victim = Bundle::sh("");
    victim.set("/process/args", json!(["/bin/true"]));
    let namespaces = victim.spec["linux"]["namespaces"].as_array_mut();
    let namespaces = namespaces.expect("a list");
    namespaces.retain(|each| each["type"] != "pid");
    namespaces.push(json!({ "type": "pid", "path": format!("/proc/{}/ns/pid", spy.pid()) }));
    let listener = held_up(&mut victim);
    let run = Running::start(&mut victim.runtime(&format!("run {}", victim.id)));
    let held = next(&listener);
    check_closed(&spy, &held.0);
    go_on(held);
    run.finish().success();
}
