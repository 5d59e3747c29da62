//! Links of the old kind on the default bridge: lines in the hosts file, and variables that tell the other's ports.

use std::net::{IpAddr, Ipv4Addr};

use lifecycle::State;
use network::firewall::Hole;

use super::endpoint::Live;
use super::files;
use super::hosts::Line;
use super::predefined::BRIDGE;
use super::published;
use crate::container::{Record, View};
use crate::engine::Shared;
use crate::error::{Error, Result};

/// Reads `container[:alias]`.
pub(crate) fn split(link: &str) -> (&str, &str) {
    let (target, alias) = link.split_once(':').unwrap_or((link, ""));
    let target = target.strip_prefix('/').unwrap_or(target);
    let alias = alias.rsplit('/').next().unwrap_or_default();
    (target, if alias.is_empty() { target } else { alias })
}

/// The links as they are kept, `name:alias`, whatever the user called the other container.
///
/// # Errors
/// [`Error::Invalid`], in Docker's words: no such container, or one without a network of its own.
pub(crate) fn settle(shared: &Shared, links: &[String]) -> Result<Vec<String>> {
    let settle = |link: &String| {
        let (target, alias) = split(link);
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '#';
        if target.is_empty() || alias.contains(bad) {
            return Err(Error::Invalid(format!("invalid link: {link:?}")));
        }
        let handle = shared.containers.require(target).map_err(|_| {
            Error::Invalid(format!(
                "could not get container for {target}: No such container: {target}"
            ))
        })?;
        let view = handle.view();
        let mode = &view.record.host.network_mode;
        if mode == "host" || mode.starts_with("container:") {
            return Err(Error::Invalid(
                "conflicting options: host type networking can't be used with links. This would result in undefined behavior".into(),
            ));
        }
        Ok(format!("{}:{alias}", view.record.name))
    };
    links.iter().map(settle).collect()
}

/// One link whose other end runs.
struct Linked {
    alias: String,
    view: View,
    address: Ipv4Addr,
}

