//! resolv.conf: what the host's says, how it changes, and what a container's says. See resolv.conf(5).

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ADDRESS;

/// The host's file.
pub const HOST: &str = "/etc/resolv.conf";
/// The file of systemd-resolved that names the servers behind its own 127.0.0.53.
pub const BEHIND_SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";

/// How old our knowledge of the host's file may be.
const FRESH: Duration = Duration::from_millis(500);
/// No file of this kind is longer.
const MAX_BYTES: u64 = 1 << 20;
/// Servers that are used at most, as many as anybody could mean.
const MAX_SERVERS: usize = 16;
const PORT: u16 = 53;
/// What Docker gives a container on the default bridge when the host's servers cannot be reached from there.
const PUBLIC: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8844)),
];

/// A resolver's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conf {
    /// The servers, in order.
    pub servers: Vec<SocketAddr>,
    /// The domains that short names are tried in.
    pub search: Vec<String>,
    /// `ndots:1` and the like.
    pub options: Vec<String>,
}

impl Conf {
    /// Reads a file's text; what it does not understand it leaves out, as the C library does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(parse_server);
                    conf.servers.extend(server);
                }
                // The last of these lines holds.
                Some("search" | "domain") => {
                    conf.search = words
                        .filter(|word| *word != ".")
                        .map(String::from)
                        .collect();
                }
                Some("options") => conf.options.extend(words.map(String::from)),
                _ => {}
            }
        }
        conf.servers.truncate(MAX_SERVERS);
        conf
    }

    /// The text for a container whose resolver is ours: our address, and its own or the host's search domains and options.
    #[must_use]
    pub fn for_resolver(&self, own: &Self) -> String {
        let mut options = own.or_else(self, |conf| &conf.options).to_vec();
        if !options.iter().any(|option| option.starts_with("ndots:")) {
            // Names of containers have no dots: none is needed for a name to be asked for as it is.
            options.push("ndots:0".to_owned());
        }
        let search = own.or_else(self, |conf| &conf.search);
        render(&[ADDRESS.into()], search, &options)
    }

    /// The text for a container on the default bridge: its own servers, or those of the host's that it can reach. `behind` is
    /// what a local resolver of the host asks in turn ([`BEHIND_SYSTEMD`]), in case that the
    /// host's own file names nothing else.
    #[must_use]
    pub fn for_default_bridge(&self, own: &Self, behind: Option<&Self>, has_ipv6: bool) -> String {
        let reachable = |conf: &Self| -> Vec<IpAddr> {
            let addresses = conf.servers.iter().filter(|server| !is_scoped(server));
            let addresses = addresses.map(SocketAddr::ip);
            addresses
                .filter(|ip| !ip.is_loopback() && (ip.is_ipv4() || has_ipv6))
                .collect()
        };
        let servers = if own.servers.is_empty() {
            let mut servers = reachable(self);
            if servers.is_empty() {
                servers = behind.map(reachable).unwrap_or_default();
            }
            if servers.is_empty() {
                let families = PUBLIC.iter().filter(|ip| ip.is_ipv4() || has_ipv6);
                servers = families.copied().collect();
            }
            servers
        } else {
            own.servers.iter().map(SocketAddr::ip).collect()
        };
        let search = own.or_else(self, |conf| &conf.search);
        let options = own.or_else(self, |conf| &conf.options);
        render(&servers, search, options)
    }

    fn or_else<'a>(
        &'a self,
        other: &'a Self,
        part: impl Fn(&'a Self) -> &'a Vec<String>,
    ) -> &'a [String] {
        let own = part(self);
        if own.is_empty() { part(other) } else { own }
    }
}

