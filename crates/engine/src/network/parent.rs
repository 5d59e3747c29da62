//! Networks on a link of the host's, macvlan and ipvlan: the link, and whether the kernel has what they need.

use std::sync::Arc;

use network::link::{self, Wire, WireKind};

use super::options::ParentOptions;
use super::record::{Driver, Record};
use super::registry::{Network, Registry};
use crate::engine::Shared;
use crate::error::{Error, Result};

/// What such a network was told.
pub(super) fn options(record: &Record) -> Result<ParentOptions> {
    match record.driver {
        Driver::Ipvlan => ParentOptions::ipvlan(&record.options),
        _ => ParentOptions::macvlan(&record.options),
    }
}

/// The host's link is there; a VLAN's is made where it is not.
///
/// # Errors
/// [`Error::Invalid`]: there is none. [`Error::Link`]: the kernel makes no VLANs.
pub(super) fn require(options: &ParentOptions) -> Result<()> {
    let parent = options.parent();
    match link::ensure_vlan(parent)? {
        true => Ok(()),
        false => Err(Error::Invalid(format!(
            "-o parent={parent}: this host has no link of this name"
        ))),
    }
}

/// Whether a network can be: its parent is there, and the kernel makes such a link on it.
///
/// # Errors
/// As [`require`]; [`Error::Unavailable`] for a kind of links that the kernel has not.
pub(super) fn check(shared: &Shared, record: &Record) -> Result<()> {
    let options = options(record)?;
    require(&options)?;
    if !matches!(options.kind, WireKind::Ipvlan { .. }) {
        return Ok(());
    }
    // One is made for a moment, in a namespace that nobody runs in: the kernel alone knows.
    let probe = Wire {
        kind: options.kind,
        name: "eth0".into(),
        mac: [0; 6],
        addresses: Vec::new(),
        mtu: options.mtu,
    };
    let namespace = shared.networks.ground.namespace()?;
    link::plug_fresh(&namespace, &[probe], &[]).map_err(|error| match error.kind() {
        fault::Kind::Unimplemented => Error::Unavailable(
            "this kernel has no ipvlan links: use the driver macvlan, or bridge".into(),
        ),
        _ => error.into(),
    })
}

/// A network is gone: the link of a VLAN that was made for it goes too, unless another one stands on it.
pub(super) fn release(registry: &Registry, record: &Record) {
    let is_of_parent = |record: &Record| matches!(record.driver, Driver::Macvlan | Driver::Ipvlan);
    if !is_of_parent(record) {
        return;
    }
    let Ok(options) = options(record) else {
        return;
    };
    let stands_on_it = |other: &Arc<Network>| {
        let other = other.record();
        other.id != record.id
            && is_of_parent(&other)
            && self::options(&other).is_ok_and(|o| o.parent() == options.parent())
    };
    if registry.all().iter().any(stands_on_it) {
        return;
    }
    if let Err(error) = link::remove_vlan(options.parent()) {
        tracing::warn!(
            network = record.name,
            error = fault::chain(&error),
            "the link of its VLAN stays"
        );
    }
}
