//! Questions for a name at a steady pace, whatever the answers take.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use testkit::{Place, dns};

const PER_SECOND: u32 = 5_000;
const SECONDS: u32 = 5;

/// How long each answer took.
#[derive(Debug)]
pub(super) struct Asked {
    /// Questions sent.
    pub(super) sent: usize,
    /// Of those that were answered, sorted.
    took: Vec<Duration>,
}

impl Asked {
    /// The time within which this share of all questions was answered; those without an answer took forever.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let at = (self.sent as f64 * share) as usize;
        self.took.get(at).copied().unwrap_or(Duration::MAX)
    }

    /// Questions without an answer.
    pub(super) fn lost(&self) -> usize {
        self.sent - self.took.len()
    }
}

/// A time that a question took, in words when it took forever.
pub(super) fn text(took: Duration) -> String {
    match took {
        Duration::MAX => "never".to_owned(),
        took => format!("{:.3} ms", took.as_secs_f64() * 1000.0),
    }
}

/// Asks 5,000 times a second for five seconds.
pub(super) fn ask(place: &Place, server: SocketAddr, name: &str) -> Asked {
    let socket = place.within(|| UdpSocket::bind("0.0.0.0:0"));
    let socket = socket.expect("a socket in the container");
    socket.connect(server).expect("a route to the resolver");
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("a socket of ours");
    let count = u16::try_from(PER_SECOND * SECONDS).expect("ids are enough");
    let begun = Instant::now();
    let (sent, came) = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&socket, begun, count));
        let sent = send(&socket, begun, count, name);
        (sent, receiver.join().expect("the receiver does not panic"))
    });
    let pairs = sent.iter().zip(came);
    let mut took: Vec<Duration> = pairs
        .filter_map(|(sent, came)| Some(came?.saturating_sub(*sent)))
        .collect();
    took.sort_unstable();
    Asked {
        sent: sent.len(),
        took,
    }
}

fn send(socket: &UdpSocket, begun: Instant, count: u16, name: &str) -> Vec<Duration> {
    let mut packet = dns::question(name, dns::kind::A);
    let mut sent = Vec::with_capacity(usize::from(count));
    for id in 0..count {
        let due = Duration::from_secs(1) / PER_SECOND * u32::from(id);
        if let Some(early) = due.checked_sub(begun.elapsed()) {
            std::thread::sleep(early);
        }
        packet[..2].copy_from_slice(&id.to_be_bytes());
        sent.push(begun.elapsed());
        // A full buffer shows as a question without an answer.
        drop(socket.send(&packet));
    }
    sent
}

/// When each answer came, until all have or none comes any more.
fn receive(socket: &UdpSocket, begun: Instant, count: u16) -> Vec<Option<Duration>> {
    let mut came = vec![None; usize::from(count)];
    let mut missing = came.len();
    let mut buffer = [0; 1024];
    while missing > 0 {
        match socket.recv(&mut buffer) {
            Ok(len) if len > 12 && buffer[7] > 0 => {
                let id = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
                if came.get(id).is_some_and(Option::is_none) {
                    came[id] = Some(begun.elapsed());
                    missing -= 1;
                }
            }
            Ok(_) => {}
            Err(_) if begun.elapsed() < Duration::from_secs(1) * SECONDS => {}
            Err(_) => break,
        }
    }
    came
}
