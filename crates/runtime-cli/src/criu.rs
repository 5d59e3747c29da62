//! criu, the program that writes processes into files and makes them of files again: how it is called.
//!
//! ```text
//! IMAGES/*.img          criu's own
//! IMAGES/estiva.json    what of the container is not in its images: mounts and streams of the host, its cgroup
//! WORK/dump.log, restore.log
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oci::runtime::{NamespaceKind, Spec};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Flag, Given, switch, value};

/// Our file among criu's.
const OUTSIDE: &str = "estiva.json";
/// A network namespace that is not the container's own.
const NETWORK: &str = "extRootNetNS";

/// What `checkpoint` and `restore` both take.
pub(crate) const SHARED_FLAGS: [Flag; 9] = [
    value(
        &["image-path"],
        "folder of the images (default: checkpoint)",
    ),
    value(
        &["work-path"],
        "folder of logs (default: that of the images)",
    ),
    switch(&["tcp-established"], "with open TCP connections"),
    switch(
        &["tcp-close"],
        "with TCP connections, which are closed then (crun's option)",
    ),
    value(
        &["network-lock"],
        "how connections stand still meanwhile: iptables, nftables or skip (crun's option)",
    ),
    switch(
        &["ext-unix-sk"],
        "with unix sockets connected to the outside",
    ),
    switch(&["shell-job"], "with a session of the outside"),
    switch(&["file-locks"], "with file locks"),
    value(
        &["manage-cgroups-mode"],
        "soft (default), full, strict or ignore",
    ),
];

/// What the images do not hold.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outside {
    /// Mount points in the container whose sources are the host's, with the source.
    mounts: BTreeMap<String, String>,
    /// Standard streams that lead out of the container: number, and criu's name.
    streams: BTreeMap<i32, String>,
    /// The cgroup, from the roots of the hierarchies.
    pub(crate) cgroup: String,
}

/// Folders of a checkpoint.
#[derive(Debug)]
pub(crate) struct Folders {
    pub(crate) images: PathBuf,
    work: PathBuf,
}

impl Folders {
    /// As the options say. Made where they are missing.
    pub(crate) fn of(given: &Given) -> Result<Self, Error> {
        let path = |text: &str| std::path::absolute(text).map_err(Error::file("find", text));
        let images = path(given.text("image-path").unwrap_or("checkpoint"))?;
        let work = match given.text("work-path") {
            Some(text) => path(text)?,
            None => images.clone(),
        };
        for folder in [&images, &work] {
            fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
        }
        Ok(Self { images, work })
    }
}

impl Outside {
    /// What a running container has of the host.
    pub(crate) fn of(pid: i32, spec: &Spec, cgroup: String) -> Result<Self, Error> {
        let file = format!("/proc/{pid}/mountinfo");
        let table = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
        let mut outside = Self {
            mounts: mounts(&table, spec),
            cgroup,
            ..Self::default()
        };
        for number in 0..3 {
            if let Some(name) = stream(pid, number, &table)? {
                outside.streams.insert(number, name);
            }
        }
        Ok(outside)
    }

    pub(crate) fn write(&self, folders: &Folders) -> Result<(), Error> {
        let path = folders.images.join(OUTSIDE);
        let text = serde_json::to_vec(self).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        crate::record::replace(&path, &text)
    }

    pub(crate) fn read(folders: &Folders) -> Result<Self, Error> {
        let path = folders.images.join(OUTSIDE);
        let text = fs::read(&path).map_err(Error::file("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| Error::Json { path, source })
    }

    /// How a dump names what it leaves out.
    pub(crate) fn left_out(&self, spec: &Spec) -> Result<Vec<String>, Error> {
        let mut words = Vec::new();
        for place in self.mounts.keys() {
            words.extend(["--external".to_owned(), format!("mnt[{place}]:{place}")]);
        }
        for name in self
            .streams
            .values()
            .filter(|name| name.starts_with("file"))
        {
            words.extend(["--external".to_owned(), name.clone()]);
        }
        if let Some(path) = joined_network(spec) {
            let inode = fs::metadata(path)
                .map_err(Error::file("look at", path))?
                .ino();
            words.extend(["--external".to_owned(), format!("net[{inode}]:{NETWORK}")]);
        }
        Ok(words)
    }

    /// How a restore is given it again: the streams are our own.
    pub(crate) fn put_back(&self, spec: &Spec) -> Vec<String> {
        let mut words = Vec::new();
        for (place, kept) in &self.mounts {
            let given = spec.mounts.iter().rev();
            let source = given
                .filter(|mount| mount.destination == Path::new(place))
                .map(|mount| mount.source.as_str())
                .next();
            let source = source.unwrap_or(kept);
            words.extend(["--external".to_owned(), format!("mnt[{place}]:{source}")]);
        }
        for (number, name) in &self.streams {
            words.extend(["--inherit-fd".to_owned(), format!("fd[{number}]:{name}")]);
        }
        words
    }
}

/// The network namespace that the container shares by path.
pub(crate) fn joined_network(spec: &Spec) -> Option<&Path> {
    let linux = spec.linux.as_ref()?;
    linux.namespace(NamespaceKind::Network)?.path.as_deref()
}

/// The descriptor for it, as criu's restore takes it.
pub(crate) fn network_word(number: i32) -> [String; 2] {
    ["--inherit-fd".to_owned(), format!("fd[{number}]:{NETWORK}")]
}

/// The mounts of a container that are the host's: binds of the spec, and files masked by the null device.
fn mounts(table: &str, spec: &Spec) -> BTreeMap<String, String> {
    let masked = spec.linux.as_ref().map(|linux| &linux.masked_paths);
    let mut all = BTreeMap::new();
    for line in table.lines() {
        let mut words = line.split(' ').skip(3);
        let (Some(root), Some(place)) = (words.next(), words.next()) else {
            continue;
        };
        let bound = spec.mounts.iter().rev().find(|mount| {
            mount.destination == Path::new(place)
                && (mount.kind == "bind"
                    || mount
                        .options
                        .iter()
                        .any(|word| word == "bind" || word == "rbind"))
        });
        if let Some(mount) = bound {
            all.insert(place.to_owned(), mount.source.clone());
        } else if root == "/null" && masked.is_some_and(|all| all.iter().any(|path| path == place))
        {
            all.insert(place.to_owned(), "/dev/null".to_owned());
        }
    }
    all
}

/// Criu's name for a stream that leads out of the container: a pipe, or a file on a mount that it has not.
fn stream(pid: i32, number: i32, table: &str) -> Result<Option<String>, Error> {
    let path = PathBuf::from(format!("/proc/{pid}/fd/{number}"));
    let target = match fs::read_link(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::file("read", &path))?,
    };
    let name = target.to_string_lossy();
    if name.starts_with("pipe:") {
        return Ok(Some(name.into_owned()));
    }
    if !name.starts_with('/') {
        return Ok(None);
    }
    let facts = PathBuf::from(format!("/proc/{pid}/fdinfo/{number}"));
    let text = fs::read_to_string(&facts).map_err(Error::file("read", &facts))?;
    let mount = text
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u64>().ok());
    let has = |id: u64| {
        table
            .lines()
            .any(|line| line.split(' ').next() == Some(id.to_string().as_str()))
    };
    match mount.filter(|id| !has(*id)) {
        None => Ok(None),
        Some(id) => {
            let inode = fs::metadata(&path)
                .map_err(Error::file("stat", &path))?
                .ino();
            Ok(Some(format!("file[{id:x}:{inode:x}]")))
        }
    }
}

