//! Servers that answer with who they are and whom they see, and the clients that ask them, over TCP and UDP.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::place::Place;

/// How long a client waits for what should come.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How long a client waits for what should not come. A wall shows as this, many times in a story.
const DOUBT: Duration = Duration::from_millis(700);

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The name the server was given.
    pub server: String,
    /// The client's address as the server saw it.
    pub client: IpAddr,
    /// What was said, as the server heard it.
    pub text: String,
}

/// A server of a place; it ends when dropped, its conversations with it.
#[derive(Debug)]
pub struct Server {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A TCP connection on which one can go on talking.
#[derive(Debug)]
pub struct Conversation {
    stream: BufReader<TcpStream>,
}

impl Place {
    /// Serves TCP and UDP on a port of every address of the place, IPv6 too where it has that.
    #[track_caller]
    #[must_use]
    pub fn serve(&self, name: &str, port: u16) -> Server {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.listen_everywhere(port) {
                Ok((listener, sockets)) => return Server::start(name, listener, sockets),
                // The last server may still be seen by a program that is just being started.
                Err(error) => assert!(Instant::now() < deadline, "{name}: port {port}: {error}"),
            }
            std::thread::sleep(TICK);
        }
    }

    fn listen_everywhere(&self, port: u16) -> io::Result<(TcpListener, Vec<UdpSocket>)> {
        let everywhere: [IpAddr; 2] = ["::".parse().expect("an address"), [0, 0, 0, 0].into()];
        let own = self.own_addresses();
        self.within(|| {
            let listen = |ip| TcpListener::bind(SocketAddr::new(ip, port));
            let listener = listen(everywhere[0]).or_else(|_| listen(everywhere[1]))?;
            let any = listener.local_addr()?;
            // Who has several must answer from the one that was asked; a socket for all of them would not know.
            let sockets = match own.len() {
                0..=4 => vec![UdpSocket::bind(any)?],
                _ => own
                    .into_iter()
                    .map(|ip| UdpSocket::bind(SocketAddr::new(ip, port)))
                    .collect::<io::Result<_>>()?,
            };
            Ok((listener, sockets))
        })
    }

    /// Serves TCP and UDP on one address.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn try_serve(&self, name: &str, at: SocketAddr) -> io::Result<Server> {
        let (listener, sockets) = self.listen(at)?;
        Ok(Server::start(name, listener, sockets))
    }

    fn listen(&self, at: SocketAddr) -> io::Result<(TcpListener, Vec<UdpSocket>)> {
        self.within(|| Ok((TcpListener::bind(at)?, vec![UdpSocket::bind(at)?])))
    }

    /// Loopback's addresses and the global ones.
    fn own_addresses(&self) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for link in self.ip("addr show") {
            for info in link["addr_info"].as_array().into_iter().flatten() {
                let address: Option<IpAddr> = info["local"].as_str().and_then(|a| a.parse().ok());
                found.extend(address.filter(|_| info["scope"] != "link"));
            }
        }
        found
    }

    /// Says a line over TCP and gives the answer.
    ///
    /// # Errors
    /// When nobody answers in time, or somebody refuses.
    pub fn ask_tcp(&self, to: impl Into<SocketAddr>, text: &str) -> io::Result<Answer> {
        self.connect(to)?.say(text)
    }

    fn ask_tcp_for(&self, time: Duration, to: SocketAddr, text: &str) -> io::Result<Answer> {
        self.connect_for(time, to)?.say(text)
    }

    /// Connects over TCP.
    ///
    /// # Errors
    /// When nobody answers in time, or somebody refuses.
    pub fn connect(&self, to: impl Into<SocketAddr>) -> io::Result<Conversation> {
        self.connect_for(PATIENCE, to.into())
    }

    fn connect_for(&self, time: Duration, to: SocketAddr) -> io::Result<Conversation> {
        let stream = self.within(|| TcpStream::connect_timeout(&to, time))?;
        stream.set_read_timeout(Some(time))?;
        stream.set_nodelay(true)?;
        Ok(Conversation {
            stream: BufReader::new(stream),
        })
    }

    /// Says a line over UDP and gives the answer, which must come from the very address that was asked.
    ///
    /// # Errors
    /// When nobody answers in time, or somebody refuses.
    pub fn ask_udp(&self, to: impl Into<SocketAddr>, text: &str) -> io::Result<Answer> {
        self.ask_udp_for(PATIENCE, to.into(), text)
    }

    fn ask_udp_for(&self, time: Duration, to: SocketAddr, text: &str) -> io::Result<Answer> {
        let socket = self.within(|| UdpSocket::bind(any_like(to)))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(time))?;
        socket.send(text.as_bytes())?;
        let mut buffer = vec![0; 65_536];
        let len = socket.recv(&mut buffer)?;
        parse(&String::from_utf8_lossy(&buffer[..len]))
    }

    /// Who answers at an address over TCP; nothing when nobody does.
    #[must_use]
    pub fn who_tcp(&self, to: impl Into<SocketAddr>) -> Option<Answer> {
        self.ask_tcp(to, "who?").ok()
    }

    /// Who answers at an address over UDP; nothing when nobody does.
    #[must_use]
    pub fn who_udp(&self, to: impl Into<SocketAddr>) -> Option<Answer> {
        self.ask_udp(to, "who?").ok()
    }

    /// Whether both TCP and UDP reach somebody at an address.
    #[must_use]
    pub fn reaches(&self, to: impl Into<SocketAddr>) -> bool {
        let to = to.into();
        self.who_tcp(to).is_some() && self.who_udp(to).is_some()
    }

    /// Whether TCP or UDP reach somebody at an address; `false` is the proof of a wall.
    #[must_use]
    pub fn reaches_somehow(&self, to: impl Into<SocketAddr>) -> bool {
        let to = to.into();
        std::thread::scope(|scope| {
            let tcp = scope.spawn(|| self.ask_tcp_for(DOUBT, to, "who?"));
            let udp = self.ask_udp_for(DOUBT, to, "who?");
            udp.is_ok() || tcp.join().is_ok_and(|answer| answer.is_ok())
        })
    }
}

