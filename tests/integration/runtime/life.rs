//! Create, start, kill, delete; run; hooks; what is told when something goes wrong.

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::{Bundle, Running, eventually, proc};

#[test]
fn a_created_container_waits_for_another_process_to_start_it() {
    let bundle = Bundle::sh("echo ran; exec sleep 100");
    assert_eq!(
        bundle.detached("create --pid-file pid ID"),
        0,
        "{}",
        bundle.text("err")
    );
    assert_eq!(bundle.state("status"), "created");
    let pid = bundle.pid();
    assert_eq!(bundle.text("pid"), pid.to_string());
    let namespaces = proc::status(pid, "NSpid");
    assert_eq!(namespaces.split_whitespace().last(), Some("1"));
    assert_eq!(proc::status(pid, "PPid"), "1", "its creator has gone");
    assert_eq!(bundle.text("out"), "");

    bundle.ok("start ID");
    eventually("the program runs", || bundle.text("out") == "ran\n");
    assert_eq!(bundle.state("status"), "running");
    assert_eq!(bundle.pid(), pid);
    let error = bundle.fails(1, "start ID");
    assert!(
        error.contains("cannot start an already running container"),
        "{error}"
    );

    let error = bundle.fails(1, "delete ID");
    assert!(error.contains("that is not stopped: running"), "{error}");
    bundle.ok("kill ID KILL");
    bundle.await_status("stopped");
    assert!(bundle.fails(1, "kill ID").contains("container not running"));
    assert!(
        bundle
            .fails(1, "start ID")
            .contains("cannot start a container that has stopped")
    );
    bundle.ok("delete ID");
    assert!(
        bundle
            .fails(1, "state ID")
            .contains("container does not exist")
    );
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn a_container_is_deleted_by_force_in_any_state() {
    let bundle = Bundle::sh("sleep 100");
    bundle.ok("delete --force ID");
    assert!(
        bundle
            .fails(1, "delete ID")
            .contains("container does not exist")
    );
    assert_eq!(bundle.detached("create ID"), 0);
    let pid = bundle.pid();
    bundle.ok("delete -f ID");
    assert!(!proc::is_alive(pid));
    bundle.start();
    let pid = bundle.pid();
    bundle.ok("delete --force ID");
    assert!(!proc::is_alive(pid));
    bundle.start();
    bundle.ok("pause ID");
    bundle.ok("delete --force ID");
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn a_program_that_is_not_there_is_told_of_by_create_and_leaves_nothing() {
    let mut bundle = Bundle::sh("");
    bundle.set("/process/args", json!(["nosuchprogram"]));
    let line = "--log log --log-format json create ID";
    assert_eq!(bundle.detached(line), 1);
    let words = "exec: \"nosuchprogram\": executable file not found in $PATH";
    assert!(bundle.text("err").contains(words), "{}", bundle.text("err"));
    let log = bundle.text("log");
    let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["level"], "error");
    assert!(
        last["msg"].as_str().is_some_and(|msg| msg.contains(words)),
        "{log}"
    );
    assert!(last["time"].is_string());
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn a_program_that_cannot_be_executed_is_told_of_by_start() {
    if Bundle::is_peer() {
        return testkit::skip("the peer's start does not wait for the exec");
    }
    use std::os::unix::fs::PermissionsExt;
    let mut bundle = Bundle::sh("");
    let script = bundle.folder.join("rootfs/bin/broken");
    std::fs::write(&script, "#!/nowhere/sh\n").expect("a folder of ours");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("ours");
    bundle.set("/process/args", json!(["/bin/broken"]));
    assert_eq!(bundle.detached("create ID"), 0, "{}", bundle.text("err"));
    let error = bundle.fails(1, "start ID");
    assert!(
        error.contains("exec /bin/broken: no such file or directory"),
        "{error}"
    );
    bundle.await_status("stopped");
    bundle.ok("delete ID");
}

#[test]
fn ids_are_names_and_belong_to_one() {
    let bundle = Bundle::sh("sleep 100");
    let error = bundle.fails(1, "run ../x");
    assert!(error.contains("invalid container ID format"), "{error}");
    assert_eq!(bundle.detached("create ID"), 0);
    let pid = bundle.pid();
    let error = bundle.fails(1, "run ID");
    assert!(
        error.contains("container with given ID already exists"),
        "{error}"
    );
    assert!(proc::is_alive(pid), "the first is unharmed");
    let listed = bundle.ok("list --quiet");
    assert_eq!(listed, bundle.id);
    let list: Value = serde_json::from_str(&bundle.ok("list --format json")).expect("JSON");
    assert_eq!(list[0]["pid"], pid);
    assert_eq!(list[0]["status"], "created");
}

#[test]
fn run_gives_the_programs_status_and_leaves_nothing() {
    let bundle = Bundle::sh("echo hello; exit 42");
    assert_eq!(bundle.cli("run ID").failure(42), "");
    let output = bundle.cli("run ID");
    assert_eq!(output.text(), "hello");
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
    let killed = Bundle::sh("cd /proc/1; kill -9 $$; sh -c 'kill -11 $$'; exit 3");
    assert_eq!(killed.cli("run ID").code, 3, "pid 1 cannot kill itself");
}

#[test]
fn run_passes_signals_on() {
    let bundle = Bundle::sh("trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done");
    let running = Running::start(&mut bundle.runtime(&format!("run {}", bundle.id)));
    bundle_runs(&bundle);
    eventually("the trap is set", || {
        let caught = proc::status(bundle.pid(), "SigCgt");
        u64::from_str_radix(&caught, 16).is_ok_and(|set| set & 1 << 14 != 0)
    });
    running.signal(Signal::TERM);
    assert_eq!(running.finish().code, 9);
    assert!(bundle.leftovers().is_empty());
}

fn bundle_runs(bundle: &Bundle) {
    eventually("it runs", || {
        let output = bundle.cli("state ID");
        output.code == 0 && output.text().contains("\"running\"")
    });
}

#[test]
fn a_detached_run_leaves_the_container_to_others() {
    let bundle = Bundle::sh("echo $A; sleep 100");
    assert_eq!(
        bundle.detached("run --detach --pid-file pid ID"),
        0,
        "{}",
        bundle.text("err")
    );
    assert_eq!(bundle.state("status"), "running");
    assert_eq!(bundle.text("pid"), bundle.pid().to_string());
    bundle.ok("kill --all ID 9");
    bundle.await_status("stopped");
    bundle.ok("delete ID");
}

#[test]
fn every_process_ends_when_a_container_without_pid_namespace_is_killed() {
    let mut bundle = Bundle::sh("sleep 1000 & exec sleep 100");
    let namespaces = bundle.spec["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list");
    namespaces.retain(|namespace| namespace["type"] != "pid");
    bundle.start();
    eventually("both sleep", || {
        bundle.ok("ps --format json ID").matches(',').count() == 1
    });
    let pids: Vec<i32> = serde_json::from_str(&bundle.ok("ps --format json ID")).expect("JSON");
    bundle.ok("kill --all ID KILL");
    eventually("nobody lives", || {
        !pids.iter().any(|pid| proc::is_alive(*pid))
    });
    bundle.ok("delete ID");
    assert!(bundle.leftovers().is_empty());
}

#[test]
fn hooks_run_in_their_order_with_the_state_of_their_time() {
    if Bundle::is_peer() {
        return testkit::skip("the peer runs poststart hooks at create, before the start");
    }
    let mut bundle = Bundle::sh("sleep 100");
    let file = bundle.folder.join("hooks");
    let hook = |name: &str| {
        let script = format!(
            "echo {name} $(tr -d ' \\n\\t' | grep -o '\"status\":\"[a-z]*\"') >> {}",
            file.display()
        );
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] }])
    };
    bundle.spec["hooks"] = json!({
        "prestart": hook("prestart"),
        "createRuntime": hook("createRuntime"),
        "createContainer": hook("createContainer"),
        "poststart": hook("poststart"),
        "poststop": hook("poststop"),
    });
    assert_eq!(bundle.detached("create ID"), 0, "{}", bundle.text("err"));
    let names = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.split(' ').next().map(str::to_owned))
            .collect()
    };
    assert_eq!(
        names(&bundle.text("hooks")),
        ["prestart", "createRuntime", "createContainer"]
    );
    bundle.ok("start ID");
    assert!(
        bundle
            .text("hooks")
            .ends_with("poststart \"status\":\"running\"\n")
    );
    bundle.ok("kill ID KILL");
    bundle.await_status("stopped");
    bundle.ok("delete ID");
    assert!(
        bundle
            .text("hooks")
            .ends_with("poststop \"status\":\"stopped\"\n")
    );
    assert_eq!(names(&bundle.text("hooks")).len(), 5);
}

