//! Several hosts made of network namespaces: a client outside, the host, and containers on its bridges.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use network::firewall::{Admission, Endpoint, Firewall, Instance, Net, Policy, Port, Protocol};
use network::link::{
    BridgeSpec, Wire, WireKind, enable_forwarding, ensure_bridge, ensure_pair, mac_of, plug,
};
use network::namespace::{Namespace, within};
use network::subnet::Subnet;

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A network namespace that is a machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) namespace: Namespace,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            namespace: Namespace::make().expect("these tests run as root"),
        }
    }

    /// Does something there.
    pub(crate) fn here<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(self.namespace.as_fd(), work).expect("enter a namespace of ours")
    }

    /// Runs a command line there, which must succeed.
    pub(crate) fn run(&self, line: &str) -> String {
        self.try_run(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Runs a command line there.
    pub(crate) fn try_run(&self, line: &str) -> Result<String, String> {
        self.here(|| {
            let output = Command::new("sh")
                .args(["-c", line])
                .output()
                .map_err(|error| error.to_string())?;
            if output.status.success() {
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        })
    }

    /// Answers on this port, TCP and UDP, IPv4 and IPv6: with the caller's address.
    pub(crate) fn serve(&self, port: u16) {
        self.here(move || {
            let tcp = TcpListener::bind(("::", port)).expect("bind");
            let udp = UdpSocket::bind(("::", port)).expect("bind");
            thread::spawn(move || {
                for stream in tcp.incoming().flatten() {
                    answer(stream);
                }
            });
            thread::spawn(move || {
                let mut buffer = [0; 2048];
                while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
                    let _ = udp.send_to(canonical(peer).to_string().as_bytes(), peer);
                }
            });
        });
    }

    /// Answers on this port as a userland proxy does, with this text in the place of an address.
    pub(crate) fn serve_as_proxy(&self, port: u16) {
        self.here(move || {
            let tcp = TcpListener::bind(("::", port)).expect("bind");
            let udp = UdpSocket::bind(("::", port)).expect("bind");
            thread::spawn(move || {
                use std::io::Write;
                for mut stream in tcp.incoming().flatten() {
                    let _ = stream.write_all(PROXY.as_bytes());
                }
            });
            thread::spawn(move || {
                let mut buffer = [0; 2048];
                while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
                    let _ = udp.send_to(PROXY.as_bytes(), peer);
                }
            });
        });
    }

    /// Calls over TCP: the address that the server saw, or `None` when there was no answer.
    pub(crate) fn call(&self, to: &str) -> Option<IpAddr> {
        let to: SocketAddr = to.parse().expect("a socket address");
        self.here(|| {
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            text.parse().ok()
        })
    }

    /// Calls over UDP from a socket of its own, several times as an impatient client does.
    pub(crate) fn call_udp(&self, to: &str) -> Option<IpAddr> {
        let to: SocketAddr = to.parse().expect("a socket address");
        self.here(|| {
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).expect("bind");
            ask_udp(&socket, to)
        })
    }
}

/// Asks up to three times over this socket.
pub(crate) fn ask_udp(socket: &UdpSocket, to: SocketAddr) -> Option<IpAddr> {
    socket
        .set_read_timeout(Some(PATIENCE / 3))
        .expect("not zero");
    let mut buffer = [0; 128];
    for _ in 0..3 {
        let _ = socket.send_to(b"?", to);
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            assert_eq!(
                canonical(from),
                to.ip(),
                "the answer comes from who was asked"
            );
            return std::str::from_utf8(&buffer[..length]).ok()?.parse().ok();
        }
    }
    None
}

fn answer(mut stream: TcpStream) {
    use std::io::Write;
    if let Ok(peer) = stream.peer_addr() {
        let _ = stream.write_all(canonical(peer).to_string().as_bytes());
    }
}

fn canonical(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

/// The address that [`Machine::serve_as_proxy`] answers with.
pub(crate) const PROXY: &str = "255.255.255.255";

/// A container on one of the world's networks.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) machine: Machine,
    pub(crate) endpoint: Endpoint,
    pub(crate) v4: IpAddr,
    pub(crate) v6: IpAddr,
}

impl Container {
    /// `HOST_PORT -> port` over this protocol, both families, all addresses of the host.
    pub(crate) fn published(&self, proto: Protocol, host_port: u16, port: u16) -> [Port; 2] {
        [self.v4, self.v6].map(|address| Port {
            host: None,
            proto,
            host_port,
            target: SocketAddr::new(address, port),
        })
    }
}

