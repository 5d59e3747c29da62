//! `run`: output, exit codes, environment, identity.

use rustix::process::Signal;
use serde_json::Value;
use testkit::{eventually, proc};

#[test]
fn a_program_speaks_on_both_streams_and_its_exit_code_is_ours() {
    let engine = testkit::engine();
    let output = engine
        .cli("run --rm busybox sh -c 'echo out; echo err >&2; exit 3'")
        .run();
    assert_eq!(
        (output.text(), output.error()),
        ("out".into(), "err".into())
    );
    assert_eq!(output.code, 3);
}

#[test]
fn exit_codes_tell_whose_fault_it_was() {
    let engine = testkit::engine();
    let missing = engine.fails(127, "run --rm busybox no-such-program");
    assert!(missing.contains("no-such-program"), "{missing}");
    assert!(
        missing.contains("executable file not found in $PATH"),
        "{missing}"
    );
    let not_executable = engine.fails(126, "run --rm busybox /etc/passwd");
    assert!(
        not_executable.contains("permission denied"),
        "{not_executable}"
    );
    let folder = engine.fails(126, "run --rm busybox /etc");
    assert!(
        folder.contains("is a directory") || folder.contains("permission denied"),
        "{folder}"
    );
    engine.fails(127, "run --rm busybox /no/such/file");
    engine.fails(125, "run --rm --no-such-option busybox true");
    engine.fails(125, "run --rm no-such-image-here true");
    // A pid 1 is immune to what it sends itself.
    engine.fails(137, "run --rm --init busybox sh -c 'kill -9 $$'");
    engine.fails(143, "run --rm --init busybox sh -c 'kill -15 $$'");
    assert_eq!(
        engine.ok("ps -aq"),
        "",
        "what could not start has left nothing"
    );
}

#[test]
fn a_removed_container_leaves_no_trace() {
    let engine = testkit::engine();
    let id = engine.ok("run --rm busybox cat /proc/self/cgroup /etc/hostname");
    assert!(!id.is_empty());
    eventually("the container is gone", || engine.ok("ps -aq").is_empty());
    let containers = engine.data_root().join("containers");
    eventually("its folder is gone", || {
        std::fs::read_dir(&containers).map_or(0, Iterator::count) == 0
    });
}

