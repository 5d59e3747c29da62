//! Attached clients: frames and raw bytes, input and its end, leaving and being slow.

use std::io::Read;

use shim::protocol::{Event, Request, Target};

use crate::testkit::{Kit, Test, close_input, read_all, read_until, type_in, unframe};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_client_that_has_closed_is_no_delay_at_the_end", closed),
    (
        "a_client_that_closed_before_the_end_is_no_delay",
        closed_before_the_end,
    ),
    (
        "a_client_attached_before_the_start_misses_no_byte",
        before_start,
    ),
    ("input_reaches_the_program_and_its_end_too", stdin_once),
    ("a_terminal_is_raw_resizable_and_echoes", terminal),
    ("the_keys_detach_and_the_container_goes_on", keys),
    ("several_clients_see_the_same", several),
    ("attaching_after_the_end_closes_at_once", after_end),
    ("a_slow_client_loses_no_byte_and_slows_the_container", slow),
    ("a_dead_client_does_not_stop_the_container", dead),
    (
        "a_stuck_client_does_not_keep_the_end_from_being_told",
        stuck,
    ),
];

fn before_start(kit: &Kit) {
    let mut container = kit.prepare("echo out; echo err >&2").spawn();
    let client = container.attach(Target::Init, false, b"");
    close_input(&client); // as docker's client does without -i
    container.start();
    let (out, err) = unframe(&read_all(&client));
    assert_eq!((out, err), (b"out\n".to_vec(), b"err\n".to_vec()));
    container.wait();
    assert!(container.log_text().contains("out\n"));
}

fn stdin_once(kit: &Kit) {
    let mut container = kit.prepare("cat; echo end of input").stdin().spawn();
    let client = container.attach(Target::Init, true, b"");
    container.start();
    let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            type_in(&client, text.as_bytes());
            close_input(&client);
        });
        let (out, _) = unframe(&read_all(&client));
        assert!(out == (text.clone() + "end of input\n").into_bytes());
    });
    assert_eq!(container.wait().code, 0);
}

fn terminal(kit: &Kit) {
    let mut container = kit
        .prepare("stty size; tty; read x; stty size; echo got=$x")
        .terminal()
        .spawn();
    let client = container.attach(Target::Init, true, b"\x10\x11");
    container.start();
    read_until(&client, "/dev/");
    container.send(&Request::Resize {
        target: Target::Init,
        height: 33,
        width: 77,
    });
    type_in(&client, b"hello\n");
    let seen = read_until(&client, "got=hello\r\n");
    assert!(seen.contains("33 77"), "{seen:?}");
    assert!(
        seen.starts_with("hello\r\n") || seen.contains("hello\r\n33 77"),
        "echo: {seen:?}"
    );
    assert_eq!(container.wait().code, 0);
    assert!(
        container.log_text().contains("got=hello\r\n"),
        "a terminal is logged raw"
    );
}

fn keys(kit: &Kit) {
    let mut container = kit.prepare("cat").terminal().spawn();
    let client = container.attach(Target::Init, true, b"\x10\x11");
    container.start();
    type_in(&client, b"before\n");
    read_until(&client, "before\r\nbefore\r\n");
    type_in(&client, b"\x10");
    type_in(&client, b"\x11after\n");
    let by_keys = container.expect(|event| match event {
        Event::Detached { target, by_keys } if *target == Target::Init => Some(*by_keys),
        _ => None,
    });
    assert!(by_keys);
    assert!(read_all(&client).is_empty(), "the stream has ended");
    let again = container.attach(Target::Init, true, b"");
    type_in(&again, b"again\n\x04");
    let seen = read_until(&again, "again\r\nagain\r\n");
    assert!(
        !seen.contains("after"),
        "nothing behind the keys was input: {seen:?}"
    );
    assert_eq!(container.wait().code, 0);
}

fn several(kit: &Kit) {
    let mut container = kit.prepare("read x; echo $x; echo err >&2").stdin().spawn();
    let clients = [
        container.attach(Target::Init, false, b""),
        container.attach(Target::Init, true, b""),
        container.attach(Target::Init, false, b""),
    ];
    container.start();
    type_in(&clients[1], b"word\n");
    for client in &clients {
        let (out, err) = unframe(&read_all(client));
        assert_eq!((out, err), (b"word\n".to_vec(), b"err\n".to_vec()));
    }
    container.wait();
}

fn after_end(kit: &Kit) {
    let mut container = kit.run("true");
    container.wait();
    let client = container.attach(Target::Init, true, b"");
    assert!(read_all(&client).is_empty());
}

fn slow(kit: &Kit) {
    const LINE: &str = "a line of usual length, as programs write them by the thousand";
    const BYTES: usize = (LINE.len() + 1) * 40_000;
    let script = format!("yes {LINE} | head -c {BYTES}; echo done >&2");
    let mut container = kit.prepare(&script).spawn();
    let client = container.attach(Target::Init, false, b"");
    container.start();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(
        container.log_text().len() < BYTES / 2,
        "while the client does not read, the container waits as at a full pipe"
    );
    let (mut got, mut block) = (Vec::new(), vec![0; 300_000]);
    loop {
        let n = (&client).read(&mut block).expect("read");
        if n == 0 {
            break;
        }
        got.extend_from_slice(&block[..n]);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let (out, err) = unframe(&got);
    assert_eq!((out.len(), err.as_slice()), (BYTES, &b"done\n"[..]));
    let line = format!("{LINE}\n").into_bytes();
    assert!(out.chunks(line.len()).all(|each| each == line));
    container.wait();
    assert_eq!(container.log_text().len(), BYTES + 5);
}

fn dead(kit: &Kit) {
    let mut container = kit.prepare("yes | head -c 4000000").spawn();
    let client = container.attach(Target::Init, false, b"");
    let other = container.attach(Target::Init, false, b"");
    container.start();
    drop(client);
    let (out, _) = unframe(&read_all(&other));
    assert_eq!(out.len(), 4_000_000, "the other client gets all");
    let by_keys = container.expect(|event| match event {
        Event::Detached { by_keys, .. } => Some(*by_keys),
        _ => None,
    });
    assert!(!by_keys);
    assert_eq!(container.wait().code, 0);
}

fn closed(kit: &Kit) {
    // More than a pipe and the client's queue take, so that the program can end only when somebody reads.
    let mut container = kit
        .prepare("yes | head -c 2000000 & sleep 0.3; kill $!; exit 4")
        .spawn();
    let client = container.attach(Target::Init, true, b"");
    container.start();
    std::thread::sleep(std::time::Duration::from_millis(600));
    let begin = std::time::Instant::now();
    drop(client);
    assert_eq!(container.wait().code, 4);
    let took = begin.elapsed();
    assert!(took.as_millis() < 1000, "told after {took:?}");
}

fn closed_before_the_end(kit: &Kit) {
    let mut container = kit.prepare("sleep 0.3; yes | head -c 2000000").spawn();
    let client = container.attach(Target::Init, true, b"");
    container.start();
    drop(client);
    let exit = container.wait();
    let millis = (logs::unix_nanos_now() - exit.at_unix_nanos) / 1_000_000;
    assert!(exit.code == 0 && millis < 1000, "told after {millis} ms");
}

fn stuck(kit: &Kit) {
    let mut container = kit
        .prepare("yes | head -c 2000000; echo last words >&2")
        .spawn();
    let client = container.attach(Target::Init, false, b"");
    container.start();
    std::thread::sleep(std::time::Duration::from_millis(200));
    container.signal(9, true);
    container.wait();
    drop(client);
    assert!(container.log_text().starts_with("y\ny\n"));
}
