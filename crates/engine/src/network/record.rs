//! The durable part of a network: `DATA-ROOT/networks/<id>.json`.
//!
//! ```text
//! networks/          0700; `bridge`, `host` and `none` are in no file
//!   <id>.json        one record, written whole: temp, sync, rename
//!   ula              the daemon's own prefix for IPv6, chosen once
//! ```
//! Crash rule: a network is there when its record is. The bridge is made after the record and removed before it, so that a
//! crash leaves at most a record whose bridge the next use makes again. Which container has which address stands nowhere
//! here: that is read from what the running containers have.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use network::subnet::Subnet;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What the record of a network is called whose bridge is still to go.
const GONE: &str = "gone";

/// The version of the record's shape; newer ones are refused.
pub(crate) const VERSION: u32 = 1;

/// What carries a network's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A bridge of the host.
    Bridge,
    /// Links that stand beside one of the host's own.
    Macvlan,
    /// Links that share one of the host's own, and its hardware address.
    Ipvlan,
    /// The host's own namespace.
    Host,
    /// Nothing but loopback.
    Null,
}

impl Driver {
    /// The name that users know.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// The full id.
    pub id: String,
    /// The name; unique.
    pub name: String,
    /// Creation, in nanoseconds since the epoch.
    pub created_unix_nanos: i64,
    /// What carries it.
    pub driver: Driver,
    /// Containers get IPv4 addresses.
    pub ipv4: bool,
    /// Containers get IPv6 addresses.
    pub ipv6: bool,
    /// No way out.
    pub internal: bool,
    /// Shown only: single containers may always join.
    pub attachable: bool,
    /// Only a configuration for others.
    #[serde(default)]
    pub config_only: bool,
    /// The network whose configuration this one has; empty: its own.
    #[serde(default)]
    pub config_from: String,
    /// The driver's options, as the user wrote them.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of address management, as the user wrote them; `None`: none were sent.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// The ranges addresses come from, the first of a family until it is full; at most one of each on a bridge.
    pub pools: Vec<Pool>,
}

/// One range of addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet.
    pub subnet: Subnet,
    /// The part that addresses are picked from.
    pub range: Option<Subnet>,
    /// The network's own address; none on a network that leads nowhere and is on no bridge, and where a configuration for
    /// others leaves it to them.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Addresses kept for others.
    pub reserved: BTreeMap<String, IpAddr>,
    /// The user named the subnet: containers may then ask for addresses.
    pub is_asked: bool,
}

/// The name under which an address of a pool is kept for the router that containers use in the network's own place.
#[must_use]
pub(super) fn router_key(is_v4: bool) -> &'static str {
    match is_v4 {
        true => "DefaultGatewayIPv4",
        false => "DefaultGatewayIPv6",
    }
}

impl Pool {
    /// Where containers send what is for elsewhere: the network's own address, or that which is kept for a router.
    #[must_use]
    pub fn router(&self) -> Option<IpAddr> {
        let kept = self.reserved.get(router_key(self.subnet.is_ipv4()));
        kept.copied().or(self.gateway)
    }
}

impl Record {
    /// Whether it is one of those that are always there.
    #[must_use]
    pub fn is_predefined(&self) -> bool {
        is_predefined(&self.name)
    }

    /// Whether names are resolved in it and static addresses are allowed: every network but the predefined ones.
    #[must_use]
    pub fn is_user_defined(&self) -> bool {
        !self.is_predefined()
    }

    /// Whether its containers stand on a link of the host's.
    #[must_use]
    pub fn is_on_link(&self) -> bool {
        matches!(self.driver, Driver::Macvlan | Driver::Ipvlan)
    }

    /// Whether something of it is beyond the host's containers: nobody said otherwise, and it is not on a link of its own.
    #[must_use]
    pub fn leads_out(&self) -> bool {
        let has_parent = self.options.get("parent").is_some_and(|p| !p.is_empty());
        !self.internal && (has_parent || !self.is_on_link())
    }

    /// Whether an address of each range is the network's own, asked for or not.
    #[must_use]
    pub(super) fn needs_gateways(&self) -> bool {
        !self.config_only && (self.leads_out() || !self.is_on_link())
    }

    /// Writes the record whole and durably.
    ///
    /// # Errors
    /// [`Error::File`], with the path.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = file(folder, &self.id);
        let bytes = serde_json::to_vec(self).map_err(|source| Error::Record {
            path: path.clone(),
            source,
        })?;
        write_durably(&path, &bytes)
    }
}

