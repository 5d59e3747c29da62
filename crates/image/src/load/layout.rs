//! `index.json`: an OCI layout. Spec: OCI image-spec, `image-layout.md`.

use oci::image::{Config, MAX_CONFIG};
use oci::manifest::MAX_MANIFEST;
use oci::{Descriptor, Digest, Document, Index, Manifest, Platform, Reference, media_type};
use serde::Deserialize;

use super::documents::{blob_name, check_size};
use super::spool::{Held, Spool};
use super::{LoadOptions, Offer};
use crate::record::Variant;
use crate::{Error, ImageId, NotAnArchive, Result};

/// Written by docker, containerd and buildkit: the full name.
const NAME: &str = "io.containerd.image.name";
/// Written by all: a tag, or (skopeo, podman) a name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

/// The images that `index.json` lists.
pub(super) fn offers(spool: &Spool<'_>, options: &LoadOptions) -> Result<Vec<Offer>> {
    let layout: Layout = spool.parse("oci-layout", 4096)?;
    if !layout.image_layout_version.starts_with("1.") {
        return Err(Error::NotAnArchive(NotAnArchive::LayoutVersion));
    }
    let bytes = spool.require_document("index.json", MAX_MANIFEST, "the layout")?;
    let index = match Document::parse(&bytes) {
        Ok(Document::Index(index)) => index,
        Ok(Document::Manifest(_)) => {
            return Err(Error::Manifest {
                name: "index.json".to_owned(),
                source: oci::manifest::ManifestError::Ambiguous {
                    media_type: media_type::OCI_MANIFEST.to_owned(),
                },
            });
        }
        Err(source) => {
            return Err(Error::Manifest {
                name: "index.json".to_owned(),
                source,
            });
        }
    };
    let mut offers: Vec<Offer> = Vec::new();
    for group in groups(index)? {
        offers.push(group.offer(spool, options)?);
    }
    Ok(offers)
}

/// Entries of `index.json` that share a name: one image, perhaps for several platforms.
struct Group {
    name: Option<Reference>,
    entries: Vec<Descriptor>,
}

fn groups(index: Index) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let all_for_platforms = index.manifests.iter().all(|entry| entry.platform.is_some());
    for entry in index.manifests {
        let name = name_of(&entry)?;
        let fits = |group: &&mut Group| group.name == name && (name.is_some() || all_for_platforms);
        match groups.iter_mut().find(fits) {
            Some(group) => group.entries.push(entry),
            None => groups.push(Group {
                name,
                entries: vec![entry],
            }),
        }
    }
    Ok(groups)
}

fn name_of(entry: &Descriptor) -> Result<Option<Reference>> {
    if let Some(name) = entry.annotations.get(NAME) {
        return Ok(Some(name.parse::<Reference>()?.or_latest()));
    }
    // A tag alone names no repository.
    let name = entry
        .annotations
        .get(REF_NAME)
        .filter(|name| name.contains(['/', ':']));
    let name = name.and_then(|name| name.parse::<Reference>().ok());
    Ok(name
        .filter(|name| name.digest().is_none())
        .map(Reference::or_latest))
}

impl Group {
    fn offer(self, spool: &Spool<'_>, options: &LoadOptions) -> Result<Offer> {
        let shown = self
            .name
            .as_ref()
            .map_or_else(|| "index.json".to_owned(), Reference::familiar);
        let names: Vec<Reference> = self.name.into_iter().collect();
        if let [only] = &self.entries[..] {
            return match spool.manifest(only, "index.json")? {
                Document::Manifest(manifest) => {
                    let offer = plain_offer(spool, only, &manifest, names)?;
                    require_platform(options, &offer.config, &shown)?;
                    Ok(offer)
                }
                Document::Index(index) => {
                    index_offer(spool, Some(only), &index.manifests, options, &shown, names)
                }
            };
        }
        index_offer(spool, None, &self.entries, options, &shown, names)
    }
}

/// An image that came as one manifest.
fn plain_offer(
    spool: &Spool<'_>,
    descriptor: &Descriptor,
    manifest: &Manifest,
    names: Vec<Reference>,
) -> Result<Offer> {
    let config = spool.small_blob(&manifest.config, MAX_CONFIG, "its manifest")?;
    let layers = manifest
        .layers
        .iter()
        .map(|layer| layer_blob(spool, layer))
        .collect::<Result<_>>()?;
    spool.store_blob(descriptor)?;
    Ok(Offer {
        config,
        layers,
        manifest: Some(bare(descriptor)),
        index: None,
        variants: Vec::new(),
        blobs: vec![descriptor.digest.clone()],
        names,
    })
}

