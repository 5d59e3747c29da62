//! `manifest.json`: what `docker save` wrote before it spoke OCI, and still writes beside it.

use oci::image::{Config, MAX_CONFIG};
use oci::manifest::{MAX_ENTRIES, MAX_MANIFEST};
use oci::{Descriptor, Digest, Platform, Reference};
use serde::Deserialize;

use super::spool::{Held, Spool};
use super::{LoadOptions, Offer};
use crate::{Error, Result};

/// One image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images that `manifest.json` lists. `has_layout`: the archive is an OCI layout too, which was read before.
pub(super) fn offers(
    spool: &Spool<'_>,
    options: &LoadOptions,
    has_layout: bool,
) -> Result<Vec<Offer>> {
    let items: Vec<Item> = spool.parse("manifest.json", MAX_MANIFEST)?;
    if items.len() > MAX_ENTRIES {
        return Err(Error::TooMuch {
            what: "the number of images",
            limit: MAX_ENTRIES as u64,
        });
    }
    let mut offers = Vec::with_capacity(items.len());
    for item in &items {
        let offer = offer(spool, item)?;
        match require_platform(options.platform.as_ref(), &offer.config, item) {
            Ok(()) => offers.push(offer),
            // The layout beside it had something for that platform.
            Err(Error::Platform { .. }) if has_layout => {}
            Err(error) => return Err(error),
        }
    }
    Ok(offers)
}

fn offer(spool: &Spool<'_>, item: &Item) -> Result<Offer> {
    let config = spool.require_document(&plain_name(&item.config), MAX_CONFIG, "manifest.json")?;
    check_config_name(&item.config, &config)?;
    let layers = item.layers.as_deref().unwrap_or_default();
    if layers.len() > MAX_ENTRIES {
        return Err(Error::TooMuch {
            what: "the number of layers",
            limit: MAX_ENTRIES as u64,
        });
    }
    let layers = layers
        .iter()
        .map(|name| layer(spool, name))
        .collect::<Result<_>>()?;
    let mut names = Vec::new();
    for tag in item.repo_tags.as_deref().unwrap_or_default() {
        let name = tag.parse::<Reference>()?.or_latest();
        if name.digest().is_some() {
            return Err(Error::TagWithDigest);
        }
        names.push(name);
    }
    Ok(Offer {
        config,
        layers,
        manifest: None,
        index: None,
        variants: Vec::new(),
        blobs: Vec::new(),
        names,
    })
}

/// A config that is named by its digest must have it, wherever in the archive it lies.
fn check_config_name(name: &str, config: &[u8]) -> Result<()> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let hex = file.strip_suffix(".json").unwrap_or(file);
    let Ok(announced) = format!("sha256:{hex}").parse::<Digest>() else {
        return Ok(());
    };
    let actual = Digest::of(config);
    if announced == actual {
        return Ok(());
    }
    Err(Error::Lie {
        name: name.to_owned(),
        actual,
    })
}

fn layer(spool: &Spool<'_>, name: &str) -> Result<Descriptor> {
    match spool.find(&plain_name(name)) {
        Some(Held::Blob { digest, size }) => spool.store().describe_layer(digest, size),
        // A small tar whose first name begins like JSON.
        Some(Held::Document(bytes)) if !bytes.is_empty() => {
            let digest = spool.lease().put(bytes)?;
            spool.store().describe_layer(&digest, bytes.len() as u64)
        }
        Some(Held::Document(_)) | None => Err(Error::Incomplete {
            name: name.to_owned(),
            wanted_by: "manifest.json",
        }),
    }
}

/// `./a` and `a` are one name; anything stranger simply is not found.
fn plain_name(name: &str) -> String {
    let parts = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

fn require_platform(wanted: Option<&Platform>, config: &[u8], item: &Item) -> Result<()> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let config = Config::parse(config).map_err(|source| Error::Parse {
        name: item.config.clone(),
        source,
    })?;
    if wanted.accepts(&config.platform()) {
        return Ok(());
    }
    let names = item.repo_tags.as_deref().unwrap_or_default();
    Err(Error::Platform {
        name: names.first().unwrap_or(&item.config).clone(),
        platform: Box::new(wanted.clone()),
    })
}
