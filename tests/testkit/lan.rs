//! Real hosts on a real network, all made of namespaces: nothing touches this machine's own links, rules or files.
//!
//! ```text
//!  client 198.51.100.10 ──┐
//!  host   198.51.100.20 ──┼── world 198.51.100.1 (a bridge, the router, and 203.0.113.1 far away)
//!  other  198.51.100.30 ──┘
//! ```
//! Each has IPv6 alike (`2001:db8:51::10` …), a default route through the world, and, as a host of its own, its own
//! `/etc` (an overlay over ours), `/run` and `/sys`. The namespaces are held by descriptors alone: when the test ends,
//! by whatever way, they go.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::engine::{Engine, Options};
use crate::place::Place;

/// Far away: an address of the world that is on nobody's link.
pub const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
/// The same for IPv6.
pub const FAR6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1));

/// How the network is made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The greatest packet the hosts' uplinks take.
    pub mtu: u32,
    /// Without it the hosts' kernels know no IPv6 at all.
    pub ipv6: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            mtu: 1500,
            ipv6: true,
        }
    }
}

/// One machine of the network. It is also the [`Place`] where programs and sockets are put.
#[derive(Debug)]
pub struct Host {
    place: Place,
    folder: PathBuf,
    /// Its address on the network.
    pub ip: IpAddr,
    /// Its IPv6 address on the network.
    pub ip6: IpAddr,
}

/// The machines. Engines hold theirs as long as they live.
#[derive(Debug)]
pub struct Lan {
    /// The router and what is far away.
    pub world: Arc<Host>,
    /// A machine outside that wants something.
    pub client: Arc<Host>,
    /// The machine on which the engine runs.
    pub host: Arc<Host>,
    /// One more machine outside.
    pub other: Arc<Host>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Lan {
    /// Makes the machines and joins them.
    ///
    /// # Panics
    /// Without root, iproute2 or util-linux.
    #[track_caller]
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let tag = format!(
            "estiva-lan-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(tag);
        let machine =
            |name: &str, number: u16| Arc::new(Host::start(folder.join(name), number, plan.ipv6));
        let lan = Self {
            world: machine("world", 1),
            client: machine("client", 10),
            host: machine("host", 20),
            other: machine("other", 30),
        };
        lan.join(plan);
        lan
    }

    fn join(&self, plan: &Plan) {
        let mtu = plan.mtu;
        let v6 = |command: &str| if plan.ipv6 { command } else { "" }.to_owned();
        let ends = [&self.client, &self.host, &self.other];
        let mut script = format!(
            "ip link add lan0 mtu {mtu} type bridge
             echo 1 >/proc/sys/net/ipv4/ip_forward
             ip addr add {}/24 dev lan0; ip addr add {FAR}/32 dev lo\n",
            self.world.ip
        );
        script += &v6(&format!(
            "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
             ip addr add {}/64 dev lan0 nodad; ip addr add {FAR6}/128 dev lo nodad\n",
            self.world.ip6
        ));
        for (port, end) in ends.iter().enumerate() {
            script += &format!(
                "ip link add port{port} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {}
                 ip link set port{port} master lan0 up\n",
                end.path()
            );
        }
        self.world.sh(&(script + "ip link set lan0 up"));
        for end in ends {
            let mut script = format!(
                "ip addr add {}/24 dev eth0; ip link set eth0 up; ip route add default via {}\n",
                end.ip, self.world.ip
            );
            script += &v6(&format!(
                "ip addr add {}/64 dev eth0 nodad; ip -6 route add default via {}\n",
                end.ip6, self.world.ip6
            ));
            end.sh(&script);
        }
    }

    /// An engine on `host` with the image `busybox` and these words more for the daemon.
    #[track_caller]
    #[must_use]
    pub fn engine_with(&self, daemon_args: &[&str]) -> Engine {
        Engine::start(&Options {
            daemon_args: daemon_args.iter().map(|&word| word.to_owned()).collect(),
            host: Some(Arc::clone(&self.host)),
            ..Options::default()
        })
    }

    /// An engine on `host` with the image `busybox`.
    #[track_caller]
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine_with(&[])
    }
}

impl Host {
    #[track_caller]
    fn start(folder: PathBuf, number: u16, ipv6: bool) -> Self {
        for name in ["etc", "work", "cgroup"] {
            std::fs::create_dir_all(folder.join(name)).expect("a folder of our own");
        }
        // Forwarding is off, reverse paths are checked loosely: a fresh Debian.
        let script = r#"set -eu
            mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" overlay /etc
            mount --rbind /sys/fs/cgroup "$1/cgroup"
            mount -t sysfs sysfs /sys
            mount --move "$1/cgroup" /sys/fs/cgroup
            mount -t tmpfs tmpfs /run
            mkdir -p /run/lock
            echo 0 >/proc/sys/net/ipv4/ip_forward
            echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
            echo 2 >/proc/sys/net/ipv4/conf/default/rp_filter
            if [ -d /proc/sys/net/ipv6 ]; then
                echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
                for at in all default lo; do echo "$2" >/proc/sys/net/ipv6/conf/$at/disable_ipv6; done
            fi
            ip link set lo up
            echo ready
            read -r _"#;
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "--propagation", "private", "--"])
            .args(["sh", "-c", script, "sh"])
            .arg(&folder)
            .arg(if ipv6 { "0" } else { "1" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("util-linux is installed");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        drop(BufReader::new(out).read_line(&mut line));
        assert_eq!(line, "ready\n", "a machine of our own is made");
        let place = Place::with_mounts_of(child.id().cast_signed());
        drop(child.stdin.take());
        drop(child.wait());
        let host = Self {
            place,
            folder,
            ip: Ipv4Addr::new(198, 51, 100, u8::try_from(number).expect("small")).into(),
            // Written as the IPv4 address ends, so that logs read alike: ::10 beside .10.
            ip6: format!("2001:db8:51::{number}").parse().expect("hex"),
        };
        // The folder /etc is an overlay; what this machine says of names is no business of the test's machines.
        // Nobody serves names there: who asks is refused at once, until a story starts a server.
        host.set_resolv_conf("nameserver 198.51.100.1\n");
        host
    }

    /// The place, for those who want no host.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Replaces its `/etc/resolv.conf` the way resolvconf tools do: a new file takes the name.
    #[track_caller]
    pub fn set_resolv_conf(&self, text: &str) {
        self.write("/etc/resolv.conf", text);
    }

    /// Puts a new file in the place of one of its own below `/etc` or `/run`.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let script =
            format!("mkdir -p \"$(dirname {path})\"; cat >{path}.new; mv {path}.new {path}");
        let mut sh = self.command("sh");
        crate::command::run(sh.args(["-euc", &script]), text.as_bytes()).success();
    }

    /// Mount points in its view below a folder.
    #[track_caller]
    #[must_use]
    pub fn mounts_below(&self, folder: &Path) -> Vec<PathBuf> {
        let info = self.sh("cat /proc/self/mountinfo");
        info.lines()
            .filter_map(|line| line.split(' ').nth(4))
            .map(PathBuf::from)
            .filter(|point| point.starts_with(folder))
            .collect()
    }
}

impl Deref for Host {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Its mounts are in a namespace that goes with us; what lies below them is ours.
        drop(std::fs::remove_dir_all(&self.folder));
        if let Some(parent) = self.folder.parent() {
            drop(std::fs::remove_dir(parent));
        }
    }
}
