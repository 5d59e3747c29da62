//! Images made here: from a tar of a file system, or from a container.

use std::io::{Read, Write};

use jiff::Timestamp;
use oci::image::{Config, Execution, History};
use oci::{Descriptor, DiffId, Platform, Reference};

use crate::changes::Change;
use crate::lease::Lease;
use crate::record::{Layer, Record};
use crate::store::Store;
use crate::{Error, ImageId, Result};

/// The digest of a tar without entries: 1,024 zero bytes.
const EMPTY_TAR: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// What `import` is told besides the tar.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Instructions for the config.
    pub changes: Vec<Change>,
    /// The message of the one history entry.
    pub message: String,
    /// The image's name; without a tag it is `latest`.
    pub reference: Option<Reference>,
    /// What it runs on; `None` for this machine.
    pub platform: Option<Platform>,
}

/// What `commit` is told besides the container's changes.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The container's image.
    pub parent: Option<ImageId>,
    /// What a container of the new image starts with, before `changes`.
    pub execution: Execution,
    /// Instructions for the config.
    pub changes: Vec<Change>,
    /// Who made it.
    pub author: String,
    /// The message.
    pub comment: String,
    /// The container's command line, for the history.
    pub created_by: String,
    /// The image's name; without a tag it is `latest`.
    pub reference: Option<Reference>,
}

impl Store {
    /// Makes an image of one layer from a tar, compressed or not.
    ///
    /// # Errors
    /// When the tar is broken, unsafe or the disk full; nothing is left then.
    pub fn import(&self, mut tar: impl Read, import: &Import) -> Result<ImageId> {
        check_name(import.reference.as_ref())?;
        let mut execution = Execution::default();
        apply(&import.changes, &mut execution)?;
        let lease = self.lease();
        let mut writer = self.content.writer()?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match tar.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => writer.push(&buffer[..count])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Input { source }),
            }
        }
        let blob = self.keep(&lease, writer)?;
        let platform = import.platform.clone().unwrap_or_else(Platform::host);
        let now = Timestamp::now().to_string();
        let mut config = Config {
            created: Some(now.clone()),
            architecture: platform.architecture,
            variant: platform.variant,
            os: platform.os,
            config: execution,
            ..Config::default()
        };
        config.history.push(History {
            created: Some(now),
            comment: import.message.clone(),
            ..History::default()
        });
        let layer = self.unpack_new(&lease, &blob, None)?;
        config.rootfs.diff_ids.push(layer.diff_id.clone());
        self.publish(
            &lease,
            &config,
            None,
            vec![layer],
            import.reference.as_ref(),
        )
    }

    /// Makes an image from a container: its image's layers, and the tar that `layer` writes on top.
    ///
    /// # Errors
    /// When the parent is gone, or the tar cannot be written or unpacked; nothing is left then.
    pub fn commit(
        &self,
        commit: &Commit,
        layer: &mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<ImageId> {
        check_name(commit.reference.as_ref())?;
        let mut execution = commit.execution.clone();
        apply(&commit.changes, &mut execution)?;
        let lease = self.lease();
        let (mut config, mut layers) = self.base(&lease, commit.parent.as_ref())?;
        let mut writer = self.content.writer()?;
        layer(&mut writer).map_err(|source| Error::Input { source })?;
        let blob = self.keep(&lease, writer)?;
        let is_empty = blob.digest.as_str() == EMPTY_TAR;
        if !is_empty {
            let parent_chain = layers.last().map(|layer: &Layer| layer.chain_id.clone());
            let layer = self.unpack_new(&lease, &blob, parent_chain.as_ref())?;
            config.rootfs.diff_ids.push(layer.diff_id.clone());
            layers.push(layer);
        }
        let now = Timestamp::now().to_string();
        config.created = Some(now.clone());
        config.author.clone_from(&commit.author);
        config.config = execution;
        config
            .extra
            .insert("comment".to_owned(), commit.comment.clone().into());
        config.history.push(History {
            created: Some(now),
            author: commit.author.clone(),
            created_by: commit.created_by.clone(),
            comment: commit.comment.clone(),
            empty_layer: is_empty,
            ..History::default()
        });
        self.publish(
            &lease,
            &config,
            commit.parent.clone(),
            layers,
            commit.reference.as_ref(),
        )
    }

    /// The parent's config and layers, leased; of nothing, an empty config for this machine.
    fn base(&self, lease: &Lease<'_>, parent: Option<&ImageId>) -> Result<(Config, Vec<Layer>)> {
        let Some(id) = parent else {
            let host = Platform::host();
            let config = Config {
                architecture: host.architecture,
                variant: host.variant,
                os: host.os,
                ..Config::default()
            };
            return Ok((config, Vec::new()));
        };
        let layers = self
            .get(id)
            .map(|image| image.record.layers.clone())
            .unwrap_or_default();
        for layer in &layers {
            lease.blob(&layer.blob.digest);
            lease.layer(&layer.chain_id);
        }
        // Looked up again: only now does the lease keep what was found.
        let image = self
            .get(id)
            .ok_or_else(|| Error::NotFound(id.to_string()))?;
        Ok((image.config.clone(), layers))
    }

    /// Stores a layer blob under the lease.
    pub(crate) fn keep(
        &self,
        lease: &Lease<'_>,
        writer: content::Writer<'_>,
    ) -> Result<Descriptor> {
        let size = writer.len_bytes();
        let digest = lease.store_lazily(writer, None, None)?;
        self.describe_layer(&digest, size)
    }

    /// Unpacks a layer whose diff id nobody told us.
    fn unpack_new(
        &self,
        lease: &Lease<'_>,
        blob: &Descriptor,
        parent: Option<&oci::ChainId>,
    ) -> Result<Layer> {
        let known =
            (blob.media_type == oci::media_type::OCI_LAYER).then(|| DiffId(blob.digest.clone()));
        if let Some(diff_id) = &known {
            lease.layer(&oci::ChainId::on(parent, diff_id));
        }
        let layer = self.unpack(blob, parent, known.as_ref().map(|diff_id| (0, diff_id)))?;
        if known.is_none() {
            lease.layer(&layer.chain_id);
        }
        Ok(layer)
    }

    /// Stores a new config and makes it an image.
    pub(crate) fn publish(
        &self,
        lease: &Lease<'_>,
        config: &Config,
        parent: Option<ImageId>,
        layers: Vec<Layer>,
        reference: Option<&Reference>,
    ) -> Result<ImageId> {
        let bytes = serde_json::to_vec(config)
            .expect("a config has only string keys, so it is always JSON");
        let id = ImageId(lease.put(&bytes)?);
        let mut blobs: Vec<_> = layers
            .iter()
            .map(|layer| layer.blob.digest.clone())
            .collect();
        blobs.push(id.0.clone());
        let record = Record {
            parent,
            layers,
            manifest: None,
            index: None,
            variants: Vec::new(),
            blobs,
            loaded: Timestamp::now(),
            last_tagged: None,
        };
        let names: Vec<Reference> = reference
            .cloned()
            .map(Reference::or_latest)
            .into_iter()
            .collect();
        self.insert(&id, record, &names)?;
        Ok(id)
    }
}

fn check_name(reference: Option<&Reference>) -> Result<()> {
    match reference.and_then(Reference::digest) {
        Some(_) => Err(Error::TagWithDigest),
        None => Ok(()),
    }
}

fn apply(changes: &[Change], execution: &mut Execution) -> Result<()> {
    for change in changes {
        change.apply(execution)?;
    }
    Ok(())
}
