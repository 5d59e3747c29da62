//! Images to one tar that is at the same time what `docker load` has always read and an OCI layout.
//!
//! ```text
//! oci-layout, index.json        for podman, skopeo, containerd and newer docker
//! manifest.json, repositories   for older docker
//! blobs/sha256/<hex>            manifests, configs and layers, shared by both
//! ```
//! Equal images give equal bytes: no times, no owners, sorted names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use archive::compression::Compression;
use archive::tar::{Entry, Kind, Writer};
use oci::{Descriptor, Digest, Hasher, Index, Manifest, Platform, Reference, media_type};
use serde::Serialize;

use crate::lease::Lease;
use crate::record::{Image, Layer};
use crate::store::Store;
use crate::{Error, Result};

/// What the archive is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SaveFormat {
    /// Everything in one: what docker 25 and newer writes.
    #[default]
    Combined,
    /// Only what `manifest.json` names.
    DockerArchive,
    /// Only the OCI layout.
    OciArchive,
}

/// One file of the archive.
#[derive(Debug)]
enum Part {
    Bytes(Vec<u8>),
    /// A blob of the store, with its size.
    Blob(Digest, u64),
    /// The plain tar in a blob that old readers could not unpack: the blob, and the size of what is in it.
    Unpacked(Digest, u64),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// An archive in the making.
#[derive(Default)]
struct Plan {
    blobs: BTreeMap<String, Part>,
    entries: Vec<Descriptor>,
    items: Vec<Item>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

/// An image to save with the names to give it.
struct Wanted {
    image: Arc<Image>,
    names: BTreeSet<Reference>,
}

impl Store {
    /// Writes the images of these names or ids to one archive: for all their platforms, or for one alone. A repository
    /// without a tag means all its tags.
    ///
    /// # Errors
    /// When one is not there (nothing is written then), content is missing, or the receiver fails.
    pub fn save(
        &self,
        names: &[String],
        platform: Option<&Platform>,
        format: SaveFormat,
        to: impl Write,
    ) -> Result<()> {
        let lease = self.lease();
        let mut plan = Plan::default();
        for mut one in self.wanted(names)? {
            hold(&lease, &one.image);
            if let Some(platform) = platform {
                one.image = self.for_platform(&one.image, platform)?;
            }
            self.plan_image(&one, format, &mut plan)?;
        }
        self.write_archive(plan, format, to)
    }

    fn wanted(&self, names: &[String]) -> Result<Vec<Wanted>> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for text in names {
            for (image, name) in self.wanted_by(text)? {
                let place = wanted.iter().position(|one| one.image.id == image.id);
                let place = place.unwrap_or_else(|| {
                    wanted.push(Wanted {
                        image,
                        names: BTreeSet::new(),
                    });
                    wanted.len() - 1
                });
                wanted[place].names.extend(name);
            }
        }
        Ok(wanted)
    }

    /// The images that one argument means.
    fn wanted_by(&self, text: &str) -> Result<Vec<(Arc<Image>, Option<Reference>)>> {
        let reference = text.parse::<Reference>().ok();
        if let Some(repository) = reference
            .as_ref()
            .filter(|reference| reference.is_name_only())
        {
            let state = self.read();
            let of_repository = state
                .names
                .iter()
                .filter(|(name, _)| name.repository() == repository.repository());
            let tagged: Vec<_> = of_repository
                .filter_map(|(name, entry)| {
                    Some((state.images.get(&entry.image)?.clone(), Some(name.clone())))
                })
                .collect();
            if !tagged.is_empty() {
                return Ok(tagged);
            }
        }
        let image = self.resolve(text)?;
        let name = reference
            .map(Reference::or_latest)
            .filter(|name| image.tags.contains(name));
        Ok(vec![(image, name)])
    }

    fn plan_image(&self, wanted: &Wanted, format: SaveFormat, plan: &mut Plan) -> Result<()> {
        let image = &wanted.image;
        if format == SaveFormat::DockerArchive {
            plan.blob(&image.id.0, self.content.size(&image.id.0)?);
            for layer in &image.record.layers {
                plan.blob(&layer.blob.digest, layer.blob.size);
            }
        } else {
            let target = self.plan_layout(image, plan)?;
            plan.add_entries(&target, &wanted.names);
        }
        if format != SaveFormat::OciArchive {
            self.plan_docker(wanted, plan)?;
        }
        Ok(())
    }

