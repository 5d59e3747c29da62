//! Terminals: `-t`, resizing, leaving by the detach keys, and the mode of the user's own terminal.

use rustix::process::Signal;
use testkit::{Pty, eventually, proc};

#[test]
fn the_program_has_a_terminal_of_its_own() {
    let engine = testkit::engine();
    let mut pty = Pty::start(
        &engine
            .cli("run --rm -it busybox sh -c 'tty; sleep 0.5; stty size; exit 6'")
            .into_command(),
    );
    let code = pty.finish();
    let screen = pty.screen();
    assert_eq!(code, 6, "{screen}");
    assert!(screen.contains("/dev/pts/0"), "{screen}");
    assert!(screen.contains("24 80"), "{screen}");
    assert!(pty.is_cooked());
}

#[test]
fn the_size_is_right_from_the_first_moment() {
    if testkit::Engine::is_peer() {
        return testkit::skip("the peer of this age learns the size after the start");
    }
    let engine = testkit::engine();
    let mut pty = Pty::start(&engine.cli("run --rm -it busybox stty size").into_command());
    assert_eq!(pty.finish(), 0, "{}", pty.screen());
    assert!(pty.screen().contains("24 80"), "{}", pty.screen());
}

#[test]
fn keys_go_through_raw_and_ctrl_c_reaches_the_program() {
    let engine = testkit::engine();
    let script = "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.05; done";
    let mut pty = Pty::start(
        &engine
            .cli_words(["run", "--rm", "-it", "busybox", "sh", "-c", script])
            .into_command(),
    );
    pty.await_text("ready");
    assert!(!pty.is_cooked(), "keys are not interpreted on our side");
    pty.type_keys("\x03");
    assert_eq!(pty.finish(), 7, "{}", pty.screen());
    assert!(pty.screen().contains("interrupted"));
    assert!(pty.is_cooked(), "the terminal is as it was");
}

#[test]
fn a_new_window_size_arrives_inside() {
    let engine = testkit::engine();
    let mut pty = Pty::start(
        &engine
            .cli("run --rm -it --name sized busybox sh")
            .into_command(),
    );
    eventually("the first size has arrived", || {
        pty.type_keys("stty size\r");
        std::thread::sleep(testkit::ms(200));
        pty.screen().contains("24 80")
    });
    pty.resize(33, 111);
    proc::signal(pty.client_pid(), Signal::WINCH);
    eventually("the size has arrived", || {
        pty.type_keys("stty size\r");
        std::thread::sleep(testkit::ms(100));
        pty.screen().contains("33 111")
    });
    pty.type_keys("exit\r");
    assert_eq!(pty.finish(), 0);
}

#[test]
fn the_detach_keys_leave_the_container_running() {
    let engine = testkit::engine();
    let mut pty = Pty::start(&engine.cli("run -it --name left busybox sh").into_command());
    pty.await_text("/ #");
    pty.type_keys("echo bef''ore\r");
    pty.await_text("before");
    pty.type_keys("\x10\x11");
    assert_eq!(pty.finish(), 0, "{}", pty.screen());
    assert!(pty.is_cooked());
    assert_eq!(engine.inspect("left")["State"]["Status"], "running");
    let mut again = Pty::start(
        &engine
            .cli("attach --detach-keys ctrl-a,x left")
            .into_command(),
    );
    std::thread::sleep(testkit::ms(500));
    again.type_keys("echo second vis''it\r");
    again.await_text("second visit");
    again.type_keys("\x01x");
    again.finish();
    assert_eq!(engine.inspect("left")["State"]["Status"], "running");
}

#[test]
fn exec_has_a_terminal_too() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let mut pty = Pty::start(
        &engine
            .cli(&format!("exec -it {} sh", container.id()))
            .into_command(),
    );
    pty.await_text("/ #");
    pty.type_keys("tty; sleep 0.3; stty size; exit 8\r");
    assert_eq!(pty.finish(), 8, "{}", pty.screen());
    assert!(pty.screen().contains("24 80"), "{}", pty.screen());
    assert!(pty.is_cooked());
}

#[test]
fn a_terminal_is_refused_when_there_is_none() {
    let engine = testkit::engine();
    let error = engine.fails(1, "run --rm -it busybox true");
    assert!(error.contains("the input device is not a TTY"), "{error}");
}

#[test]
fn a_detached_container_can_have_a_terminal() {
    let engine = testkit::engine();
    let container = engine.run("-t busybox sh -c 'tty; sleep 60'");
    container.await_log("/dev/pts/0");
}
