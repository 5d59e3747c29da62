//! Terminals: copied to ours, or handed over a socket.

use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;
use testkit::{Bundle, Pty};

#[test]
fn a_foreground_run_shows_the_containers_terminal_on_ours() {
    let mut bundle = Bundle::sh(
        "tty; stty size; test -c /dev/console && echo console; trap 'stty size' WINCH; \
         while :; do read x; case $x in '') ;; *) echo got $x; exit 5;; esac; done",
    );
    bundle.set("/process/terminal", json!(true));
    let mut pty =
        Pty::start(&bundle.runtime(&format!("run -b {} {}", bundle.folder.display(), bundle.id)));
    pty.await_text("/dev/pts/0");
    pty.await_text("24 80");
    pty.await_text("console");
    assert!(!pty.is_cooked());
    pty.resize(33, 99);
    pty.type_keys("\r");
    pty.await_text("33 99");
    pty.type_keys("word\r");
    pty.await_text("got word");
    assert_eq!(pty.finish(), 5);
    assert!(pty.is_cooked(), "our terminal is as it was");
    assert!(bundle.leftovers().is_empty());
}

/// Takes the master that the runtime sends.
pub(super) fn receive(listener: &UnixListener) -> std::fs::File {
    let (stream, _) = listener.accept().expect("the runtime connects");
    let mut name = [0u8; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &stream,
        &mut [IoSliceMut::new(&mut name)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .expect("a message");
    assert!(received.bytes > 0, "its name comes along");
    let mut fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.next().expect("a descriptor").into()
}

#[test]
fn a_console_socket_receives_the_master_from_create_and_exec() {
    let mut bundle = Bundle::sh("tty; exec sleep 100");
    bundle.set("/process/terminal", json!(true));
    let listener = UnixListener::bind(bundle.folder.join("console.sock")).expect("a free name");
    assert_eq!(
        bundle.detached("create --console-socket console.sock ID"),
        0,
        "{}",
        bundle.text("err")
    );
    let mut master = receive(&listener);
    bundle.ok("start ID");
    let mut text = [0u8; 64];
    let len = master.read(&mut text).expect("the program writes");
    assert_eq!(String::from_utf8_lossy(&text[..len]).trim(), "/dev/pts/0");

    assert_eq!(
        bundle.detached("exec -d -t --console-socket console.sock ID sh -c 'tty; sleep 9'"),
        0,
        "{}",
        bundle.text("err")
    );
    let mut second = receive(&listener);
    let len = second.read(&mut text).expect("the program writes");
    assert_eq!(String::from_utf8_lossy(&text[..len]).trim(), "/dev/pts/1");
}

#[test]
fn a_terminal_that_nobody_serves_is_refused() {
    let mut bundle = Bundle::sh("true");
    let error = bundle.fails(1, "create --console-socket x ID");
    assert!(error.contains("cannot use console socket if"), "{error}");
    bundle.set("/process/terminal", json!(true));
    let error = bundle.fails(1, "create ID");
    assert!(error.contains("cannot allocate tty if"), "{error}");
    assert!(bundle.leftovers().is_empty());
}
