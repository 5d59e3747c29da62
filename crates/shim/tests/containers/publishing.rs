//! Published ports: what reaches the host's socket is passed on to the container's side.
//!
//! The container's side is played by a socket of the test's own: the shim connects to an address, whoever is there.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use shim::protocol::{Event, Request, Transport};

use crate::testkit::{Container, Kit, LONG, Test, await_that};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_connection_is_passed_on_whole_and_half_closes", whole),
    ("a_slow_client_holds_up_nobody_but_its_own_sender", slow),
    ("three_hundred_connections_go_at_once", many),
    ("a_port_that_nobody_serves_cuts_the_connection", refused),
    ("a_cut_connection_is_cut_on_the_other_side_too", cut),
    ("datagrams_find_their_way_back_to_each_client", datagrams),
    (
        "ports_work_on_without_a_daemon_and_end_with_the_container",
        ends,
    ),
    ("an_unpublished_port_is_free_again", unpublished),
    (
        "a_redirected_port_leads_elsewhere_and_stays_bound",
        redirected,
    ),
    (
        "programs_have_the_limit_of_descriptors_that_they_would_have",
        limits,
    ),
    ("flows_of_datagrams_are_bounded", bounded),
    (
        "a_flood_through_a_port_leaves_log_and_exec_their_turn",
        flood,
    ),
    ("a_descriptor_that_is_no_port_is_let_go", nonsense),
];

/// A listening socket and its address.
fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A published TCP port that leads to `target`.
fn publish(container: &Container, target: SocketAddr) -> SocketAddr {
    let (listener, address) = listener();
    container.publish(Transport::Tcp, listener.into(), target);
    address
}

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the port is bound");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_write_timeout(Some(LONG)).expect("a timeout");
    stream
}

/// Bytes that tell when one is missing or in the wrong place.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n / 7 + n / 1000) as u8).collect()
}

fn end(mut container: Container) {
    container.signal(9, true);
    container.wait();
}

fn whole(kit: &Kit) {
    let container = kit.run("sleep 100");
    let (service, target) = listener();
    let port = publish(&container, target);
    let server = thread::spawn(move || {
        let (mut stream, _) = service.accept().expect("a connection");
        let mut all = Vec::new();
        // Ends only when the client's half-close comes through.
        stream.read_to_end(&mut all).expect("read");
        all.reverse();
        stream.write_all(&all).expect("write");
    });
    let sent = bytes(20 << 20);
    let mut client = dial(port);
    client.write_all(&sent).expect("write");
    client.shutdown(Shutdown::Write).expect("half-close");
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("read");
    got.reverse();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    server.join().expect("the server");
    end(container);
}

fn slow(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    let (service, target) = listener();
    let port = publish(&container, target);
    let server = thread::spawn(move || {
        let (mut first, _) = service.accept().expect("a connection");
        first
            .set_write_timeout(Some(Duration::from_millis(300)))
            .expect("a timeout");
        let block = vec![7; 1 << 20];
        let begin = Instant::now();
        let mut taken = 0;
        while begin.elapsed() < LONG {
            match first.write(&block) {
                Ok(n) => taken += n,
                Err(_) => break, // nobody takes any more: held up
            }
        }
        // The second is served meanwhile.
        let (mut second, _) = service.accept().expect("a connection");
        second.write_all(b"quick").expect("write");
        drop(second);
        // And the first goes on when it is read.
        first.set_write_timeout(Some(LONG)).expect("a timeout");
        first.write_all(b"end").expect("write");
        taken
    });
    let mut sluggish = dial(port);
    thread::sleep(Duration::from_millis(500));
    let mut text = String::new();
    dial(port).read_to_string(&mut text).expect("read");
    assert_eq!(text, "quick");
    container.exec("e", "exit 3", false, false);
    assert_eq!(container.exec_code("e"), 3);
    let status = std::fs::read_to_string(format!("/proc/{}/status", container.shim));
    let status = status.expect("the shim lives");
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kib = line.and_then(|l| l.trim().split(' ').next()?.parse::<u64>().ok());
    assert!(
        kib.expect("a number") < 4096,
        "what nobody takes is not kept: {line:?}"
    );
    // It must not turn in circles either while nothing can be done.
    let before = cpu_ticks(container.shim);
    thread::sleep(Duration::from_millis(500));
    let spent = cpu_ticks(container.shim) - before;
    assert!(spent <= 5, "{spent} ticks of idling");
    let mut got = Vec::new();
    sluggish.read_to_end(&mut got).expect("read");
    let taken = server.join().expect("the server");
    assert_eq!((got.len(), got.ends_with(b"end")), (taken + 3, true));
    end(container);
}