/// The names that Docker keeps for itself.
#[must_use]
pub(super) fn is_predefined(name: &str) -> bool {
    matches!(name, "bridge" | "host" | "none" | "default")
}

/// Forgets a network's record.
pub(crate) fn remove(folder: &Path, id: &str) -> Result<()> {
    let path = file(folder, id);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
        _ => Ok(()),
    }
}

/// A network is gone, and something of it on the host still to go; gives the file that says so.
pub(crate) fn bury(folder: &Path, id: &str) -> Result<PathBuf> {
    let (path, buried) = (file(folder, id), folder.join(format!("{id}.{GONE}")));
    fs::rename(&path, &buried).map_err(|e| Error::file("rename", path, e))?;
    Ok(buried)
}

/// Records of networks that are gone, with their files; one that cannot be read names nothing and is removed.
pub(crate) fn buried(folder: &Path) -> Result<Vec<(PathBuf, Record)>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::file("read", folder, e))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let is_buried = |path: &PathBuf| path.extension().is_some_and(|e| e == GONE);
    let record = |path: PathBuf| match read(&path) {
        Ok(record) => Some((path, record)),
        Err(error) => {
            tracing::error!(
                error = fault::chain(&error),
                "a network that was removed left its bridge"
            );
            let _ = fs::remove_file(path);
            None
        }
    };
    Ok(paths.filter(is_buried).filter_map(record).collect())
}

/// Reads every record; one that cannot be read is told and left alone.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Record>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).map_err(|e| Error::file("read", folder, e))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => {}
            Some("tmp") => {
                let _ = fs::remove_file(&path);
                continue;
            }
            _ => continue,
        }
        match read(&path) {
            Ok(record) if record.version <= VERSION => found.push(record),
            Ok(record) => tracing::error!(
                path = %path.display(),
                version = record.version,
                "the network was written by a newer version, left alone"
            ),
            Err(error) => tracing::error!(
                error = fault::chain(&error),
                "network not readable, left alone"
            ),
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Record> {
    let bytes = fs::read(path).map_err(|e| Error::file("read", path, e))?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Record {
        path: path.to_owned(),
        source,
    })
}

fn file(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.json"))
}

/// Temp, sync, rename.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = path.with_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temp)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&temp, path)
    };
    write().map_err(|e| Error::file("write", path, e))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(name: &str) -> Record {
        Record {
            version: VERSION,
            id: ids::NetworkId::random().to_string(),
            name: name.into(),
            created_unix_nanos: 7,
            driver: Driver::Bridge,
            ipv4: true,
            ipv6: false,
            internal: false,
            attachable: false,
            config_only: false,
            config_from: String::new(),
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
            ipam_options: None,
            pools: vec![Pool {
                subnet: "10.1.0.0/24".parse().expect("a subnet"),
                range: None,
                gateway: Some("10.1.0.1".parse().expect("an address")),
                reserved: BTreeMap::new(),
                is_asked: true,
            }],
        }
    }

    #[test]
    fn a_record_survives_a_round_trip_and_rubbish_beside_it() {
        let folder = std::env::temp_dir().join(format!("estiva-networks-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder of ours");
        let one = record("one");
        one.write(&folder).expect("written");
        fs::write(folder.join("rubbish.json"), b"{").expect("written");
        fs::write(folder.join("torn.tmp"), b"{").expect("written");
        fs::write(folder.join("ula"), b"fd00::").expect("written");
        assert_eq!(
            read_all(&folder).expect("readable"),
            std::slice::from_ref(&one)
        );
        assert!(!folder.join("torn.tmp").exists(), "a torn write is removed");
        let buried_at = bury(&folder, &one.id).expect("renamed");
        assert_eq!(read_all(&folder).expect("readable"), []);
        fs::write(folder.join("torn.gone"), b"{").expect("written");
        assert_eq!(
            buried(&folder).expect("readable"),
            [(buried_at.clone(), one.clone())]
        );
        assert!(!folder.join("torn.gone").exists(), "it names nothing");
        fs::remove_file(buried_at).expect("it is there");
        one.write(&folder).expect("written");
        remove(&folder, &one.id).expect("removed");
        remove(&folder, &one.id).expect("removing twice is no failure");
        assert_eq!(read_all(&folder).expect("readable"), []);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
