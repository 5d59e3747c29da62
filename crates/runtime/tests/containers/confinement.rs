//! Ids, capabilities, filters, limits, descriptors.

use oci::runtime::{Capabilities, Rlimit};

use crate::Test;
use crate::testbed::{Bed, strings};

pub(crate) const TESTS: &[Test] = &[
    ("only_the_named_capabilities_are_there", capabilities),
    ("another_user_has_no_capabilities_to_use", user_capabilities),
    ("ambient_capabilities_reach_another_user", ambient),
    ("only_descriptors_0_to_2_reach_the_program", descriptors),
    ("ids_and_groups_are_the_process_s", ids),
    ("no_new_privileges_is_set_when_asked_for", no_new_privileges),
    (
        "a_filter_is_installed_with_and_without_no_new_privs",
        filter,
    ),
    ("limits_and_umask_are_set", limits),
    ("signals_begin_with_their_default_action", signals),
    ("the_oom_score_is_set", oom),
    ("scheduling_is_set", scheduling),
    ("the_cgroup_is_entered_in_every_hierarchy", cgroups),
    ("streams_belong_to_the_user", stream_owner),
];

fn status(bed: &Bed) -> String {
    bed.output()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
        .unwrap_or_else(|| panic!("no {name} in {status}"))
}

const DOCKERS: &str = "00000000a80425fb";

fn capabilities() {
    let text = status(&Bed::new(&["cat", "/proc/self/status"]));
    for name in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(field(&text, name), DOCKERS, "{name}");
    }
    for name in ["CapInh", "CapAmb"] {
        assert_eq!(field(&text, name), "0000000000000000", "{name}");
    }
    let mut none = Bed::new(&["cat", "/proc/self/status"]);
    none.process().capabilities = None;
    let text = status(&none);
    assert_eq!(field(&text, "CapBnd"), "0000000000000000");
    assert_eq!(field(&text, "CapEff"), "0000000000000000");
    let mut unknown = Bed::new(&["true"]);
    unknown.process().capabilities = Some(Capabilities {
        bounding: strings(&["CAP_SYS_RESOURCE", "CAP_OF_TOMORROW"]),
        permitted: strings(&["CAP_SYS_RESOURCE"]),
        effective: strings(&["CAP_SYS_RESOURCE"]),
        ..Capabilities::default()
    });
    assert_eq!(
        unknown.run().expect("what is not granted is left out").code,
        0
    );
}

fn user_capabilities() {
    let mut bed = Bed::new(&["cat", "/proc/self/status"]);
    bed.process().user.uid = 1000;
    let text = status(&bed);
    assert_eq!(field(&text, "CapEff"), "0000000000000000");
    assert_eq!(field(&text, "CapPrm"), "0000000000000000");
    assert_eq!(field(&text, "CapBnd"), DOCKERS);
}

fn ambient() {
    let mut bed = Bed::new(&["cat", "/proc/self/status"]);
    bed.process().user.uid = 1000;
    let one = strings(&["CAP_NET_BIND_SERVICE"]);
    bed.process().capabilities = Some(Capabilities {
        bounding: one.clone(),
        permitted: one.clone(),
        effective: one.clone(),
        inheritable: one.clone(),
        ambient: one,
    });
    let text = status(&bed);
    for name in ["CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"] {
        assert_eq!(field(&text, name), "0000000000000400", "{name}");
    }
}

fn descriptors() {
    // A descriptor that somebody left open without close-on-exec.
    let leak = std::fs::File::open("/").expect("/");
    let leaked = rustix::io::dup(&leak).expect("dup");
    let said = Bed::sh("ls /proc/self/fd; set -- /proc/$$/fd/*; echo $#").output();
    drop(leaked);
    // One more is open while the folder is read.
    assert_eq!(said, "0\n1\n2\n3\n4\n");
}

fn ids() {
    let mut bed = Bed::new(&["cat", "/proc/self/status"]);
    let user = &mut bed.process().user;
    user.uid = 1000;
    user.gid = 1001;
    user.additional_gids = vec![5, 7];
    let text = status(&bed);
    assert_eq!(field(&text, "Uid"), "1000\t1000\t1000\t1000");
    assert_eq!(field(&text, "Gid"), "1001\t1001\t1001\t1001");
    assert_eq!(field(&text, "Groups").trim(), "5 7");
    assert_eq!(field(&text, "NSpid"), "1");
}

fn no_new_privileges() {
    let mut bed = Bed::new(&["cat", "/proc/self/status"]);
    assert_eq!(field(&status(&bed), "NoNewPrivs"), "0");
    bed.process().no_new_privileges = true;
    assert_eq!(field(&status(&bed), "NoNewPrivs"), "1");
}

