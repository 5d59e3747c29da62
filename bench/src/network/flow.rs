//! Bytes through one TCP connection, sent and swallowed by threads of ours with sockets in the containers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use testkit::Place;

use super::contestant::Contestant;

const PORT: u16 = 5201;
const CHUNK: usize = 128 * 1024;
const SECONDS: Duration = Duration::from_millis(800);

/// Two containers of an engine, one of which swallows whatever comes.
#[derive(Debug)]
pub(super) struct Pair<'c> {
    contestant: &'c Contestant,
    sender: Place,
    sink: Sink,
    target: SocketAddr,
}

impl<'c> Pair<'c> {
    /// Starts them.
    pub(super) fn start(contestant: &'c Contestant) -> Self {
        contestant.ok(&format!(
            "run -d --name sink -p {PORT}:{PORT} busybox sleep 3600"
        ));
        contestant.ok("run -d --name sends busybox sleep 3600");
        let place = contestant.place("sink");
        Self {
            contestant,
            sender: contestant.place("sends"),
            target: SocketAddr::new(place.v4("eth0"), PORT),
            sink: Sink::start(&place),
        }
    }

    /// Gigabits per second from the one container to the other.
    pub(super) fn between(&self) -> f64 {
        self.sink.take(&self.sender, self.target)
    }

    /// The same where bridged frames pass the tables of ip, whoever wants it.
    pub(super) fn between_shown(&self) -> f64 {
        let before = self.contestant.show_bridged(true);
        let speed = self.between();
        self.contestant.show_bridged(before);
        speed
    }

    /// Gigabits per second from another host through the published port.
    pub(super) fn published(&self) -> f64 {
        let lan = &self.contestant.lan;
        self.sink
            .take(&lan.client, SocketAddr::new(lan.host.ip, PORT))
    }
}

/// What swallows; it ends when dropped.
#[derive(Debug)]
struct Sink {
    bytes: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    fn start(place: &Place) -> Self {
        let listener = place.within(|| TcpListener::bind(("0.0.0.0", PORT)));
        let listener = listener.expect("nobody else is in the container");
        let bytes = Arc::new(AtomicU64::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (bytes, over) = (Arc::clone(&bytes), Arc::clone(&over));
            move || swallow(&listener, &bytes, &over)
        });
        Self {
            bytes,
            over,
            thread: Some(thread),
        }
    }

    /// Sends for some seconds; counts what has come, not what has been sent.
    fn take(&self, from: &Place, to: SocketAddr) -> f64 {
        let stream = from.within(|| TcpStream::connect_timeout(&to, Duration::from_secs(5)));
        let mut stream = stream.unwrap_or_else(|error| panic!("{to}: {error}"));
        let chunk = vec![0x5a; CHUNK];
        // The window opens first, unmeasured.
        send_for(&mut stream, &chunk, SECONDS / 4);
        let (begun, before) = (Instant::now(), self.bytes.load(Ordering::Relaxed));
        send_for(&mut stream, &chunk, SECONDS);
        let (took, after) = (begun.elapsed(), self.bytes.load(Ordering::Relaxed));
        (after - before) as f64 * 8.0 / took.as_secs_f64() / 1e9
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn send_for(stream: &mut TcpStream, chunk: &[u8], time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        stream.write_all(chunk).expect("the sink is there");
    }
}

fn swallow(listener: &TcpListener, bytes: &AtomicU64, over: &AtomicBool) {
    drop(listener.set_nonblocking(true));
    let mut buffer = vec![0; CHUNK];
    while !over.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        drop(stream.set_nonblocking(false));
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            bytes.fetch_add(len as u64, Ordering::Relaxed);
        }
    }
}
