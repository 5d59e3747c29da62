//! The API fed with what no client sends: it answers, refuses or hangs up, and goes on.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use testkit::{Engine, ms};

use super::support::soon;

/// Sends bytes as they are; what comes back within two seconds of silence.
fn send(engine: &Engine, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(engine.socket()).expect("it listens");
    stream.set_read_timeout(Some(ms(2000))).expect("a socket");
    stream.set_write_timeout(Some(ms(2000))).expect("a socket");
    drop(stream.write_all(bytes));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    bytes
}

#[track_caller]
fn check_alive(engine: &Engine) {
    let (status, _) = soon(ms(2000), "ping", || engine.api("GET", "/_ping", None));
    assert_eq!(status, 200, "{}", engine.daemon_log());
}

#[test]
fn malformed_requests_are_refused_and_survived() {
    let engine = testkit::engine();
    let pid = engine.daemon_pid();
    let long = "x".repeat(1 << 20);
    for bytes in [
        &b"\0\0\0\0"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /containers/json HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET /%ff%fe%00 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
        b"GET /v1.41/../../etc/passwd HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
        b"GET http://evil/containers/json HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
        b"POST /build HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n",
        format!("GET /{long} HTTP/1.1\r\n\r\n").as_bytes(),
        format!("GET /_ping HTTP/1.1\r\nHost: d\r\nX: {long}\r\n\r\n").as_bytes(),
        format!("GET /_ping HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(5000)).as_bytes(),
    ] {
        let answer = send(&engine, bytes);
        let fine = answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5");
        let head: String = answer.chars().take(60).collect();
        let start: String = String::from_utf8_lossy(bytes).chars().take(60).collect();
        assert!(fine || start.contains("evil") || start.starts_with("PRI"), "{start:?}: {head:?}");
        check_alive(&engine);
    }
    assert_eq!(engine.daemon_pid(), pid);
    assert!(
        !engine.daemon_log().contains("panicked"),
        "{}",
        engine.daemon_log()
    );
}

#[test]
fn hostile_json_is_refused_and_survived() {
    let engine = testkit::engine();
    let deep = "[".repeat(200_000);
    let nested = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    let wide = format!("{{\"Env\":[{}\"\"]}}", "\"A=b\",".repeat(300_000));
    let big = format!("{{\"Image\":\"{}\"}}", "x".repeat(5 << 20));
    let routes = [
        "/containers/create",
        "/volumes/create",
        "/networks/create",
        "/containers/x/exec",
        "/containers/x/update",
    ];
    for path in routes {
        for body in [
            "",
            "null",
            "1",
            "\"x\"",
            "[]",
            "{",
            "{}}",
            "\u{0}",
            r#"{"Image":{}}"#,
            r#"{"Image":null,"Image":"busybox"}"#,
            r#"{"HostConfig":{"Memory":1e400}}"#,
            r#"{"HostConfig":{"Memory":-99999999999999999999}}"#,
            r#"{"Image":"busybox","HostConfig":{"Binds":[null]}}"#,
            r#"{"Name":"\ud800"}"#,
            &deep,
            &nested,
            &wide,
            &big,
        ] {
            let answer = send(&engine, &post(path, body.as_bytes()));
            let status = answer.split(' ').nth(1).unwrap_or("none").to_owned();
            let start: String = body.chars().take(60).collect();
            let made = path == "/volumes/create"
                && ["{}", "null", r#"{"Image":{}}"#]
                    .iter()
                    .any(|b| body.starts_with(b));
            assert!(
                status.starts_with('4')
                    || status == "501"
                    || status == "none"
                    || status == "201" && (made || path == "/volumes/create"),
                "{path} {start:?}: {answer}"
            );
        }
        check_alive(&engine);
    }
    assert!(
        !engine.daemon_log().contains("panicked"),
        "{}",
        engine.daemon_log()
    );
    engine.ok("volume prune -af");
}

#[test]
fn memory_stays_bounded_whatever_is_sent() {
    let engine = testkit::engine();
    let before = testkit::proc::pss(engine.daemon_pid());
    let chunk = vec![b' '; 1 << 20];
    for path in ["/containers/create", "/volumes/create"] {
        let mut stream = UnixStream::connect(engine.socket()).expect("it listens");
        stream.set_write_timeout(Some(ms(2000))).expect("a socket");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        for _ in 0..200 {
            let sent = stream
                .write_all(b"100000\r\n")
                .and_then(|()| stream.write_all(&chunk))
                .and_then(|()| stream.write_all(b"\r\n"));
            if sent.is_err() {
                break; // it has hung up, as it should
            }
        }
    }
    check_alive(&engine);
    let grown = testkit::proc::pss(engine.daemon_pid()).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[test]
fn connections_that_say_nothing_keep_nobody_waiting() {
    let engine = testkit::engine();
    // An emulated machine takes its time for a run, with and without them.
    let begun = Instant::now();
    engine.ok("run --rm busybox true");
    let limit = ms(3000).max(begun.elapsed() * 2);
    let idle: Vec<UnixStream> = (0..400)
        .map(|at| {
            let mut stream = UnixStream::connect(engine.socket()).expect("it listens");
            if at % 2 == 0 {
                stream
                    .write_all(b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Le")
                    .expect("it reads");
            }
            stream
        })
        .collect();
    check_alive(&engine);
    soon(limit, "run", || engine.ok("run --rm busybox true"));
    drop(idle);
}