/// `mkdir` and `mkdirat` fail with ENOSPC, all else passes: load nr; jeq 83; jeq 258; allow; errno.
fn refuse_mkdir() -> Vec<u8> {
    let program: [(u16, u8, u8, u32); 5] = [
        (0x20, 0, 0, 0),
        (0x15, 2, 0, 83),
        (0x15, 1, 0, 258),
        (0x06, 0, 0, 0x7fff_0000),
        (0x06, 0, 0, 0x0005_0000 | 28),
    ];
    program
        .iter()
        .flat_map(|(code, yes, no, value)| {
            let mut bytes = code.to_ne_bytes().to_vec();
            bytes.extend([*yes, *no]);
            bytes.extend(value.to_ne_bytes());
            bytes
        })
        .collect()
}

fn filter() {
    for (uid, no_new_privileges) in [(0, false), (0, true), (1000, false), (1000, true)] {
        let mut bed = Bed::sh("grep Seccomp: /proc/self/status; mkdir /tmp/x; true");
        bed.seccomp = Some(refuse_mkdir());
        bed.process().user.uid = uid;
        bed.process().no_new_privileges = no_new_privileges;
        let outcome = bed.run().expect("runs");
        assert_eq!(outcome.stdout, "Seccomp:\t2\n", "{outcome:?}");
        assert!(outcome.stderr.contains("No space left"), "{outcome:?}");
    }
}

fn limits() {
    let mut bed =
        Bed::sh("ulimit -n; ulimit -Hn; umask; touch /tmp/f; stat -c %a /tmp/f; rm /tmp/f");
    bed.process().rlimits = vec![Rlimit {
        kind: "RLIMIT_NOFILE".to_owned(),
        hard: 2000,
        soft: 1000,
    }];
    bed.process().user.umask = Some(0o077);
    assert_eq!(bed.output(), "1000\n2000\n0077\n600\n");
    bed.process().rlimits.clear();
    bed.process().user.umask = None;
    assert!(bed.output().ends_with("0022\n644\n"));
}

fn signals() {
    // Rust ignores SIGPIPE; an ignored signal would stay so through the exec.
    let text = status(&Bed::new(&["cat", "/proc/self/status"]));
    assert_eq!(field(&text, "SigIgn"), "0000000000000000");
    assert_eq!(field(&text, "SigBlk"), "0000000000000000");
}

fn oom() {
    let mut bed = Bed::new(&["cat", "/proc/self/oom_score_adj"]);
    bed.process().oom_score_adj = Some(500);
    assert_eq!(bed.output(), "500\n");
}

fn scheduling() {
    let mut bed = Bed::sh("awk '{print $19, $41}' /proc/self/stat");
    bed.process().scheduler = Some(oci::runtime::Scheduler {
        policy: "SCHED_BATCH".to_owned(),
        nice: Some(5),
        ..Default::default()
    });
    bed.process().io_priority = Some(oci::runtime::IoPriority {
        class: "IOPRIO_CLASS_IDLE".to_owned(),
        priority: 0,
    });
    // Nice value, and policy 3: batch.
    assert_eq!(bed.output(), "5 3\n");
}

fn cgroups() {
    let bed = Bed::new(&["sleep", "5"]).grouped();
    let running = bed.start();
    let text =
        std::fs::read_to_string(format!("/proc/{}/cgroup", running.started.pid)).expect("it runs");
    let own = format!("/{}", bed.id);
    assert!(text.lines().all(|line| line.ends_with(&own)), "{text}");
    let inside = running.exec_sh("cat /proc/self/cgroup; ls /sys/fs/cgroup; cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs | sort | head -1");
    // Its own cgroup namespace: it sees itself at the root.
    assert!(
        inside
            .stdout
            .lines()
            .take_while(|line| line.contains(':'))
            .all(|line| line.ends_with(":/")),
        "{inside:?}"
    );
    assert!(inside.stdout.ends_with("\n1\n"), "{inside:?}");
    running.kill();
}

fn stream_owner() {
    let mut bed = Bed::sh("echo again > /dev/stdout");
    bed.process().user.uid = 1000;
    bed.process().user.gid = 1000;
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
    let stdio = runtime::Stdio::Pipes {
        stdin: std::fs::File::open("/dev/null").expect("/dev/null").into(),
        stdout: writer.try_clone().expect("dup"),
        stderr: writer,
    };
    let started = runtime::run(bed.create(stdio)).expect("started");
    let mut said = [0; 100];
    let len = rustix::io::read(&reader, &mut said).expect("a pipe");
    assert_eq!(&said[..len], b"again\n");
    assert_eq!(crate::testbed::wait(&started.pidfd), 0);
}