/// A call of criu, with what every call has.
pub(crate) fn call(
    globals: &Globals,
    given: &Given,
    action: &'static str,
    folders: &Folders,
) -> Command {
    let mut criu = Command::new(globals.criu.as_deref().unwrap_or(Path::new("criu")));
    let log = if action == "restore" {
        "restore.log"
    } else {
        "dump.log"
    };
    criu.arg(action).args(["-v4", "--log-file", log]);
    criu.arg("--images-dir").arg(&folders.images);
    criu.arg("--work-dir").arg(&folders.work);
    for flag in [
        "tcp-established",
        "tcp-close",
        "ext-unix-sk",
        "shell-job",
        "file-locks",
    ] {
        if given.is_on(flag) {
            criu.arg(format!("--{flag}"));
        }
    }
    if let Some(method) = given.text("network-lock") {
        criu.args(["--network-lock", method]);
    }
    let usual = match globals.without_cgroups {
        true => "ignore",
        false => "soft",
    };
    let mode = given.text("manage-cgroups-mode").unwrap_or(usual);
    criu.arg(format!("--manage-cgroups={mode}"));
    if given.list("empty-ns").any(|kind| kind == "network") {
        criu.args(["--empty-ns", "net"]);
    }
    if given.is_on("auto-dedup") {
        criu.arg("--auto-dedup");
    }
    criu
}

/// Runs a call, and tells the log's last errors when it fails. `handed_over` is a descriptor that criu alone has open
/// from then on: who reads its other end sees the end of it when criu closes it.
pub(crate) fn run(
    mut criu: Command,
    action: &'static str,
    folders: &Folders,
    handed_over: Option<OwnedFd>,
) -> Result<(), Error> {
    if action != "restore" {
        criu.stdin(Stdio::null());
    }
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => Error::NoCriu { action },
        _ => Error::Criu {
            action,
            reason: source.to_string(),
        },
    };
    let mut criu = criu.spawn().map_err(failed)?;
    drop(handed_over);
    let status = criu.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let log = match action {
        "restore" => folders.work.join("restore.log"),
        _ => folders.work.join("dump.log"),
    };
    let text = fs::read_to_string(&log).unwrap_or_default();
    let last: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("Error"))
        .rev()
        .take(3)
        .collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(Error::Criu {
        action,
        reason: format!("{status}; {}: {}", log.display(), last.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use oci::runtime::{Linux, Mount};

    use super::*;

    #[test]
    fn binds_and_masked_files_are_the_hosts() {
        let spec = Spec {
            mounts: vec![Mount {
                destination: "/data".into(),
                kind: "bind".to_owned(),
                source: "/srv".to_owned(),
                ..Mount::default()
            }],
            linux: Some(Linux {
                masked_paths: vec!["/proc/kcore".to_owned(), "/proc/acpi".to_owned()],
                ..Linux::default()
            }),
            ..Spec::default()
        };
        let table = "49 45 254:0 /rootfs / rw - ext4 /dev/vda rw\n\
                     50 49 254:0 /srv /data rw - ext4 /dev/vda rw\n\
                     53 51 0:31 / /proc/acpi ro - tmpfs tmpfs rw\n\
                     55 51 0:5 /null /proc/kcore rw - devtmpfs dev rw\n";
        let outside = Outside {
            mounts: mounts(table, &spec),
            ..Outside::default()
        };
        let words = outside.left_out(&spec).expect("no network");
        assert_eq!(
            words,
            [
                "--external",
                "mnt[/data]:/data",
                "--external",
                "mnt[/proc/kcore]:/proc/kcore"
            ]
        );
        let words = outside.put_back(&spec);
        assert_eq!(
            words,
            [
                "--external",
                "mnt[/data]:/srv",
                "--external",
                "mnt[/proc/kcore]:/dev/null"
            ]
        );
    }
}
