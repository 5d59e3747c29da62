//! Exec into a hostile container (CVE-2016-9962, CVE-2019-16884): what it finds there is the attacker's.

use std::collections::BTreeSet;
use std::sync::Mutex;

use testkit::{Container, ms, proc};

use super::support::{Secret, compile, meanwhile, over_by, soon};

/// Looks at every process of its pid namespace as fast as it can, for whatever leads to the host.
const TRACER: &str = r#"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char path[4200], text[256];
    /* A program that starts is the next pid: asked for by number, without a listing between. */
    for (int last = 1;;) {
        for (int pid = last; pid < last + 12; pid++) {
            snprintf(path, sizeof path, "/proc/%d/root%s", pid, argv[1]);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd >= 0) {
                int len = read(fd, text, sizeof text);
                int out = open("/found", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
                write(out, text, len > 0 ? len : 0);
                close(out);
                close(fd);
            }
            /* Whatever is open there and has a path, but for the groups that it enters, and what it says or reads. */
            for (int number = 3; number < 40; number++) {
                snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
                int len = readlink(path, text, sizeof text - 1);
                if (len <= 0 || pid <= 2)
                    continue;
                text[len] = 0;
                if (text[0] != '/' || strstr(text, "/tasks") || strstr(text, "/cgroup") || !strcmp(text, "/dev/null"))
                    continue;
                int out = open("/open", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
                write(out, text, len);
                write(out, "\n", 1);
                close(out);
            }
            snprintf(path, sizeof path, "/proc/%d", pid);
            if (access(path, F_OK) == 0 && pid > last)
                last = pid;
        }
    }
}
"#;

#[test]
fn a_container_that_may_trace_does_not_reach_the_host_through_an_exec() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let tracer = compile(&engine, "tracer", TRACER);
    let container = engine.run(&format!(
        "--cap-add SYS_PTRACE -v {}:/tracer:ro busybox /tracer {}",
        tracer.display(),
        secret.path().display()
    ));
    for _ in 0..60 {
        container.exec("true");
    }
    let found = std::fs::read_to_string(container.path("/found")).unwrap_or_default();
    secret.is_safe_from(&found);
    let open = std::fs::read_to_string(container.path("/open")).unwrap_or_default();
    assert_eq!(open, "", "descriptors of the host's");
}

/// Processes in the container's pid namespace that the host's shim has as children, and that are not all inside.
fn strangers(container: &Container<'_>, shim: i32, seen: &Mutex<BTreeSet<String>>) {
    let own = proc::namespace(container.pid(), "mnt");
    let children = proc::read(shim, &format!("task/{shim}/children")).unwrap_or_default();
    for pid in children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
    {
        let status = proc::read(pid, "status").unwrap_or_default();
        let ids = proc::field_of(&status, "NSpid").unwrap_or_default();
        if ids.split_whitespace().count() < 2 {
            continue; // not visible in the container
        }
        let link = std::fs::read_link(format!("/proc/{pid}/ns/mnt"));
        let outside = link.is_ok_and(|link| link.to_string_lossy() != own);
        // It may have ended since, and its number be somebody else's.
        if outside && proc::is_alive(pid) {
            seen.lock()
                .expect("no panic")
                .insert(format!("{pid} is in {own}'s pids"));
        }
    }
}

#[test]
fn no_process_is_seen_in_the_container_before_it_is_wholly_inside() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let shim: i32 = container.status("PPid").parse().expect("a pid");
    let seen = Mutex::new(BTreeSet::new());
    meanwhile(
        || strangers(&container, shim, &seen),
        || {
            for _ in 0..40 {
                container.exec("true");
            }
        },
    );
    let seen = seen.into_inner().expect("no panic");
    assert!(seen.is_empty(), "{seen:?}");
}