#[test]
fn standard_input_reaches_the_program_byte_by_byte() {
    let engine = testkit::engine();
    let input: Vec<u8> = (0..5_000_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let output = engine.cli("run --rm -i busybox cat").with_input(&input);
    assert_eq!(output.code, 0, "{}", output.error());
    assert!(
        output.stdout == input,
        "{} bytes came back",
        output.stdout.len()
    );
}

#[test]
fn without_i_standard_input_is_empty() {
    let engine = testkit::engine();
    let output = engine.cli("run --rm busybox cat").with_input(b"unheard");
    assert_eq!(output.success(), "");
}

#[test]
fn environment_comes_from_image_options_and_files() {
    let engine = testkit::engine();
    let file = engine.root().join("env");
    std::fs::write(
        &file,
        "# a remark\nFROM_FILE=one two\nPASSED\nABSENT_HERE\n",
    )
    .expect("a file of ours");
    let line = format!(
        "run --rm -e X=1 -e EMPTY= -e PASSED2 --env-file {} -h box busybox env",
        file.display()
    );
    let environment = engine
        .cli(&line)
        .env("PASSED", "through")
        .env("PASSED2", "too")
        .run()
        .success();
    let lines: Vec<&str> = environment.lines().collect();
    for expect in [
        "X=1",
        "EMPTY=",
        "FROM_FILE=one two",
        "PASSED=through",
        "PASSED2=too",
        "HOSTNAME=box",
        "HOME=/root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ] {
        assert!(lines.contains(&expect), "{expect} in\n{environment}");
    }
    assert!(!environment.contains("ABSENT_HERE"));
}

#[test]
fn an_unreadable_env_file_is_named_and_nothing_is_made() {
    let engine = testkit::engine();
    let error = engine.fails(125, "run --env-file /no/such/file busybox true");
    assert!(
        error.contains("/no/such/file") && error.contains("no such file"),
        "{error}"
    );
    assert_eq!(engine.ok("ps -aq"), "");
}

#[test]
fn the_user_is_who_was_asked_for() {
    let engine = testkit::engine();
    let id = |options: &str| engine.ok(&format!("run --rm {options} busybox id"));
    assert_eq!(id(""), "uid=0(root) gid=0(root) groups=0(root)");
    assert_eq!(
        id("-u guest"),
        "uid=1000(guest) gid=1000(guest) groups=29(audio),1000(guest)"
    );
    assert_eq!(
        id("-u 1000:29"),
        "uid=1000(guest) gid=29(audio) groups=29(audio)"
    );
    assert!(id("-u 4321").starts_with("uid=4321 gid=0(root)"));
    assert!(id("-u 4321:99 --group-add 77 --group-add audio").contains("77"));
    let error = engine.fails(125, "run --rm -u nobody-here busybox id");
    assert!(error.contains("nobody-here"), "{error}");
    assert_eq!(
        engine.ok("run --rm -u guest busybox sh -c 'echo $HOME'"),
        "/tmp"
    );
}

#[test]
fn the_working_folder_is_made_when_missing() {
    let engine = testkit::engine();
    assert_eq!(engine.ok("run --rm -w /deep/er busybox pwd"), "/deep/er");
    assert_eq!(engine.ok("run --rm busybox pwd"), "/");
}

#[test]
fn an_entrypoint_goes_before_the_command() {
    let engine = testkit::engine();
    assert_eq!(engine.ok("run --rm --entrypoint echo busybox a b"), "a b");
    assert_eq!(
        engine.ok("run --rm --entrypoint '' busybox echo plain"),
        "plain"
    );
}

#[test]
fn host_names_are_what_was_asked_for() {
    let engine = testkit::engine();
    let text = engine.ok("run --rm -h name --domainname dom --add-host db:10.1.2.3 busybox sh -c 'hostname; cat /etc/hosts /etc/hostname; cat /proc/sys/kernel/domainname'");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "name");
    assert!(lines.contains(&"10.1.2.3\tdb"), "{text}");
    assert!(text.contains("127.0.0.1\tlocalhost"), "{text}");
    assert_eq!(lines.last(), Some(&"dom"));
    let container = engine.run("busybox sleep 60");
    assert_eq!(container.exec("hostname"), container.id()[..12]);
}

#[test]
fn an_init_reaps_the_orphans() {
    let engine = testkit::engine();
    let container = engine.run("--init busybox sh -c '(sleep 0.1 &) ; (sleep 0.1 &) ; sleep 60'");
    let first = container.exec("cat /proc/1/comm");
    assert!(
        !first.contains("sleep") && first != "sh",
        "pid 1 is {first}"
    );
    eventually("no zombie is left", || {
        let states =
            container.exec("sh -c 'grep -h State /proc/[0-9]*/status 2>/dev/null || true'");
        !states.contains("zombie")
    });
    let drop_init = engine.ok("run --rm busybox cat /proc/1/comm");
    assert_eq!(drop_init, "cat");
}

#[test]
fn a_signal_to_the_client_reaches_the_program() {
    let engine = testkit::engine();
    let script = "trap 'echo term; exit 42' TERM; echo ready; while :; do sleep 0.05; done";
    let running = engine
        .cli_words(["run", "--name", "signalled", "busybox", "sh", "-c", script])
        .start();
    eventually("the program is ready", || {
        engine.cli("logs signalled").run().text().contains("ready")
    });
    running.signal(Signal::TERM);
    let output = running.finish();
    assert_eq!(output.code, 42, "{}", output.error());
    assert_eq!(output.text(), "ready\nterm");
}

