//! What the daemon was asked to be: the engine's settings, with dockerd's names.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

pub use network::subnet::Subnet;

/// Settings of one engine; `bin/estiva` fills them from the command line and the config file.
#[derive(Debug, Clone)]
pub struct Options {
    /// Durable state (`--data-root`), mode 0700.
    pub data_root: PathBuf,
    /// Volatile state (`--exec-root`), on a tmpfs.
    pub exec_root: PathBuf,
    /// Parent of every container's cgroup that names none (`--cgroup-parent`), `/estiva` by default.
    pub cgroup_parent: String,
    /// Log driver of containers that name none (`--log-driver`), `json-file` by default.
    pub log_driver: String,
    /// Options of that driver (`--log-opt`).
    pub log_options: BTreeMap<String, String>,
    /// Seconds between the stop signal and SIGKILL when nothing else says so (`--default-stop-timeout`... 10).
    pub stop_timeout_secs: u32,
    /// Mirrors, shown by `info` (`--registry-mirror`); used when the registry client arrives.
    pub registry_mirrors: Vec<String>,
    /// Registries spoken to without TLS, shown by `info` (`--insecure-registry`).
    pub insecure_registries: Vec<String>,
    /// The daemon's own labels (`--label`).
    pub labels: Vec<String>,
    /// `--debug`.
    pub debug: bool,
    /// Run every container under our own pid 1 (`--init`).
    pub init: bool,
    /// Size of /dev/shm in bytes (`--default-shm-size`), 64 MiB by default.
    pub shm_size: i64,
    /// Limits of every container that names none (`--default-ulimit`), as (name, soft, hard).
    pub ulimits: Vec<(String, i64, i64)>,
    /// The seccomp profile of containers that name none (`--seccomp-profile`); `None` is the built-in one.
    pub seccomp_profile: Option<String>,
    /// `--no-new-privileges` for every container.
    pub no_new_privileges: bool,
    /// User namespaces of containers that ask for nothing (`--userns-remap`).
    pub userns_remap: crate::Remap,
    /// Networks.
    pub network: NetworkOptions,
}

/// The bridge of containers that name no network (`--bridge`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DefaultBridge {
    /// One of ours, made when it is needed.
    #[default]
    Own,
    /// One that somebody else has made.
    Named(String),
    /// None: such containers have loopback only.
    None,
}

/// How networks are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Published ports are open whatever the host's own INPUT policy says, as in Docker (`--published-ports=open`).
    pub published_ports_open: bool,
    /// The default bridge (`--bridge`).
    pub bridge: DefaultBridge,
    /// The default bridge's addresses with their prefixes (`--bip`, `--bip6`).
    pub bip: Vec<Subnet>,
    /// Where subnets of networks that name none come from, with the size of each (`--default-address-pool`).
    pub address_pools: Vec<(Subnet, u8)>,
    /// Name servers of containers that name none (`--dns`).
    pub dns: Vec<IpAddr>,
    /// Search domains of containers that name none (`--dns-search`).
    pub dns_search: Vec<String>,
    /// Resolver options of containers that name none (`--dns-opt`).
    pub dns_options: Vec<String>,
    /// The greatest packet on the default bridge (`--mtu`); `None`: as the uplink.
    pub mtu: Option<u32>,
    /// IPv6 on the default bridge (`--ipv6`); `None`: where the host has it.
    pub ipv6: Option<bool>,
    /// Containers on the default bridge reach each other (`--icc`).
    pub icc: bool,
    /// Packets from the default bridge to the world carry the host's address (`--ip-masq`).
    pub masquerade: bool,
    /// Where ports that name no address are published (`--ip`).
    pub host_ip: Option<IpAddr>,
    /// The part of the default bridge's subnets that containers get addresses from (`--fixed-cidr`, `--fixed-cidr-v6`).
    pub fixed_cidr: Vec<Subnet>,
    /// Where containers on the default bridge send what is for elsewhere (`--default-gateway`, `--default-gateway-v6`).
    pub default_gateway: Vec<IpAddr>,
    /// Options of networks that do not have them, by driver (`--default-network-opt`).
    pub driver_options: BTreeMap<String, BTreeMap<String, String>>,
    /// Forwarding may be switched on (`--ip-forward`).
    pub ip_forward: bool,
    /// What is no container's may be passed on, too, where we have switched forwarding on (`--ip-forward-no-drop`).
    pub forward_open: bool,
    /// What `host-gateway` means (`--host-gateway-ip`); empty: the container's gateway.
    pub host_gateway: Vec<IpAddr>,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            published_ports_open: false,
            bridge: DefaultBridge::Own,
            bip: Vec::new(),
            address_pools: Vec::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_options: Vec::new(),
            mtu: None,
            ipv6: None,
            icc: true,
            masquerade: true,
            host_ip: None,
            fixed_cidr: Vec::new(),
            default_gateway: Vec::new(),
            driver_options: BTreeMap::new(),
            ip_forward: true,
            forward_open: false,
            host_gateway: Vec::new(),
        }
    }
}

impl Options {
    /// The defaults for a data root and an exec root.
    #[must_use]
    pub fn new(data_root: PathBuf, exec_root: PathBuf) -> Self {
        Self {
            data_root,
            exec_root,
            cgroup_parent: "/estiva".into(),
            log_driver: "json-file".into(),
            log_options: BTreeMap::new(),
            stop_timeout_secs: 10,
            registry_mirrors: Vec::new(),
            insecure_registries: Vec::new(),
            labels: Vec::new(),
            debug: false,
            init: false,
            shm_size: 64 << 20,
            ulimits: Vec::new(),
            seccomp_profile: None,
            no_new_privileges: false,
            userns_remap: crate::Remap::Off,
            network: NetworkOptions::default(),
        }
    }

    /// Refuses settings that no container could be made with.
    ///
    /// # Errors
    /// The log driver or its options.
    pub fn validate(&self) -> crate::Result<()> {
        logs::validate(&self.log_driver, &self.log_options)?;
        Ok(())
    }
}
