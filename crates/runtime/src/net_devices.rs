//! Network devices of the host that become the container's: moved, named, given their addresses back, and brought up.
//!
//! The parent does it, because a child in a user namespace has no rights over the host's devices; the child waits for it
//! before it does anything that may need the network. A device that is virtual ends with the container's network
//! namespace; the kernel gives a physical one back to the host.
//!
//! Spec: OCI runtime config-linux, "Network Devices".

mod rtnetlink;

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use oci::runtime::{Linux, NamespaceKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sys::namespace::Namespaces;

use crate::errno::Refusal;
use crate::error::Error;
use rtnetlink::Socket;

/// `IFNAMSIZ` less the final zero.
const LONGEST_NAME: usize = 15;

/// One device that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    host_name: String,
    /// A `%d` in it stands for the first number that is free.
    name: String,
}

/// The devices that a spec moves.
pub(crate) fn plan(linux: &Linux) -> Result<Vec<Device>, Error> {
    if linux.net_devices.is_empty() {
        return Ok(Vec::new());
    }
    if linux.namespace(NamespaceKind::Network).is_none() {
        return Err(Error::invalid(
            "linux.netDevices",
            "they need a network namespace other than the runtime's",
        ));
    }
    linux
        .net_devices
        .iter()
        .map(|(host_name, device)| {
            let name = match device.name.as_str() {
                "" => host_name,
                name => name,
            };
            check(host_name)?;
            check(name)?;
            Ok(Device {
                host_name: host_name.clone(),
                name: name.to_owned(),
            })
        })
        .collect()
}

/// As the kernel has it (`dev_valid_name`).
fn check(name: &str) -> Result<(), Error> {
    let plain = |c: char| c != '/' && c != ':' && c != '\0' && !c.is_ascii_whitespace();
    let fits = !name.is_empty() && name.len() <= LONGEST_NAME;
    if fits && !matches!(name, "." | "..") && name.chars().all(plain) {
        return Ok(());
    }
    Err(Error::invalid(
        "linux.netDevices",
        format!("{name:?} is no name of a network device"),
    ))
}

/// Moves the devices into the network namespace of a container.
pub(crate) fn give(devices: &[Device], namespace: &OwnedFd) -> Result<(), Error> {
    let failed = |what: &'static str| Error::spawn(what);
    let outside = Socket::open().map_err(failed("speak to the kernel about network devices"))?;
    let inside = open_inside(namespace)?;
    for device in devices {
        give_one(&outside, &inside, device, namespace).map_err(|(what, errno)| {
            Error::NetDevice {
                name: device.host_name.clone(),
                what,
                source: Refusal(errno),
            }
        })?;
    }
    Ok(())
}

/// A socket belongs to the namespace that it was opened in, wherever its owner goes.
fn open_inside(namespace: &OwnedFd) -> Result<Socket, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own = rustix::fs::open("/proc/self/ns/net", flags, Mode::empty())
        .map_err(Error::spawn("open our own network namespace"))?;
    let join = |fd: &OwnedFd, what: &'static str| {
        sys::namespace::join(fd.as_fd(), Namespaces::NETWORK).map_err(|error| Error::Spawn {
            what,
            source: Refusal::from(error),
        })
    };
    join(namespace, "join the container's network namespace")?;
    let socket = Socket::open();
    join(&own, "return to our own network namespace")?;
    socket.map_err(Error::spawn(
        "speak to the kernel about the container's network devices",
    ))
}

type Tried<T> = Result<T, (&'static str, Errno)>;

fn give_one(outside: &Socket, inside: &Socket, device: &Device, namespace: &OwnedFd) -> Tried<()> {
    let because = |what: &'static str| move |errno| (what, errno);
    let index = outside
        .index(&device.host_name)
        .map_err(because("find it on the host"))?;
    let addresses = outside
        .lasting_addresses(index)
        .map_err(because("list its addresses"))?;
    let before: BTreeSet<i32> = inside
        .indices()
        .map_err(because("list the container's devices"))?;
    // The kernel would take the old name where the new one exists, and then fail halfway.
    if !device.name.contains("%d") && inside.index(&device.name).is_ok() {
        return Err((
            "a device with its new name is in the container",
            Errno::EXIST,
        ));
    }
    // Linux renames what is down only (6.2 and later take both).
    outside
        .set_up(index, false)
        .map_err(because("bring it down"))?;
    outside
        .give_away(index, &device.name, namespace)
        .map_err(because("move it into the container"))?;
    let after = inside
        .indices()
        .map_err(because("list the container's devices"))?;
    let index = *after
        .difference(&before)
        .next()
        .ok_or(("find it in the container", Errno::NODEV))?;
    for address in &addresses {
        inside
            .add_address(index, address)
            .map_err(because("give it its address"))?;
    }
    inside.set_up(index, true).map_err(because("bring it up"))
}

#[cfg(test)]
mod tests {
    use oci::runtime::{Namespace, NetDevice};

    use super::*;

    fn planned(host_name: &str, name: &str, kinds: &[NamespaceKind]) -> Result<Vec<Device>, Error> {
        plan(&Linux {
            net_devices: [(
                host_name.to_owned(),
                NetDevice {
                    name: name.to_owned(),
                },
            )]
            .into(),
            namespaces: kinds.iter().copied().map(Namespace::new).collect(),
            ..Linux::default()
        })
    }

    #[test]
    fn a_device_keeps_its_name_unless_it_is_given_one() {
        let own = [NamespaceKind::Network];
        for (name, expect) in [("", "eth7"), ("net%d", "net%d")] {
            let devices = planned("eth7", name, &own).expect("valid");
            assert_eq!(devices[0].name, expect);
        }
    }

    #[test]
    fn names_that_the_kernel_would_not_take_and_a_shared_namespace_are_refused() {
        let own = [NamespaceKind::Network];
        for bad in ["a b", "a/b", "..", "sixteencharacter", "a:b"] {
            assert!(planned("eth7", bad, &own).is_err(), "{bad}");
        }
        let error = planned("eth7", "", &[]).expect_err("the host's namespace");
        assert!(error.to_string().contains("network namespace"), "{error}");
    }
}
