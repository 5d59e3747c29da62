//! All options of a container as the create request's body. What is not given is not sent.

use serde_json::{Map, Value, json};

use super::{devices, environment, mounts, network, ports, security};
use crate::{flags::Matches, terminal, values};

/// A container about to be created.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The image's reference.
    pub(crate) image: String,
    /// The request's body.
    pub(crate) body: Value,
    pub(crate) attach_stdin: bool,
    pub(crate) attach_stdout: bool,
    pub(crate) attach_stderr: bool,
    pub(crate) tty: bool,
    pub(crate) auto_remove: bool,
}

struct Object(Map<String, Value>);

impl Object {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.into(), value.into());
    }

    /// Sets the flag's text when it was given.
    fn text(&mut self, key: &str, matches: &Matches, flag: &str) {
        if matches.is_set(flag) {
            self.set(key, matches.text(flag));
        }
    }

    fn int(&mut self, key: &str, matches: &Matches, flag: &str) {
        if matches.is_set(flag) {
            self.set(key, matches.int(flag));
        }
    }

    fn bytes(&mut self, key: &str, matches: &Matches, flag: &str) {
        if matches.is_set(flag) {
            self.set(key, matches.bytes(flag));
        }
    }

    fn list(&mut self, key: &str, matches: &Matches, flag: &str) {
        if !matches.list(flag).is_empty() {
            self.set(key, json!(matches.list(flag)));
        }
    }

    fn on(&mut self, key: &str, matches: &Matches, flag: &str) {
        if matches.on(flag) {
            self.set(key, true);
        }
    }

    fn all(
        &mut self,
        key: &str,
        given: &[String],
        read: fn(&str) -> Result<Value, String>,
    ) -> Result<(), String> {
        if !given.is_empty() {
            let values: Result<Vec<Value>, String> = given.iter().map(|text| read(text)).collect();
            self.set(key, values?);
        }
        Ok(())
    }
}

/// Reads everything; `detach` says that nothing is attached.
///
/// # Errors
/// The first option that contradicts, in Docker's words.
pub(crate) fn prepare(matches: &Matches, detach: bool) -> Result<Prepared, String> {
    if matches.is_set("gpus") {
        return Err(
            "--gpus is not supported: pass the devices with --device and their libraries with -v"
                .into(),
        );
    }
    if matches.on("use-api-socket") {
        return Err("--use-api-socket is not supported: mount the daemon's socket with -v".into());
    }
    let image = matches.args.first().cloned().unwrap_or_default();
    let attach: Vec<String> = matches
        .list("attach")
        .iter()
        .map(|stream| stream.to_ascii_lowercase())
        .collect();
    let interactive = matches.on("interactive");
    let tty = matches.on("tty");
    let has = |stream: &str| attach.iter().any(|given| given == stream);
    let (mut attach_stdin, mut attach_stdout, mut attach_stderr) =
        (has("stdin"), has("stdout"), has("stderr"));
    if attach.is_empty() && !detach {
        attach_stdout = true;
        attach_stderr = true;
        attach_stdin = interactive;
    }
    let mut config = Object(Map::new());
    config.set("Image", image.as_str());
    config.text("Hostname", matches, "hostname");
    config.text("Domainname", matches, "domainname");
    config.text("User", matches, "user");
    config.text("WorkingDir", matches, "workdir");
    config.text("StopSignal", matches, "stop-signal");
    config.int("StopTimeout", matches, "stop-timeout");
    config.text("MacAddress", matches, "mac-address");
    config.set("AttachStdin", attach_stdin);
    config.set("AttachStdout", attach_stdout);
    config.set("AttachStderr", attach_stderr);
    config.set("Tty", tty);
    config.set("OpenStdin", interactive);
    config.set("StdinOnce", interactive && attach_stdin);
    if matches.args.len() > 1 {
        config.set("Cmd", json!(&matches.args[1..]));
    }
    if matches.is_set("entrypoint") {
        // An empty entrypoint clears the image's.
        config.set("Entrypoint", json!([matches.text("entrypoint")]));
    }
    let env = environment::read_all(matches.list("env-file"), matches.list("env"))?;
    if !env.is_empty() {
        config.set("Env", json!(env));
    }
    let labels: Map<String, Value> = environment::labels(matches)?
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect();
    if !labels.is_empty() {
        config.set("Labels", labels);
    }
    if let Some(check) = health(matches)? {
        config.set("Healthcheck", check);
    }
    let (published, exposed) = published(matches)?;
    if !exposed.is_empty() {
        config.set("ExposedPorts", exposed);
    }
    let (binds, anonymous) = volumes(matches)?;
    if !anonymous.is_empty() {
        config.set("Volumes", anonymous);
    }
    let mut host = host_config(matches)?;
    if !binds.is_empty() {
        host.set("Binds", binds);
    }
    if !published.is_empty() {
        host.set("PortBindings", ports::bindings(&published));
    }
    let (mode, endpoints) = network::networks(matches)?;
    host.set(
        "NetworkMode",
        if mode.is_empty() { "default" } else { &mode },
    );
    if tty && let Some((rows, columns)) = terminal::size() {
        host.set("ConsoleSize", json!([rows, columns]));
    }
    let auto_remove = matches.on("rm");
    let restarts = matches.is_set("restart") && !matches!(matches.text("restart"), "no" | "");
    if auto_remove && restarts {
        return Err("conflicting options: cannot specify both --restart and --rm".into());
    }
    config.set("HostConfig", host.0);
    if !endpoints.is_empty() {
        config.set("NetworkingConfig", json!({ "EndpointsConfig": endpoints }));
    }
    Ok(Prepared {
        image,
        body: Value::Object(config.0),
        attach_stdin,
        attach_stdout,
        attach_stderr,
        tty,
        auto_remove,
    })
}

