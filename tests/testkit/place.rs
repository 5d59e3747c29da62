//! A place in the network: the namespace that a thread, a socket or a program is put into.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::command::{self, Output};

/// A network namespace, and for a host its mounts as well. It lives as long as this, or a process or socket in it.
#[derive(Debug)]
pub struct Place {
    net: OwnedFd,
    mounts: Option<OwnedFd>,
}

impl Place {
    /// Where a process is, in the network alone: its files stay ours.
    ///
    /// # Panics
    /// When the process has gone.
    #[track_caller]
    #[must_use]
    pub fn of(pid: i32) -> Self {
        Self {
            net: namespace(pid, "net"),
            mounts: None,
        }
    }

    /// Where a process is, with the mounts that it sees.
    ///
    /// # Panics
    /// When the process has gone.
    #[track_caller]
    #[must_use]
    pub fn with_mounts_of(pid: i32) -> Self {
        Self {
            net: namespace(pid, "net"),
            mounts: Some(namespace(pid, "mnt")),
        }
    }

    /// The path by which other programs open the network namespace, as long as this lives.
    #[must_use]
    pub fn path(&self) -> String {
        path_of(&self.net)
    }

    /// Runs a function on a thread in the namespace; sockets it opens stay there, wherever they are used later.
    ///
    /// # Panics
    /// When the function does.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(self.net.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may enter a namespace of its own");
                act()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A program to be started here; words may be added. Its pid is the program's own.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()));
        if let Some(mounts) = &self.mounts {
            command.arg(format!("--mount={}", path_of(mounts)));
        }
        command.arg("--").arg(program);
        command
    }

    /// A shell's script, run here to its end.
    #[track_caller]
    #[must_use]
    pub fn try_sh(&self, script: &str) -> Output {
        command::run(self.command("sh").args(["-euc", script]), &[])
    }

    /// Standard output of a script that must succeed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.try_sh(script).success()
    }

    /// Loads rules as `nft -f` does: a host's own policy.
    #[track_caller]
    pub fn nft(&self, rules: &str) {
        let mut nft = self.command("nft");
        let rules = format!("{rules}\n");
        command::run(nft.args(["-f", "-"]), rules.as_bytes()).success();
    }

    /// A file below `/proc/net`, such as `tcp`.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn proc_net(&self, file: &str) -> String {
        let path = format!("/proc/thread-self/net/{file}");
        self.within(|| std::fs::read_to_string(&path))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A setting below `/proc/sys/net`, trimmed; nothing when there is none.
    #[must_use]
    pub fn sysctl(&self, name: &str) -> Option<String> {
        let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
        let text = self.within(|| std::fs::read_to_string(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Writes a setting below `/proc/sys/net`.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[track_caller]
    pub fn set_sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
        self.within(|| std::fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    // --- what the kernel says of it ---

    /// What `ip -j` says, as a list.
    #[track_caller]
    #[must_use]
    pub fn ip(&self, what: &str) -> Vec<Value> {
        let text = self.sh(&format!("ip -j -d {what}"));
        match serde_json::from_str(if text.is_empty() { "[]" } else { &text }) {
            Ok(Value::Array(list)) => list,
            other => panic!("ip -j {what}: {other:?} in {text}"),
        }
    }

    /// Names of the links that are there.
    #[track_caller]
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let name = |link: &Value| link["ifname"].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<String> = self.ip("link show").iter().map(name).collect();
        names.sort();
        names
    }

    /// One link, as `ip -j -d link show` describes it; null when there is none.
    #[track_caller]
    #[must_use]
    pub fn link(&self, name: &str) -> Value {
        let links = self.ip("link show");
        let found = links.into_iter().find(|link| link["ifname"] == name);
        found.unwrap_or(Value::Null)
    }

    /// Addresses of a link that are not link-local, IPv4 first, with their prefix lengths.
    #[track_caller]
    #[must_use]
    pub fn addresses(&self, link: &str) -> Vec<(IpAddr, u8)> {
        let mut found = Vec::new();
        for entry in self.ip("addr show") {
            if entry["ifname"] != link {
                continue;
            }
            for info in entry["addr_info"].as_array().into_iter().flatten() {
                let address: Option<IpAddr> = info["local"].as_str().and_then(|a| a.parse().ok());
                let prefix = info["prefixlen"].as_u64().unwrap_or(0);
                if info["scope"] == "global"
                    && let Some(address) = address
                {
                    found.push((address, u8::try_from(prefix).expect("at most 128")));
                }
            }
        }
        found.sort();
        found
    }

    /// The first IPv4 address of a link.
    #[track_caller]
    #[must_use]
    pub fn v4(&self, link: &str) -> IpAddr {
        let of_family = self
            .addresses(link)
            .into_iter()
            .find(|(ip, _)| ip.is_ipv4());
        of_family
            .unwrap_or_else(|| panic!("{link} has no IPv4 address"))
            .0
    }

    /// The first IPv6 address of a link that is not link-local.
    #[track_caller]
    #[must_use]
    pub fn v6(&self, link: &str) -> IpAddr {
        let of_family = self
            .addresses(link)
            .into_iter()
            .find(|(ip, _)| ip.is_ipv6());
        of_family
            .unwrap_or_else(|| panic!("{link} has no IPv6 address"))
            .0
    }

    /// Gateways of the default routes, of both families, each with its link.
    #[track_caller]
    #[must_use]
    pub fn default_routes(&self) -> Vec<(IpAddr, String)> {
        let mut found = Vec::new();
        for family in ["-4 route show default", "-6 route show default"] {
            for route in self.ip(family) {
                let gateway = route["gateway"].as_str().and_then(|a| a.parse().ok());
                let link = route["dev"].as_str().unwrap_or_default().to_owned();
                found.extend(gateway.map(|gateway| (gateway, link)));
            }
        }
        found
    }
}

fn namespace(pid: i32, kind: &str) -> OwnedFd {
    let path = format!("/proc/{pid}/ns/{kind}");
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    file.into()
}

/// A path to a descriptor of ours that holds for programs we start.
fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd())
}
