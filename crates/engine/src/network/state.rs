//! All that an engine knows of networks: which there are, and what each running container has of them.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use network::dns::{Followed, Running};
use network::ipam::Ula;
use network::link;
use network::namespace::Namespace;
use network::ports::Ports;
use network::subnet::Subnet;

use super::endpoint::Live;
use super::ground::Ground;
use super::predefined;
use super::ranges::Choice;
use super::record::write_durably;
use super::registry::Registry;
use crate::error::{Error, Result};
use crate::options::Options;

/// The host's resolvers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// What systemd's resolver asks in turn.
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// The engine's part for networks.
#[derive(Debug)]
pub(crate) struct Networks {
    pub(crate) registry: Registry,
    pub(crate) ground: Ground,
    /// Whose the host's ports are.
    pub(crate) ports: Ports,
    /// The host's resolv.conf.
    pub(crate) resolv: Arc<Followed>,
    /// Behind a local resolver of the host.
    pub(crate) resolv_behind: Arc<Followed>,
    held: Mutex<HashMap<String, Held>>,
}

/// What one running container has. Only its actor changes it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) live: Arc<Live>,
    /// Answers at 127.0.0.11 in it.
    pub(crate) resolver: Option<Running>,
    /// Its namespace, open until its program is in it.
    pub(crate) namespace: Option<Namespace>,
}

impl Networks {
    /// Reads what there is; makes nothing on the host.
    pub(crate) fn open(options: &Options, now: i64) -> Result<Self> {
        let folder = options.data_root.join("networks");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|e| Error::file("create", &folder, e))?;
        let ground = Ground::new(options);
        let choice = Choice {
            ula: ula(&folder)?,
            blocks: options.network.address_pools.clone(),
        };
        let predefined = predefined::records(
            &options.network,
            ground.default_bridge(),
            &link::addresses_of(ground.default_bridge())?,
            link::has_ipv6(),
            now,
        );
        Ok(Self {
            registry: Registry::open(&folder, choice, predefined)?,
            ground,
            ports: Ports::new(),
            resolv: Arc::new(Followed::new(RESOLV_CONF)),
            resolv_behind: Arc::new(Followed::new(BEHIND_STUB)),
            held: Mutex::default(),
        })
    }

    /// The daemon ends: without containers in our networks nothing of them stays on the host.
    pub(crate) fn leave_host(&self) {
        let all = self.registry.all();
        if all.iter().all(|network| network.members().is_empty()) {
            self.ground.leave(&self.registry);
        }
        self.ground.await_leaving();
    }

    /// What a running container has.
    pub(crate) fn live(&self, container: &str) -> Option<Arc<Live>> {
        self.held().get(container).map(|held| held.live.clone())
    }

    /// What every running container has, by its id.
    pub(crate) fn all_live(&self) -> Vec<(String, Arc<Live>)> {
        let held = self.held();
        held.iter()
            .map(|(id, held)| (id.clone(), held.live.clone()))
            .collect()
    }

    /// Everything that is held, to look at or to change; not across anything that takes time.
    pub(crate) fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The daemon's own prefix of IPv6, kept in the data root.
fn ula(folder: &Path) -> Result<Ula> {
    let path = folder.join("ula");
    let kept = fs::read_to_string(&path)
        .ok()
        .and_then(|text| text.trim().parse::<Subnet>().ok())
        .and_then(|subnet| match subnet.address {
            std::net::IpAddr::V6(address) => Ula::of(address),
            std::net::IpAddr::V4(_) => None,
        });
    if let Some(ula) = kept {
        return Ok(ula);
    }
    let ula = Ula::random().map_err(|e| Error::file("read random bytes for", &path, e))?;
    write_durably(&path, format!("{}\n", ula.subnet()).as_bytes())?;
    Ok(ula)
}