impl Conversation {
    /// Says a line and waits for the answer.
    ///
    /// # Errors
    /// When the connection is no more, or nobody answers in time.
    pub fn say(&mut self, text: &str) -> io::Result<Answer> {
        self.stream
            .get_mut()
            .write_all(format!("{text}\n").as_bytes())?;
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        parse(&line)
    }
}

impl Server {
    fn start(name: &str, listener: TcpListener, sockets: Vec<UdpSocket>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let name: Arc<str> = name.into();
        let mut threads = Vec::new();
        for socket in sockets {
            let (over, name) = (Arc::clone(&over), Arc::clone(&name));
            threads.push(std::thread::spawn(move || {
                answer_datagrams(&socket, &name, &over);
            }));
        }
        threads.push(std::thread::spawn({
            let over = Arc::clone(&over);
            move || accept(&listener, &name, &over)
        }));
        Self { over, threads }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn any_like(to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    }
}

fn answer(name: &str, client: SocketAddr, text: &str) -> String {
    format!("{name} {} {text}\n", client.ip().to_canonical())
}

fn parse(line: &str) -> io::Result<Answer> {
    let mut parts = line.trim_end_matches('\n').splitn(3, ' ');
    let mut next = || parts.next().ok_or(io::ErrorKind::InvalidData);
    Ok(Answer {
        server: next()?.to_owned(),
        client: next()?.parse().map_err(|_| io::ErrorKind::InvalidData)?,
        text: next()?.to_owned(),
    })
}

/// A short while, so that nobody waits long for a server's end.
const TICK: Duration = Duration::from_millis(20);

fn accept(listener: &TcpListener, name: &Arc<str>, over: &Arc<AtomicBool>) {
    listener.set_nonblocking(true).expect("a socket of ours");
    while !over.load(Ordering::Relaxed) {
        if let Ok((stream, client)) = listener.accept() {
            let (name, over) = (Arc::clone(name), Arc::clone(over));
            std::thread::spawn(move || converse(stream, client, &name, &over));
        } else {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn converse(stream: TcpStream, client: SocketAddr, name: &str, over: &AtomicBool) {
    drop(stream.set_nonblocking(false));
    drop(stream.set_read_timeout(Some(TICK)));
    drop(stream.set_nodelay(true));
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while !over.load(Ordering::Relaxed) {
        match stream.read_line(&mut line) {
            Ok(0) => return,
            Ok(_) => {
                let answer = answer(name, client, line.trim_end());
                line.clear();
                if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            // What was read of an unfinished line stays in it.
            Err(error) if is_tick(&error) => {}
            Err(_) => return,
        }
    }
}

fn answer_datagrams(socket: &UdpSocket, name: &str, over: &AtomicBool) {
    drop(socket.set_read_timeout(Some(TICK)));
    let mut buffer = vec![0; 65_536];
    while !over.load(Ordering::Relaxed) {
        if let Ok((len, client)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]);
            drop(socket.send_to(answer(name, client, &text).as_bytes(), client));
        }
    }
}

fn is_tick(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Waits until somebody answers over TCP; for what takes a moment to come up or back.
///
/// # Panics
/// When nobody does within `limit`.
#[track_caller]
pub fn await_tcp(limit: Duration, from: &Place, to: SocketAddr) -> Answer {
    let deadline = Instant::now() + limit;
    loop {
        match from.ask_tcp(to, "who?") {
            Ok(answer) => return answer,
            Err(error) => assert!(
                Instant::now() < deadline,
                "nobody answers at {to} within {limit:?}: {error}"
            ),
        }
        std::thread::sleep(TICK);
    }
}
