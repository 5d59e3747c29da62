//! `attach`: joining the streams of a running container.

use testkit::{eventually, ms};

#[test]
fn an_attached_client_sees_what_comes_and_the_exit_code() {
    let engine = testkit::engine();
    let container = engine.run("-i busybox sh -c 'read line; echo got $line; exit 4'");
    let mut client = engine.cli(&format!("attach {}", container.id())).start();
    std::thread::sleep(ms(300));
    client.write(b"hello\n");
    let output = client.finish();
    assert_eq!(
        (output.code, output.text()),
        (4, "got hello".to_owned()),
        "{}",
        output.error()
    );
}

#[test]
fn several_clients_hear_the_same() {
    let engine = testkit::engine();
    let container = engine.run("-i busybox sh -c 'read line; echo to all'");
    let attach = || engine.cli(&format!("attach {}", container.id())).start();
    let (mut one, two) = (attach(), attach());
    std::thread::sleep(ms(500));
    one.write(b"\n");
    assert_eq!(one.finish().text(), "to all");
    assert_eq!(two.finish().text(), "to all");
}

#[test]
fn a_client_without_stdin_takes_nothing_in() {
    let engine = testkit::engine();
    let container = engine.run("-i busybox sh -c 'read line; echo got $line'");
    let mut deaf = engine
        .cli(&format!("attach --no-stdin {}", container.id()))
        .start();
    std::thread::sleep(ms(300));
    deaf.write(b"ignored\n");
    std::thread::sleep(ms(300));
    assert_eq!(container.state(), "running");
    let mut talker = engine.cli(&format!("attach {}", container.id())).start();
    std::thread::sleep(ms(300));
    talker.write(b"heard\n");
    assert_eq!(talker.finish().text(), "got heard");
    eventually("the other client ends too", || deaf.is_over());
    assert_eq!(deaf.finish().text(), "got heard");
}

#[test]
fn a_container_that_does_not_run_refuses() {
    let engine = testkit::engine();
    engine.ok("create --name idle busybox true");
    let error = engine.fails(1, "attach idle");
    assert!(
        error.contains("cannot attach to a stopped container"),
        "{error}"
    );
}
