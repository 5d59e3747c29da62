//! Creating: everything is checked first, then made; what was made before a failure is unmade, in reverse.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use api::container::{ContainerConfig, HealthConfig, HostConfig};
use lifecycle::restart::Backoff;
use lifecycle::{RestartPolicy, State};
use snapshot::Mountpoint;

use super::actor::Actor;
use super::record::{MountKind, MountRecord, Record, VERSION, write_whole};
use super::request::{Created, NewContainer};
use super::{files, mounts, registry::Registry, volumes};
use crate::blocking;
use crate::engine::{Engine, Shared};
use crate::error::{Error, Result};
use crate::network::{links, published, wanted};
use crate::spec::{self, userns};

/// Where every container has something mounted; in a layer of their own, so that they are no changes of the container.
const MOUNTPOINTS: [Mountpoint<'_>; 8] = [
    // Programs look for it to learn that they are in a container.
    Mountpoint::File(".dockerenv"),
    Mountpoint::Dir("dev"),
    Mountpoint::Dir("proc"),
    Mountpoint::Dir("sys"),
    Mountpoint::File("etc/hostname"),
    Mountpoint::File("etc/hosts"),
    Mountpoint::File("etc/resolv.conf"),
    Mountpoint::Symlink("etc/mtab", "/proc/mounts"),
];

impl Engine {
    /// Makes a container that does not run yet.
    ///
    /// # Errors
    /// No such image; the name is taken; a request that contradicts itself or this host. Nothing is left behind.
    pub async fn create(&self, new: NewContainer) -> Result<Created> {
        let shared = self.shared.clone();
        let (record, warnings) =
            blocking::run("container creation", move || create(&shared, new)).await?;
        let id = record.id.clone();
        let (actor, handle) = Actor::new(self.shared.clone(), record, None);
        self.shared.containers.add(handle);
        actor.tell("create", []);
        tokio::spawn(actor.run());
        Ok(Created { id, warnings })
    }
}

fn create(shared: &Arc<Shared>, mut new: NewContainer) -> Result<(Record, Vec<String>)> {
    let mut warnings = Vec::new();
    if new.config.image.is_empty() {
        return Err(Error::Invalid(
            "no image specified: name one, such as hello".into(),
        ));
    }
    let image = find_image(shared, &new.config.image)?;
    // What the image exposes is not what the user asks for: networks are settled before the two are merged.
    settle_networks(shared, &mut new, &mut warnings)?;
    check_platform(new.platform.as_deref(), &image)?;
    merge(&mut new.config, &image.config.config);
    complete(&mut new, shared, &mut warnings)?;
    check(shared, &new)?;
    let id = ids::ContainerId::random().to_string();
    let inherited = inherited(shared, &new.host)?;
    let planned = mounts::plan(&new.config, &new.host, inherited)?;
    let (log_driver, log_options) = log_of(shared, &new.host)?;
    if new.config.hostname.is_empty()
        && new.host.uts_mode != "host"
        && new.host.network_mode != "host"
    {
        new.config.hostname = id[..12].to_owned();
    }
    let taken = shared.containers.all();
    let taken = taken.iter().filter_map(|h| h.view().record.user_namespace);
    let user_namespace = userns::decide(&new.host, shared.options.userns_remap, taken)?;
    let name = reserve(&shared.containers, new.name.as_deref(), &id)?;
    let mut record = Record {
        version: VERSION,
        id,
        name,
        created_unix_nanos: shared.now(),
        image_id: image.id.to_string(),
        chain: image.chain_id().map(ToString::to_string),
        platform: image.platform().os,
        config: new.config,
        host: new.host,
        user_namespace,
        networking: new.networking,
        mounts: planned,
        log_driver,
        log_options,
        state: State::Created,
        backoff: Backoff::default(),
        started_unix_nanos: 0,
        finished_unix_nanos: 0,
        exit_code: 0,
        error: String::new(),
    };
    match make(shared, &mut record) {
        Ok(()) => Ok((record, warnings)),
        Err(error) => {
            unmake(shared, &record);
            Err(error)
        }
    }
}

