//! `ps`, `rename`, `top`, `port`, `inspect`: looking at containers.

use serde_json::Value;

#[test]
fn ps_lists_what_runs_and_with_a_everything() {
    let engine = testkit::engine();
    drop(engine.run("--name runs busybox sleep 60"));
    engine.fails(2, "run --name ended busybox sh -c 'exit 2'");
    assert_eq!(engine.ok("ps --format '{{.Names}}'"), "runs");
    assert_eq!(engine.ok("ps -a --format '{{.Names}}'"), "ended\nruns");
}

#[test]
fn filters_formats_and_quiet_do_what_they_say() {
    let engine = testkit::engine();
    let one = engine.run("--name one -l team=red busybox sleep 60");
    let two = engine.run("--name two -l team=blue busybox sh -c 'exit 3'");
    two.wait();
    two.await_state("exited");
    let ps = |options: &str| engine.ok(&format!("ps {options}"));
    assert_eq!(ps("-q --no-trunc"), one.id());
    assert_eq!(ps("-q"), one.id()[..12]);
    assert_eq!(ps("-a --format '{{.Names}}'"), "two\none");
    assert_eq!(ps("-aq --no-trunc --filter label=team=blue"), two.id());
    assert_eq!(ps("-a --filter exited=3 --format '{{.Names}}'"), "two");
    assert_eq!(ps("-a --filter name=on --format '{{.Names}}'"), "one");
    assert_eq!(
        ps("-a --filter status=running --format '{{.Names}}'"),
        "one"
    );
    assert_eq!(ps("-n 1 --format '{{.Names}}'"), "two");
    assert_eq!(ps("-l --format '{{.Names}}'"), "two");
    assert_eq!(ps("-a --filter since=one --format '{{.Names}}'"), "two");
    assert_eq!(ps("-a --filter ancestor=busybox -q").lines().count(), 2);
    let json: Value = serde_json::from_str(&ps("--format json")).expect("one object a line");
    assert_eq!(json["Names"], "one");
    assert_eq!(json["State"], "running");
    let table = ps("-a");
    let head = table.lines().next().expect("a head");
    for column in [
        "CONTAINER ID",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
        "NAMES",
    ] {
        assert!(head.contains(column), "{head}");
    }
    assert!(table.contains("Exited (3)"), "{table}");
    let columns = ps("-a --format 'table {{.Names}}\\t{{.Label \"team\"}}'");
    assert_eq!(columns, "NAMES     team\ntwo       blue\none       red");
    engine.fails(1, "ps --filter nonsense=1");
}

#[test]
fn rename_gives_the_old_name_free() {
    let engine = testkit::engine();
    let container = engine.run("--name old busybox sleep 60");
    engine.ok("rename old new");
    assert_eq!(engine.inspect("new")["Id"], container.id());
    drop(engine.run("--name old busybox sleep 60"));
    let error = engine.fails(1, "rename new old");
    assert!(error.contains("already in use"), "{error}");
}

#[test]
fn top_lists_the_containers_processes() {
    let engine = testkit::engine();
    let container = engine.run("busybox sh -c 'sleep 111 & sleep 222'");
    testkit::eventually("both are listed", || {
        let top = engine.ok(&format!("top {}", container.id()));
        top.contains("sleep 111") && top.contains("sleep 222")
    });
    let top = engine.ok(&format!("top {} -o pid,comm", container.id()));
    assert!(
        top.lines()
            .any(|line| line.trim().starts_with(&container.pid().to_string())),
        "{top}"
    );
}

#[test]
fn inspect_tells_the_state_and_what_was_asked_for() {
    let engine = testkit::engine();
    let container =
        engine.run("--name box -m 64m --cpus 0.5 -e A=b -w /tmp --hostname h busybox sleep 60");
    let value = container.inspect();
    assert_eq!(value["Name"], "/box");
    assert_eq!(value["Config"]["Hostname"], "h");
    assert_eq!(value["Config"]["WorkingDir"], "/tmp");
    assert_eq!(value["HostConfig"]["Memory"], 64 * 1024 * 1024);
    assert_eq!(value["HostConfig"]["NanoCpus"], 500_000_000);
    assert_eq!(value["State"]["Running"], true);
    assert_eq!(value["Path"], "sleep");
    assert_eq!(value["Args"], serde_json::json!(["60"]));
    let ip = engine.ok("inspect -f '{{.Config.Hostname}} {{json .Config.Cmd}}' box");
    assert_eq!(ip, "h [\"sleep\",\"60\"]");
    assert_eq!(engine.ok("inspect --size -f '{{.SizeRw}}' box"), "0");
}

#[test]
fn prune_removes_what_has_ended_and_nothing_else() {
    let engine = testkit::engine();
    let runs = engine.run("busybox sleep 60");
    engine.ok("run --name ended busybox true");
    let text = engine.ok("container prune -f");
    assert!(text.contains("Deleted Containers:"), "{text}");
    assert_eq!(engine.ok("ps -aq --no-trunc"), runs.id());
}
