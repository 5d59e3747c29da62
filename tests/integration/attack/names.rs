//! Ids and names that look like paths: on every route, none ever is one.

use serde_json::json;
use testkit::Engine;

use super::support::Secret;

const NAMES: [&str; 12] = [
    "..",
    ".",
    "../../etc",
    "..%2f..%2fetc",
    "%2e%2e%2f%2e%2e",
    "a/b",
    "a%00b",
    "%2fetc%2fpasswd",
    "-",
    "a\\b",
    "a%0ab",
    "~",
];

fn entries(engine: &Engine) -> Vec<String> {
    let mut all = Vec::new();
    for folder in ["data", "exec"] {
        let folder = engine.root().join(folder);
        for entry in std::fs::read_dir(folder).expect("the engine's").flatten() {
            all.push(entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let below = std::fs::read_dir(entry.path())
                    .into_iter()
                    .flatten()
                    .flatten();
                all.extend(below.map(|each| each.path().display().to_string()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_name_with_slashes_or_dots_reaches_no_file() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let before = entries(&engine);
    for name in NAMES {
        for (method, path) in [
            ("GET", format!("/containers/{name}/json")),
            ("GET", format!("/containers/{name}/logs?stdout=1")),
            ("GET", format!("/containers/{name}/archive?path=/")),
            ("GET", format!("/containers/{name}/export")),
            ("DELETE", format!("/containers/{name}?force=1&v=1")),
            ("POST", format!("/containers/{name}/start")),
            ("POST", format!("/containers/{name}/rename?name=x")),
            ("GET", format!("/exec/{name}/json")),
            ("POST", format!("/exec/{name}/resize?h=1&w=1")),
            ("GET", format!("/volumes/{name}")),
            ("DELETE", format!("/volumes/{name}?force=1")),
            ("GET", format!("/images/{name}/json")),
            ("DELETE", format!("/images/{name}?force=1")),
            ("GET", format!("/images/{name}/get")),
            ("GET", format!("/networks/{name}")),
        ] {
            let (status, answer) = engine.api(method, &path, None);
            let harmless = (300..500).contains(&status)
                || status == 501
                || (method == "DELETE" && status == 204);
            assert!(harmless, "{method} {path}: {status} {answer}");
        }
    }
    assert_eq!(entries(&engine), before);
    secret.is_safe_from("");
}

#[test]
fn nothing_can_be_made_under_such_a_name() {
    let engine = testkit::engine();
    let before = entries(&engine);
    let body = json!({"Image": "busybox", "Cmd": ["true"]});
    for name in NAMES {
        let path = format!("/containers/create?name={name}");
        let (status, answer) = engine.api("POST", &path, Some(&body));
        assert_eq!(status, 400, "{name}: {answer}");
    }
    for name in [
        "..",
        ".",
        "../x",
        "a/b",
        "/etc",
        "a\u{0}b",
        "",
        "-x",
        "a b",
        &"x".repeat(5000),
    ] {
        if !name.is_empty() {
            let (status, answer) =
                engine.api("POST", "/volumes/create", Some(&json!({"Name": name})));
            assert_eq!(status, 400, "{name:?}: {answer}");
        }
        let bind = json!({"Image": "busybox", "HostConfig": {"Binds": [format!("{name}:/x")]}});
        if !name.starts_with('/') {
            let (status, answer) = engine.api("POST", "/containers/create", Some(&bind));
            assert_eq!(status, 400, "{name:?}: {answer}");
        }
    }
    assert_eq!(entries(&engine), before);
}

#[test]
fn a_cgroup_parent_or_host_name_is_no_way_up() {
    let engine = testkit::engine();
    let group = engine.cgroup_parent();
    let beside = format!("{group}/..");
    for parent in [
        beside.as_str(),
        "../../..",
        "/../../..",
        "a/../../../b",
        "/\u{0}",
        "..",
    ] {
        let body =
            json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"CgroupParent": parent}});
        let (status, answer) = engine.api("POST", "/containers/create?name=up", Some(&body));
        if status == 201 {
            let (status, _) = engine.api("POST", "/containers/up/start", None);
            assert!(status >= 400, "{parent:?} was taken under {group}");
            engine.ok("rm -f up");
        } else {
            assert_eq!(status, 400, "{parent:?}: {answer}");
        }
    }
    for name in ["../../etc", "a\nb", "a/b", &"x".repeat(300)] {
        let output = engine
            .cli_words([
                "run",
                "--rm",
                "--hostname",
                name,
                "busybox",
                "cat",
                "/etc/hostname",
            ])
            .run();
        assert!(
            [0, 125].contains(&output.code),
            "{name:?}: {}",
            output.error()
        );
    }
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .expect("procfs")
            .lines()
            .count(),
        1
    );
}