#[test]
fn account_files_of_any_kind_neither_hang_nor_fool_us() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let victim = secret.path().display();
    // Accounts of the host's own are none of the container's.
    let accounts = engine.root().join("accounts");
    std::fs::write(&accounts, "hostly:x:4321:4321::/:/bin/sh\n").expect("a file of ours");
    let accounts = accounts.display();
    for (name, spoil) in [
        ("host", format!("ln -s {accounts} /etc/passwd")),
        (
            "host-above",
            format!("ln -s ../../../../../../../..{accounts} /etc/passwd"),
        ),
        ("fifo", "mkfifo /etc/passwd".to_owned()),
        (
            "sparse",
            "dd if=/dev/zero of=/etc/passwd bs=1 count=1 seek=10G 2>/dev/null".to_owned(),
        ),
        ("link", format!("ln -s {victim} /etc/passwd")),
        (
            "climb",
            format!("ln -s ../../../../../../../..{victim} /etc/passwd"),
        ),
        (
            "magic",
            "ln -s /proc/1/root/etc/group /etc/passwd".to_owned(),
        ),
        ("loop", "ln -s passwd /etc/passwd".to_owned()),
        ("zero", "ln -s /dev/zero /etc/passwd".to_owned()),
        ("folder", "mkdir /etc/passwd".to_owned()),
        ("device", "mknod /etc/passwd c 10 130".to_owned()),
        (
            "binary",
            "head -c 900000 /dev/urandom > /etc/passwd".to_owned(),
        ),
    ] {
        let script = format!("rm /etc/passwd; {spoil}; touch /ready; sleep 600");
        let run = ["run", "-d", "--name", name, "busybox", "sh", "-c", &script];
        engine.cli_words(run).run().success();
        let container = Container::new(&engine, name.to_owned());
        container.await_file("/ready");
        for line in [
            "exec {} id -u",
            "exec -u guest {} id -u",
            "exec -u 1000 {} id -u",
        ] {
            let line = line.replace("{}", name);
            let output = over_by(ms(5000), &engine, &line);
            secret.is_safe_from(&(output.text() + &output.error()));
        }
        let hostly = engine.cli(&format!("exec -u hostly {name} id -u")).run();
        assert_ne!(hostly.code, 0, "{name}: {}", hostly.text());
        let again = format!("restart -t 0 {name}");
        drop(soon(ms(8000), &again, || engine.cli(&again).run()));
        engine.ok(&format!("rm -f {name}"));
    }
}

#[test]
fn what_the_container_has_in_its_path_and_proc_runs_inside_only() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let victim = secret.path().display().to_string();
    let script = "echo '#!/bin/sh' > /bin/evil; echo 'cat $1; ls /proc/self/fd; readlink /proc/self/cwd' >> /bin/evil; \
                  chmod 755 /bin/evil; for p in estiva runc sh ls cat tar xz gzip; do cp /bin/evil /usr/$p 2>/dev/null; done; \
                  touch /ready; sleep 600";
    let run = [
        "run",
        "-d",
        "--name",
        "sly",
        "-e",
        "PATH=/proc/self/cwd:/bin:.",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    engine.cli_words(run).run().success();
    let sly = Container::new(&engine, "sly".to_owned());
    sly.await_file("/ready");
    let said = engine.cli(&format!("exec sly evil {victim}")).run();
    secret.is_safe_from(&said.text());
    assert!(
        said.text().ends_with('/'),
        "the folder is the container's root: {}",
        said.text()
    );
    for number in 3..24 {
        let output = engine
            .cli(&format!("exec sly /proc/self/fd/{number} {victim}"))
            .run();
        assert_ne!(output.code, 0, "{number}: {}", output.text());
    }
}

#[test]
fn a_container_that_kills_and_stops_what_enters_harms_itself_only() {
    let engine = testkit::engine();
    let other = engine.run("--name other busybox sleep 600");
    let script = "while :; do kill -STOP -1; done";
    let run = ["run", "-d", "--name", "sly", "busybox", "sh", "-c", script];
    engine.cli_words(run).run().success();
    let mut caught: Vec<_> = (0..3)
        .map(|_| engine.cli("exec sly true").start())
        .collect();
    for _ in 0..10 {
        soon(ms(2000), "ps", || engine.ok("ps"));
        soon(ms(2000), "inspect of the sly one", || engine.inspect("sly"));
        soon(ms(3000), "exec elsewhere", || other.exec("true"));
        std::thread::sleep(ms(100));
    }
    over_by(ms(15_000), &engine, "rm -f sly").success();
    for client in &mut caught {
        testkit::eventually("its clients are let go", || client.is_over());
    }
}