#[test]
fn a_spec_of_another_time_is_refused() {
    let mut bundle = Bundle::sh("true");
    bundle.set("/ociVersion", json!("2.0.0"));
    if !Bundle::is_peer() {
        let error = bundle.fails(1, "run ID");
        assert!(error.contains("ociVersion"), "{error}");
    }
    bundle.set("/ociVersion", json!("1.0.2"));
    bundle.ok("run ID");
    std::fs::remove_file(bundle.folder.join("config.json")).expect("it is there");
    let mut command = bundle.runtime(&format!("run --bundle rootfs {}", bundle.id));
    let error = testkit::command::run(&mut command, b"").failure(1);
    assert!(error.contains("config.json"), "{error}");
}

#[test]
fn a_container_whose_creator_was_killed_midway_is_deleted_by_force() {
    if Bundle::is_peer() {
        return testkit::skip("the state's form is ours");
    }
    let bundle = Bundle::sh("sleep 100");
    bundle.start();
    let pid = bundle.pid();
    let path = bundle.root().join(&bundle.id).join("state.json");
    let mut record: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a state")).expect("JSON");
    record["pid"] = json!(0);
    std::fs::write(&path, record.to_string()).expect("a file of ours");
    assert_eq!(bundle.state("status"), "creating");
    bundle.fails(1, "delete ID");
    bundle.ok("delete --force ID");
    assert!(!proc::is_alive(pid));
    assert!(bundle.leftovers().is_empty());
}

#[test]
fn features_tells_of_the_newest_spec() {
    let bundle = Bundle::sh("true");
    let features: Value = serde_json::from_str(&bundle.ok("features")).expect("JSON");
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    let hooks = features["hooks"].as_array().expect("a list");
    assert!(hooks.contains(&json!("createContainer")));
    let version = bundle.ok("--version");
    assert!(version.contains("\nspec: 1."), "{version}");
}
