//! Images made by hand, layer by layer, in the two forms that travel: docker-save archives and OCI layouts.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::rootfs;
use crate::tar::{Archive, Header};

/// An image: the busybox file system with layers on top.
#[derive(Debug, Clone)]
pub struct Image {
    reference: String,
    architecture: String,
    layers: Vec<Vec<u8>>,
    config: Value,
}

impl Image {
    /// An image of that name whose first layer is busybox.
    #[must_use]
    pub fn new(reference: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            architecture: "amd64".to_owned(),
            layers: vec![rootfs::archive().to_vec()],
            config: json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]}),
        }
    }

    /// An image without any layer yet.
    #[must_use]
    pub fn empty(reference: &str) -> Self {
        Self {
            layers: Vec::new(),
            ..Self::new(reference)
        }
    }

    /// Adds a layer, an uncompressed tar archive.
    #[must_use]
    pub fn layer(mut self, tar: Vec<u8>) -> Self {
        self.layers.push(tar);
        self
    }

    /// Makes it one for another processor.
    #[must_use]
    pub fn architecture(mut self, name: &str) -> Self {
        self.architecture = name.to_owned();
        self
    }

    /// Sets one member of the image's config, such as `Volumes`.
    #[must_use]
    pub fn config(mut self, member: &str, value: Value) -> Self {
        self.config[member] = value;
        self
    }

    /// The config document.
    #[must_use]
    pub fn config_json(&self) -> Vec<u8> {
        let diff_ids: Vec<String> = self.layers.iter().map(|layer| digest(layer)).collect();
        let history: Vec<Value> = (0..self.layers.len())
            .map(|at| json!({"created": "2001-09-09T01:46:40Z", "created_by": format!("layer {at}")}))
            .collect();
        json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": "2001-09-09T01:46:40Z",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        })
        .to_string()
        .into_bytes()
    }

    /// The image's id: the digest of its config.
    #[must_use]
    pub fn id(&self) -> String {
        digest(&self.config_json())
    }

    /// What `docker save` writes.
    #[must_use]
    pub fn docker_archive(&self) -> Vec<u8> {
        let config = self.config_json();
        let config_name = format!("{}.json", hex(&config));
        let mut archive = Archive::new().file(&config_name, &config);
        let mut names = Vec::new();
        for layer in &self.layers {
            let name = format!("{}/layer.tar", hex(layer));
            archive = archive
                .with(&Header::folder(&format!("{}/", hex(layer))), &[])
                .file(&name, layer);
            names.push(name);
        }
        let manifest = json!([{
            "Config": config_name,
            "RepoTags": [self.reference],
            "Layers": names,
        }]);
        archive
            .file("manifest.json", manifest.to_string().as_bytes())
            .finish()
    }

    /// An OCI layout's files, as (path, content); layers compressed by `pack`, whose media type suffix is `suffix`.
    #[must_use]
    pub fn oci_files(
        &self,
        suffix: &str,
        pack: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Vec<(String, Vec<u8>)> {
        let (mut files, mut manifest) = self.oci_blobs(suffix, pack);
        manifest["annotations"] = self.annotations();
        files.push(layout());
        files.push(index_file(&manifest));
        files
    }

    fn annotations(&self) -> Value {
        json!({
            "org.opencontainers.image.ref.name": self.reference.rsplit(':').next(),
            "io.containerd.image.name": format!("docker.io/library/{}", self.reference),
        })
    }

    /// The blobs of a layout, and the descriptor of the manifest among them.
    fn oci_blobs(
        &self,
        suffix: &str,
        pack: impl Fn(&[u8]) -> Vec<u8>,
    ) -> (Vec<(String, Vec<u8>)>, Value) {
        let mut files = Vec::new();
        let mut blob = |kind: String, content: Vec<u8>| {
            let descriptor =
                json!({"mediaType": kind, "digest": digest(&content), "size": content.len()});
            files.push((format!("blobs/sha256/{}", hex(&content)), content));
            descriptor
        };
        let vendor = "application/vnd.oci.image";
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| blob(format!("{vendor}.layer.v1.tar{suffix}"), pack(layer)))
            .collect();
        let config = blob(format!("{vendor}.config.v1+json"), self.config_json());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": format!("{vendor}.manifest.v1+json"),
            "config": config,
            "layers": layers,
        });
        let manifest = blob(
            format!("{vendor}.manifest.v1+json"),
            manifest.to_string().into_bytes(),
        );
        (files, manifest)
    }

    /// One OCI archive of an image for several processors: an index of the first one's name with all of them, and with
    /// one for `absent`, of which nothing is there.
    #[must_use]
    pub fn index_archive(images: &[Self], absent: &str) -> Vec<u8> {
        let mut files = vec![layout()];
        let mut manifests = Vec::new();
        let platform = |name: &str| json!({"os": "linux", "architecture": name});
        for image in images {
            let (blobs, mut manifest) = image.oci_blobs("", <[u8]>::to_vec);
            files.extend(blobs);
            manifest["platform"] = platform(&image.architecture);
            manifests.push(manifest);
        }
        let mut ghost = manifests[0].clone();
        ghost["digest"] = json!(digest(b"nothing"));
        ghost["platform"] = platform(absent);
        manifests.push(ghost);
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
        let index = index.to_string().into_bytes();
        let mut pointer = json!({"mediaType": kind, "digest": digest(&index), "size": index.len()});
        pointer["annotations"] = images[0].annotations();
        files.push((format!("blobs/sha256/{}", hex(&index)), index));
        files.push(index_file(&pointer));
        let whole = |archive: Archive, file: &(String, Vec<u8>)| archive.file(&file.0, &file.1);
        files.iter().fold(Archive::new(), whole).finish()
    }

    /// An OCI layout as one archive.
    #[must_use]
    pub fn oci_archive(&self, suffix: &str, pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        self.oci_files(suffix, pack)
            .iter()
            .fold(Archive::new(), |archive, (path, content)| {
                archive.file(path, content)
            })
            .finish()
    }

    /// An OCI layout as a folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn oci_folder(&self, folder: &Path) {
        for (path, content) in self.oci_files("", <[u8]>::to_vec) {
            let file = folder.join(path);
            let parent = file.parent().expect("a file in a folder");
            std::fs::create_dir_all(parent).expect("a folder of ours");
            std::fs::write(&file, content).expect("a file of ours");
        }
    }
}

fn layout() -> (String, Vec<u8>) {
    let version = br#"{"imageLayoutVersion":"1.0.0"}"#;
    ("oci-layout".to_owned(), version.to_vec())
}

/// The `index.json` that points to one manifest or index.
fn index_file(pointer: &Value) -> (String, Vec<u8>) {
    let index = json!({"schemaVersion": 2, "manifests": [pointer]});
    ("index.json".to_owned(), index.to_string().into_bytes())
}

/// `sha256:…` of some bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Passes bytes through a program such as `gzip`.
///
/// # Panics
/// When it is not installed or fails.
#[must_use]
pub fn through(program: &str, args: &[&str], bytes: &[u8]) -> Vec<u8> {
    let output = crate::command::run(std::process::Command::new(program).args(args), bytes);
    assert!(output.code == 0, "{program}: {}", output.error());
    output.stdout
}