#[test]
fn a_name_belongs_to_one_container() {
    let engine = testkit::engine();
    let first = engine.run("--name taken busybox sleep 60");
    let error = engine.fails(125, "run --name taken busybox true");
    assert!(
        error.contains("Conflict. The container name \"/taken\" is already in use"),
        "{error}"
    );
    assert!(error.contains(&first.id()[..12]), "{error}");
    engine.fails(125, "run --name 'not valid!' busybox true");
    assert_eq!(engine.ok("ps -aq --no-trunc"), first.id());
}

#[test]
fn a_prefix_of_the_id_suffices_when_it_is_unique() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let short = engine.ok(&format!(
        "inspect --format '{{{{.Id}}}}' {}",
        &container.id()[..4]
    ));
    assert_eq!(short, container.id());
    let error = engine.fails(1, "inspect zz-no-such");
    assert!(
        error.to_lowercase().contains("no such object: zz-no-such"),
        "{error}"
    );
}

#[test]
fn only_the_three_standard_descriptors_reach_the_program() {
    let engine = testkit::engine();
    // ls itself opens the folder as 3.
    assert_eq!(engine.ok("run --rm busybox ls /proc/self/fd"), "0\n1\n2\n3");
    let container = engine.run("busybox sleep 60");
    let open = std::fs::read_dir(format!("/proc/{}/fd", container.pid())).expect("we are root");
    assert_eq!(open.count(), 3);
    assert_eq!(container.exec("ls /proc/self/fd"), "0\n1\n2\n3");
}

#[test]
fn the_cidfile_holds_the_id() {
    let engine = testkit::engine();
    let file = engine.root().join("cid");
    let container = engine.run(&format!("--cidfile {} busybox sleep 60", file.display()));
    assert_eq!(
        std::fs::read_to_string(&file).expect("it was written"),
        container.id()
    );
    engine.fails(
        125,
        &format!("run --cidfile {} busybox true", file.display()),
    );
}

#[test]
fn labels_come_from_options_and_files() {
    let engine = testkit::engine();
    let file = engine.root().join("labels");
    std::fs::write(&file, "b=2\nc\n").expect("a file of ours");
    let container = engine.run(&format!(
        "-l a=1 --label-file {} busybox sleep 60",
        file.display()
    ));
    let labels = &container.inspect()["Config"]["Labels"];
    assert_eq!(labels["a"], "1");
    assert_eq!(labels["b"], "2");
    assert!(labels["c"].is_null(), "a name alone is no label");
}

#[test]
fn create_makes_and_start_runs_attached_or_not() {
    let engine = testkit::engine();
    let id = engine.ok("create --name later busybox sh -c 'echo now; exit 5'");
    assert_eq!(id.len(), 64);
    assert_eq!(engine.inspect("later")["State"]["Status"], "created");
    let output = engine.cli("start -a later").run();
    assert_eq!((output.code, output.text()), (5, "now".to_owned()));
    assert_eq!(engine.ok("start later"), "later");
    assert_eq!(engine.ok("wait later"), "5");
}

#[test]
fn what_a_container_writes_stays_its_own() {
    let engine = testkit::engine();
    let one = engine.run("busybox sh -c 'echo mine > /etc/passwd; rm /bin/vi; sleep 60'");
    eventually("it has written", || one.read("/etc/passwd") == "mine\n");
    let other = engine.ok("run --rm busybox sh -c 'head -1 /etc/passwd; ls /bin/vi'");
    assert_eq!(other, "root:x:0:0:root:/root:/bin/sh\n/bin/vi");
}

#[test]
fn a_killed_client_does_not_take_its_container_along() {
    let engine = testkit::engine();
    let running = engine.cli("run --name stays busybox sleep 60").start();
    eventually("it runs", || {
        let state = engine.cli("inspect stays").run();
        let value: Value = serde_json::from_slice(&state.stdout).unwrap_or_default();
        value[0]["State"]["Running"] == true
    });
    drop(running);
    let pid = engine.inspect("stays")["State"]["Pid"]
        .as_i64()
        .expect("a pid");
    assert!(proc::is_alive(i32::try_from(pid).expect("a pid fits")));
}