/// User and system time of a process, in hundredths of a second.
fn cpu_ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let behind_name = stat.rsplit(')').next().expect("a name in brackets");
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let number = |at: usize| fields[at].parse::<u64>().expect("a number");
    number(11) + number(12)
}

fn many(kit: &Kit) {
    let container = kit.run("sleep 100");
    let (service, target) = listener();
    let port = publish(&container, target);
    let server = thread::spawn(move || {
        // All are open before the first is answered.
        let streams: Vec<TcpStream> = (0..300)
            .map(|_| service.accept().expect("a connection").0)
            .collect();
        for mut stream in streams {
            let mut word = [0; 4];
            stream.read_exact(&mut word).expect("read");
            stream.write_all(&word).expect("write");
        }
    });
    let mut clients: Vec<TcpStream> = (0..300).map(|_| dial(port)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.write_all(&(n as u32).to_be_bytes()).expect("write");
    }
    for (n, client) in clients.iter_mut().enumerate() {
        let mut word = [0; 4];
        client.read_exact(&mut word).expect("read");
        assert_eq!(u32::from_be_bytes(word) as usize, n);
    }
    server.join().expect("the server");
    drop(clients);
    await_that("the shim's descriptors closed", || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", container.shim));
        files.expect("it lives").count() < 40
    });
    end(container);
}

fn refused(kit: &Kit) {
    let container = kit.run("sleep 100");
    let (service, target) = listener();
    drop(service);
    let port = publish(&container, target);
    for _ in 0..3 {
        let mut byte = [0];
        match dial(port).read(&mut byte) {
            Ok(0) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
            Ok(_) => panic!("nobody wrote"),
        }
    }
    end(container);
}

fn cut(kit: &Kit) {
    let container = kit.run("sleep 100");
    let (service, target) = listener();
    let port = publish(&container, target);
    let client = dial(port);
    let (mut served, _) = service.accept().expect("a connection");
    served.set_read_timeout(Some(LONG)).expect("a timeout");
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("an option");
    drop(client);
    let error = served.read(&mut [0]).expect_err("cut, not ended");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    end(container);
}

fn datagrams(kit: &Kit) {
    let container = kit.run("sleep 100");
    let service = UdpSocket::bind("127.0.0.1:0").expect("a port");
    service.set_read_timeout(Some(LONG)).expect("a timeout");
    let target = service.local_addr().expect("an address");
    // Bound to every address, as published ports are.
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
    let number = socket.local_addr().expect("an address").port();
    container.publish(Transport::Udp, socket.into(), target);
    let clients: Vec<UdpSocket> = ["127.0.0.1", "127.0.0.1", "127.0.0.5"]
        .iter()
        .map(|server| {
            let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
            client.connect((*server, number)).expect("connect");
            client.set_read_timeout(Some(LONG)).expect("a timeout");
            client
        })
        .collect();
    let large = bytes(60_000);
    for round in 0..3u8 {
        for (n, client) in clients.iter().enumerate() {
            client.send(&[round, n as u8]).expect("send");
        }
        let mut asked = Vec::new();
        for _ in &clients {
            let mut word = [0; 16];
            let (got, from) = service.recv_from(&mut word).expect("receive");
            asked.push((word[..got].to_vec(), from));
        }
        // Answered in another order than they came.
        for (word, from) in asked.iter().rev() {
            let reply = [&word[..], &large].concat();
            service.send_to(&reply, from).expect("send");
        }
        for (n, client) in clients.iter().enumerate() {
            let mut reply = vec![0; 65_536];
            let got = client.recv(&mut reply).expect("receive");
            assert!(reply[..got] == [&[round, n as u8], &large[..]].concat());
        }
    }
    // A service that is gone for a while is found again.
    drop(service);
    for _ in 0..3 {
        clients[0].send(b"lost").expect("send");
        thread::sleep(Duration::from_millis(20));
    }
    let service = UdpSocket::bind(target).expect("the port is free");
    service.set_read_timeout(Some(LONG)).expect("a timeout");
    clients[0].send(b"found").expect("send");
    let mut word = [0; 16];
    let (got, _) = service.recv_from(&mut word).expect("receive");
    assert_eq!(&word[..got], b"found");
    end(container);
}

