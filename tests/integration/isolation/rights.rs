//! Rights of a process: rlimits, OOM score, groups.

use testkit::proc;

fn limit(pid: i32, name: &str) -> (String, String) {
    let limits = proc::read(pid, "limits").expect("the process runs");
    let line = limits
        .lines()
        .find(|line| line.starts_with(name))
        .expect("a known limit");
    let mut fields = line[name.len()..].split_whitespace();
    (
        fields.next().expect("soft").to_owned(),
        fields.next().expect("hard").to_owned(),
    )
}

#[test]
fn limits_asked_for_are_the_kernels() {
    let engine = testkit::engine();
    let container = engine.run("--ulimit nofile=100:200 --ulimit core=0 busybox sleep 60");
    assert_eq!(
        limit(container.pid(), "Max open files"),
        ("100".into(), "200".into())
    );
    assert_eq!(
        limit(container.pid(), "Max core file size"),
        ("0".into(), "0".into())
    );
    assert_eq!(container.exec("sh -c 'ulimit -n'"), "100");
    engine.fails(125, "run --rm --ulimit nofile=200:100 busybox true");
    engine.fails(125, "run --rm --ulimit nonsense=1 busybox true");
}

#[test]
fn a_hard_limit_that_the_machine_does_not_grant_is_a_clear_error() {
    let own = std::process::id().cast_signed();
    let (_, hard) = limit(own, "Max open files");
    let may_raise =
        u64::from_str_radix(&proc::status(own, "CapEff"), 16).expect("hexadecimal") & 1 << 24 != 0;
    if may_raise {
        return testkit::skip("this machine grants CAP_SYS_RESOURCE");
    }
    let engine = testkit::engine();
    let hard: u64 = hard.parse().expect("a number");
    let error = engine.fails(
        125,
        &format!("run --rm --ulimit nofile={0}:{0} busybox true", hard + 1),
    );
    assert!(
        error.to_lowercase().contains("rlimit") || error.contains("ulimit"),
        "{error}"
    );
    assert_eq!(engine.ok("ps -aq"), "");
}

#[test]
fn the_oom_score_is_what_was_asked_for() {
    let engine = testkit::engine();
    let container = engine.run("--oom-score-adj 321 busybox sleep 60");
    let score = proc::read(container.pid(), "oom_score_adj").expect("the process runs");
    assert_eq!(score.trim(), "321");
    engine.fails(125, "run --rm --oom-score-adj 5000 busybox true");
}

#[test]
fn groups_can_be_added() {
    let engine = testkit::engine();
    let container = engine.run("-u guest --group-add 4242 busybox sleep 60");
    let groups = container.status("Groups");
    assert!(
        groups.split_whitespace().any(|group| group == "4242"),
        "{groups}"
    );
    assert_eq!(container.status("Uid"), "1000\t1000\t1000\t1000");
    assert_eq!(container.status("Gid"), "1000\t1000\t1000\t1000");
}

#[test]
fn the_program_is_no_session_of_the_hosts_and_dies_with_nobody_watching() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let stat = proc::read(container.pid(), "stat").expect("the process runs");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    assert_ne!(fields[3], "0", "it leads a session: {stat}");
    assert_eq!(container.status("Umask"), "0022");
    assert_eq!(container.status("SigBlk"), "0000000000000000");
    // Signal 32 belongs to the C library of whoever started the daemon.
    let ignored = u64::from_str_radix(&container.status("SigIgn"), 16).expect("hexadecimal");
    assert_eq!(ignored & 0x7fff_ffff, 0, "{ignored:x}");
}
