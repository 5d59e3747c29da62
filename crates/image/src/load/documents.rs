//! Reading the documents of an archive: by name, by digest, under their caps.

use oci::{Descriptor, Digest, Document};
use serde::de::DeserializeOwned;

use super::spool::{Held, Spool};
use crate::{Error, Result};

impl Spool<'_> {
    /// The bytes of a document of at most `cap` bytes; `None` when the archive lacks it.
    pub(super) fn document(&self, name: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        match self.find(name) {
            None => Ok(None),
            Some(Held::Document(bytes)) if bytes.len() as u64 <= cap => Ok(Some(bytes.to_vec())),
            Some(Held::Document(_)) => Err(Error::TooMuch {
                what: "the size of a document",
                limit: cap,
            }),
            Some(Held::Blob { digest, .. }) => {
                Ok(Some(self.store().content.read_small(digest, cap)?))
            }
        }
    }

    pub(super) fn require_document(
        &self,
        name: &str,
        cap: u64,
        wanted_by: &'static str,
    ) -> Result<Vec<u8>> {
        self.document(name, cap)?.ok_or_else(|| Error::Incomplete {
            name: name.to_owned(),
            wanted_by,
        })
    }

    /// A document of a known shape.
    pub(super) fn parse<T: DeserializeOwned>(&self, name: &str, cap: u64) -> Result<T> {
        let bytes = self.require_document(name, cap, "the archive")?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Parse {
            name: name.to_owned(),
            source,
        })
    }

    /// Whether the blob of a descriptor is here with the size it says.
    pub(super) fn has_blob(&self, descriptor: &Descriptor) -> bool {
        match self.find(&blob_name(&descriptor.digest)) {
            Some(Held::Document(bytes)) => bytes.len() as u64 == descriptor.size,
            Some(Held::Blob { size, .. }) => size == descriptor.size,
            None => false,
        }
    }

    /// The bytes of a small blob, checked against its descriptor; its digest was checked when it was taken in.
    pub(super) fn small_blob(
        &self,
        descriptor: &Descriptor,
        cap: u64,
        wanted_by: &'static str,
    ) -> Result<Vec<u8>> {
        let bytes = self.require_document(&blob_name(&descriptor.digest), cap, wanted_by)?;
        check_size(descriptor, bytes.len() as u64)?;
        Ok(bytes)
    }

    /// The manifest or index of a descriptor.
    pub(super) fn manifest(
        &self,
        descriptor: &Descriptor,
        wanted_by: &'static str,
    ) -> Result<Document> {
        let bytes = self.small_blob(descriptor, oci::manifest::MAX_MANIFEST, wanted_by)?;
        let failed = |source| Error::Manifest {
            name: descriptor.digest.to_string(),
            source,
        };
        let document = Document::parse(&bytes).map_err(failed)?;
        let says = &descriptor.media_type;
        let is_manifest = matches!(document, Document::Manifest(_));
        let lies = if is_manifest {
            oci::media_type::is_index(says)
        } else {
            oci::media_type::is_manifest(says)
        };
        if lies {
            return Err(failed(oci::manifest::ManifestError::Ambiguous {
                media_type: says.clone(),
            }));
        }
        Ok(document)
    }

    /// Puts the blob of a descriptor into the content store, if it is here and not there yet.
    pub(super) fn store_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        match self.find(&blob_name(&descriptor.digest)) {
            None => Ok(false),
            Some(Held::Blob { .. }) => Ok(true),
            Some(Held::Document(bytes)) => {
                self.lease().blob(&descriptor.digest);
                if !self.store().content.has(&descriptor.digest) {
                    let mut writer = self
                        .store()
                        .content
                        .writer_with(descriptor.digest.algorithm())?;
                    writer.push(bytes)?;
                    writer.commit_lazily(Some(&descriptor.digest), None)?;
                }
                Ok(true)
            }
        }
    }
}

pub(super) fn check_size(descriptor: &Descriptor, actual: u64) -> Result<()> {
    if descriptor.size == actual {
        return Ok(());
    }
    Err(content::Error::Size {
        digest: descriptor.digest.clone(),
        expected: descriptor.size,
        actual,
    }
    .into())
}

pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