/// An image that came for several platforms: all that is here is kept, the best one is unpacked.
fn index_offer(
    spool: &Spool<'_>,
    index: Option<&Descriptor>,
    entries: &[Descriptor],
    options: &LoadOptions,
    shown: &str,
    names: Vec<Reference>,
) -> Result<Offer> {
    let mut blobs: Vec<Digest> = Vec::new();
    let mut variants = Vec::new();
    let mut images = Vec::new();
    for entry in entries {
        let Some(manifest) = present_manifest(spool, entry)? else {
            variants.push(Variant {
                descriptor: entry.clone(),
                is_complete: false,
                id: None,
            });
            continue;
        };
        let is_complete = keep_variant(spool, entry, &manifest, &mut blobs)?;
        let is_image = media_type::is_config(&manifest.config.media_type)
            && manifest
                .layers
                .iter()
                .all(|layer| media_type::is_layer(&layer.media_type));
        variants.push(Variant {
            descriptor: entry.clone(),
            is_complete,
            id: is_image.then(|| ImageId(manifest.config.digest.clone())),
        });
        if is_complete && is_image {
            let platform = platform_of(spool, entry, &manifest)?;
            images.push((entry, manifest, platform));
        }
    }
    let wanted = options.platform.clone().unwrap_or_else(Platform::host);
    let best = images
        .iter()
        .filter_map(|image| Some((wanted.rank(&image.2)?, image)))
        .min_by_key(|(rank, _)| *rank);
    let best = match best {
        Some((_, image)) => image,
        // Nobody asked for a platform: what there is may at least be looked at and saved again.
        None => images
            .first()
            .filter(|_| options.platform.is_none())
            .ok_or_else(|| Error::Platform {
                name: shown.to_owned(),
                platform: Box::new(wanted.clone()),
            })?,
    };
    let mut offer = plain_offer(spool, best.0, &best.1, names)?;
    if let Some(index) = index {
        spool.store_blob(index)?;
        blobs.push(index.digest.clone());
        offer.index = Some(bare(index));
        offer.variants = variants;
        offer.blobs.append(&mut blobs);
    }
    Ok(offer)
}

/// The manifest of an index entry, when the archive holds it and it is one.
fn present_manifest(spool: &Spool<'_>, entry: &Descriptor) -> Result<Option<Manifest>> {
    if !spool.has_blob(entry) || !media_type::is_manifest(&entry.media_type) {
        return Ok(None);
    }
    match spool.manifest(entry, "the index")? {
        Document::Manifest(manifest) => Ok(Some(manifest)),
        Document::Index(_) => Ok(None),
    }
}

/// Stores what the archive has of one platform's image; tells whether that is all of it.
fn keep_variant(
    spool: &Spool<'_>,
    entry: &Descriptor,
    manifest: &Manifest,
    blobs: &mut Vec<Digest>,
) -> Result<bool> {
    let mut is_complete = true;
    for part in std::iter::once(entry)
        .chain([&manifest.config])
        .chain(&manifest.layers)
    {
        if spool.has_blob(part) && spool.store_blob(part)? {
            blobs.push(part.digest.clone());
        } else {
            is_complete = false;
        }
    }
    Ok(is_complete)
}

fn platform_of(spool: &Spool<'_>, entry: &Descriptor, manifest: &Manifest) -> Result<Platform> {
    match &entry.platform {
        Some(platform) => Ok(platform.clone()),
        None => {
            let config = spool.small_blob(&manifest.config, MAX_CONFIG, "its manifest")?;
            Ok(parse_config(&config)?.platform())
        }
    }
}

fn require_platform(options: &LoadOptions, config: &[u8], shown: &str) -> Result<()> {
    let Some(wanted) = &options.platform else {
        return Ok(());
    };
    if wanted.accepts(&parse_config(config)?.platform()) {
        return Ok(());
    }
    Err(Error::Platform {
        name: shown.to_owned(),
        platform: Box::new(wanted.clone()),
    })
}

fn parse_config(bytes: &[u8]) -> Result<Config> {
    Config::parse(bytes).map_err(|source| Error::Parse {
        name: "the config".to_owned(),
        source,
    })
}

fn layer_blob(spool: &Spool<'_>, layer: &Descriptor) -> Result<Descriptor> {
    let size = match spool.find(&blob_name(&layer.digest)) {
        Some(Held::Blob { size, .. }) => size,
        Some(Held::Document(bytes)) => bytes.len() as u64,
        None => {
            return Err(Error::Incomplete {
                name: layer.digest.to_string(),
                wanted_by: "its manifest",
            });
        }
    };
    check_size(layer, size)?;
    spool.store_blob(layer)?;
    Ok(bare(layer))
}

/// The pointer without what was said about it.
fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(
        &descriptor.media_type,
        descriptor.digest.clone(),
        descriptor.size,
    )
}
