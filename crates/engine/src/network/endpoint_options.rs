//! The options of one endpoint, by Docker's names: what its link is called, and the kernel's switches of that link.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use network::namespace;

use crate::error::{Error, Result};

const IFNAME: &str = "com.docker.network.endpoint.ifname";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// Stands for the link's name in a switch; the docker client writes it small.
const LINK: &str = "IFNAME";

/// What an endpoint is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EndpointOptions {
    /// The link's name in the container.
    pub(crate) interface: Option<String>,
    /// Switches, with [`LINK`] in them, and their values.
    pub(crate) switches: Vec<(String, String)>,
}

impl EndpointOptions {
    /// Reads them. What none knows has no effect, as in Docker.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> std::result::Result<Self, String> {
        let mut read = Self::default();
        if let Some(name) = options.get(IFNAME).filter(|name| !name.is_empty()) {
            if !network::link::is_name(name) || name == "lo" {
                return Err(format!("invalid {IFNAME}: {name:?} is no name of a link"));
            }
            read.interface = Some(name.clone());
        }
        let switches = options.get(SYSCTLS).map(String::as_str).unwrap_or_default();
        for text in switches.split(',').filter(|text| !text.is_empty()) {
            read.switches.push(switch(text)?);
        }
        Ok(read)
    }

    /// Sets the switches of a link that is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a switch that is none; [`Error::File`]; [`Error::Namespace`].
    pub(crate) fn apply(&self, namespace: BorrowedFd<'_>, link: &str) -> Result<()> {
        if self.switches.is_empty() {
            return Ok(());
        }
        namespace::within(namespace, || {
            for (switch, value) in &self.switches {
                let path = path(switch, link);
                fs::write(&path, value).map_err(|e| match e.kind() {
                    // As the words of this error say it, clients would take it for a missing program.
                    std::io::ErrorKind::NotFound => {
                        Error::Invalid(format!("unable to set {switch}: this kernel has none"))
                    }
                    _ => Error::file("set", path, e),
                })?;
            }
            Ok(())
        })?
    }
}

/// `net.ipv4.conf.IFNAME.log_martians=1`: a switch of the endpoint's own link and nothing else.
fn switch(text: &str) -> std::result::Result<(String, String), String> {
    let bad = |why: &str| format!("invalid {SYSCTLS}: {text:?}: {why}");
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| bad("it is no name=value"))?;
    let parts: Vec<&str> = name.split('.').collect();
    match parts.as_slice() {
        ["net", "ipv4" | "ipv6" | "mpls", kind, link, key]
            if is_link(link) && [kind, key].iter().all(|part| is_word(part)) =>
        {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(bad(
            "it is no switch of the link, such as net.ipv4.conf.IFNAME.log_martians=1",
        )),
    }
}

fn is_link(part: &str) -> bool {
    part.eq_ignore_ascii_case(LINK)
}

fn is_word(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn path(switch: &str, link: &str) -> PathBuf {
    // A link's name may have dots, which separate folders elsewhere in the switch.
    let parts = switch.split('.').map(|part| match is_link(part) {
        true => link,
        false => part,
    });
    PathBuf::from("/proc/sys").join(parts.collect::<PathBuf>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(key: &str, value: &str) -> std::result::Result<EndpointOptions, String> {
        EndpointOptions::parse(&BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn the_links_name_and_its_switches_are_read() {
        let read = parsed(IFNAME, "front").expect("valid");
        assert_eq!(read.interface.as_deref(), Some("front"));
        let text = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=0";
        let read = parsed(SYSCTLS, text).expect("valid");
        assert_eq!(read.switches.len(), 2);
        assert_eq!(
            path(&read.switches[0].0, "eth0.5"),
            PathBuf::from("/proc/sys/net/ipv4/conf/eth0.5/log_martians")
        );
        assert_eq!(parsed("of.nobody", "x"), Ok(EndpointOptions::default()));
    }

    #[test]
    fn other_switches_and_no_names_are_refused() {
        for (key, value) in [
            (IFNAME, "a/b"),
            (IFNAME, "lo"),
            (IFNAME, "a name that is too long"),
            (SYSCTLS, "net.ipv4.ip_forward=1"),
            (SYSCTLS, "net.ipv4.conf.all.forwarding=1"),
            (SYSCTLS, "net.ipv4.conf.IFNAME.log_martians"),
            (SYSCTLS, "net.ipv4.conf.IFNAME./../../x=1"),
            (SYSCTLS, "net.ipv4.../.IFNAME.x=1"),
            (SYSCTLS, "kernel.conf.IFNAME.x=1"),
        ] {
            assert!(parsed(key, value).is_err(), "{key}={value}");
        }
    }
}
