//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a container: ours, bound over whatever the image has.

use std::fs;
use std::path::Path;

use super::create::put;
use super::record::Record;
use crate::engine::Shared;
use crate::error::{Error, Result};

/// Writes the three files.
///
/// # Errors
/// A bad `--add-host`; a file that cannot be written.
pub(crate) fn write(shared: &Shared, record: &Record, folder: &Path) -> Result<()> {
    let own = crate::spec::namespaces::hostname(record, &shared.host.name());
    let name = if own.is_empty() {
        shared.host.name()
    } else {
        own
    };
    let domain = &record.config.domainname;
    let full = if domain.is_empty() {
        name.clone()
    } else {
        format!("{name}.{domain}")
    };
    put(folder, "hostname", &format!("{name}\n"))?;
    put(folder, "hosts", &hosts(record, &full, &name)?)?;
    put(folder, "resolv.conf", &resolv_conf(record))
}

fn hosts(record: &Record, full: &str, name: &str) -> Result<String> {
    let host_file = (record.host.network_mode == "host")
        .then(|| fs::read_to_string("/etc/hosts").ok())
        .flatten();
    let mut text = host_file.unwrap_or_else(|| {
        let names = if full == name { name.to_owned() } else { format!("{full} {name}") };
        format!(
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
             ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n127.0.1.1\t{names}\n"
        )
    });
    for extra in &record.host.extra_hosts {
        let (name, address) = extra
            .split_once(':')
            .filter(|(n, a)| !n.is_empty() && !a.is_empty())
            .ok_or_else(|| Error::Invalid(format!("bad format for add-host: {extra:?}")))?;
        let address = address.trim_matches(['[', ']']);
        if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
            return Err(Error::Invalid(format!(
                "invalid IP address in add-host: {address:?}"
            )));
        }
        // Without a bridge the host's own loopback is the nearest there is.
        let address = if address == "host-gateway" {
            "127.0.0.1"
        } else {
            address
        };
        text.push_str(&format!("{address}\t{name}\n"));
    }
    Ok(text)
}

fn resolv_conf(record: &Record) -> String {
    let host = &record.host;
    let base = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let keep = |word: &str, replaced: bool| -> String {
        if replaced {
            return String::new();
        }
        base.lines()
            .filter(|l| l.split_whitespace().next() == Some(word))
            .map(|l| format!("{l}\n"))
            .collect()
    };
    let mut text = keep("nameserver", !host.dns.is_empty());
    text.push_str(&keep("search", !host.dns_search.is_empty()));
    text.push_str(&keep("options", !host.dns_options.is_empty()));
    for server in &host.dns {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !host.dns_search.is_empty() && host.dns_search != ["."] {
        text.push_str(&format!("search {}\n", host.dns_search.join(" ")));
    }
    if !host.dns_options.is_empty() {
        text.push_str(&format!("options {}\n", host.dns_options.join(" ")));
    }
    text
}
