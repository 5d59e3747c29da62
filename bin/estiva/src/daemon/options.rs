//! The daemon's options: dockerd's names on the command line and in its JSON config file. The command line and the file may
//! not both set the same thing, as in dockerd, so that nobody wonders which one counts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cli::flags::{self, Flag, Kind, Matches, flag};

mod network;

/// What the command line asked for.
pub(super) enum Asked {
    /// A daemon.
    Daemon(Box<Options>),
    /// A text: help or version.
    Text(String),
}

/// The daemon's settings.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) engine: engine::Options,
    pub(super) hosts: Vec<String>,
    pub(super) pidfile: PathBuf,
    /// The group that may use the socket.
    pub(super) group: Option<u32>,
    pub(super) log_level: String,
    pub(super) log_json: bool,
    /// Started by a command: leave its session.
    pub(super) background: bool,
}

const FLAGS: &[Flag] = &[
    flag(
        "cgroup-parent",
        Kind::String,
        "Parent cgroup of all containers",
    )
    .default("/estiva"),
    flag("config-file", Kind::String, "Daemon configuration file")
        .default("/etc/estiva/daemon.json"),
    flag("data-root", Kind::String, "Root folder of durable state").default("/var/lib/estiva"),
    flag("debug", Kind::Bool, "Log more").short('D'),
    flag(
        "default-shm-size",
        Kind::Bytes,
        "Size of /dev/shm of containers that name none",
    )
    .default("64MiB"),
    flag(
        "default-ulimit",
        Kind::Named("ulimit"),
        "Limits of containers that name none",
    ),
    flag("exec-root", Kind::String, "Root folder of volatile state").default("/run/estiva"),
    flag("group", Kind::String, "Group of the unix socket, by number").short('G'),
    flag("host", Kind::List, "Sockets to listen on").short('H'),
    flag(
        "init",
        Kind::Bool,
        "Run an init in every container that forwards signals and reaps processes",
    ),
    flag(
        "insecure-registry",
        Kind::List,
        "Registries to speak to without TLS",
    ),
    flag("label", Kind::List, "Labels of the daemon, key=value"),
    flag(
        "live-restore",
        Kind::Bool,
        "Accepted: containers always go on without the daemon",
    ),
    flag(
        "log-driver",
        Kind::String,
        "Log driver of containers that name none",
    )
    .default("json-file"),
    flag(
        "log-format",
        Kind::String,
        "Format of the daemon's own log: text or json",
    )
    .default("text"),
    flag(
        "log-level",
        Kind::String,
        "Level of the daemon's own log: debug, info, warn, error",
    )
    .short('l')
    .default("info"),
    flag(
        "log-opt",
        Kind::Map,
        "Log options of containers that name none",
    ),
    flag(
        "no-new-privileges",
        Kind::Bool,
        "Set no-new-privileges for every container",
    ),
    flag("pidfile", Kind::String, "File for the daemon's pid")
        .short('p')
        .default("EXEC-ROOT/estiva.pid"),
    flag("registry-mirror", Kind::List, "Mirrors of Docker Hub"),
    flag(
        "seccomp-profile",
        Kind::String,
        "Seccomp profile of containers that name none",
    )
    .default("builtin"),
    flag(
        "shutdown-timeout",
        Kind::Int,
        "Accepted: containers are not stopped with the daemon",
    )
    .hidden(),
    flag(
        "storage-driver",
        Kind::String,
        "Accepted: overlay2 is the only one",
    )
    .short('s')
    .hidden(),
    flag("background", Kind::Bool, "Leave the session of the caller").hidden(),
    flag("version", Kind::Bool, "Print version information and quit").short('v'),
];

/// Reads the words after `estiva daemon`.
pub(super) fn parse(words: &[OsString]) -> Result<Asked> {
    let words: Vec<String> = words
        .iter()
        .map(|w| w.to_string_lossy().into_owned())
        .collect();
    let given = flags::parse(&[FLAGS, network::FLAGS], true, &words).map_err(anyhow::Error::msg)?;
    if given.help {
        return Ok(Asked::Text(format!(
            "Usage:  estiva daemon [OPTIONS]\n\nA self-sufficient runtime for containers\n\nOptions:\n{}",
            flags::usages(&[FLAGS, network::FLAGS], 100)
        )));
    }
    if given.on("version") {
        return Ok(Asked::Text(format!(
            "estiva version {}",
            env!("CARGO_PKG_VERSION")
        )));
    }
    if let Some(extra) = given.args.first() {
        bail!("\"estiva daemon\" accepts no arguments: {extra:?}");
    }
    let file = config_file(&given)?;
    build(&Source { given, file }).map(|options| Asked::Daemon(Box::new(options)))
}