    /// All blobs of the image, and the index or manifest that names point to; made now if it never came with one.
    fn plan_layout(&self, image: &Image, plan: &mut Plan) -> Result<Descriptor> {
        for digest in &image.record.blobs {
            plan.blob(digest, self.content.size(digest)?);
        }
        if let Some(target) = image.record.target() {
            return Ok(target.clone());
        }
        let config_size = self.content.size(&image.id.0)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config: Descriptor::new(media_type::OCI_CONFIG, image.id.0.clone(), config_size),
            layers: image
                .record
                .layers
                .iter()
                .map(|layer| layer.blob.clone())
                .collect(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        let bytes = json(&manifest);
        let digest = Digest::of(&bytes);
        let mut target =
            Descriptor::new(media_type::OCI_MANIFEST, digest.clone(), bytes.len() as u64);
        target.platform = Some(image.platform());
        plan.blobs.insert(path_of(&digest), Part::Bytes(bytes));
        Ok(target)
    }

    fn plan_docker(&self, wanted: &Wanted, plan: &mut Plan) -> Result<()> {
        let image = &wanted.image;
        let mut layers = Vec::with_capacity(image.record.layers.len());
        for layer in &image.record.layers {
            layers.push(self.plan_docker_layer(layer, plan)?);
        }
        if let Some(top) = image.record.layers.last() {
            for name in &wanted.names {
                let tags = plan.repositories.entry(name.familiar_name()).or_default();
                let tag = name.tag().unwrap_or("latest");
                tags.insert(tag.to_owned(), top.diff_id.0.hex().to_owned());
            }
        }
        let tags: Vec<String> = wanted.names.iter().map(Reference::familiar).collect();
        plan.items.push(Item {
            config: path_of(&image.id.0),
            repo_tags: (!tags.is_empty()).then_some(tags),
            layers,
        });
        Ok(())
    }

    /// Older dockers read plain tars and gzip only; other layers go in once more, as plain tar.
    fn plan_docker_layer(&self, layer: &Layer, plan: &mut Plan) -> Result<String> {
        let mut tar = self.plain(&layer.blob.digest)?;
        if matches!(tar.compression(), Compression::Plain | Compression::Gzip) {
            return Ok(path_of(&layer.blob.digest));
        }
        let path = path_of(&layer.diff_id.0);
        if !plan.blobs.contains_key(&path) {
            let mut hasher = Hasher::new(layer.diff_id.0.algorithm());
            let size = io::copy(&mut tar, &mut hasher).map_err(|source| Error::Input { source })?;
            plan.blobs.insert(
                path.clone(),
                Part::Unpacked(layer.blob.digest.clone(), size),
            );
        }
        Ok(path)
    }

    fn write_archive(&self, plan: Plan, format: SaveFormat, to: impl Write) -> Result<()> {
        let mut tar = Writer::new(BufWriter::with_capacity(256 << 10, to));
        if format != SaveFormat::DockerArchive {
            let index = Index {
                schema_version: 2,
                media_type: Some(media_type::OCI_INDEX.to_owned()),
                manifests: plan.entries,
                annotations: BTreeMap::new(),
            };
            append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
            append(&mut tar, "index.json", &json(&index))?;
        }
        if format != SaveFormat::OciArchive {
            append(&mut tar, "manifest.json", &json(&plan.items))?;
            if !plan.repositories.is_empty() {
                append(&mut tar, "repositories", &json(&plan.repositories))?;
            }
        }
        let mut folders = BTreeSet::new();
        for (path, part) in &plan.blobs {
            for (end, _) in path.match_indices('/') {
                if folders.insert(&path[..=end]) {
                    let entry = Entry::new(&path[..=end], Kind::Directory, 0o755);
                    tar.begin(&entry).map_err(output)?;
                }
            }
            self.write_part(&mut tar, path, part)?;
        }
        let mut buffer = tar.finish().map_err(output)?;
        buffer.flush().map_err(|source| Error::Output { source })
    }

    fn write_part<W: Write>(&self, tar: &mut Writer<W>, path: &str, part: &Part) -> Result<()> {
        match part {
            Part::Bytes(bytes) => append(tar, path, bytes),
            Part::Blob(digest, size) => {
                let file = self.content.open_blob(digest)?;
                stream(tar, path, *size, file)
            }
            Part::Unpacked(digest, size) => {
                let plain = self.plain(digest)?;
                stream(tar, path, *size, plain)
            }
        }
    }
}

impl Plan {
    fn blob(&mut self, digest: &Digest, size: u64) {
        self.blobs
            .entry(path_of(digest))
            .or_insert_with(|| Part::Blob(digest.clone(), size));
    }

    /// One entry of `index.json` for each name, or one without a name.
    fn add_entries(&mut self, target: &Descriptor, names: &BTreeSet<Reference>) {
        for name in names {
            let mut entry = target.clone();
            let tag = name.tag().unwrap_or("latest").to_owned();
            entry
                .annotations
                .insert("io.containerd.image.name".to_owned(), name.to_string());
            entry
                .annotations
                .insert("org.opencontainers.image.ref.name".to_owned(), tag);
            self.entries.push(entry);
        }
        if names.is_empty() {
            self.entries.push(target.clone());
        }
    }
}

/// Keeps an image's content while it is written, whatever is removed meanwhile.
fn hold(lease: &Lease<'_>, image: &Image) {
    for digest in &image.record.blobs {
        lease.blob(digest);
    }
}

fn append<W: Write>(tar: &mut Writer<W>, path: &str, bytes: &[u8]) -> Result<()> {
    let entry = Entry::new(path, Kind::File, 0o644);
    tar.append(&entry, bytes).map_err(output)
}

fn stream<W: Write>(tar: &mut Writer<W>, path: &str, size: u64, mut from: impl Read) -> Result<()> {
    let mut entry = Entry::new(path, Kind::File, 0o644);
    entry.size = size;
    tar.begin(&entry).map_err(output)?;
    let mut chunk = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        let count = match from.read(&mut chunk[..most]) {
            Ok(0) => {
                let source = io::Error::new(io::ErrorKind::UnexpectedEof, "a blob ends early");
                return Err(Error::Input { source });
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(Error::Input { source }),
        };
        tar.write_data(&chunk[..count]).map_err(output)?;
        left -= count as u64;
    }
    Ok(())
}

fn output(error: archive::Error) -> Error {
    match error {
        archive::Error::Write { source } => Error::Output { source },
        source => Error::Archive { source },
    }
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value)
        .expect("these documents have only string keys, so they are always JSON")
}
