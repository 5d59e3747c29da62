//! Joining and leaving networks, at any time of a container's life.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use api::network::EndpointSettings;
use shim::protocol::Request;
use tokio::runtime::Handle;

use super::Actor;
use crate::blocking;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::network::attach::Publish;
use crate::network::connect::{self, Changes};
use crate::network::links;

/// How often a port is asked for again that the shim is about to give up.
const ATTEMPTS: u32 = 20;

impl Actor {
    pub(super) async fn connect(
        &mut self,
        network: Arc<Network>,
        wish: EndpointSettings,
    ) -> Result<()> {
        self.permits(lifecycle::Use::Update)?;
        let wish = connect::check(&self.record, &network, wish)?;
        let name = network.record().name.clone();
        let endpoints = &mut self.record.networking.endpoints_config;
        endpoints.insert(name.clone(), wish);
        if let Some(pid) = self.record.state.pid() {
            let (shared, record) = (self.shared.clone(), self.record.clone());
            let (joined, runtime) = (network.clone(), Handle::current());
            let outcome = blocking::run("network connection", move || {
                connect::join(&shared, &record, &joined, pid, &runtime)
            })
            .await;
            match outcome {
                Ok(changes) => self.tell_shim(changes).await?,
                Err(error) => {
                    self.record.networking.endpoints_config.remove(&name);
                    return Err(error);
                }
            }
            connect::tell_of(&self.shared, "connect", &network, &self.record.id);
        }
        self.persist();
        Ok(())
    }

    pub(super) async fn disconnect(&mut self, network: Arc<Network>) -> Result<()> {
        let name = network.record().name.clone();
        let endpoints = &mut self.record.networking.endpoints_config;
        if name == "host" && endpoints.contains_key("host") {
            return Err(Error::Invalid(
                "container cannot be disconnected from host network or connected to host network"
                    .into(),
            ));
        }
        if endpoints.remove(&name).is_none() {
            return Err(connect::not_connected(&self.record.id, &name));
        }
        if let Some(pid) = self.record.state.pid() {
            let (shared, record) = (self.shared.clone(), self.record.clone());
            let (runtime, left) = (Handle::current(), name.clone());
            let changes = blocking::run("network disconnection", move || {
                connect::part(&shared, &record, &left, pid, &runtime)
            })
            .await?;
            let moves = !changes.unpublish.is_empty();
            self.tell_shim(changes).await?;
            if moves {
                self.publish_elsewhere().await;
            }
            connect::tell_of(&self.shared, "disconnect", &network, &self.record.id);
        }
        self.persist();
        Ok(())
    }

    /// Takes a link away; the container itself stays.
    pub(super) async fn unlink(&mut self, alias: &str) -> Result<()> {
        let links = &mut self.record.host.links;
        let Some(at) = links.iter().position(|link| links::split(link).1 == alias) else {
            let name = format!("{}/{alias}", self.record.name);
            return Err(Error::NoSuchContainer(name));
        };
        let link = links.remove(at);
        if self.record.state.pid().is_some() {
            let (shared, record) = (self.shared.clone(), self.record.clone());
            blocking::run("link removal", move || {
                links::cut(&shared, &record, &link);
                Ok(())
            })
            .await?;
        }
        self.persist();
        Ok(())
    }

    /// Ports that led through a network that was left lead through another one from now on, if there is one.
    async fn publish_elsewhere(&mut self) {
        for attempt in 0..ATTEMPTS {
            let (shared, record) = (self.shared.clone(), self.record.clone());
            let outcome = blocking::run("port publication", move || {
                connect::publish_again(&shared, &record)
            })
            .await;
            match outcome {
                Ok(publish) => {
                    let changes = Changes {
                        publish,
                        unpublish: Vec::new(),
                    };
                    if let Err(error) = self.tell_shim(changes).await {
                        tracing::warn!(container = %self.record.id, error = fault::chain(&error), "ports not served on loopback");
                    }
                    return;
                }
                // The shim takes a moment to close the sockets of before.
                Err(Error::Ports { .. }) if attempt + 1 < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => {
                    tracing::warn!(container = %self.record.id, error = fault::chain(&error), "ports are published no more");
                    return;
                }
            }
        }
    }

    /// Its program runs, or has ended: the events of its networks. A running program keeps its namespace by itself.
    pub(super) fn tell_networks(&self, action: &str) {
        let networks = &self.shared.networks;
        if let Some(held) = networks.held().get_mut(&self.record.id) {
            held.namespace = None;
        }
        let live = networks.live(&self.record.id).unwrap_or_default();
        for name in live.endpoints.keys() {
            if let Some(network) = networks.registry.named(name) {
                connect::tell_of(&self.shared, action, &network, &self.record.id);
            }
        }
    }

    async fn tell_shim(&self, changes: Changes) -> Result<()> {
        for request in changes.unpublish {
            self.send(&request, None).await?;
        }
        self.publish_ports(changes.publish).await
    }

    /// Hands the sockets of published ports to the shim.
    pub(super) async fn publish_ports(&self, ports: Vec<Publish>) -> Result<()> {
        for (request, socket) in ports {
            self.send(&request, Some(&socket)).await?;
        }
        Ok(())
    }

    async fn send(&self, request: &Request, socket: Option<&OwnedFd>) -> Result<()> {
        let Some(shim) = &self.shim else {
            return Ok(());
        };
        shim.send(request, socket.map(AsFd::as_fd))
            .await
            .map_err(|source| Error::Shim {
                peer: "shim",
                id: self.record.id.clone(),
                source,
            })
    }
}