/// Command line and file together.
struct Source {
    given: Matches,
    file: BTreeMap<String, serde_json::Value>,
}

impl Source {
    fn text(&self, flag: &str) -> Option<String> {
        if self.given.is_set(flag) {
            return Some(self.given.text(flag).to_owned());
        }
        match self.file.get(flag)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    fn on(&self, flag: &str) -> bool {
        self.given.on(flag)
            || self
                .file
                .get(flag)
                .and_then(serde_json::Value::as_bool)
                .unwrap_or(false)
    }

    /// A list: `hosts` in the file is `--host` on the command line.
    fn list(&self, flag: &str, key: &str) -> Vec<String> {
        let strings = |v: &serde_json::Value| {
            v.as_array().map(|a| {
                a.iter()
                    .filter_map(|s| s.as_str().map(str::to_owned))
                    .collect()
            })
        };
        let mut list: Vec<String> = self.file.get(key).and_then(strings).unwrap_or_default();
        list.extend(self.given.list(flag).iter().cloned());
        list
    }
}

/// Keys that the config file may have, with the flag that sets the same thing.
const KEYS: &[(&str, &str)] = &[
    ("cgroup-parent", "cgroup-parent"),
    ("data-root", "data-root"),
    ("debug", "debug"),
    ("default-shm-size", "default-shm-size"),
    ("default-ulimits", "default-ulimit"),
    ("exec-root", "exec-root"),
    ("group", "group"),
    ("hosts", "host"),
    ("init", "init"),
    ("insecure-registries", "insecure-registry"),
    ("labels", "label"),
    ("live-restore", "live-restore"),
    ("log-driver", "log-driver"),
    ("log-format", "log-format"),
    ("log-level", "log-level"),
    ("log-opts", "log-opt"),
    ("no-new-privileges", "no-new-privileges"),
    ("pidfile", "pidfile"),
    ("registry-mirrors", "registry-mirror"),
    ("seccomp-profile", "seccomp-profile"),
    ("shutdown-timeout", "shutdown-timeout"),
    ("storage-driver", "storage-driver"),
];

fn config_file(given: &Matches) -> Result<BTreeMap<String, serde_json::Value>> {
    let asked = given.is_set("config-file");
    let path = if asked {
        given.text("config-file")
    } else {
        "/etc/estiva/daemon.json"
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !asked => {
            return Ok(BTreeMap::new());
        }
        Err(error) => bail!("unable to configure the daemon with file {path}: {error}"),
    };
    let map: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text)
        .with_context(|| format!("unable to configure the daemon with file {path}"))?;
    for key in map.keys() {
        let mut known = KEYS.iter().chain(network::KEYS);
        let Some((_, flag)) = known.find(|(known, _)| known == key) else {
            bail!(
                "unable to configure the daemon with file {path}: \
                 the following directives don't match any configuration option: {key}"
            );
        };
        if given.is_set(flag) {
            bail!(
                "unable to configure the daemon with file {path}: \
                 the following directives are specified both as a flag and in the configuration file: {key}"
            );
        }
    }
    Ok(map)
}

fn build(source: &Source) -> Result<Options> {
    let path = |flag: &str, default: &str| {
        PathBuf::from(source.text(flag).unwrap_or_else(|| default.into()))
    };
    let data_root = absolute(path("data-root", "/var/lib/estiva"))?;
    let exec_root = absolute(path("exec-root", "/run/estiva"))?;
    let mut engine = engine::Options::new(data_root, exec_root.clone());
    if let Some(parent) = source.text("cgroup-parent") {
        engine.cgroup_parent = parent;
    }
    if let Some(driver) = source.text("log-driver") {
        engine.log_driver = driver;
    }
    engine.log_options = pairs(source);
    logs_are_valid(&engine)?;
    engine.registry_mirrors = source.list("registry-mirror", "registry-mirrors");
    engine.insecure_registries = source.list("insecure-registry", "insecure-registries");
    engine.labels = source.list("label", "labels");
    engine.debug = source.on("debug");
    engine.init = source.on("init");
    engine.no_new_privileges = source.on("no-new-privileges");
    if source.given.is_set("default-shm-size") {
        engine.shm_size = source.given.bytes("default-shm-size");
    }
    engine.ulimits = ulimits(source)?;
    engine.seccomp_profile = seccomp(source)?;
    engine.network = network::read(source)?;
    let mut hosts = source.list("host", "hosts");
    if hosts.is_empty() {
        hosts.push(format!(
            "unix://{}",
            exec_root.join("estiva.sock").display()
        ));
    }
    let pidfile = source
        .text("pidfile")
        .map_or_else(|| exec_root.join("estiva.pid"), PathBuf::from);
    Ok(Options {
        engine,
        hosts,
        pidfile,
        group: source
            .text("group")
            .filter(|g| !g.is_empty())
            .map(|g| group(&g))
            .transpose()?,
        log_level: source.text("log-level").unwrap_or_else(|| "info".into()),
        log_json: source.text("log-format").as_deref() == Some("json"),
        background: source.on("background"),
    })
}

fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).with_context(|| format!("make {} absolute", path.display()))
}

fn logs_are_valid(engine: &engine::Options) -> Result<()> {
    engine.validate().context("the log options of the daemon")
}

fn pairs(source: &Source) -> BTreeMap<String, String> {
    let from_file = source
        .file
        .get("log-opts")
        .and_then(serde_json::Value::as_object);
    let mut map: BTreeMap<String, String> = from_file
        .map(|o| {
            o.iter()
                .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
                .collect()
        })
        .unwrap_or_default();
    for pair in source.given.list("log-opt") {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        map.insert(name.to_owned(), value.to_owned());
    }
    map
}

/// `nofile=1024:4096`, or in the file `{"nofile": {"Name": …, "Soft": 1024, "Hard": 4096}}`.
fn ulimits(source: &Source) -> Result<Vec<(String, i64, i64)>> {
    let mut list = Vec::new();
    for text in source.given.list("default-ulimit") {
        let bad = || format!("invalid ulimit argument: {text}");
        let (name, limits) = text.split_once('=').with_context(bad)?;
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        list.push((
            name.to_owned(),
            soft.parse().with_context(bad)?,
            hard.parse().with_context(bad)?,
        ));
    }
    if let Some(map) = source
        .file
        .get("default-ulimits")
        .and_then(serde_json::Value::as_object)
    {
        for (name, limit) in map {
            let number = |key: &str| limit.get(key).and_then(serde_json::Value::as_i64);
            let (soft, hard) = number("Soft")
                .zip(number("Hard"))
                .with_context(|| format!("default-ulimits: {name}"))?;
            list.push((name.clone(), soft, hard));
        }
    }
    Ok(list)
}

fn seccomp(source: &Source) -> Result<Option<String>> {
    match source.text("seccomp-profile").as_deref() {
        None | Some("" | "builtin") => Ok(None),
        Some("unconfined") => Ok(Some("unconfined".into())),
        Some(path) => Ok(Some(
            fs::read_to_string(path).with_context(|| format!("read seccomp profile {path}"))?,
        )),
    }
}

/// A group by number, or by name in /etc/group (read here: the C library's lookup would load host libraries).
fn group(text: &str) -> Result<u32> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let file = fs::read_to_string("/etc/group").context("read /etc/group")?;
    let found = file.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(text)).then(|| fields.nth(1)?.parse().ok())?
    });
    found.with_context(|| format!("group {text} not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        match parse(&words)? {
            Asked::Daemon(options) => Ok(*options),
            Asked::Text(text) => bail!(text),
        }
    }

    #[test]
    fn roots_decide_socket_and_pidfile() {
        let options = parsed(&["--data-root", "/a", "--exec-root=/b", "-D"]).expect("valid");
        assert_eq!(options.hosts, ["unix:///b/estiva.sock"]);
        assert_eq!(options.pidfile, PathBuf::from("/b/estiva.pid"));
        assert!(options.engine.debug);
    }

    #[test]
    fn the_file_is_read_and_contradictions_are_refused() {
        let file = std::env::temp_dir().join(format!("estiva-config-{}.json", std::process::id()));
        fs::write(
            &file,
            r#"{"hosts": ["unix:///x"], "log-opts": {"max-size": "1m"}, "debug": true}"#,
        )
        .expect("written");
        let config = file.to_str().expect("text");
        let options = parsed(&["--config-file", config]).expect("valid");
        assert_eq!(options.hosts, ["unix:///x"]);
        assert_eq!(options.engine.log_options["max-size"], "1m");
        assert!(parsed(&["--config-file", config, "--debug"]).is_err());
        fs::write(&file, r#"{"bogus": 1}"#).expect("written");
        assert!(parsed(&["--config-file", config]).is_err());
        fs::remove_file(&file).expect("removed");
        assert!(
            parsed(&["--config-file", config]).is_err(),
            "a named file must be there"
        );
    }

    #[test]
    fn bad_words_are_refused() {
        for words in [
            &["--bogus"][..],
            &["extra"],
            &["--default-ulimit", "x"],
            &["--log-opt", "nope=1"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }
}
