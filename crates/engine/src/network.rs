//! Networks: what faces may ask of them. What a container has of them is given at its start and taken back at its end.
//!
//! ```text
//! record ─ registry      which networks there are, and which addresses of each are given
//! request, options, ranges      from what the user wrote to a record; pure
//! ground ─ leaving       what stands on the host: rules, bridges, ready namespaces; bridges that are on their way out
//! wanted ─ attach ─ connect ─ recover      a container's endpoints: settled, made, changed, found again
//! endpoint               what a running container has, on disk while it runs
//! files, hosts, links    what it reads of it
//! ```

pub(crate) mod attach;
pub(crate) mod connect;
mod endpoint;
mod endpoint_options;
pub(crate) mod files;
mod forwarding;
mod ground;
mod hosts;
mod leaving;
pub(crate) mod links;
mod list;
mod make;
mod options;
mod parent;
mod predefined;
pub(crate) mod published;
mod ranges;
mod record;
pub(crate) mod recover;
mod registry;
mod request;
mod state;
pub(crate) mod wanted;

pub use endpoint::{Endpoint, Live, Mac, Published};
pub use list::{Member, NetworkView};
pub use predefined::id as predefined_id;
pub use record::{Driver, Pool, Record};

pub(crate) use registry::Network;
pub(crate) use state::Networks;

use api::network::{EndpointSettings, NetworkCreateRequest};

use crate::blocking;
use crate::container::command::Command;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::prune::Until;

/// A network that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedNetwork {
    /// Its full id.
    pub id: String,
    /// What was not done as asked; empty when all was.
    pub warning: String,
}

impl Engine {
    /// Makes a network.
    ///
    /// # Errors
    /// The name is taken or predefined; a range overlaps; an option or driver that is not known; IPv6 is off on the host.
    pub async fn create_network(&self, new: NetworkCreateRequest) -> Result<CreatedNetwork> {
        let shared = self.shared.clone();
        blocking::run("network creation", move || {
            let (network, warning) = make::create(&shared, new)?;
            let id = network.record().id.clone();
            Ok(CreatedNetwork { id, warning })
        })
        .await
    }

    /// The networks that filters let through, by name.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn networks(&self, filters: &ids::Filters) -> Result<Vec<NetworkView>> {
        let (shared, filters) = (self.shared.clone(), filters.clone());
        blocking::run("network list", move || {
            let found = list::list(&shared, &filters)?;
            for network in &found {
                shared
                    .networks
                    .ground
                    .show(&shared.networks.registry, network);
            }
            Ok(found.iter().map(|n| list::view(&shared, n)).collect())
        })
        .await
    }

    /// A network by id, name or the beginning of its id.
    ///
    /// # Errors
    /// No such network, or several whose ids begin so.
    pub async fn network(&self, target: &str) -> Result<NetworkView> {
        let (shared, target) = (self.shared.clone(), target.to_owned());
        blocking::run("network inspection", move || {
            let network = shared.networks.registry.require(&target)?;
            shared
                .networks
                .ground
                .show(&shared.networks.registry, &network);
            Ok(list::view(&shared, &network))
        })
        .await
    }

    /// Removes a network that no container is in.
    ///
    /// # Errors
    /// No such network; it is predefined; a container is in it.
    pub async fn remove_network(&self, target: &str) -> Result<()> {
        let (shared, target) = (self.shared.clone(), target.to_owned());
        blocking::run("network removal", move || {
            let network = shared.networks.registry.require(&target)?;
            make::remove(&shared, &network)
        })
        .await
    }

    /// Removes the networks that no running container is in and no stopped one names, but no configurations for others; gives
    /// their names.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn prune_networks(&self, filters: &ids::Filters) -> Result<Vec<String>> {
        filters
            .require_known(&["label", "label!", "until"])
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let until = Until::parse(filters, self.shared.now())?;
        let (shared, filters) = (self.shared.clone(), filters.clone());
        blocking::run("network prune", move || {
            let mut removed = Vec::new();
            for network in shared.networks.registry.all() {
                let record = network.record();
                let wanted = !record.is_predefined()
                    && !record.config_only
                    && until.includes(record.created_unix_nanos)
                    && filters.matches_labels("label", &record.labels)
                    && filters.lacks_labels("label!", &record.labels);
                if wanted && make::remove(&shared, &network).is_ok() {
                    removed.push(record.name.clone());
                }
            }
            let freed = [("reclaimed".to_owned(), "0".to_owned())];
            shared.tell("network", "prune", "", freed.into());
            Ok(removed)
        })
        .await
    }

    /// Brings a container into a network; at once when it runs.
    ///
    /// # Errors
    /// No such network or container; Docker's reasons why it may not join; an address that is taken.
    pub async fn connect(
        &self,
        network: &str,
        container: &str,
        wish: EndpointSettings,
    ) -> Result<()> {
        let network = self.shared.networks.registry.require(network)?;
        let handle = self.containers().require(container)?;
        let wish = Box::new(wish);
        handle
            .ask(|reply| Command::Connect {
                network,
                wish,
                reply,
            })
            .await
    }

    /// Takes a container out of a network; at once when it runs.
    ///
    /// # Errors
    /// No such network or container; it is not in it, or may not leave it.
    pub async fn disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        let found = self.shared.networks.registry.require(network);
        let handle = self.containers().require(container);
        let (network, handle) = match (found, handle) {
            (Ok(network), Ok(handle)) => (network, handle),
            (Ok(_), Err(_)) if force => {
                return Err(Error::NotFound(format!("endpoint {container} not found")));
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        handle
            .ask(|reply| Command::Disconnect { network, reply })
            .await
    }
}
