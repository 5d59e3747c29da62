//! Networks on a link of the host's, macvlan and ipvlan: the link, and whether the kernel has what they need.

use network::link::{self, Wire, WireKind};

use super::ground::Ground;
use super::options::ParentOptions;
use super::record::{Driver, Record};
use super::registry::Registry;
use crate::engine::Shared;
use crate::error::{Error, Result};

/// What such a network was told.
pub(super) fn options(record: &Record) -> Result<ParentOptions> {
    match record.driver {
        Driver::Ipvlan => ParentOptions::ipvlan(&record.options, &record.id),
        _ => ParentOptions::macvlan(&record.options, &record.id),
    }
}

/// The host's link is there; a VLAN's is made where it is not, and a dummy where none was named.
///
/// # Errors
/// [`Error::Invalid`]: there is none. [`Error::Unavailable`]: the kernel makes no dummies. [`Error::Link`]: nor VLANs.
pub(super) fn require(ground: &Ground, options: &ParentOptions) -> Result<()> {
    let parent = options.parent();
    if options.is_dummy {
        return link::ensure_dummy(parent, ground.table()).map_err(|error| match error.kind() {
            fault::Kind::Unimplemented => Error::Unavailable(
                "this kernel has no dummy links, on which a network without a parent stands: \
                 name a link of the host with -o parent=LINK"
                    .into(),
            ),
            _ => error.into(),
        });
    }
    match link::ensure_vlan(parent, ground.table())? {
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
    require(&shared.networks.ground, &options)?;
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

/// Removes the links that were made for networks and that none stands on: one is gone, or a crash came between.
pub(super) fn release(registry: &Registry, ground: &Ground) {
    let release = || -> Result<()> {
        let made = link::parents_of(ground.table())?;
        if made.is_empty() {
            return Ok(());
        }
        let all = registry.all();
        let parents = all.iter().filter_map(|network| {
            let record = network.record();
            let options = options(&record).ok().filter(|_| record.is_on_link())?;
            Some(options.parent().to_owned())
        });
        let used: Vec<String> = parents.collect();
        for name in made.iter().filter(|name| !used.contains(name)) {
            link::remove_link(name)?;
        }
        Ok(())
    };
    if let Err(error) = release() {
        tracing::warn!(
            error = fault::chain(&error),
            "a link that was made for a network stays"
        );
    }
}
