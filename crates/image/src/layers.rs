//! From a layer's blob to an unpacked layer.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use archive::compression::{Caps, Compression};
use oci::{ChainId, Descriptor, DiffId, Digest, Hasher, media_type};

use crate::record::Layer;
use crate::store::Store;
use crate::{Error, Result};

/// The most files one layer may hold.
const MAX_ENTRIES: u64 = 10_000_000;

impl Store {
    /// Makes sure that the layer of `blob` on `parent` is unpacked. `expected` is the layer's number and diff id as the
    /// image says; a blob that unpacks to something else is refused. Parent and blob must be leased.
    pub(crate) fn unpack(
        &self,
        blob: &Descriptor,
        parent: Option<&ChainId>,
        expected: Option<(usize, &DiffId)>,
    ) -> Result<Layer> {
        if let Some((number, diff_id)) = expected {
            let chain_id = ChainId::on(parent, diff_id);
            if let Some(known) = self.snapshots.layer(chain_id.0.as_str()) {
                self.verify(blob, number, diff_id)?;
                return Ok(Layer {
                    diff_id: diff_id.clone(),
                    chain_id,
                    blob: blob.clone(),
                    size: known.size,
                });
            }
        }
        self.extract(blob, parent, expected)
    }

    fn extract(
        &self,
        blob: &Descriptor,
        parent: Option<&ChainId>,
        expected: Option<(usize, &DiffId)>,
    ) -> Result<Layer> {
        let parent_name = parent.map(|chain| chain.0.as_str());
        let draft = self.snapshots.begin_layer(parent_name)?;
        let lower: Vec<OwnedFd> = match parent_name {
            Some(parent) => self.snapshots.open_lower(parent)?,
            None => Vec::new(),
        };
        let lower: Vec<BorrowedFd<'_>> = lower.iter().map(AsFd::as_fd).collect();
        let tar = self.plain(&blob.digest)?;
        // The digest of an uncompressed blob is its diff id, and was verified when it was stored.
        let is_plain = tar.compression() == Compression::Plain;
        let options = archive::ExtractOptions {
            mode: archive::extract::Mode::Layer { userxattr: false },
            digest: !is_plain,
            max_entries: MAX_ENTRIES,
            lower: &lower,
            ..archive::ExtractOptions::default()
        };
        let summary = archive::extract(tar, draft.dir(), &options)
            .map_err(|source| Error::Unpack { source })?;
        let diff_id = DiffId(match summary.digest {
            Some(sum) => Digest::from_sha256(&sum),
            None => blob.digest.clone(),
        });
        check(expected, &diff_id)?;
        let chain_id = ChainId::on(parent, &diff_id);
        draft.commit(chain_id.0.as_str(), summary.bytes)?;
        Ok(Layer {
            diff_id,
            chain_id,
            blob: blob.clone(),
            size: summary.bytes,
        })
    }

    /// Checks a blob against a diff id without unpacking it.
    fn verify(&self, blob: &Descriptor, number: usize, diff_id: &DiffId) -> Result<()> {
        if blob.digest == diff_id.0 || self.is_verified(&blob.digest, diff_id) {
            return Ok(());
        }
        let mut tar = self.plain(&blob.digest)?;
        let mut hasher = Hasher::new(diff_id.0.algorithm());
        io::copy(&mut tar, &mut hasher).map_err(|source| Error::Input { source })?;
        check(Some((number, diff_id)), &DiffId(hasher.finish()))
    }

    /// Whether an image that is here has the blob as this very layer.
    fn is_verified(&self, blob: &Digest, diff_id: &DiffId) -> bool {
        let state = self.read();
        let mut layers = state.images.values().flat_map(|image| &image.record.layers);
        layers.any(|layer| layer.blob.digest == *blob && layer.diff_id == *diff_id)
    }

    /// A layer blob's plain bytes.
    pub(crate) fn plain(&self, blob: &Digest) -> Result<archive::Decompressor<'static>> {
        let file = self.content.open_blob(blob)?;
        archive::decompress(file, Caps::default()).map_err(|source| Error::Input { source })
    }

    /// Describes a layer blob by its first bytes.
    pub(crate) fn describe_layer(&self, blob: &Digest, size: u64) -> Result<Descriptor> {
        let mut head = Vec::with_capacity(6);
        let file = self.content.open_blob(blob)?;
        file.take(6)
            .read_to_end(&mut head)
            .map_err(|source| Error::Input { source })?;
        let compression = Compression::sniff(&head).map_err(|source| Error::Input { source })?;
        let kind = match compression {
            Compression::Plain => media_type::OCI_LAYER.to_owned(),
            Compression::Gzip => media_type::OCI_LAYER_GZIP.to_owned(),
            Compression::Zstd => media_type::OCI_LAYER_ZSTD.to_owned(),
            // No registered type, but the suffix every tool would give it.
            Compression::Xz => format!("{}+xz", media_type::OCI_LAYER),
        };
        Ok(Descriptor::new(&kind, blob.clone(), size))
    }
}

fn check(expected: Option<(usize, &DiffId)>, actual: &DiffId) -> Result<()> {
    match expected {
        Some((layer, expected)) if expected != actual => Err(Error::DiffId {
            layer,
            expected: expected.clone(),
            actual: actual.clone(),
        }),
        _ => Ok(()),
    }
}
