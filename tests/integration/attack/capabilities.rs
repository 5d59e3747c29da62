//! Capabilities (CVE-2022-24769, CVE-2022-29162): nothing to inherit, and an exec never gets more than its container.

use testkit::{Container, proc};

use super::support::compile;

const NONE: &str = "0000000000000000";

fn numbers(status: &str) -> [u64; 5] {
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|field| {
        let text = proc::field_of(status, field).expect("the kernel tells");
        u64::from_str_radix(&text, 16).expect("hexadecimal")
    })
}

#[test]
fn nothing_is_inheritable_or_ambient_on_any_way_in() {
    let engine = testkit::engine();
    engine.ok("run -d --name plain busybox sleep 600");
    engine.ok("run -d --name init --init busybox sleep 600");
    engine.ok("run -d --name user -u guest busybox sleep 600");
    engine.ok("run -d --name all --cap-add ALL busybox sleep 600");
    for name in ["plain", "init", "user", "all"] {
        let container = Container::new(&engine, name.to_owned());
        for field in ["CapInh", "CapAmb"] {
            assert_eq!(container.status(field), NONE, "{name} {field}");
        }
        for options in ["", "-u guest", "-t", "--privileged"] {
            let status = engine.ok(&format!("exec {options} {name} cat /proc/self/status"));
            let [inheritable, .., ambient] = numbers(&status.replace('\r', ""));
            assert_eq!((inheritable, ambient), (0, 0), "exec {options} {name}");
        }
    }
}

#[test]
fn an_exec_is_bounded_by_its_container() {
    let engine = testkit::engine();
    for options in [
        "",
        "--cap-drop ALL",
        "--cap-drop ALL --cap-add CHOWN",
        "-u guest",
        "--cap-add SYS_ADMIN",
    ] {
        let container = engine.run(&format!("{options} busybox sleep 600"));
        let bound = u64::from_str_radix(&container.status("CapBnd"), 16).expect("hexadecimal");
        for way in ["", "-u 0", "-u guest"] {
            let status = engine.ok(&format!(
                "exec {way} {} cat /proc/self/status",
                container.id()
            ));
            let [_, permitted, effective, own, _] = numbers(&status);
            assert_eq!(own, bound, "{options}: exec {way}");
            assert_eq!((permitted | effective) & !bound, 0, "{options}: exec {way}");
        }
    }
}

#[test]
fn no_new_privileges_holds_for_execs_and_set_user_id_programs() {
    let engine = testkit::engine();
    let container = engine.run("-u guest --security-opt no-new-privileges busybox sleep 600");
    assert_eq!(container.status("NoNewPrivs"), "1");
    let program = compile(
        &engine,
        "whoami",
        "#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf(\"%d\\n\", geteuid()); }",
    );
    let script = "chown root /tmp/su && chmod 4755 /tmp/su";
    engine.ok(&format!(
        "cp {} {}:/tmp/su",
        program.display(),
        container.id()
    ));
    let make = ["exec", "-u", "0", container.id(), "sh", "-c", script];
    engine.cli_words(make).run().success();
    let status = container.exec("cat /proc/self/status");
    assert_eq!(proc::field_of(&status, "NoNewPrivs").as_deref(), Some("1"));
    assert_eq!(container.exec("/tmp/su"), "1000");
    // Without the option the same program does become root: the story above is not true by accident.
    let other = engine.run("-u guest busybox sleep 600");
    engine.ok(&format!("cp {} {}:/tmp/su", program.display(), other.id()));
    let make = ["exec", "-u", "0", other.id(), "sh", "-c", script];
    engine.cli_words(make).run().success();
    assert_eq!(other.exec("/tmp/su"), "0");
}
