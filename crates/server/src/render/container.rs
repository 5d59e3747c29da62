//! Containers as `inspect` and the list show them.

use std::path::Path;

use api::container::list::{SummaryHostConfig, SummaryNetworks};
use api::container::{
    ContainerInspect, ContainerState, ContainerSummary, GraphDriver, Health, HealthResult,
    MountPoint,
};
use engine::container::{MountKind, MountRecord, Record, Size, View};
use lifecycle::{State, UnixNanos};

use super::network;
use crate::when::rfc3339;

/// The snapshotter.
pub(crate) const DRIVER: &str = "overlay2";

/// Everything about a container; `root` is the engine's data root.
pub(crate) fn inspect(view: &View, size: Option<Size>, root: &Path) -> ContainerInspect {
    let record = &view.record;
    let (path, args) = command(record);
    let has_run = record.started_unix_nanos != 0;
    let folder = root.join("containers").join(&*record.id);
    let file = |name: &str| match has_run {
        true => folder.join(name).display().to_string(),
        false => String::new(),
    };
    ContainerInspect {
        id: record.id.to_string(),
        created: rfc3339(record.created_unix_nanos),
        path,
        args,
        state: Some(state(view)),
        image: record.image_id.to_string(),
        resolv_conf_path: file("resolv.conf"),
        hostname_path: file("hostname"),
        hosts_path: file("hosts"),
        log_path: match record.log_driver.as_str() {
            "json-file" => file(&format!("{}-json.log", record.id)),
            _ => String::new(),
        },
        name: format!("/{}", record.name),
        restart_count: record.backoff.count.into(),
        driver: DRIVER.into(),
        platform: "linux".into(),
        exec_ids: view.execs.clone(),
        host_config: Some(record.host.clone()),
        graph_driver: GraphDriver {
            name: DRIVER.into(),
            ..GraphDriver::default()
        },
        size_rw: size.map(|size| bytes(size.writable_bytes)),
        size_root_fs: size.map(|size| bytes(size.root_bytes)),
        mounts: record.mounts.iter().map(mount).collect(),
        config: Some(record.config.clone()),
        network_settings: Some(network::settings(
            &record.host.network_mode,
            is_up(&record.state),
        )),
        ..ContainerInspect::default()
    }
}

/// One row of the list. `image` is the name to show: the user's, or the id when that name now means another image.
pub(crate) fn summary(
    view: &View,
    image: String,
    size: Option<Size>,
    now_unix_nanos: i64,
) -> ContainerSummary {
    let record = &view.record;
    ContainerSummary {
        id: record.id.to_string(),
        names: vec![format!("/{}", record.name)],
        image,
        image_id: record.image_id.to_string(),
        command: command_line(record),
        created: record.created_unix_nanos.div_euclid(1_000_000_000),
        size_rw: size.map_or(0, |size| bytes(size.writable_bytes)),
        size_root_fs: size.map_or(0, |size| bytes(size.root_bytes)),
        labels: record.config.labels.clone(),
        state: record.state.name().into(),
        status: record.state.summary(
            UnixNanos(now_unix_nanos),
            view.health.as_ref().map(|health| health.status),
        ),
        host_config: SummaryHostConfig {
            network_mode: record.host.network_mode.clone(),
            annotations: record.host.annotations.clone(),
        },
        network_settings: SummaryNetworks {
            networks: network::endpoints(&record.host.network_mode, is_up(&record.state)),
        },
        // tmpfs mounts of `--tmpfs` are not listed by Docker.
        mounts: record.mounts.iter().map(mount).collect(),
        ..ContainerSummary::default()
    }
}

fn is_up(state: &State) -> bool {
    state.is_running() || state.name() == "restarting"
}

fn state(view: &View) -> ContainerState {
    let record = &view.record;
    ContainerState {
        status: record.state.name().into(),
        running: is_up(&record.state),
        paused: matches!(record.state, State::Paused { .. }),
        restarting: record.state.name() == "restarting",
        oom_killed: record.state.exit().is_some_and(|exit| exit.oom),
        dead: matches!(record.state, State::Dead),
        pid: record.state.pid().unwrap_or_default().into(),
        exit_code: record.exit_code.into(),
        error: record.error.clone(),
        started_at: rfc3339(record.started_unix_nanos),
        finished_at: rfc3339(record.finished_unix_nanos),
        health: view.health.as_ref().map(health),
    }
}

fn health(health: &lifecycle::Health) -> Health {
    Health {
        status: health.status.name().into(),
        failing_streak: health.failing_streak.into(),
        log: health
            .log
            .iter()
            .map(|probe| HealthResult {
                start: rfc3339(probe.start.0),
                end: rfc3339(probe.end.0),
                exit_code: probe.exit_code.into(),
                output: probe.output.clone(),
            })
            .collect(),
    }
}

/// The program and its arguments.
fn command(record: &Record) -> (String, Vec<String>) {
    let words = |argv: &Option<api::Argv>| {
        argv.as_ref()
            .map_or(&[][..], |argv| argv.as_slice())
            .to_vec()
    };
    let mut argv = words(&record.config.entrypoint)
        .into_iter()
        .chain(words(&record.config.cmd));
    (argv.next().unwrap_or_default(), argv.collect())
}

/// The command on one line, as `ps` shows it: arguments with a space in quotes.
fn command_line(record: &Record) -> String {
    let (mut line, args) = command(record);
    for arg in args {
        match arg.contains(' ') {
            true => line.push_str(&format!(" '{arg}'")),
            false => line.push_str(&format!(" {arg}")),
        }
    }
    line
}

/// One mount.
fn mount(mount: &MountRecord) -> MountPoint {
    let kind = match mount.kind {
        MountKind::Bind => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
    };
    MountPoint {
        kind: kind.into(),
        name: mount.volume.clone().unwrap_or_default(),
        source: mount.source.display().to_string(),
        destination: mount.destination.clone(),
        driver: match mount.kind {
            MountKind::Volume => "local".into(),
            _ => String::new(),
        },
        mode: mount.mode.clone(),
        rw: mount.writable,
        propagation: mount.propagation.clone(),
    }
}

/// Sizes on the wire are signed.
pub(crate) fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
