//! A system call filter that asks somebody outside, and who answers.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use sys::seccomp::{Answer, answer, receive};
use testkit::{Bundle, eventually};

/// The program believes that it made a folder; nobody has made one.
const SCRIPT: &str = "mkdir /tmp/x && test ! -e /tmp/x && echo answered; exec sleep 100";

fn asking(script: &str) -> Bundle {
    let mut bundle = Bundle::sh(script);
    bundle.set("/root/readonly", json!(false));
    bundle.spec["annotations"] = json!({ "of": "estiva" });
    bundle.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": bundle.folder.join("agent"),
        "listenerMetadata": "a word",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }],
    });
    bundle
}

/// An agent for one process: gives the state that it was sent, and says 0 to the first call.
fn agent(bundle: &Bundle) -> JoinHandle<Value> {
    let listener = UnixListener::bind(bundle.folder.join("agent")).expect("a free name");
    thread::spawn(move || {
        let (socket, _) = listener.accept().expect("the runtime comes");
        let (state, notifications) = take(socket.as_fd());
        let asked = receive(&notifications).expect("a call");
        answer(&notifications, asked.id, Answer::Value(0)).expect("it waits");
        state
    })
}

/// What a runtime sends to an agent: the state, and the descriptor that calls are told through.
pub(crate) fn take(socket: impl AsFd) -> (Value, OwnedFd) {
    let mut buffer = [0u8; 8192];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut buffer)];
    let received =
        recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC).expect("a message");
    let mut fds: Vec<OwnedFd> = control
        .drain()
        .flat_map(|each| match each {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        })
        .collect();
    let state: Value = serde_json::from_slice(&buffer[..received.bytes]).expect("JSON");
    assert_eq!(state["fds"], json!(["seccompFd"]));
    assert_eq!(fds.len(), 1);
    (state, fds.remove(0))
}

#[test]
fn the_listener_answers_the_containers_calls_and_those_of_execs() {
    let bundle = asking(SCRIPT);
    let first = agent(&bundle);
    bundle.start();
    let state = first.join().expect("no panic");
    eventually("it was answered", || bundle.text("out") == "answered\n");
    assert_eq!(state["metadata"], "a word");
    assert_eq!(state["pid"], bundle.pid());
    assert_eq!(state["state"]["pid"], bundle.pid());
    assert_eq!(state["state"]["id"], bundle.id.as_str());
    assert_eq!(state["state"]["annotations"]["of"], "estiva");
    assert_eq!(
        state["state"]["bundle"],
        bundle.folder.display().to_string()
    );

    std::fs::remove_file(bundle.folder.join("agent")).expect("it was there");
    let second = agent(&bundle);
    assert_eq!(bundle.ok("exec ID mkdir /tmp/y"), "");
    let state = second.join().expect("no panic");
    assert_ne!(state["pid"], bundle.pid());
    assert_eq!(state["state"]["pid"], bundle.pid());
    assert!(!bundle.folder.join("rootfs/tmp/y").exists());
}

#[test]
fn run_asks_too_with_and_without_new_privileges() {
    for confined in [true, false] {
        let mut bundle = asking("mkdir /tmp/x && test ! -e /tmp/x && echo answered");
        bundle.set("/process/noNewPrivileges", json!(confined));
        let answers = agent(&bundle);
        assert_eq!(bundle.ok("run ID"), "answered");
        let state = answers.join().expect("no panic");
        assert_eq!(state["state"]["status"], "creating");
    }
}

#[test]
fn a_container_that_nobody_answers_for_is_not_started() {
    let mut bundle = asking("echo ran");
    let error = bundle.fails(1, "run ID");
    assert!(error.contains("listener") || Bundle::is_peer(), "{error}");
    assert!(!error.contains("ran\n"), "{error}");
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
    let profile = bundle.spec["linux"]["seccomp"].as_object_mut();
    profile.expect("it is there").remove("listenerPath");
    let error = bundle.fails(1, "run ID");
    assert!(
        error.contains("listenerPath") || Bundle::is_peer(),
        "{error}"
    );
}
