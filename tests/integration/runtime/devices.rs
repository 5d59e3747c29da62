//! Network devices of the host, and parts of the spec that this machine has not.

use std::process::Command;

use serde_json::{Value, json};
use testkit::{Bundle, command};

fn ip(line: &str) -> String {
    let mut ip = Command::new("ip");
    command::run(ip.args(testkit::words(line)), b"").success()
}

/// A pair of devices, gone with the story.
struct Pair(String);

impl Pair {
    /// `None` where the kernel has no such devices.
    fn make(name: &str) -> Option<Self> {
        let name = format!("{name}{}", std::process::id() % 100_000);
        let mut ip = Command::new("ip");
        let line = format!("link add {name}a type veth peer name {name}b");
        let made = command::run(ip.args(testkit::words(&line)), b"");
        if made.error().contains("not supported") {
            testkit::skip("this kernel has no veth devices");
            return None;
        }
        made.success();
        Some(Self(name))
    }

    fn a(&self) -> String {
        format!("{}a", self.0)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for end in ["a", "b"] {
            let name = format!("{}{end}", self.0);
            drop(command::run(
                Command::new("ip").args(["link", "del", &name]),
                b"",
            ));
        }
    }
}

/// What the container's network namespace has, as the kernel tells it.
fn inside(bundle: &Bundle, what: &str) -> Value {
    let pid = bundle.pid();
    let mut enter = Command::new("nsenter");
    enter.args(["-t", &pid.to_string(), "-n", "/bin/ip", "-j"]);
    enter.args(testkit::words(what));
    serde_json::from_str(&command::run(&mut enter, b"").success()).expect("JSON")
}

#[test]
fn a_device_of_the_host_becomes_the_containers_with_its_addresses() {
    if Bundle::is_peer() {
        return testkit::skip("the peer is older than netDevices");
    }
    let Some(pair) = Pair::make("esta") else {
        return;
    };
    ip(&format!("address add 198.51.100.7/24 dev {}", pair.a()));
    ip(&format!("address add 2001:db8::7/64 dev {}", pair.a()));
    ip(&format!("link set {} up", pair.a()));
    let mut bundle = Bundle::sh("exec sleep 100");
    bundle.spec["linux"]["netDevices"] = json!({ pair.a(): { "name": "inner0" } });
    bundle.start();
    let devices = inside(&bundle, "address show dev inner0");
    let flags = devices[0]["flags"].as_array().expect("flags");
    assert!(flags.contains(&json!("UP")), "{flags:?}");
    let addresses: Vec<String> = devices[0]["addr_info"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|each| each["scope"] == "global")
        .map(|each| {
            format!(
                "{}/{}",
                each["local"].as_str().unwrap_or(""),
                each["prefixlen"]
            )
        })
        .collect();
    assert_eq!(addresses, ["198.51.100.7/24", "2001:db8::7/64"]);
    let gone = command::run(Command::new("ip").args(["link", "show", &pair.a()]), b"");
    assert_ne!(gone.code, 0, "it is no longer on the host");
}

#[test]
fn a_name_with_a_pattern_is_the_first_free_one_also_in_a_user_namespace() {
    if Bundle::is_peer() {
        return testkit::skip("the peer is older than netDevices");
    }
    let (Some(first), Some(second)) = (Pair::make("estb"), Pair::make("estc")) else {
        return;
    };
    let mut bundle = Bundle::sh("exec sleep 100");
    bundle.spec["linux"]["netDevices"] =
        json!({ first.a(): { "name": "net%d" }, second.a(): { "name": "net%d" } });
    let list = bundle.spec["linux"]["namespaces"].as_array_mut();
    list.expect("a list").push(json!({ "type": "user" }));
    bundle.spec["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 0, "size": 65536 }]);
    bundle.spec["linux"]["gidMappings"] = bundle.spec["linux"]["uidMappings"].clone();
    bundle.start();
    let names: Vec<Value> = inside(&bundle, "link show")
        .as_array()
        .expect("a list")
        .iter()
        .map(|each| each["ifname"].clone())
        .collect();
    for name in ["net0", "net1"] {
        assert!(names.contains(&json!(name)), "{names:?}");
    }
}

#[test]
fn a_device_that_is_not_there_or_whose_name_is_taken_keeps_the_container_from_starting() {
    if Bundle::is_peer() {
        return testkit::skip("the peer is older than netDevices");
    }
    let mut bundle = Bundle::sh("true");
    bundle.spec["linux"]["netDevices"] = json!({ "nosuchdevice": {} });
    let error = bundle.fails(1, "run ID");
    assert!(
        error.contains("nosuchdevice") && error.contains("no such device"),
        "{error}"
    );
    let Some(pair) = Pair::make("estd") else {
        return;
    };
    bundle.spec["linux"]["netDevices"] = json!({ pair.a(): { "name": "lo" } });
    let error = bundle.fails(1, "run ID");
    assert!(error.contains("exists"), "{error}");
    ip(&format!("link show {}", pair.a()));
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn what_this_machine_cannot_do_is_refused_with_the_reason() {
    if Bundle::is_peer() {
        return testkit::skip("the peer's words are others");
    }
    let asked = [
        (
            "/sys/fs/resctrl/schemata",
            "linux",
            "intelRdt",
            json!({ "closID": "x" }),
            "resctrl",
        ),
        (
            "/sys/fs/selinux/enforce",
            "linux",
            "mountLabel",
            json!("a:b:c:s0"),
            "selinux is disabled",
        ),
        (
            "/sys/fs/selinux/enforce",
            "process",
            "selinuxLabel",
            json!("a:b:c:s0"),
            "selinux is disabled",
        ),
        (
            "/sys/module/apparmor",
            "process",
            "apparmorProfile",
            json!("x"),
            "apparmor not supported",
        ),
        (
            "/",
            "linux",
            "personality",
            json!({ "domain": "LINUX", "flags": ["X"] }),
            "unknown flag",
        ),
    ];
    for (there, part, member, value, words) in asked {
        if there != "/" && std::path::Path::new(there).exists() {
            continue;
        }
        let mut bundle = Bundle::sh("true");
        bundle.spec[part][member] = value;
        assert_eq!(bundle.detached("create ID"), 1, "{member}");
        let error = bundle.text("err");
        assert!(error.contains(words), "{member}: {error}");
        assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
    }
}

#[test]
fn capabilities_that_cannot_be_granted_are_warned_of() {
    let mut bundle = Bundle::sh("grep CapBnd /proc/self/status");
    bundle.set(
        "/process/capabilities/bounding",
        json!(["CAP_KILL", "CAP_NOSUCH"]),
    );
    let output = bundle.cli("run ID");
    assert_eq!(output.code, 0, "{}", output.error());
    assert!(
        output.text().ends_with("0000000000000020"),
        "{}",
        output.text()
    );
    assert!(
        output
            .error()
            .contains("ignoring unknown or unavailable capabilities: [CAP_NOSUCH]"),
        "{}",
        output.error()
    );
}

#[test]
fn a_remount_changes_what_is_there() {
    let mut bundle = Bundle::sh("touch /mnt/x; grep ' /mnt ' /proc/self/mountinfo");
    bundle.spec["mounts"].as_array_mut().expect("a list").extend([
        json!({ "destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["nodev"] }),
        json!({ "destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["remount", "ro", "nodev"] }),
    ]);
    let output = bundle.cli("run ID");
    assert!(
        output.error().contains("Read-only file system"),
        "{}",
        output.error()
    );
    assert_eq!(output.text().lines().count(), 1, "{}", output.text());
}
