//! What several stories of the network need: containers that serve, and the proof that nothing has changed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Child;
use std::time::Duration;

use serde_json::Value;
use testkit::echo::Server;
use testkit::{Container, Engine, Host, Place, survey};

/// A container with a server of the kit's on its port 80, TCP and UDP, which answers with `name`.
#[derive(Debug)]
pub(super) struct Web<'e> {
    pub(super) container: Container<'e>,
    pub(super) place: Place,
    server: Server,
}

/// Starts a container that waits; `line` are the options of `run`.
#[track_caller]
pub(super) fn idle<'e>(engine: &'e Engine, line: &str) -> Container<'e> {
    engine.run(&format!("{line} busybox sleep 3600"))
}

/// Starts a container called `name` that serves on port 80; `line` are further options of `run`.
#[track_caller]
pub(super) fn web<'e>(engine: &'e Engine, name: &str, line: &str) -> Web<'e> {
    let container = idle(engine, &format!("--name {name} {line}"));
    let place = container.place();
    let server = place.serve(name, 80);
    Web {
        container,
        place,
        server,
    }
}

impl Web<'_> {
    /// Its place and its server, for stories in which the daemon dies.
    pub(super) fn apart(self) -> (Place, Server) {
        (self.place, self.server)
    }

    /// Its IPv4 address on `eth0`, as its kernel says.
    #[track_caller]
    pub(super) fn ip(&self) -> IpAddr {
        self.place.v4("eth0")
    }
}

/// A socket on UDP port 4000 of all IPv4 addresses, which gives up listening after half a second.
#[track_caller]
pub(super) fn listener(place: &Place) -> UdpSocket {
    let socket = place.within(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 4000)));
    let socket = socket.expect("nobody else has the port");
    socket
        .set_read_timeout(Some(testkit::ms(500)))
        .expect("a socket of ours");
    socket
}

/// An address and a port.
pub(super) fn at(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}

/// An address in text.
pub(super) fn ip(text: &str) -> IpAddr {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no address"))
}

/// What `network inspect` says of one network.
#[track_caller]
pub(super) fn network(engine: &Engine, name: &str) -> Value {
    let text = engine.ok(&format!("network inspect {name}"));
    let list: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    list[0].clone()
}

/// Subnets of a network as `network inspect` tells them, IPv4 first.
#[track_caller]
pub(super) fn subnets(engine: &Engine, name: &str) -> Vec<String> {
    let network = network(engine, name);
    let configs = network["IPAM"]["Config"].as_array().cloned();
    let mut found: Vec<String> = configs
        .into_iter()
        .flatten()
        .map(|config| config["Subnet"].as_str().unwrap_or_default().to_owned())
        .collect();
    found.sort_by_key(|subnet| subnet.contains(':'));
    found
}

/// What `inspect` says of a container's part in a network.
#[track_caller]
pub(super) fn endpoint(engine: &Engine, container: &str, network: &str) -> Value {
    engine.inspect(container)["NetworkSettings"]["Networks"][network].clone()
}

/// The link on the host that is the other end of a link in a container.
#[track_caller]
pub(super) fn other_end(host: &Host, place: &Place, link: &str) -> Value {
    let index = place.link(link)["link_index"].clone();
    let links = host.ip("link show");
    let found = links.into_iter().find(|link| link["ifindex"] == index);
    found.unwrap_or_else(|| panic!("no link {index} on the host"))
}

/// Sets whether bridged frames are shown to the tables of routed packets, `1` or `0`: a setting of the host, where it has
/// br_netfilter.
pub(super) fn show_bridged(host: &Host, shown: &str) {
    if host.sysctl("bridge.bridge-nf-call-iptables").is_none() {
        return;
    }
    for setting in ["iptables", "ip6tables", "arptables"] {
        host.set_sysctl(&format!("bridge.bridge-nf-call-{setting}"), shown);
    }
}

/// Whether an address lies in a subnet, both in text.
pub(super) fn lies_in(address: IpAddr, subnet: &str) -> bool {
    let (network, prefix) = subnet.split_once('/').expect("a subnet");
    let prefix: u32 = prefix.parse().expect("a prefix length");
    match (address, ip(network)) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32 - prefix;
            u64::from(address.to_bits()) >> shift == u64::from(network.to_bits()) >> shift
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let shift = 128 - prefix;
            address.to_bits().checked_shr(shift) == network.to_bits().checked_shr(shift)
        }
        _ => false,
    }
}

/// Does something after which the host's network must be what it was: links, addresses, routes, rules and open ports.
#[track_caller]
pub(super) fn unchanged<T>(host: &Host, what: &str, act: impl FnOnce() -> T) -> T {
    let before = survey::of(host);
    let value = act();
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let after = survey::of(host);
        let (more, less) = (
            survey::added(&before, &after),
            survey::added(&after, &before),
        );
        if more.is_empty() && less.is_empty() {
            return value;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{what} left {more:#?} and took away {less:#?}"
        );
        std::thread::sleep(testkit::ms(50));
    }
}

/// A dockerd on a host, beside the engine under test, with the image `busybox`.
#[derive(Debug)]
pub(super) struct Dockerd {
    root: std::path::PathBuf,
    child: Child,
}

impl Dockerd {
    /// Whether there is one on this machine.
    pub(super) fn is_installed() -> bool {
        std::process::Command::new("dockerd")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    }

    /// Starts one.
    #[track_caller]
    pub(super) fn start(host: &Host, root: &std::path::Path) -> Self {
        let root = root.join("dockerd");
        std::fs::create_dir_all(&root).expect("a folder of ours");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(root.join("log"));
        let mut command = host.command("dockerd");
        for (option, file) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(root.join(file));
        }
        let socket = root.join("d.sock");
        let child = command
            .args(["-H", &format!("unix://{}", socket.display())])
            .args(["--cgroup-parent", &parent(&root)])
            .stdout(std::process::Stdio::null())
            .stderr(log.expect("a file of ours"))
            .spawn();
        let started = Self {
            root,
            child: child.expect("dockerd is installed"),
        };
        testkit::within(Duration::from_secs(30), "dockerd answers", || {
            testkit::http::answers(&socket)
        });
        started
    }

    /// Imports the image; once is enough for all of its lives.
    pub(super) fn import(&self) {
        let mut command = self.client("import - busybox");
        testkit::command::run(&mut command, testkit::rootfs::archive()).success();
    }

    /// Runs a command of the docker client, which must succeed.
    #[track_caller]
    pub(super) fn ok(&self, line: &str) -> String {
        testkit::command::run(&mut self.client(line), &[]).success()
    }

    fn client(&self, line: &str) -> std::process::Command {
        let mut command = std::process::Command::new("docker");
        command.args(testkit::words(line)).env(
            "DOCKER_HOST",
            format!("unix://{}", self.root.join("d.sock").display()),
        );
        command
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if let Ok(ids) = self.client("ps -aq").output() {
            let ids = String::from_utf8_lossy(&ids.stdout).replace('\n', " ");
            drop(self.client(&format!("rm -f {ids}")).output());
        }
        testkit::proc::signal(self.child.id().cast_signed(), rustix::process::Signal::TERM);
        drop(self.child.wait());
        testkit::leftovers::clean(&self.root, &parent(&self.root));
    }
}

fn parent(root: &std::path::Path) -> String {
    let above = root.parent().and_then(|folder| folder.file_name());
    format!("/{}-docker", above.unwrap_or_default().display())
}
