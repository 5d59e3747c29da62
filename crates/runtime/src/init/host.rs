//! What the container is called, and its loopback.

use crate::failure::{Step, Tried};

/// Sets host and domain name where they are given.
pub(super) fn name(host: &str, domain: &str) -> Step {
    if !host.is_empty() {
        rustix::system::sethostname(host.as_bytes()).tried(|| format!("set hostname {host:?}"))?;
    }
    if !domain.is_empty() {
        rustix::system::setdomainname(domain.as_bytes())
            .tried(|| format!("set domainname {domain:?}"))?;
    }
    Ok(())
}

/// A new network namespace begins with its loopback down.
pub(super) fn bring_loopback_up() -> Step {
    sys::net::bring_loopback_up().tried(|| "bring lo up".to_owned())
}