fn host_config(matches: &Matches) -> Result<Object, String> {
    let mut host = Object(Map::new());
    for (key, flag) in [
        ("CgroupParent", "cgroup-parent"),
        ("CgroupnsMode", "cgroupns"),
        ("ContainerIDFile", "cidfile"),
        ("CpusetCpus", "cpuset-cpus"),
        ("CpusetMems", "cpuset-mems"),
        ("IpcMode", "ipc"),
        ("Isolation", "isolation"),
        ("PidMode", "pid"),
        ("Runtime", "runtime"),
        ("UsernsMode", "userns"),
        ("UTSMode", "uts"),
        ("VolumeDriver", "volume-driver"),
    ] {
        host.text(key, matches, flag);
    }
    if matches.is_set("pid") && !mode_is_valid(matches.text("pid")) {
        return Err("--pid: invalid PID mode".into());
    }
    if matches.is_set("uts") && !matches!(matches.text("uts"), "" | "host") {
        return Err("--uts: invalid UTS mode".into());
    }
    if matches.is_set("userns") && !matches!(matches.text("userns"), "" | "host" | "private") {
        return Err("--userns: invalid USER mode".into());
    }
    if matches.is_set("cgroupns") && !matches!(matches.text("cgroupns"), "" | "host" | "private") {
        return Err("--cgroupns: invalid CGROUP mode".into());
    }
    for (key, flag) in [
        ("CpuPeriod", "cpu-period"),
        ("CpuQuota", "cpu-quota"),
        ("CpuRealtimePeriod", "cpu-rt-period"),
        ("CpuRealtimeRuntime", "cpu-rt-runtime"),
        ("CpuShares", "cpu-shares"),
        ("CpuCount", "cpu-count"),
        ("CpuPercent", "cpu-percent"),
        ("BlkioWeight", "blkio-weight"),
        ("OomScoreAdj", "oom-score-adj"),
        ("PidsLimit", "pids-limit"),
    ] {
        host.int(key, matches, flag);
    }
    if matches.is_set("memory-swappiness") {
        let swappiness = matches.int("memory-swappiness");
        if swappiness != -1 && !(0..=100).contains(&swappiness) {
            return Err(format!(
                "invalid value: {swappiness}. Valid memory swappiness range is 0-100"
            ));
        }
        host.set("MemorySwappiness", swappiness);
    }
    for (key, flag) in [
        ("Memory", "memory"),
        ("MemoryReservation", "memory-reservation"),
        ("MemorySwap", "memory-swap"),
        ("KernelMemory", "kernel-memory"),
        ("ShmSize", "shm-size"),
        ("IOMaximumBandwidth", "io-maxbandwidth"),
    ] {
        host.bytes(key, matches, flag);
    }
    if matches.is_set("cpus") {
        host.set("NanoCpus", values::nano_cpus(matches.text("cpus"))?);
    }
    for (key, flag) in [
        ("DeviceCgroupRules", "device-cgroup-rule"),
        ("Dns", "dns"),
        ("DnsSearch", "dns-search"),
        ("GroupAdd", "group-add"),
        ("Links", "link"),
        ("VolumesFrom", "volumes-from"),
    ] {
        host.list(key, matches, flag);
    }
    let (add, drop) = capabilities(matches.list("cap-add"), matches.list("cap-drop"));
    for (key, names) in [("CapAdd", add), ("CapDrop", drop)] {
        if !names.is_empty() {
            host.set(key, json!(names));
        }
    }
    let dns_options: Vec<&String> = matches
        .list("dns-option")
        .iter()
        .chain(matches.list("dns-opt"))
        .collect();
    if !dns_options.is_empty() {
        host.set("DnsOptions", json!(dns_options));
    }
    if !matches.list("add-host").is_empty() {
        let hosts: Vec<String> = matches
            .list("add-host")
            .iter()
            .map(|text| network::extra_host(text))
            .collect();
        host.set("ExtraHosts", json!(hosts));
    }
    host.all(
        "BlkioWeightDevice",
        matches.list("blkio-weight-device"),
        devices::weight,
    )?;
    host.all(
        "BlkioDeviceReadBps",
        matches.list("device-read-bps"),
        devices::bps,
    )?;
    host.all(
        "BlkioDeviceWriteBps",
        matches.list("device-write-bps"),
        devices::bps,
    )?;
    host.all(
        "BlkioDeviceReadIOps",
        matches.list("device-read-iops"),
        devices::iops,
    )?;
    host.all(
        "BlkioDeviceWriteIOps",
        matches.list("device-write-iops"),
        devices::iops,
    )?;
    host.all("Devices", matches.list("device"), devices::device)?;
    host.all("Ulimits", matches.list("ulimit"), devices::ulimit)?;
    host.all("Mounts", matches.list("mount"), mounts::mount)?;
    for (key, flag) in [
        ("AutoRemove", "rm"),
        ("Privileged", "privileged"),
        ("PublishAllPorts", "publish-all"),
        ("ReadonlyRootfs", "read-only"),
    ] {
        host.on(key, matches, flag);
    }
    host.set("OomKillDisable", matches.on("oom-kill-disable"));
    if matches.is_set("init") {
        host.set("Init", matches.on("init"));
    }
    if matches.is_set("restart") {
        host.set(
            "RestartPolicy",
            super::restart_policy(matches.text("restart"))?,
        );
    }
    for (key, flag) in [
        ("Annotations", "annotation"),
        ("StorageOpt", "storage-opt"),
        ("Sysctls", "sysctl"),
    ] {
        let pairs = pairs(matches.list(flag));
        if !pairs.is_empty() {
            host.set(key, pairs);
        }
    }
    if !matches.list("tmpfs").is_empty() {
        let mounts: Map<String, Value> = matches
            .list("tmpfs")
            .iter()
            .map(|text| {
                let (path, options) = text.split_once(':').unwrap_or((text, ""));
                (path.to_owned(), options.into())
            })
            .collect();
        host.set("Tmpfs", mounts);
    }
    let security = security::read(matches.list("security-opt"))?;
    if !security.options.is_empty() {
        host.set("SecurityOpt", json!(security.options));
    }
    if security.bare_system_paths {
        host.set("MaskedPaths", json!([]));
        host.set("ReadonlyPaths", json!([]));
    }
    if let Some(log) = log_config(matches)? {
        host.set("LogConfig", log);
    }
    Ok(host)
}

