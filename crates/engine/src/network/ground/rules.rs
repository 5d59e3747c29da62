//! The rules: opened with the first network, kept as they should be, taken away when the daemon leaves the host.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use network::firewall::{Admission, Firewall, Healer, Instance, Policy};
use network::link;

use super::Ground;
use crate::error::{Error, Result};
use crate::network::registry::Registry;

/// The rules, and who keeps them as they should be.
#[derive(Debug)]
pub(super) struct Rules {
    firewall: Firewall,
    _healer: Option<Healer>,
}

impl Ground {
    /// Says once that ports are published past the host's own rules, which is not what those who wrote them expect.
    pub(crate) fn warn_of_exposure(&self, port: SocketAddr) {
        if self.policy == Policy::Open
            && !port.ip().is_loopback()
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                %port,
                "ports are published past the host's INPUT rules: whoever reaches this host reaches them \
                 (--published-ports=host-policy makes them obey the rules)"
            );
        }
    }

    /// The rules, opened at the first use.
    pub(crate) fn firewall(&self) -> Result<Firewall> {
        let mut slot = self.rules();
        if self.has_left.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("the engine is shutting down".into()));
        }
        if let Some(rules) = &*slot {
            return Ok(rules.firewall.clone());
        }
        let guarded = self.forwarding.switch_on()?;
        let admission = match self.policy {
            Policy::Open => None,
            Policy::HostInput => {
                let pair = link::ensure_pair(&self.names.out, &self.names.inside)?;
                Some(Admission {
                    out: pair.out,
                    inside: pair.inside,
                    next_hop4: pair.next_hop4,
                    next_hop6: pair.next_hop6,
                })
            }
        };
        let firewall = Firewall::open(self.instance(), self.policy, admission)?;
        firewall.guard(guarded);
        let healer = firewall.watch().map_err(|error| {
            tracing::warn!(
                error = fault::chain(&error),
                "what others change in our rules stays changed"
            );
        });
        *slot = Some(Rules {
            firewall: firewall.clone(),
            _healer: healer.ok(),
        });
        Ok(firewall)
    }

    /// The rules, if they are opened.
    pub(crate) fn opened(&self) -> Option<Firewall> {
        self.rules().as_ref().map(|rules| rules.firewall.clone())
    }

    fn rules(&self) -> MutexGuard<'_, Option<Rules>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self) -> Instance {
        Instance {
            table: self.names.table.clone(),
        }
    }

    /// Removes everything of ours from the host for good: starts that are still under way fail.
    pub(crate) fn leave(&self, registry: &Registry) {
        self.has_left.store(true, Ordering::SeqCst);
        let is_made = self.opened().is_some() || registry.all().iter().any(|n| n.given().is_up);
        if is_made {
            self.clear(registry);
        }
    }

    /// Removes everything of ours from the host; no container may need it.
    pub(crate) fn clear(&self, registry: &Registry) {
        let rules = self.rules().take();
        let firewall = match rules {
            Some(rules) => Ok(rules.firewall),
            // What a former daemon of this name has left goes too.
            None => Firewall::open(self.instance(), Policy::Open, None),
        };
        if let Err(error) = firewall.and_then(|firewall| firewall.remove_all()) {
            tracing::warn!(error = fault::chain(&error), "rules stay");
        }
        for network in registry.all() {
            let mut given = network.given();
            given.is_up = false;
            self.remove_bridge_of(&network.record());
        }
        if let Err(error) = link::remove_link(&self.names.out) {
            tracing::warn!(
                error = fault::chain(&error),
                "the pair for published ports stays"
            );
        }
        self.forwarding.switch_off();
    }
}
