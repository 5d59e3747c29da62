//! Raw streams for clients of every age: those that ask to upgrade, and old ones that are answered 200.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use testkit::{Engine, http};

/// Sends a request without `Upgrade`, with bytes of input right behind it.
fn old_client(engine: &Engine, path: &str, body: &str, early: &str) -> UnixStream {
    let mut stream = UnixStream::connect(engine.socket()).expect("it listens");
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).expect("a socket of ours");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let whole = format!("{head}{body}{early}");
    stream.write_all(whole.as_bytes()).expect("it reads");
    stream
}

/// The answer to its end: what stands behind the head.
fn raw_part(mut stream: UnixStream) -> Vec<u8> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the stream ends");
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";
    let text = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with(head), "{text}");
    answer[head.len()..].to_vec()
}

fn frame(stream: u8, text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("a short text");
    [&[stream, 0, 0, 0, 0, 0, 0, len], text.as_bytes()].concat()
}

#[test]
fn an_old_client_attaches_and_hears_until_the_end() {
    let engine = testkit::engine();
    let container = engine.run("-i busybox sh -c 'read line; echo got $line; echo oh >&2'");
    let path = format!(
        "/v1.24/containers/{}/attach?stream=1&stdin=1&stdout=1&stderr=1",
        container.id()
    );
    let mut stream = old_client(&engine, &path, "", "");
    stream.write_all(b"it\n").expect("it reads");
    let heard = raw_part(stream);
    let (out, err) = (frame(1, "got it\n"), frame(2, "oh\n"));
    let either = [[out.clone(), err.clone()].concat(), [err, out].concat()];
    assert!(
        either.contains(&heard),
        "{}",
        String::from_utf8_lossy(&heard)
    );
}

#[test]
fn an_old_client_execs_with_input_that_came_along() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let path = format!("/v1.24/containers/{}/exec", container.id());
    let config = json!({"Cmd": ["cat"], "AttachStdin": true, "AttachStdout": true});
    let (status, made) = engine.api("POST", &path, Some(&config));
    assert_eq!(status, 201, "{made}");
    let path = format!("/v1.24/exec/{}/start", made["Id"].as_str().expect("an id"));
    // Docker forgets what came with the head; that is no reason to.
    let early = if Engine::is_peer() { "" } else { "early " };
    let mut stream = old_client(&engine, &path, "{\"Detach\":false}", early);
    std::thread::sleep(testkit::ms(300));
    stream.write_all(b"late\n").expect("it reads");
    stream.shutdown(Shutdown::Write).expect("a socket of ours");
    let mut text = String::new();
    let heard = raw_part(stream);
    let mut rest = heard.as_slice();
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let (payload, next) = after.split_at(usize::from(head[7]));
        text.push_str(&String::from_utf8_lossy(payload));
        rest = next;
    }
    assert_eq!(text, format!("{early}late\n"));
}

#[test]
fn wrong_detach_keys_are_refused_before_the_stream_begins() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let path = format!(
        "/containers/{}/attach?stream=1&stdout=1&detachKeys=nonsense",
        container.id()
    );
    let answer = http::raw(&engine.socket(), "POST", &path, None).expect("an answer");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(text.contains("keys (nonsense) provided"), "{text}");
    let line = format!("attach --detach-keys nonsense {}", container.id());
    assert_eq!(engine.docker(&line).run().code, 1);
}

#[test]
fn a_refusal_reaches_a_client_in_the_middle_of_sending() {
    let engine = testkit::engine();
    let file = engine.root().join("large");
    std::fs::write(&file, vec![0; 8 << 20]).expect("a file of ours");
    let line = format!("import -c NONSENSE {} x:1", file.display());
    for client in [engine.cli(&line), engine.docker(&line)] {
        let error = client.run().failure(1);
        let expected = [
            "unknown instruction: NONSENSE",
            "nonsense is not a valid change command",
        ];
        assert!(expected.iter().any(|text| error.contains(text)), "{error}");
    }
}
