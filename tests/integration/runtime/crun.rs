//! What crun's callers may ask for, and runc's may not.

use serde_json::{Value, json};
use testkit::{Bundle, eventually, proc};

/// How each container stands, by the end of its id.
fn standings(bundle: &Bundle) -> Vec<(String, String)> {
    let list: Value = serde_json::from_str(&bundle.ok("list --format json")).expect("JSON");
    let list = list.as_array().expect("a list");
    let text = |item: &Value, member: &str| item[member].as_str().expect("a text").to_owned();
    list.iter()
        .map(|item| {
            let id = text(item, "id");
            let end = id.rsplit('-').next().expect("there is one");
            (end.to_owned(), text(item, "status"))
        })
        .collect()
}

#[test]
fn a_pattern_names_several_containers() {
    let mut bundle = Bundle::sh("exec sleep 100");
    bundle.set("/linux/cgroupsPath", json!(""));
    for name in ["a1", "a2", "b1"] {
        let line = format!("run --detach ID-{name}");
        assert_eq!(bundle.detached(&line), 0, "{}", bundle.text("err"));
    }
    let are = |expected: &[(&str, &str)]| {
        let pair = |(name, standing): &(&str, &str)| (name.to_string(), standing.to_string());
        standings(&bundle) == expected.iter().map(pair).collect::<Vec<_>>()
    };
    bundle.ok("kill --regex ID-a[0-9]$ KILL");
    eventually("two have ended", || {
        are(&[("a1", "stopped"), ("a2", "stopped"), ("b1", "running")])
    });
    let delete = bundle.cli("delete -r ID-(a1|b1)");
    assert_eq!(delete.code, 0, "{}", delete.error());
    assert!(
        delete.error().contains("is not stopped: running"),
        "{}",
        delete.error()
    );
    assert!(are(&[("a2", "stopped"), ("b1", "running")]));
    let error = bundle.fails(1, "delete --regex --force ID-(");
    assert!(error.contains("not a regular expression"), "{error}");
    bundle.ok("delete -fr ID");
    assert!(are(&[]));
    for name in ["a1", "a2", "b1"] {
        assert!(testkit::cgroup::named(&format!("{}-{name}", bundle.id)).is_empty());
    }
}

#[test]
fn a_container_may_be_without_a_cgroup() {
    let bundle = Bundle::sh("exec sleep 100");
    let line = "--cgroup-manager disabled run --detach ID";
    assert_eq!(bundle.detached(line), 0, "{}", bundle.text("err"));
    assert!(bundle.text("err").contains("cgroups are disabled"));
    let pid = bundle.pid();
    let groups = |pid| proc::read(pid, "cgroup").expect("it runs");
    assert_eq!(groups(pid), groups(std::process::id().cast_signed()));
    assert_eq!(bundle.ok("exec ID echo inside"), "inside");
    for command in ["pause ID", "update --memory 64m ID", "ps ID"] {
        let error = bundle.fails(1, command);
        assert!(error.contains("made without a cgroup"), "{error}");
    }
    bundle.ok("kill --all ID KILL");
    bundle.await_status("stopped");
    bundle.ok("delete ID");
    assert!(!proc::is_alive(pid));
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}

#[test]
fn options_of_one_letter_stand_together() {
    let bundle = Bundle::sh("exec sleep 100");
    let folder = bundle.folder.display();
    let line = format!("run -db{folder} ID");
    assert_eq!(bundle.detached(&line), 0, "{}", bundle.text("err"));
    assert_eq!(
        bundle.ok("exec -u1000 -e A=b ID sh -c 'id -u; echo $A'"),
        "1000\nb"
    );
    bundle.ok("delete -f ID");
    assert_eq!(bundle.ok("spec -f other.json"), "");
    assert!(bundle.text("other.json").contains("ociVersion"));
    let error = bundle.fails(1, "--cgroup-manager=nothing list");
    assert!(error.contains("nothing"), "{error}");
}
