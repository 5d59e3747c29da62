//! One more process in a container.

use std::process::Stdio;

use serde_json::json;
use testkit::{Bundle, eventually, proc};

fn running() -> Bundle {
    let bundle = Bundle::sh("sleep 1000");
    bundle.start();
    bundle
}

#[test]
fn an_exec_is_in_the_containers_namespaces_and_cgroup() {
    let bundle = running();
    let init = bundle.pid();
    for (kind, file) in [
        ("pid", "pid"),
        ("net", "net"),
        ("mnt", "mnt"),
        ("ipc", "ipc"),
    ] {
        let link = bundle.ok(&format!("exec ID readlink /proc/self/ns/{kind}"));
        assert_eq!(link, proc::namespace(init, file));
    }
    // From outside: in a cgroup namespace of its own a container sees itself at the root.
    assert_eq!(
        bundle.detached("exec --detach --pid-file exec.pid ID sleep 99"),
        0
    );
    let exec: i32 = bundle.text("exec.pid").parse().expect("a pid");
    let groups = |pid: i32| proc::read(pid, "cgroup").expect("it runs");
    assert_eq!(groups(exec), groups(init));
    let line = format!(":/{}\n", bundle.id);
    assert!(groups(exec).contains(&line), "{}", groups(exec));
}

#[test]
fn options_change_what_is_run() {
    let bundle = running();
    assert_eq!(bundle.cli("exec ID sh -c 'exit 7'").code, 7);
    assert_eq!(
        bundle.ok("exec -e COLOUR=blue --cwd /tmp ID sh -c 'echo $COLOUR; pwd'"),
        "blue\n/tmp"
    );
    assert_eq!(
        bundle.ok("exec --user 1000:1001 --additional-gids 29 ID id -u"),
        "1000"
    );
    assert_eq!(bundle.ok("exec --user 1000:1001 -g 29 ID id -G"), "1001 29");
    let rights =
        |options: &str| bundle.ok(&format!("exec {options} ID grep CapBnd /proc/self/status"));
    assert!(!rights("").ends_with("0000000020000421"));
    assert!(rights("").ends_with("20000420"), "{}", rights(""));
    assert!(rights("--cap CAP_CHOWN").ends_with("20000421"));
    let error = bundle.fails(255, "exec ID nosuchprogram");
    assert!(
        error.contains("executable file not found in $PATH"),
        "{error}"
    );
}

#[test]
fn a_process_file_says_it_all() {
    let bundle = running();
    let process = json!({
        "args": ["sh", "-c", "id -u; echo $A; pwd"], "env": ["A=b", "PATH=/bin"], "cwd": "/tmp",
        "user": { "uid": 7, "gid": 8 },
    });
    std::fs::write(bundle.folder.join("p.json"), process.to_string()).expect("a folder of ours");
    assert_eq!(bundle.ok("exec --process p.json ID"), "7\nb\n/tmp");
}

#[test]
fn a_detached_exec_lives_on() {
    let bundle = running();
    assert_eq!(
        bundle.detached("exec --detach --pid-file exec.pid ID sleep 99"),
        0
    );
    let pid: i32 = bundle.text("exec.pid").parse().expect("a pid");
    eventually("it runs the program", || {
        proc::read(pid, "cmdline").is_some_and(|line| line == "sleep\u{0}99\u{0}")
    });
    bundle.ok("kill ID KILL");
    eventually("it ends with the container", || !proc::is_alive(pid));
}

#[test]
fn nothing_is_run_where_nothing_runs() {
    let bundle = running();
    bundle.ok("pause ID");
    let error = bundle.fails(255, "exec ID true");
    assert!(
        error.contains("cannot exec in a paused container"),
        "{error}"
    );
    bundle.ok("resume ID");
    bundle.ok("kill ID KILL");
    bundle.await_status("stopped");
    let error = bundle.fails(255, "exec ID true");
    assert!(error.contains("cannot exec in a"), "{error}");
    let error = bundle.fails(255, "exec nobody true");
    assert!(error.contains("container does not exist"), "{error}");
}

#[test]
fn descriptors_are_passed_only_when_asked_for() {
    let bundle = running();
    let through = |options: &str| {
        // Descriptor 3 comes from the shell between us; descriptor 7 is one that nobody asked for.
        let runtime = bundle.runtime(&format!(
            "exec {options} {} sh -c 'cat <&3; ls /proc/self/fd'",
            bundle.id
        ));
        let words: Vec<String> = std::iter::once(runtime.get_program())
            .chain(runtime.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")))
            .collect();
        let line = format!("echo secret > f; exec 3< f 7< f; {}", words.join(" "));
        let output = std::process::Command::new("sh")
            .args(["-c", &line])
            .current_dir(&bundle.folder)
            .stdin(Stdio::null())
            .output()
            .expect("sh is there");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // `ls` itself opens one more, the lowest that is free.
    assert_eq!(through("--preserve-fds 1"), "secret\n0\n1\n2\n3\n4\n");
    assert_eq!(through(""), "0\n1\n2\n3\n");
}
