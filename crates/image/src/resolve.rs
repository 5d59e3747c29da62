//! From what people type to an image.

use std::sync::Arc;

use oci::Reference;

use crate::record::Image;
use crate::store::{State, Store};
use crate::{Error, ImageId, Result};

/// Shorter prefixes would fit by accident.
const MIN_PREFIX: usize = 1;

impl Store {
    /// The image that a name, `name@digest`, id or id prefix (with or without `sha256:`) stands for.
    ///
    /// # Errors
    /// When there is none, or a prefix fits several.
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        let state = self.read();
        if let Some(image) = by_whole_id(&state, text) {
            return Ok(image);
        }
        let reference: Option<Reference> = text.parse().ok();
        if let Some(image) = reference
            .as_ref()
            .and_then(|reference| by_name(&state, reference))
        {
            return Ok(image);
        }
        if let Some(image) = by_prefix(&state, text)? {
            return Ok(image);
        }
        let shown = reference.map_or_else(
            || text.to_owned(),
            |reference| reference.or_latest().familiar(),
        );
        Err(Error::NotFound(shown))
    }

    /// Whether the text is (a prefix of) this image's id rather than a name.
    pub(crate) fn is_id_prefix(id: &ImageId, text: &str) -> bool {
        let text = text.strip_prefix("sha256:").unwrap_or(text);
        text.len() >= MIN_PREFIX && id.0.hex().starts_with(text)
    }
}

fn by_whole_id(state: &State, text: &str) -> Option<Arc<Image>> {
    let id: ImageId = match text.strip_prefix("sha256:") {
        Some(_) => text.parse(),
        None if text.len() == 64 => format!("sha256:{text}").parse(),
        None => return None,
    }
    .ok()?;
    state.images.get(&id).cloned()
}

fn by_name(state: &State, reference: &Reference) -> Option<Arc<Image>> {
    if let Some(digest) = reference.digest() {
        let wanted = reference.with_digest(digest.clone());
        let has = |image: &&Arc<Image>| {
            image.digests.contains(&wanted)
                || (image.id.0 == *digest && in_repository(image, reference))
        };
        return state.images.values().find(has).cloned();
    }
    let name = state.names.get(&reference.clone().or_latest())?;
    state.images.get(&name.image).cloned()
}

fn in_repository(image: &Image, reference: &Reference) -> bool {
    image
        .tags
        .iter()
        .any(|tag| tag.repository() == reference.repository())
}

fn by_prefix(state: &State, text: &str) -> Result<Option<Arc<Image>>> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = hex
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex.len() < MIN_PREFIX || hex.len() > 64 || !is_hex {
        return Ok(None);
    }
    let fits: Vec<&Arc<Image>> = state
        .images
        .values()
        .filter(|image| image.id.0.hex().starts_with(hex))
        .collect();
    match fits[..] {
        [] => Ok(None),
        [one] => Ok(Some(Arc::clone(one))),
        _ => Err(Error::Ambiguous {
            prefix: text.to_owned(),
            candidates: fits.iter().map(|image| image.id.clone()).collect(),
        }),
    }
}