fn ends(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    let (service, target) = listener();
    let port = publish(&container, target);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let udp = socket.local_addr().expect("an address");
    container.publish(Transport::Udp, socket.into(), target);
    let mut old = dial(port);
    let (mut served, _) = service.accept().expect("a connection");
    container.disconnect();
    let mut word = [0; 4];
    served.write_all(b"word").expect("write");
    old.read_exact(&mut word).expect("it goes on");
    let mut new = dial(port);
    let (mut served, _) = service.accept().expect("a new one comes");
    served.write_all(b"more").expect("write");
    new.read_exact(&mut word).expect("read");
    assert!(matches!(
        container.reconnect(),
        Event::Hello { pid: Some(_), .. }
    ));
    container.signal(9, true);
    container.wait();
    // Told after the ports were closed: they can be had at once.
    let again = TcpListener::bind(port);
    assert!(
        again.is_ok() || TcpStream::connect(port).is_err(),
        "{again:?}"
    );
    UdpSocket::bind(udp).expect("the port is free");
    assert!(!matches!(old.read(&mut word), Ok(n) if n > 0));
}

fn unpublished(kit: &Kit) {
    let container = kit.run("sleep 100");
    let (service, target) = listener();
    let (gone, stays) = (publish(&container, target), publish(&container, target));
    let mut client = dial(gone);
    let _served = service.accept().expect("a connection");
    container.send(&Request::Unpublish {
        transport: Transport::Tcp,
        host: gone,
    });
    assert!(!matches!(client.read(&mut [0]), Ok(n) if n > 0));
    await_that("the port closed", || TcpStream::connect(gone).is_err());
    let _client = dial(stays);
    service.accept().expect("a connection");
    end(container);
}

fn redirected(kit: &Kit) {
    let container = kit.run("sleep 100");
    let ((before, target), (after, elsewhere)) = (listener(), listener());
    let port = publish(&container, target);
    let mut old = dial(port);
    let _served = before.accept().expect("a connection");
    container.send(&Request::Redirect {
        transport: Transport::Tcp,
        host: port,
        target: elsewhere,
    });
    assert!(!matches!(old.read(&mut [0]), Ok(n) if n > 0));
    TcpListener::bind(port).expect_err("nobody can have it meanwhile");
    let mut new = dial(port);
    let (mut served, _) = after.accept().expect("a connection");
    served.write_all(b"new").expect("write");
    new.read_exact(&mut [0; 3]).expect("read");
    end(container);
}

fn limits(kit: &Kit) {
    // Before its start and while it runs.
    let (service, target) = listener();
    let mut container = kit.prepare("echo first $(ulimit -n); sleep 100").spawn();
    let port = publish(&container, target);
    container.start();
    let _client = dial(port);
    service.accept().expect("a connection");
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let own = own
        .current
        .map_or("unlimited".to_owned(), |limit| limit.to_string());
    container.await_log(&format!("first {own}\n"));
    container.exec("e", &format!("[ $(ulimit -n) = {own} ]"), false, false);
    assert_eq!(container.exec_code("e"), 0);
    end(container);
}