/// A client outside, a host with a firewall of ours, and its networks.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) client: Machine,
    pub(crate) host: Machine,
    pub(crate) firewall: Firewall,
    pub(crate) admission: Admission,
}

pub(crate) const CLIENT4: &str = "10.9.1.2";
pub(crate) const CLIENT6: &str = "fd09::2";
pub(crate) const HOST4: &str = "10.9.1.1";
pub(crate) const HOST6: &str = "fd09::1";

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        let (client, host) = (Machine::new(), Machine::new());
        client.run(&format!(
            "ip link add c0 type veth peer name h0 netns {}",
            host.namespace.path()
        ));
        client.run(&format!(
            "ip addr add {CLIENT4}/24 dev c0 && ip addr add {CLIENT6}/64 dev c0 nodad && ip link set c0 up"
        ));
        host.run(&format!(
            "ip addr add {HOST4}/24 dev h0 && ip addr add {HOST6}/64 dev h0 nodad && ip link set h0 up"
        ));
        client.run(&format!(
            "ip route add default via {HOST4} && ip -6 route add default via {HOST6}"
        ));
        // Until a link's carrier is noticed, which takes the kernel up to a second, what is sent is lost.
        for (machine, link) in [(&client, "c0"), (&host, "h0")] {
            while !machine
                .run(&format!("ip -o link show {link}"))
                .contains("state UP")
            {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let admission = host.here(|| {
            enable_forwarding(true).expect("forwarding");
            ensure_pair("est-o", "est-i").expect("pair")
        });
        let firewall = host.here(|| {
            let instance = Instance {
                table: "estiva".into(),
            };
            Firewall::open(instance, policy, admission.clone()).expect("firewall")
        });
        Self {
            client,
            host,
            firewall,
            admission,
        }
    }

    /// A network 172.N.0.0/16, fdN::/64 on bridge br-N.
    pub(crate) fn network(&self, n: u8, adapt: impl FnOnce(&mut Net)) -> Net {
        let (gateway4, gateway6) = addresses(n, 1);
        let bridge = format!("br-{n}");
        self.host.here(|| {
            ensure_bridge(&BridgeSpec {
                name: bridge.clone(),
                gateways: vec![(gateway4, 16), (gateway6, 64)],
                mtu: None,
            })
            .expect("bridge");
        });
        let mut network = Net {
            id: format!("network-{n}"),
            bridge,
            subnets: vec![
                Subnet::new(gateway4, 16).expect("short").masked(),
                Subnet::new(gateway6, 64).expect("short").masked(),
            ],
            internal: false,
            masquerade: true,
            routed: Vec::new(),
            unprotected: Vec::new(),
            icc: true,
            gateways: vec![gateway4, gateway6],
        };
        adapt(&mut network);
        self.host
            .here(|| self.firewall.add_network(&network))
            .expect("network");
        network
    }

    /// A container on network N, known to the firewall, with nothing published.
    pub(crate) fn container(&self, n: u8, last: u8) -> Container {
        let machine = Machine::new();
        let (v4, v6) = addresses(n, last);
        let (gateway4, gateway6) = addresses(n, 1);
        let host_name = format!("veth{n}x{last}");
        let wire = Wire {
            kind: WireKind::Bridge {
                master: format!("br-{n}"),
                host_name: host_name.clone(),
            },
            name: "eth0".into(),
            mac: mac_of(v4),
            addresses: vec![(v4, 16), (v6, 64)],
            mtu: None,
        };
        self.host.here(|| {
            plug(machine.namespace.as_fd(), &[wire], &[gateway4, gateway6]).expect("plug");
        });
        let endpoint = Endpoint {
            host_name,
            mac: mac_of(v4),
            addresses: vec![v4, v6],
        };
        self.firewall
            .add_endpoint(&endpoint, &[])
            .expect("endpoint");
        Container {
            machine,
            endpoint,
            v4,
            v6,
        }
    }

    /// Publishes these ports of a container, in place of what it had.
    pub(crate) fn publish(&self, container: &Container, ports: &[Port]) {
        self.firewall
            .add_endpoint(&container.endpoint, ports)
            .expect("ports");
    }
}

/// The addresses of a member of network N.
pub(crate) fn addresses(n: u8, last: u8) -> (IpAddr, IpAddr) {
    (
        IpAddr::from([172, n, 0, last]),
        format!("fd{n}::{last}").parse().expect("an address"),
    )
}

/// An address as the tests write them.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Whether a program that a test wants as oracle or opponent is here; says so when not.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no {program} here");
    }
    found
}