fn render(servers: &[IpAddr], search: &[String], options: &[String]) -> String {
    let mut text = "# Made by estiva for this container; edit it at will.\n".to_owned();
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    // `--dns-search .` asks for none.
    let search: Vec<&str> = search
        .iter()
        .map(String::as_str)
        .filter(|d| *d != ".")
        .collect();
    if !search.is_empty() {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    text
}

fn is_scoped(server: &SocketAddr) -> bool {
    matches!(server, SocketAddr::V6(server) if server.ip().is_unicast_link_local())
}

/// An address, with `%interface` behind one of IPv6 that is local to a link.
fn parse_server(text: &str) -> Option<SocketAddr> {
    if let Some((address, link)) = text.split_once('%') {
        let address: Ipv6Addr = address.parse().ok()?;
        let scope = match link.parse() {
            Ok(index) => index,
            Err(_) if link.contains('/') => return None,
            Err(_) => {
                let path = format!("/sys/class/net/{link}/ifindex");
                std::fs::read_to_string(path).ok()?.trim().parse().ok()?
            }
        };
        return Some(SocketAddrV6::new(address, PORT, 0, scope).into());
    }
    let address: IpAddr = text.parse().ok()?;
    Some(SocketAddr::new(address, PORT))
}

/// A resolv.conf that is read again when it has changed.
#[derive(Debug)]
pub struct Followed {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    looked: Option<Instant>,
    stamp: Option<Stamp>,
    conf: Arc<Conf>,
}

/// By what a changed file is told from an unchanged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Followed {
    /// Follows a file, which need not be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            known: Mutex::default(),
        }
    }

    /// As if the file had named these servers when it was last looked at.
    #[cfg(test)]
    pub(super) fn with(path: PathBuf, servers: Vec<SocketAddr>) -> Self {
        let followed = Self::new(path);
        let conf = Conf {
            servers,
            ..Conf::default()
        };
        followed.known.lock().expect("nobody else has it").conf = Arc::new(conf);
        followed
    }

    /// What it says, as of half a second ago at most. While it cannot be read, what it said last.
    #[must_use]
    pub fn current(&self) -> Arc<Conf> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.is_none_or(|at| at.elapsed() >= FRESH) {
            known.looked = Some(Instant::now());
            self.look(&mut known);
        }
        known.conf.clone()
    }

    fn look(&self, known: &mut Known) {
        // Nonblocking: a pipe in its place must not hold us.
        let opened = std::fs::File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&self.path);
        let Ok(file) = opened else { return };
        let Ok(meta) = file.metadata() else { return };
        let stamp = Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        };
        if !meta.is_file() || known.stamp == Some(stamp) {
            return;
        }
        let mut text = Vec::new();
        if file.take(MAX_BYTES).read_to_end(&mut text).is_ok() {
            known.conf = Arc::new(Conf::parse(&String::from_utf8_lossy(&text)));
            known.stamp = Some(stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# a comment\nnameserver 127.0.0.53 # local\nnameserver 9.9.9.9\n\
        nameserver fe80::1%7\nnameserver nonsense\n;x\ndomain old\nsearch corp.example lab.example\n\
        options edns0 trust-ad\nsortlist 1.2.3.4\n";

    #[test]
    fn a_file_is_read_as_the_c_library_reads_it() {
        let conf = Conf::parse(HOST);
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["127.0.0.53:53", "9.9.9.9:53", "[fe80::1%7]:53"]);
        assert_eq!(conf.search, ["corp.example", "lab.example"]);
        assert_eq!(conf.options, ["edns0", "trust-ad"]);
        assert_eq!(Conf::parse("search .\n").search, Vec::<String>::new());
        assert_eq!(Conf::parse("nameserver fe80::1%../x\n").servers, []);
    }

    #[test]
    fn a_container_with_our_resolver_is_sent_to_it() {
        let text = Conf::parse(HOST).for_resolver(&Conf::default());
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "nameserver 127.0.0.11",
                "search corp.example lab.example",
                "options edns0 trust-ad ndots:0",
            ]
        );
        let own = Conf {
            search: vec![".".to_owned()],
            options: vec!["ndots:2".to_owned()],
            ..Conf::default()
        };
        let text = Conf::parse(HOST).for_resolver(&own);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines, ["nameserver 127.0.0.11", "options ndots:2"]);
    }

    #[test]
    fn a_container_on_the_default_bridge_gets_servers_that_it_can_reach() {
        let servers = |host: &str, own: &str, behind: Option<&str>, v6: bool| -> Vec<String> {
            let behind = behind.map(Conf::parse);
            let text = Conf::parse(host).for_default_bridge(&Conf::parse(own), behind.as_ref(), v6);
            let lines = text.lines().filter_map(|l| l.strip_prefix("nameserver "));
            lines.map(String::from).collect()
        };
        assert_eq!(servers(HOST, "", None, true), ["9.9.9.9"]);
        let local = "nameserver 127.0.0.53";
        let behind = Some("nameserver 10.1.1.1\nnameserver fd00::1\n");
        assert_eq!(servers(local, "", behind, false), ["10.1.1.1"]);
        assert_eq!(servers(local, "", behind, true), ["10.1.1.1", "fd00::1"]);
        assert_eq!(servers(local, "", None, false), ["8.8.8.8", "8.8.4.4"]);
        assert_eq!(
            servers(local, "nameserver 127.0.0.1", None, false),
            ["127.0.0.1"]
        );
    }

    #[test]
    fn a_changed_file_is_seen_within_a_second_and_a_missing_one_changes_nothing() {
        let path = std::env::temp_dir().join(format!("estiva-test-conf-{}", std::process::id()));
        let followed = Followed::new(&path);
        assert_eq!(followed.current().servers, []);
        let say = |server: &str| {
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, format!("nameserver {server}\n")).expect("write");
            std::fs::rename(&fresh, &path).expect("rename");
        };
        let await_server = |server: &str| {
            let expect = vec![SocketAddr::new(server.parse().expect("an address"), PORT)];
            let begin = Instant::now();
            while followed.current().servers != expect {
                assert!(
                    begin.elapsed() < Duration::from_secs(1),
                    "{server} not seen"
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        say("10.0.0.1");
        await_server("10.0.0.1");
        say("10.0.0.2");
        await_server("10.0.0.2");
        std::fs::remove_file(&path).expect("remove");
        std::thread::sleep(FRESH);
        await_server("10.0.0.2");
    }
}
