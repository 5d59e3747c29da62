//! What is said when a program cannot be executed or a container not be made.

use runtime::Error;

use crate::Test;
use crate::testbed::{Bed, strings};

pub(crate) const TESTS: &[Test] = &[
    ("a_program_that_is_not_there_is_127", not_found),
    ("a_program_that_cannot_be_executed_is_126", not_executable),
    ("a_working_folder_that_is_a_file_is_told", bad_folder),
    ("a_missing_working_folder_is_made", made_folder),
    ("a_limit_above_ours_is_told", limit),
    ("a_mount_that_fails_is_named", bad_mount),
    ("what_is_not_built_is_refused", unsupported),
    ("nothing_is_left_of_a_failed_container", nothing_left),
];

fn failure(bed: &Bed) -> (i32, String) {
    let error: Error = match bed.run() {
        Ok(outcome) => panic!("it ran: {outcome:?}"),
        Err(error) => error,
    };
    (error.exit_code(), fault::chain(&error))
}

fn not_found() {
    assert_eq!(
        failure(&Bed::new(&["foo"])),
        (
            127,
            "exec: \"foo\": executable file not found in $PATH".to_owned()
        )
    );
    assert_eq!(
        failure(&Bed::new(&["/bin/foo"])),
        (
            127,
            "exec: \"/bin/foo\": stat /bin/foo: no such file or directory".to_owned()
        )
    );
    let bed = Bed::new(&["/bin/script"]);
    script(&bed, "#!/no/interpreter\n", 0o755);
    assert_eq!(
        failure(&bed),
        (
            127,
            "exec /bin/script: no such file or directory".to_owned()
        )
    );
}

fn script(bed: &Bed, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let path = bed.layer().join("bin/script");
    std::fs::write(&path, text).expect("a file in our own folder");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("our own file");
}

fn not_executable() {
    assert_eq!(
        failure(&Bed::new(&["/etc/passwd"])),
        (126, "exec: \"/etc/passwd\": permission denied".to_owned())
    );
    assert_eq!(
        failure(&Bed::new(&["/etc"])),
        (126, "exec: \"/etc\": is a directory".to_owned())
    );
    let bed = Bed::new(&["script"]);
    script(&bed, "not a program", 0o755);
    assert_eq!(
        failure(&bed),
        (126, "exec /bin/script: exec format error".to_owned())
    );
    // As in a shell, a name that is not executable is passed over in PATH.
    let bed = Bed::new(&["script"]);
    script(&bed, "#!/bin/sh\n", 0o644);
    assert_eq!(failure(&bed).0, 127);
}

fn bad_folder() {
    let mut bed = Bed::new(&["true"]);
    bed.process().cwd = "/etc/passwd".to_owned();
    let (code, text) = failure(&bed);
    assert_eq!(code, 127);
    assert_eq!(
        text,
        "chdir to cwd (\"/etc/passwd\") set in config.json failed: not a directory"
    );
}

fn made_folder() {
    let mut bed = Bed::new(&["pwd"]);
    bed.process().cwd = "/made/by/us".to_owned();
    assert_eq!(bed.output(), "/made/by/us\n");
}

fn limit() {
    let mut bed = Bed::new(&["true"]);
    let ours = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    bed.process().rlimits = vec![oci::runtime::Rlimit {
        kind: "RLIMIT_NOFILE".to_owned(),
        hard: ours.expect("a kernel limits descriptors") + 1,
        soft: 1024,
    }];
    if sys::caps::get().expect("capget").permitted & 1 << 24 != 0 {
        println!("skipped: this machine grants CAP_SYS_RESOURCE");
        return;
    }
    let (code, text) = failure(&bed);
    assert_eq!(code, 125);
    assert!(
        text.contains("error setting rlimit RLIMIT_NOFILE") && text.contains("at most"),
        "{text}"
    );
}

fn bad_mount() {
    let mut bed = Bed::new(&["true"]);
    bed.spec.mounts.push(oci::runtime::Mount {
        destination: "/data".into(),
        kind: "tmpfs".to_owned(),
        source: "tmpfs".to_owned(),
        options: strings(&["nonsense=1"]),
        ..Default::default()
    });
    let (code, text) = failure(&bed);
    assert_eq!(code, 125);
    assert!(
        text.contains("error mounting \"tmpfs\" to rootfs at \"/data\"")
            && text.contains("nonsense"),
        "{text}"
    );
}

fn unsupported() {
    let mut bed = Bed::new(&["true"]);
    bed.linux().intel_rdt = Some(Default::default());
    let error = bed.run().expect_err("not built");
    assert!(fault::chain(&error).contains("linux.intelRdt"), "{error}");
}

fn nothing_left() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("procfs");
    let fds = std::fs::read_dir("/proc/self/fd").expect("procfs").count();
    for _ in 0..3 {
        failure(&Bed::new(&["foo"]));
    }
    assert_eq!(
        std::fs::read_to_string("/proc/self/mountinfo").expect("procfs"),
        mounts
    );
    assert_eq!(
        std::fs::read_dir("/proc/self/fd").expect("procfs").count(),
        fds
    );
    assert!(
        rustix::process::wait(rustix::process::WaitOptions::NOHANG).is_err(),
        "no child is left"
    );
}
