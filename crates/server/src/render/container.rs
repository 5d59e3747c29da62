//! Containers as `inspect` and the list show them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api::container::list::{SummaryHostConfig, SummaryNetworks};
use api::container::{
    ContainerInspect, ContainerState, ContainerSummary, GraphDriver, Health, HealthResult,
    HostConfig, LogConfig, MountPoint,
};
use engine::container::{MountKind, MountRecord, Record, Size, View};
use engine::folders::Folders;
use lifecycle::{State, UnixNanos};

use super::network;
use crate::when::rfc3339;

/// The snapshotter.
pub(crate) const DRIVER: &str = "overlay2";

/// Everything about a container; `root` is the engine's data root.
pub(crate) fn inspect(
    view: &View,
    size: Option<Size>,
    root: &Path,
    folders: Option<Folders>,
) -> ContainerInspect {
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
        host_config: Some(host_config(record)),
        graph_driver: graph_driver(folders),
        size_rw: size.map(|size| bytes(size.writable_bytes)),
        size_root_fs: size.map(|size| bytes(size.root_bytes)),
        mounts: record.mounts.iter().map(mount).collect(),
        config: Some(record.config.clone()),
        network_settings: Some(network::settings(view)),
        ..ContainerInspect::default()
    }
}

/// The snapshotter and its folders, under the names that overlay2 has for them.
pub(crate) fn graph_driver(folders: Option<Folders>) -> GraphDriver {
    let mut data = BTreeMap::new();
    if let Some(folders) = folders {
        let text = |path: &PathBuf| path.display().to_string();
        let lower: Vec<String> = folders.lower.iter().map(text).collect();
        let lower = (!lower.is_empty()).then(|| lower.join(":"));
        let named = [
            ("LowerDir", lower),
            ("MergedDir", folders.merged.as_ref().map(text)),
            ("UpperDir", folders.upper.as_ref().map(text)),
            ("WorkDir", folders.work.as_ref().map(text)),
        ];
        data.extend(
            named
                .into_iter()
                .filter_map(|(name, at)| Some((name.to_owned(), at?))),
        );
    }
    GraphDriver {
        data,
        name: DRIVER.into(),
    }
}

/// The host's part as it took effect: with the log driver that was chosen.
fn host_config(record: &Record) -> HostConfig {
    HostConfig {
        log_config: LogConfig {
            driver: record.log_driver.clone(),
            config: record.log_options.clone(),
        },
        links: record.host.links.iter().map(|l| link(l, record)).collect(),
        ..record.host.clone()
    }
}