/// Makes what the record says, the record itself last: a crash before leaves only what start-up removes.
fn make(shared: &Shared, record: &mut Record) -> Result<()> {
    let folder = shared.container_folder(&record.id);
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|e| Error::file("create", &folder, e))?;
    let base = shared
        .snapshots
        .with_mountpoints(record.chain.as_deref(), &MOUNTPOINTS)?;
    shared
        .snapshots
        .create_writable(&record.id, Some(&base), !record.is_ephemeral())?;
    volumes::make(shared, record)?;
    files::write(shared, record, &folder)?;
    record.write(&folder)?;
    if !record.is_ephemeral() {
        shared.flusher.later(folder.join("config.json"));
    }
    Ok(())
}

fn unmake(shared: &Shared, record: &Record) {
    volumes::unmake(shared, record);
    if shared.snapshots.has_writable(&record.id)
        && let Err(error) = shared.snapshots.remove_writable(&record.id)
    {
        tracing::warn!(
            error = fault::chain(&error),
            "writable layer of a failed creation stays until the next start"
        );
    }
    let _ = fs::remove_dir_all(shared.container_folder(&record.id));
    shared.containers.release(&record.name);
}

fn reserve(registry: &Registry, asked: Option<&str>, id: &str) -> Result<String> {
    if let Some(name) = asked.filter(|n| !n.is_empty()) {
        let name: ids::ContainerName = name
            .parse()
            .map_err(|e: ids::Error| Error::Invalid(e.to_string()))?;
        registry.reserve(name.as_str(), id)?;
        return Ok(name.as_str().to_owned());
    }
    let mut attempt = 0;
    loop {
        let name = ids::random_name(attempt);
        match registry.reserve(&name, id) {
            Ok(()) => return Ok(name),
            Err(error) if attempt > 100 => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

/// What the image says, where the user said nothing.
fn merge(config: &mut ContainerConfig, image: &oci::image::Execution) {
    let own = |v: &String| {
        v.split_once('=')
            .map_or(v.clone(), |(name, _)| name.to_owned())
    };
    let asked: Vec<String> = config.env.iter().map(own).collect();
    let mut env: Vec<String> = image
        .env
        .iter()
        .filter(|v| !asked.contains(&own(v)))
        .cloned()
        .collect();
    env.append(&mut config.env);
    config.env = env;
    match &config.entrypoint {
        None => {
            if config.cmd.as_ref().is_none_or(|c| c.is_empty()) {
                config.cmd = image.cmd.clone().map(Into::into);
            }
            config.entrypoint = image.entrypoint.clone().map(Into::into);
        }
        // `--entrypoint ""` takes back the image's, and with it the image's command.
        Some(words) if words.len() == 1 && words[0].is_empty() => config.entrypoint = None,
        Some(_) => {}
    }
    if config.user.is_empty() {
        config.user.clone_from(&image.user);
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&image.working_dir);
    }
    if config.stop_signal.is_empty() {
        config.stop_signal.clone_from(&image.stop_signal);
    }
    config.stop_timeout = config.stop_timeout.or(image.stop_timeout);
    if config.shell.is_none() {
        config.shell = image.shell.clone().map(Into::into);
    }
    for (name, value) in &image.labels {
        config
            .labels
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    for volume in &image.volumes {
        config.volumes.entry(volume.clone()).or_default();
    }
    for port in &image.exposed_ports {
        config.exposed_ports.entry(port.clone()).or_default();
    }
    if let Some(check) = &image.healthcheck {
        let asked = config.healthcheck.get_or_insert_default();
        merge_health(asked, check);
    }
}

fn merge_health(asked: &mut HealthConfig, image: &oci::image::Healthcheck) {
    if asked.test.is_empty() {
        asked.test.clone_from(&image.test);
    }
    for (own, other) in [
        (&mut asked.interval, image.interval),
        (&mut asked.timeout, image.timeout),
        (&mut asked.start_period, image.start_period),
        (&mut asked.start_interval, image.start_interval),
        (&mut asked.retries, image.retries),
    ] {
        if *own == 0 {
            *own = other;
        }
    }
}

/// Fills in what Docker's inspect shows for what was left out.
fn complete(new: &mut NewContainer, shared: &Shared, warnings: &mut Vec<String>) -> Result<()> {
    let host = &mut new.host;
    if host.shm_size == 0 {
        host.shm_size = shared.options.shm_size;
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode = "private".into();
    }
    if host.cgroupns_mode.is_empty() {
        let private = spec::namespaces::cgroup_is_private(host, shared.host.unified_cgroups);
        host.cgroupns_mode = if private { "private" } else { "host" }.into();
    }
    if host.restart_policy.name.is_empty() {
        host.restart_policy.name = "no".into();
    }
    if host.resources.memory > 0 && host.resources.memory_swap == 0 {
        host.resources.memory_swap = host.resources.memory.saturating_mul(2);
    }
    if shared.options.no_new_privileges
        && !host
            .security_opt
            .iter()
            .any(|o| o.starts_with("no-new-privileges"))
    {
        host.security_opt.push("no-new-privileges".into());
    }
    if host.runtime.is_empty() {
        host.runtime = "estiva".into();
    }
    if host.resources.memory_swappiness == Some(-1) {
        host.resources.memory_swappiness = None;
    }
    if !host.privileged {
        let (masked, readonly) = spec::security::Security::parse(host)?.hidden_paths(host);
        (host.masked_paths, host.readonly_paths) = (Some(masked), Some(readonly));
    }
    if host.resources.blkio_weight != 0
        && cgroup::host().is_ok_and(|host| !host.features().blkio_weight)
    {
        host.resources.blkio_weight = 0;
        warnings.push("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.".into());
    }
    if host.resources.oom_kill_disable == Some(true) && host.resources.memory == 0 {
        warnings.push("OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.".into());
    }
    Ok(())
}

/// Which networks it joins, and as what.
fn settle_networks(
    shared: &Shared,
    new: &mut NewContainer,
    warnings: &mut Vec<String>,
) -> Result<()> {
    wanted::settle(
        &shared.networks.registry,
        &shared.options.network,
        &new.config,
        &mut new.host,
        &mut new.networking,
    )?;
    new.host.links = links::settle(shared, &new.host.links)?;
    if new.host.network_mode == "host" && !new.host.port_bindings.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".into());
    }
    // Whoever shares another's network shares its name.
    if let Some(target) = new.host.network_mode.strip_prefix("container:")
        && let Ok(handle) = shared.containers.require(target)
    {
        let view = handle.view();
        new.config.hostname.clone_from(&view.record.config.hostname);
        new.host.network_mode = format!("container:{}", handle.id());
    }
    Ok(())
}

/// Everything that can be known to fail before anything is made.
fn check(shared: &Shared, new: &NewContainer) -> Result<()> {
    let (config, host) = (&new.config, &new.host);
    let words = |list: &Option<api::Argv>| list.as_ref().is_none_or(|l| l.is_empty());
    if words(&config.entrypoint) && words(&config.cmd) {
        return Err(Error::Invalid("no command specified".into()));
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::Invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    for variable in &config.env {
        if variable.is_empty() || variable.starts_with('=') {
            return Err(Error::Invalid(format!(
                "invalid environment variable: {variable}"
            )));
        }
    }
    if !config.stop_signal.is_empty() {
        super::signal::parse(&config.stop_signal)?;
    }
    if let Some(check) = &config.healthcheck {
        check_health(check)?;
    }
    let policy = policy_of(&host.restart_policy)?;
    if host.auto_remove && policy != RestartPolicy::No {
        return Err(Error::Invalid(
            "can't create 'AutoRemove' container with restart policy".into(),
        ));
    }
    if !["", "runc", "estiva", "io.containerd.runc.v2"].contains(&host.runtime.as_str()) {
        return Err(Error::Invalid(format!(
            "unknown or invalid runtime name: {}",
            host.runtime
        )));
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(Error::Invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    if !config.hostname.is_empty() && host.uts_mode == "host" {
        return Err(Error::Invalid(
            "conflicting options: hostname and the UTS mode".into(),
        ));
    }
    if !["", "default"].contains(&host.isolation.as_str()) {
        return Err(Error::Invalid(format!(
            "invalid isolation: {:?} - linux only supports 'default'",
            host.isolation
        )));
    }
    published::wishes(config, host)?;
    for extra in &host.extra_hosts {
        crate::network::files::split_extra(extra)?;
    }
    if !["", "local"].contains(&host.volume_driver.as_str()) {
        return Err(Error::Invalid(format!(
            "error looking up volume plugin {0}: plugin \"{0}\" not found",
            host.volume_driver
        )));
    }
    if !host.storage_opt.is_empty() {
        return Err(Error::Invalid(
            "--storage-opt is not supported by the overlay driver on this file system".into(),
        ));
    }
    spec::check(host, &shared.host)
}

/// Times too short to mean anything are mistakes: nanoseconds where seconds were meant.
fn check_health(check: &HealthConfig) -> Result<()> {
    const LEAST_NANOS: i64 = 1_000_000;
    let times = [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ];
    match times
        .iter()
        .find(|(_, nanos)| *nanos != 0 && *nanos < LEAST_NANOS)
    {
        Some((name, _)) => Err(Error::Invalid(format!(
            "{name} in Healthcheck cannot be less than 1ms"
        ))),
        None if check.retries < 0 => Err(Error::Invalid(
            "Retries in Healthcheck cannot be negative".into(),
        )),
        None => Ok(()),
    }
}

/// The image to start from; the built-in one appears here when it is asked for.
fn find_image(shared: &Shared, text: &str) -> Result<Arc<image::Image>> {
    let missing = match shared.images.obtain(text) {
        Err(error @ image::Error::NotFound(_)) => error,
        outcome => return Ok(outcome?),
    };
    match text.parse::<oci::Reference>() {
        Ok(_) => Err(missing.into()),
        Err(error) => Err(Error::Invalid(error.to_string())),
    }
}

fn check_platform(asked: Option<&str>, image: &image::Image) -> Result<()> {
    let Some(asked) = asked.filter(|p| !p.is_empty()) else {
        return Ok(());
    };
    let wanted: oci::Platform = asked
        .parse()
        .map_err(|e: <oci::Platform as std::str::FromStr>::Err| Error::Invalid(e.to_string()))?;
    if wanted.accepts(&image.platform()) {
        return Ok(());
    }
    Err(Error::NotFound(format!(
        "image with reference {} was found but its platform ({}) does not match the specified platform ({asked})",
        image.repo_tags().first().map_or("", String::as_str),
        image.platform()
    )))
}

fn inherited(shared: &Shared, host: &HostConfig) -> Result<Vec<MountRecord>> {
    let mut list = Vec::new();
    for from in &host.volumes_from {
        let (target, mode) = match from.split_once(':') {
            Some((target, mode)) => (target, Some(mode)),
            None => (from.as_str(), None),
        };
        mounts::inherit(&[], mode)?;
        // Not "not found", for the same reason as with networks.
        let found = shared.containers.require(target);
        let view = found.map_err(|e| Error::Invalid(e.to_string()))?.view();
        list.extend(mounts::inherit(&view.record.mounts, mode)?);
    }
    Ok(list)
}

type LogChoice = (String, std::collections::BTreeMap<String, String>);

fn log_of(shared: &Shared, host: &HostConfig) -> Result<LogChoice> {
    let asked = &host.log_config;
    let (driver, options) = if asked.driver.is_empty() {
        let mut options = asked.config.clone();
        for (name, value) in &shared.options.log_options {
            options.entry(name.clone()).or_insert_with(|| value.clone());
        }
        (shared.options.log_driver.clone(), options)
    } else {
        (asked.driver.clone(), asked.config.clone())
    };
    logs::validate(&driver, &options)?;
    Ok((driver, options))
}

/// The restart policy as the lifecycle knows it.
///
/// # Errors
/// [`Error::Invalid`] in Docker's words.
pub(crate) fn policy_of(asked: &api::container::RestartPolicy) -> Result<RestartPolicy> {
    RestartPolicy::from_parts(&asked.name, asked.maximum_retry_count)
        .map_err(|e| Error::Invalid(e.to_string()))
}

/// A bind's source is there, or is made when the user's form asks for that.
pub(crate) fn require_source(mount: &MountRecord) -> Result<()> {
    if mount.kind != MountKind::Bind || mount.source.exists() {
        return Ok(());
    }
    if !mount.create_source {
        return Err(Error::Invalid(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            mount.source.display()
        )));
    }
    fs::create_dir_all(&mount.source)
        .map_err(|e| Error::file("create the bind source", &mount.source, e))
}

/// Writes a file of ours in a container's folder.
pub(crate) fn put(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    write_whole(&path, text.as_bytes())?;
    // The container's users read it.
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .map_err(|e| Error::file("set the mode of", &path, e))
}
