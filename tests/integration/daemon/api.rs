//! The Engine API itself, spoken by hand, and the docker CLI as its client.

use serde_json::{Value, json};
use testkit::{Engine, http};

#[test]
fn versions_are_negotiated_from_1_24_up() {
    let engine = testkit::engine();
    let (status, version) = engine.api("GET", "/version", None);
    assert_eq!(status, 200);
    let newest = version["ApiVersion"].as_str().expect("text").to_owned();
    for version in ["1.24", "1.30", "1.41", newest.as_str()] {
        let (status, list) = engine.api("GET", &format!("/v{version}/containers/json"), None);
        assert_eq!((status, list), (200, json!([])), "{version}");
    }
    let (status, refusal) = engine.api("GET", "/v1.99/containers/json", None);
    assert_eq!(status, 400);
    assert!(
        refusal["message"]
            .as_str()
            .expect("text")
            .contains("too new"),
        "{refusal}"
    );
    if !Engine::is_peer() {
        let (status, _) = engine.api("GET", "/v1.20/containers/json", None);
        assert_eq!(status, 400);
    }
    let ping = http::raw(&engine.socket(), "HEAD", "/_ping", None).expect("an answer");
    let head = String::from_utf8_lossy(&ping).to_lowercase();
    assert!(head.contains(&format!("api-version: {newest}")), "{head}");
}

#[test]
fn errors_are_json_with_the_right_status() {
    let engine = testkit::engine();
    let ask =
        |method: &str, path: &str, body: Option<Value>| engine.api(method, path, body.as_ref());
    let check = |answer: (u16, Value), status: u16| {
        assert_eq!(answer.0, status, "{}", answer.1);
        assert!(answer.1["message"].is_string(), "{}", answer.1);
    };
    check(ask("GET", "/containers/nobody/json", None), 404);
    check(ask("GET", "/no/such/route", None), 404);
    check(
        ask(
            "POST",
            "/containers/create",
            Some(json!({"Image": "no-such-image"})),
        ),
        404,
    );
    check(
        ask(
            "POST",
            "/containers/create",
            Some(json!({"Image": "UPPER CASE"})),
        ),
        400,
    );
    check(
        ask(
            "POST",
            "/containers/create?name=bad%20name",
            Some(json!({"Image": "busybox"})),
        ),
        400,
    );
    if !Engine::is_peer() {
        let list = Some(json!(["not", "an", "object"]));
        check(ask("POST", "/containers/create", list), 400);
    }
    let container = engine.run("--name busy busybox sleep 60");
    check(
        ask(
            "POST",
            "/containers/create?name=busy",
            Some(json!({"Image": "busybox", "Cmd": ["true"]})),
        ),
        409,
    );
    check(
        ask("DELETE", &format!("/containers/{}", container.id()), None),
        409,
    );
    assert_eq!(
        ask(
            "POST",
            &format!("/containers/{}/start", container.id()),
            None
        )
        .0,
        304
    );
}

#[test]
fn hostile_requests_harm_nobody() {
    use std::io::{Read, Write};
    let engine = testkit::engine();
    let noise: [&[u8]; 6] = [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET /%zz%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"GET /v1.41/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for bytes in noise {
        let mut stream =
            std::os::unix::net::UnixStream::connect(engine.socket()).expect("it listens");
        drop(stream.write_all(bytes));
        drop(stream.set_read_timeout(Some(testkit::ms(500))));
        let mut answer = [0; 200];
        let len = stream.read(&mut answer).unwrap_or(0);
        assert!(
            !answer[..len].starts_with(b"HTTP/1.1 2"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let mut stream = std::os::unix::net::UnixStream::connect(engine.socket()).expect("it listens");
    let head = format!(
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        deep.len()
    );
    drop(stream.write_all(head.as_bytes()));
    drop(stream.write_all(deep.as_bytes()));
    let mut answer = [0; 200];
    let len = stream.read(&mut answer).unwrap_or(0);
    assert!(!answer[..len].starts_with(b"HTTP/1.1 2"));
    assert_eq!(engine.ok("run --rm busybox echo well"), "well");
}

#[test]
fn info_and_version_tell_about_this_machine() {
    let engine = testkit::engine();
    let (_, info) = engine.api("GET", "/info", None);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    assert_eq!(info["KernelVersion"], kernel.trim());
    assert_eq!(info["Images"], 1);
    assert_eq!(
        info["DockerRootDir"],
        engine.data_root().display().to_string()
    );
    assert!(info["MemTotal"].as_u64().expect("a number") > 0);
    let text = engine.ok("info --format '{{.Images}} {{.OSType}}'");
    assert_eq!(text, "1 linux");
    engine.ok("version --format '{{.Server.Version}}'");
    engine.ok("info");
}

#[test]
fn the_unmodified_docker_client_does_a_days_work() {
    let engine = testkit::engine();
    let ok = |line: &str| engine.docker(line).run().success();
    assert_eq!(ok("run --rm busybox echo hi"), "hi");
    let id = ok("run -d --name day -m 64m -v vol:/v busybox sh -c 'echo begun; sleep 60'");
    assert_eq!(ok("ps -q --no-trunc"), id);
    assert_eq!(ok("exec day echo in"), "in");
    assert_eq!(ok("logs day"), "begun");
    drop(ok("stop -t 0 day"));
    assert!(ok("ps -a").contains("Exited (137)"));
    drop(ok("commit day image:2"));
    drop(ok("rm -v day"));
    drop(ok("rmi image:2"));
    drop(ok("volume rm vol"));
    drop(ok("system df"));
    drop(ok("system prune -f"));
    assert_eq!(
        engine.docker("run --rm busybox sh -c 'exit 7'").run().code,
        7
    );
}