/// The links of a container on the default bridge, each with where it leads now.
fn resolve(shared: &Shared, record: &Record) -> Result<Vec<Linked>> {
    let is_on_bridge = record.networking.endpoints_config.contains_key(BRIDGE);
    if record.host.links.is_empty() || !is_on_bridge || record.host.network_mode != BRIDGE {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for link in &record.host.links {
        let (target, alias) = split(link);
        let view = shared.containers.require(target)?.view();
        let name = view.record.name.clone();
        let runs = matches!(
            view.record.state,
            State::Running { .. } | State::Paused { .. }
        );
        if !runs {
            return Err(Error::Conflict(format!(
                "Cannot link to a non running container: /{name} AS /{}/{alias}",
                record.name
            )));
        }
        let live = shared.networks.live(&view.record.id);
        let address = live.and_then(|live| address_on_bridge(&live));
        let Some(address) = address else {
            return Err(Error::Conflict(format!(
                "Cannot link to /{name}, as it does not belong to the default network"
            )));
        };
        all.push(Linked {
            alias: alias.to_owned(),
            view,
            address,
        });
    }
    Ok(all)
}

fn address_on_bridge(live: &Live) -> Option<Ipv4Addr> {
    live.endpoints.get(BRIDGE)?.ipv4.map(|(ip, _)| ip)
}

/// The lines of the hosts file.
pub(crate) fn lines(shared: &Shared, record: &Record) -> Result<Vec<Line>> {
    let linked = resolve(shared, record)?;
    let line = |l: &Linked| Line {
        address: IpAddr::from(l.address),
        names: names(&l.alias, &l.view.record),
    };
    Ok(linked.iter().map(line).collect())
}

fn names(alias: &str, target: &Record) -> String {
    let mut names = vec![alias];
    for name in [&target.config.hostname, &target.name] {
        if !name.is_empty() && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.join(" ")
}

/// The variables of a container's programs.
pub(crate) fn env(shared: &Shared, record: &Record) -> Result<Vec<String>> {
    let mut env = Vec::new();
    for Linked {
        alias,
        view,
        address,
    } in resolve(shared, record)?
    {
        let target = &view.record;
        let ports = published::all(&target.config, &target.host);
        env.extend(variables(
            &alias,
            &record.name,
            address,
            &ports,
            &target.config.env,
        ));
    }
    Ok(env)
}

fn variables(
    alias: &str,
    parent: &str,
    address: Ipv4Addr,
    ports: &[String],
    child: &[String],
) -> Vec<String> {
    let prefix = alias.to_uppercase().replace('-', "_");
    let mut env = Vec::new();
    let mut split: Vec<(&str, &str)> = ports.iter().filter_map(|p| p.split_once('/')).collect();
    // TCP leads, as in Docker.
    split.sort_by_key(|(port, protocol)| (*protocol != "tcp", port.parse::<u16>().unwrap_or(0)));
    if let Some((port, protocol)) = split.first() {
        env.push(format!("{prefix}_PORT={protocol}://{address}:{port}"));
    }
    for (port, protocol) in &split {
        let name = format!("{prefix}_PORT_{port}_{}", protocol.to_uppercase());
        env.push(format!("{name}={protocol}://{address}:{port}"));
        env.push(format!("{name}_ADDR={address}"));
        env.push(format!("{name}_PORT={port}"));
        env.push(format!("{name}_PROTO={protocol}"));
    }
    env.push(format!("{prefix}_NAME=/{parent}/{alias}"));
    for variable in child {
        match variable.split_once('=') {
            None | Some(("HOME" | "PATH", _)) => {}
            Some((name, value)) => env.push(format!("{prefix}_ENV_{name}={value}")),
        }
    }
    env
}

/// Brings a container that has started, maybe with another address than before, to the hosts files of those linked to it.
pub(crate) fn tell_linked(shared: &Shared, target: &Record, live: &Live) {
    let Some(address) = address_on_bridge(live) else {
        return;
    };
    open_holes(shared, target, live);
    for handle in shared.containers.all() {
        let view = handle.view();
        if view.record.host.links.is_empty() || !view.record.state.is_running() {
            continue;
        }
        if let Some(of_linked) = shared.networks.live(&view.record.id) {
            open_holes(shared, &view.record, &of_linked);
        }
        for link in &view.record.host.links {
            let (name, alias) = split(link);
            let is_it = name == target.name || (name.len() >= 12 && target.id.starts_with(name));
            if !is_it {
                continue;
            }
            let names = names(alias, target);
            let edited = files::edit_hosts(shared, &view.record.id, |text| {
                moved(text, &names, address.into())
            });
            if let Err(error) = edited {
                tracing::warn!(container = %view.record.id, error = fault::chain(&error), "link leads to a former address");
            }
        }
    }
}

/// Where containers on the default bridge do not talk to each other, a link opens what its target exposes.
pub(crate) fn open_holes(shared: &Shared, record: &Record, live: &Live) {
    let own = live.endpoints.get(BRIDGE);
    let (Some(own), false) = (own, shared.options.network.icc) else {
        return;
    };
    let Some((from, _)) = own.ipv4.filter(|_| !record.host.links.is_empty()) else {
        return;
    };
    let mut holes = Vec::new();
    for link in &record.host.links {
        let Ok(handle) = shared.containers.require(split(link).0) else {
            continue;
        };
        let target = handle.view().record.clone();
        let live = shared.networks.live(&target.id);
        let Some(to) = live.and_then(|live| address_on_bridge(&live)) else {
            continue;
        };
        let ports = published::all(&target.config, &target.host);
        holes.extend(ports.iter().filter_map(|text| {
            let (port, protocol) = text.split_once('/')?;
            Some(Hole {
                from,
                to,
                proto: protocol.parse().ok()?,
                port: port.parse().ok()?,
            })
        }));
    }
    let open = || -> Result<()> {
        let firewall = shared.networks.ground.firewall()?;
        Ok(firewall.open_holes(&own.host_name, holes)?)
    };
    if let Err(error) = open() {
        tracing::warn!(container = %record.id, error = fault::chain(&error), "links stay closed");
    }
}

/// Takes the line of a link out of a running container's hosts file, and closes what it has opened.
pub(crate) fn cut(shared: &Shared, record: &Record, link: &str) {
    let (target, alias) = split(link);
    let edited = match shared.containers.require(target) {
        Ok(handle) => {
            let names = names(alias, &handle.view().record);
            files::edit_hosts(shared, &record.id, |text| without_names(text, &names))
        }
        // Its line may stay: nobody has that name any more.
        Err(_) => Ok(()),
    };
    if let Err(error) = edited {
        tracing::warn!(container = %record.id, error = fault::chain(&error), "the line of a link stays");
    }
    let Some(live) = shared.networks.live(&record.id) else {
        return;
    };
    let Some(own) = live.endpoints.get(BRIDGE) else {
        return;
    };
    if let Some(firewall) = shared.networks.ground.opened()
        && let Err(error) = firewall.open_holes(&own.host_name, Vec::new())
    {
        tracing::warn!(container = %record.id, error = fault::chain(&error), "a link stays open");
    }
    open_holes(shared, record, &live);
}

fn without_names(text: &str, names: &str) -> String {
    let is_it = |line: &&str| {
        let parts = line.trim_end().split_once('\t');
        parts.is_none_or(|(_, have)| have != names)
    };
    text.split_inclusive('\n').filter(is_it).collect()
}

/// A hosts file in which the line of these names has another address.
fn moved(text: &str, names: &str, address: IpAddr) -> String {
    let replace = |line: &str| match line.trim_end().split_once('\t') {
        Some((_, have)) if have == names => format!("{address}\t{names}\n"),
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_an_alias_or_is_its_own() {
        assert_eq!(split("c1:x"), ("c1", "x"));
        assert_eq!(split("/c1:/web/x"), ("c1", "x"));
        assert_eq!(split("c1"), ("c1", "c1"));
    }

    #[test]
    fn variables_tell_the_others_ports() {
        let ports = ["53/udp".to_owned(), "80/tcp".to_owned()];
        let child = ["PATH=/bin".to_owned(), "A=b".to_owned()];
        let env = variables("my-db", "web", Ipv4Addr::new(172, 17, 0, 2), &ports, &child);
        assert_eq!(
            env,
            [
                "MY_DB_PORT=tcp://172.17.0.2:80",
                "MY_DB_PORT_80_TCP=tcp://172.17.0.2:80",
                "MY_DB_PORT_80_TCP_ADDR=172.17.0.2",
                "MY_DB_PORT_80_TCP_PORT=80",
                "MY_DB_PORT_80_TCP_PROTO=tcp",
                "MY_DB_PORT_53_UDP=udp://172.17.0.2:53",
                "MY_DB_PORT_53_UDP_ADDR=172.17.0.2",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_NAME=/web/my-db",
                "MY_DB_ENV_A=b",
            ]
        );
    }

    #[test]
    fn a_moved_target_gets_its_new_address() {
        let text = "127.0.0.1\tlocalhost\n172.17.0.2\tx c1\n1.2.3.4\tmine\n";
        assert_eq!(
            without_names(text, "x c1"),
            "127.0.0.1\tlocalhost\n1.2.3.4\tmine\n"
        );
        assert_eq!(
            moved(text, "x c1", "172.17.0.9".parse().expect("an address")),
            "127.0.0.1\tlocalhost\n172.17.0.9\tx c1\n1.2.3.4\tmine\n"
        );
    }
}