fn mode_is_valid(mode: &str) -> bool {
    matches!(mode, "" | "host")
        || mode
            .strip_prefix("container:")
            .is_some_and(|id| !id.is_empty())
}

fn pairs(given: &[String]) -> Map<String, Value> {
    given
        .iter()
        .map(|text| {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            (key.to_owned(), value.into())
        })
        .collect()
}

fn log_config(matches: &Matches) -> Result<Option<Value>, String> {
    let driver = matches.text("log-driver");
    let options = pairs(matches.list("log-opt"));
    if driver == "none" && !options.is_empty() {
        return Err(format!("invalid logging opts for driver {driver}"));
    }
    if driver.is_empty() && options.is_empty() {
        return Ok(None);
    }
    Ok(Some(json!({ "Type": driver, "Config": options })))
}

fn health(matches: &Matches) -> Result<Option<Value>, String> {
    let spans = [
        ("Interval", "health-interval"),
        ("Timeout", "health-timeout"),
        ("StartPeriod", "health-start-period"),
        ("StartInterval", "health-start-interval"),
    ];
    let any = matches.is_set("health-cmd")
        || matches.is_set("health-retries")
        || spans.iter().any(|(_, flag)| matches.is_set(flag));
    if matches.on("no-healthcheck") {
        if any {
            return Err("--no-healthcheck conflicts with --health-* options".into());
        }
        return Ok(Some(json!({ "Test": ["NONE"] })));
    }
    if !any {
        return Ok(None);
    }
    let mut check = Map::new();
    if matches.is_set("health-cmd") {
        check.insert(
            "Test".into(),
            json!(["CMD-SHELL", matches.text("health-cmd")]),
        );
    }
    for (key, flag) in spans {
        if matches.is_set(flag) {
            let span = values::duration(matches.text(flag))?;
            if span < 0 {
                return Err(format!("--{flag} cannot be negative"));
            }
            check.insert(key.into(), span.into());
        }
    }
    let retries = matches.int("health-retries");
    if retries < 0 {
        return Err("--health-retries cannot be negative".into());
    }
    if retries > 0 {
        check.insert("Retries".into(), retries.into());
    }
    Ok(Some(Value::Object(check)))
}