/// A link as docker tells it: `/target:/own-name/alias`.
fn link(link: &str, record: &Record) -> String {
    let (target, alias) = link.split_once(':').unwrap_or((link, link));
    format!("/{target}:/{}/{alias}", record.name)
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
        ports: network::ports(view),
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
            networks: network::endpoints(view),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    const INSPECT: &str = include_str!("../../testdata/dockerd-20.10-inspect.json");
    const LIST: &str = include_str!("../../testdata/dockerd-20.10-list.json");

    /// The container that dockerd was asked about, as we would keep it.
    fn view(docker: &Value) -> View {
        let record = json!({
            "version": 1, "id": docker["Id"], "name": "aa", "created_unix_nanos": 1_795_218_953_692_026_371_i64,
            "image_id": docker["Image"], "chain": null, "platform": "linux",
            "config": docker["Config"], "host": docker["HostConfig"], "mounts": [],
            "networking": {"EndpointsConfig": docker["NetworkSettings"]["Networks"]},
            "log_driver": "json-file", "log_options": {},
            "state": {"status": "running", "pid": 29546, "since": 1_795_218_953_936_110_786_i64, "stopping": false},
            "backoff": {"count": 0, "pause": {"secs": 0, "nanos": 0}},
            "started_unix_nanos": 1_795_218_953_936_110_786_i64, "finished_unix_nanos": 0, "exit_code": 0, "error": "",
        });
        let record: Record = serde_json::from_value(record).expect("a record");
        View {
            record: Arc::new(record),
            network: None,
            health: None,
            execs: vec!["4c77".into()],
        }
    }

    /// Every key with the kind of its value: `/State/Pid number`.
    fn shape(value: &Value, path: &str, into: &mut BTreeSet<String>) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "list",
            Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(key, value)| shape(value, &format!("{path}/{key}"), into));
                "object"
            }
        };
        into.insert(format!("{path} {kind}"));
    }

    /// What only docker has, and what only we have.
    fn differences(docker: &Value, ours: &Value) -> (Vec<String>, Vec<String>) {
        let shapes = [docker, ours].map(|value| {
            let mut all = BTreeSet::new();
            shape(value, "", &mut all);
            all
        });
        let only = |a: usize, b: usize| shapes[a].difference(&shapes[b]).cloned().collect();
        (only(0, 1), only(1, 0))
    }

    #[test]
    fn inspect_has_dockers_fields_and_kinds() {
        let docker: Value = serde_json::from_str(INSPECT).expect("dockerd's answer");
        let ours = inspect(
            &view(&docker),
            None,
            Path::new("/var/lib/docker/data"),
            None,
        );
        let ours = serde_json::to_value(ours).expect("serialisable");
        let (missing, more) = differences(&docker, &ours);
        assert_eq!(
            missing,
            [
                // Overlay folders: ours are mounted per container and have no host path worth telling.
                "/GraphDriver/Data object",
                "/GraphDriver/Data/LowerDir string",
                "/GraphDriver/Data/MergedDir string",
                "/GraphDriver/Data/UpperDir string",
                "/GraphDriver/Data/WorkDir string",
                // Gone from Docker since.
                "/HostConfig/KernelMemory number",
                "/HostConfig/KernelMemoryTCP number",
            ]
        );
        assert_eq!(
            more,
            [
                "/GraphDriver/Data null",
                // New in Docker since.
                "/NetworkSettings/Networks/none/DNSNames null",
                "/NetworkSettings/Networks/none/GwPriority number",
            ]
        );
        for key in [
            "Id",
            "Created",
            "Path",
            "Args",
            "State",
            "Image",
            "LogPath",
            "HostsPath",
            "Name",
            "Config",
        ] {
            assert_eq!(ours[key], docker[key], "{key}");
        }
    }

    #[test]
    fn a_row_has_dockers_fields_and_kinds() {
        let inspected: Value = serde_json::from_str(INSPECT).expect("dockerd's answer");
        let list: Value = serde_json::from_str(LIST).expect("dockerd's answer");
        let docker = &list[1];
        let size = Size {
            writable_bytes: 0,
            root_bytes: 1_982_291,
        };
        let row = summary(
            &view(&inspected),
            "bb:1".into(),
            Some(size),
            1_795_218_954_000_000_000,
        );
        let ours = serde_json::to_value(row).expect("serialisable");
        let (missing, more) = differences(docker, &ours);
        assert_eq!(missing, [""; 0]);
        assert_eq!(
            more,
            [
                "/NetworkSettings/Networks/none/DNSNames null",
                "/NetworkSettings/Networks/none/GwPriority number",
            ]
        );
        for key in [
            "Id",
            "Names",
            "Image",
            "ImageID",
            "Command",
            "Created",
            "SizeRootFs",
            "State",
            "Status",
        ] {
            assert_eq!(ours[key], docker[key], "{key}");
        }
    }

    #[test]
    fn arguments_with_spaces_stand_in_quotes() {
        let mut docker: Value = serde_json::from_str(INSPECT).expect("dockerd's answer");
        docker["Config"]["Entrypoint"] = json!(["sh", "-c"]);
        docker["Config"]["Cmd"] = json!(["exit 3"]);
        let view = view(&docker);
        assert_eq!(command_line(&view.record), "sh -c 'exit 3'");
        assert_eq!(
            command(&view.record),
            ("sh".into(), vec!["-c".into(), "exit 3".into()])
        );
    }
}
