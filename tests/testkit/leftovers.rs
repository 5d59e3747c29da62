//! What an engine must not leave behind, and how a failed story is cleaned away.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use network::firewall::{Firewall, Instance, Policy};
use network::link;
use rustix::process::Signal;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{cgroup, proc};

/// Processes, mounts, cgroups, links and tables of rules that still belong to the engine under `root`; empty when it left nothing.
#[must_use]
pub fn list(root: &Path, cgroup_parent: &str) -> Vec<String> {
    let mut found = Vec::new();
    for pid in processes(root, cgroup_parent) {
        let line = proc::read(pid, "cmdline").unwrap_or_default();
        found.push(format!("process {pid}: {}", line.replace('\0', " ")));
    }
    for mount in proc::mounts_below(&root.display().to_string()) {
        found.push(format!("mount {}", mount.display()));
    }
    for folder in cgroup::named(cgroup_parent.trim_start_matches('/')) {
        for below in folders_below(&folder) {
            found.push(format!("cgroup {}", below.display()));
        }
    }
    // While something of the engine runs, its networks are in use.
    if processes(root, cgroup_parent).is_empty() {
        let net = Net::of(root);
        found.extend(net.links_there().map(|name| format!("link {name}")));
        found.extend(net.tables_there());
    }
    found
}

/// Kills, unmounts and removes whatever [`list`] would name, and the folder itself.
pub fn clean(root: &Path, cgroup_parent: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let pids = processes(root, cgroup_parent);
        if pids.is_empty() || Instant::now() > deadline {
            break;
        }
        for pid in pids {
            proc::signal(pid, Signal::KILL);
            thaw(pid);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut mounts = proc::mounts_below(&root.display().to_string());
    mounts.sort();
    for mount in mounts.iter().rev() {
        let _gone_already = rustix::mount::unmount(mount, rustix::mount::UnmountFlags::DETACH);
    }
    for folder in cgroup::named(cgroup_parent.trim_start_matches('/')) {
        for below in folders_below(&folder) {
            drop(std::fs::remove_dir(below));
        }
        drop(std::fs::remove_dir(folder));
    }
    Net::of(root).remove();
    drop(std::fs::remove_dir_all(root));
}

/// What an engine's networks are called on the host.
struct Net {
    table: String,
    links: Vec<String>,
}

impl Net {
    /// By the engine's data root, as the engine itself names them, and by the networks it has written down.
    fn of(root: &Path) -> Self {
        let data = root.join("data");
        let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
        let tag: String = digest[..4].iter().map(|b| format!("{b:02x}")).collect();
        let mut links = vec![format!("est-{tag}"), format!("eso-{tag}")];
        for entry in std::fs::read_dir(data.join("networks"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let record: Value = std::fs::read(entry.path())
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default();
            let asked = record["options"]["com.docker.network.bridge.name"].as_str();
            match (asked, record["id"].as_str()) {
                (Some(name), _) => links.push(name.to_owned()),
                (None, Some(id)) if id.len() >= 12 => links.push(format!("br-{}", &id[..12])),
                _ => {}
            }
        }
        links.sort();
        links.dedup();
        let table = format!("estiva-{tag}");
        Self { table, links }
    }

    fn links_there(&self) -> impl Iterator<Item = &String> {
        let is_there = |name: &&String| Path::new("/sys/class/net").join(name).exists();
        self.links.iter().filter(is_there)
    }

    fn tables_there(&self) -> Vec<String> {
        let Ok(listed) = Command::new("nft").args(["list", "tables"]).output() else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let is_it = |line: &&str| line.ends_with(&format!(" {}", self.table));
        text.lines().filter(is_it).map(str::to_owned).collect()
    }

    fn remove(&self) {
        for name in self.links_there() {
            drop(link::remove_link(name));
        }
        if self.tables_there().is_empty() {
            return;
        }
        let table = self.table.clone();
        if let Ok(firewall) = Firewall::open(Instance { table }, Policy::Open, None) {
            drop(firewall.remove_all());
        }
    }
}

/// A frozen process takes even SIGKILL only when it thaws.
fn thaw(pid: i32) {
    let Some(text) = proc::read(pid, "cgroup") else {
        return;
    };
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next(), parts.next()) {
            (Some("freezer"), Some(path)) => {
                drop(std::fs::write(
                    format!("/sys/fs/cgroup/freezer{path}/freezer.state"),
                    "THAWED",
                ));
            }
            (Some(""), Some(path)) => {
                drop(std::fs::write(
                    format!("/sys/fs/cgroup{path}/cgroup.freeze"),
                    "0",
                ));
            }
            _ => {}
        }
    }
}

/// Everything but ourselves that was started with the root's path or stands in the engine's cgroups.
fn processes(root: &Path, cgroup_parent: &str) -> Vec<i32> {
    let root = root.display().to_string();
    let own = std::process::id().cast_signed();
    let belongs = |pid: &i32| {
        let line = proc::read(*pid, "cmdline").unwrap_or_default();
        let groups = proc::read(*pid, "cgroup").unwrap_or_default();
        // A trailing slash, or `…-1` would claim what belongs to `…-12`.
        line.contains(&format!("{root}/")) || groups.contains(&format!("{cgroup_parent}/"))
    };
    proc::pids()
        .into_iter()
        .filter(|pid| *pid != own && proc::is_alive(*pid))
        .filter(belongs)
        .collect()
}

/// All folders below one, the deepest first.
fn folders_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(folders_below(&entry.path()));
            found.push(entry.path());
        }
    }
    found
}