fn published(matches: &Matches) -> Result<(Vec<ports::Port>, Map<String, Value>), String> {
    let mut published = Vec::new();
    let mut exposed = Map::new();
    for spec in matches.list("publish") {
        published.extend(ports::publish(spec)?);
    }
    for port in &published {
        exposed.insert(port.port.clone(), json!({}));
    }
    for spec in matches.list("expose") {
        for port in ports::expose(spec)? {
            exposed.insert(port, json!({}));
        }
    }
    Ok((published, exposed))
}

fn volumes(matches: &Matches) -> Result<(Vec<Value>, Map<String, Value>), String> {
    let mut binds = Vec::new();
    let mut anonymous = Map::new();
    for spec in matches.list("volume") {
        match mounts::volume(spec)? {
            mounts::Volume::Bind(bind) => binds.push(bind.into()),
            mounts::Volume::Anonymous(path) => {
                anonymous.insert(path, json!({}));
            }
        }
    }
    Ok((binds, anonymous))
}

/// Capabilities by their full names, sorted; what is added is not dropped, and `ALL` stands alone.
fn capabilities(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let full = |names: &[String]| -> std::collections::BTreeSet<String> {
        let one = |name: &String| match name.trim().to_uppercase() {
            name if name == "ALL" || name.starts_with("CAP_") => name,
            name => format!("CAP_{name}"),
        };
        names.iter().map(one).collect()
    };
    let (add, mut drop) = (full(add), full(drop));
    drop.retain(|name| name == "ALL" || !add.contains(name));
    let list = |names: std::collections::BTreeSet<String>| match names.contains("ALL") {
        true => vec!["ALL".to_owned()],
        false => names.into_iter().collect(),
    };
    (list(add), list(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags;

    fn body(words: &[&str]) -> Result<Value, String> {
        let argv: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let matches = flags::parse(
            &[super::super::CONTAINER, super::super::EXTRA],
            false,
            &argv,
        )?;
        prepare(&matches, false).map(|prepared| prepared.body)
    }

    #[test]
    fn limits_and_command() {
        let body = body(&["-m", "64m", "--cpus", "1.5", "--rm", "img", "a", "-b"]).unwrap();
        assert_eq!(body["HostConfig"]["Memory"], 64 << 20);
        assert_eq!(body["HostConfig"]["NanoCpus"], 1_500_000_000);
        assert_eq!(body["HostConfig"]["AutoRemove"], true);
        assert_eq!(body["Cmd"], json!(["a", "-b"]));
        assert_eq!(body["AttachStdout"], true);
    }

    #[test]
    fn contradictions_are_refused() {
        let check = |words: &[&str], expect: &str| assert_eq!(body(words).unwrap_err(), expect);
        check(
            &["--rm", "--restart", "always", "img"],
            "conflicting options: cannot specify both --restart and --rm",
        );
        check(
            &["--no-healthcheck", "--health-retries", "2", "img"],
            "--no-healthcheck conflicts with --health-* options",
        );
        check(&["--pid", "foo", "img"], "--pid: invalid PID mode");
    }

    #[test]
    fn health_and_volumes() {
        let body = body(&[
            "--health-cmd",
            "x",
            "--health-interval",
            "2s",
            "-v",
            "/d",
            "-v",
            "n:/e",
            "img",
        ])
        .unwrap();
        assert_eq!(
            body["Healthcheck"],
            json!({"Test": ["CMD-SHELL", "x"], "Interval": 2_000_000_000})
        );
        assert_eq!(body["Volumes"], json!({"/d": {}}));
        assert_eq!(body["HostConfig"]["Binds"], json!(["n:/e"]));
    }
}
