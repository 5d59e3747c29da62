//! What the tests of images share: a store of their own, and archives made by hand.
#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test file uses a part"
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use archive::tar::{Entry, Kind, Writer};
use image::{ImageId, LoadEvent, LoadOptions, RemoveOptions, Store};
use oci::Digest;
use serde_json::{Value, json};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A data root of its own with an open image store.
pub struct Home {
    pub dir: PathBuf,
    pub images: Option<Store>,
}

impl Home {
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("estiva-image-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let images = Some(open(&dir));
        Self { dir, images }
    }

    pub fn images(&self) -> &Store {
        self.images.as_ref().unwrap()
    }

    /// Closes the store and opens it again, as a new daemon would.
    pub fn reopen(&mut self) {
        self.images = None;
        self.images = Some(open(&self.dir));
    }

    pub fn load(&self, tar: &[u8]) -> image::Result<Vec<ImageId>> {
        self.images()
            .load(tar, &LoadOptions::default(), &mut |_| {})
    }

    /// Loads and gives the lines that docker would print.
    pub fn load_told(&self, tar: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut listen = |event: LoadEvent| match event {
            LoadEvent::Layer { .. } => {}
            event => lines.push(event.to_string()),
        };
        self.images()
            .load(tar, &LoadOptions::default(), &mut listen)
            .unwrap();
        lines
    }

    pub fn remove(&self, name: &str) -> image::Result<Vec<String>> {
        let removed = self
            .images()
            .remove(name, RemoveOptions::default(), &|_| Vec::new())?;
        Ok(removed.iter().map(ToString::to_string).collect())
    }

    pub fn remove_everything(&self) {
        let options = RemoveOptions {
            force: true,
            no_prune: false,
        };
        while let Some(image) = self
            .images()
            .list()
            .into_iter()
            .find(|image| self.images().children(&image.id).is_empty())
        {
            for tag in image.repo_tags() {
                let _ = self.images().remove(&tag, options, &|_| Vec::new());
            }
            if self.images().get(&image.id).is_some() {
                self.images()
                    .remove(image.id.as_str(), options, &|_| Vec::new())
                    .unwrap();
            }
        }
    }

    /// Blobs, drafts and layers on disk.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.dir.join("blobs"), &mut found);
        let snapshots = std::fs::read_dir(self.dir.join("snapshots")).unwrap();
        let is_snapshot = |path: &PathBuf| !path.ends_with("lock") && !path.ends_with("empty");
        found.extend(
            snapshots
                .map(|entry| entry.unwrap().path())
                .filter(is_snapshot),
        );
        found
    }

    /// The image's files as a container would see them.
    pub fn view(&self, id: &ImageId) -> std::os::fd::OwnedFd {
        let image = self.images().get(id).unwrap();
        let chain = image.chain_id().unwrap().to_string();
        self.images()
            .snapshots()
            .mount_view(snapshot::View::Layer(&chain))
            .unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.images = None;
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn open(dir: &Path) -> Store {
    let content = Arc::new(content::Store::open(dir).unwrap());
    let snapshots = Arc::new(snapshot::Store::open(&dir.join("snapshots")).unwrap());
    Store::open(dir, content, snapshots).unwrap()
}

fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A file below a folder's fd.
pub fn read_at(dir: &std::os::fd::OwnedFd, name: &str) -> std::io::Result<String> {
    use std::os::fd::AsRawFd;
    std::fs::read_to_string(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}

/// A tar of small files, in this order; a name with a closing slash is a folder.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, contents) in files {
        let entry = match name.strip_suffix('/') {
            Some(folder) => Entry::new(folder, Kind::Directory, 0o755),
            None => {
                let mut entry = Entry::new(*name, Kind::File, 0o644);
                entry.size = contents.len() as u64;
                entry
            }
        };
        writer.append(&entry, contents).unwrap();
    }
    writer.finish().unwrap()
}

/// A tar with one symbolic link more.
pub fn tar_with_link(files: &[(&str, &[u8])], link: (&str, &str)) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut entry = Entry::new(link.0, Kind::Symlink, 0o777);
    entry.link = link.1.into();
    writer.append(&entry, b"").unwrap();
    for (name, contents) in files {
        let mut entry = Entry::new(*name, Kind::File, 0o644);
        entry.size = contents.len() as u64;
        writer.append(&entry, contents).unwrap();
    }
    writer.finish().unwrap()
}

/// A config for layers with these plain tars.
pub fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| Digest::of(layer).to_string())
        .collect();
    let platform = oci::Platform::host();
    let value = json!({
        "architecture": platform.architecture, "os": "linux", "created": "2024-05-06T07:08:09.123456789Z",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Labels": {"tier": "test"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": layers.iter().map(|_| json!({"created": "2024-05-06T07:08:09Z", "created_by": "/bin/sh -c x"})).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&value).unwrap()
}

/// What `docker save` of 20.10 writes: configs by their digest, layers in folders, the manifest last.
pub fn docker_archive(tags: &[&str], config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let config_name = format!("{}.json", Digest::of(config).hex());
    docker_archive_named(&config_name, tags, config, layers)
}

pub fn docker_archive_named(
    config_name: &str,
    tags: &[&str],
    config: &[u8],
    layers: &[&[u8]],
) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len())
        .map(|number| format!("{number:064}/layer.tar"))
        .collect();
    let manifest = json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]);
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    for (name, layer) in names.iter().zip(layers) {
        files.push((name, layer));
    }
    files.push((config_name, config));
    files.push(("manifest.json", &manifest));
    tar(&files)
}

/// A descriptor as JSON.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
}

pub fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

/// The manifest of one image.
pub fn manifest(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor(oci::media_type::OCI_LAYER, layer))
        .collect();
    let value = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_MANIFEST,
        "config": descriptor(oci::media_type::OCI_CONFIG, config), "layers": layers,
    });
    serde_json::to_vec(&value).unwrap()
}

/// An OCI layout of these blobs; `entries` is what index.json lists.
pub fn oci_archive(entries: &[Value], blobs: &[&[u8]]) -> Vec<u8> {
    let index =
        json!({"schemaVersion": 2, "mediaType": oci::media_type::OCI_INDEX, "manifests": entries});
    let index = serde_json::to_vec(&index).unwrap();
    let names: Vec<String> = blobs.iter().map(|blob| blob_name(blob)).collect();
    let mut files: Vec<(&str, &[u8])> = names
        .iter()
        .map(String::as_str)
        .zip(blobs.iter().copied())
        .collect();
    files.push(("index.json", &index));
    files.push(("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#));
    tar(&files)
}

/// Runs a tool and gives its standard output; panics with its words when it fails.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a tool is installed; says so when it is not, so that a skipped test is seen.
pub fn has_tool(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}