fn nonsense(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    let (listener, address) = listener();
    let target = address;
    container.publish(Transport::Udp, listener.into(), target);
    let unbound = UdpSocket::bind("127.0.0.1:0").expect("a port");
    container.publish(Transport::Tcp, unbound.into(), target);
    container.send(&Request::Publish {
        transport: Transport::Tcp,
        target,
    });
    container.send(&Request::Unpublish {
        transport: Transport::Udp,
        host: target,
    });
    container.exec("e", "exit 4", false, false);
    assert_eq!(container.exec_code("e"), 4);
    await_that("the wrong socket closed", || {
        TcpStream::connect(address).is_err()
    });
    end(container);
}

fn bounded(kit: &Kit) {
    let container = kit.run("sleep 100");
    let service = UdpSocket::bind("127.0.0.1:0").expect("a port");
    service.set_read_timeout(Some(LONG)).expect("a timeout");
    let target = service.local_addr().expect("an address");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address");
    container.publish(Transport::Udp, socket.into(), target);
    let mut word = [0; 16];
    for n in 0..1200u32 {
        // From another port each time, and gone at once.
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
        client.send_to(&n.to_be_bytes(), port).expect("send");
        let (got, _) = service.recv_from(&mut word).expect("receive");
        assert_eq!(word[..got], n.to_be_bytes());
    }
    let files = std::fs::read_dir(format!("/proc/{}/fd", container.shim));
    let files = files.expect("it lives").count();
    assert!((900..1100).contains(&files), "{files} descriptors");
    end(container);
}

/// How long a container takes to write 60 MB of usual lines into a log that keeps the newest.
fn time_of_log(kit: &Kit, with: impl FnOnce(&mut Container)) -> Duration {
    let line = "x".repeat(119);
    let script = format!("read go; yes {line} | head -c 60000000");
    let mut container = kit.prepare(&script).stdin();
    container.launch.stdin_once = false;
    let mut container = container.log("local", &[("max-size", "20m")]).start();
    let input = container.attach(shim::protocol::Target::Init, true, b"");
    with(&mut container);
    let begin = Instant::now();
    // The client takes no output: only the log does.
    crate::testkit::type_in(&input, b"go\n");
    drop(input);
    container.wait();
    begin.elapsed()
}

#[expect(clippy::print_stdout, reason = "measurements are for the reader")]
fn flood(kit: &Kit) {
    let alone = time_of_log(kit, |_| {});
    let (service, target) = listener();
    let passed = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = passed.clone();
    thread::spawn(move || {
        let (mut stream, _) = service.accept().expect("a connection");
        let mut block = vec![0; 1 << 20];
        while let Ok(got @ 1..) = stream.read(&mut block) {
            count.fetch_add(got as u64, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let mut rate = 0.0;
    let beside = time_of_log(kit, |container| {
        let mut client = dial(publish(container, target));
        thread::spawn(move || {
            let block = vec![1; 1 << 20];
            while client.write_all(&block).is_ok() {}
        });
        // By itself for a while, which tells what goes through.
        let begin = Instant::now();
        thread::sleep(Duration::from_millis(500));
        let bytes = passed.load(std::sync::atomic::Ordering::Relaxed);
        rate = bytes as f64 / 1e6 / begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        container.exec("e", "exit 3", false, false);
        assert_eq!(container.exec_code("e"), 3);
        println!(
            "an exec beside a flood through a port: {:?}",
            begin.elapsed()
        );
        assert!(begin.elapsed() < Duration::from_secs(2));
    });
    println!(
        "through a port: {rate:.0} MB/s; 60 MB into the log: {alone:?} alone, {beside:?} beside it"
    );
    // Sender, receiver, container and shim share the machine: a fair part is left, not all.
    assert!(beside < alone * 8 + Duration::from_secs(2));
}
