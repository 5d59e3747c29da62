//! Removing all images that nobody needs.

use jiff::Timestamp;

use crate::record::Image;
use crate::remove::{RemoveOptions, Removed, Uses};
use crate::store::Store;
use crate::{Error, Result};

/// Which images may go; all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneFilter {
    /// Only those without a name; otherwise every one that no container uses.
    pub dangling_only: bool,
    /// Only those built before this.
    pub until: Option<Timestamp>,
    /// Only those that have (or lack) these labels.
    pub labels: Vec<LabelFilter>,
}

impl Default for PruneFilter {
    fn default() -> Self {
        Self {
            dangling_only: true,
            until: None,
            labels: Vec::new(),
        }
    }
}

/// One `label=` or `label!=` filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFilter {
    /// The label's name.
    pub key: String,
    /// Its value; `None` fits any.
    pub value: Option<String>,
    /// The image must not have it.
    pub is_negated: bool,
}

impl LabelFilter {
    /// Whether labels pass it.
    #[must_use]
    pub fn passes(&self, labels: &std::collections::BTreeMap<String, String>) -> bool {
        let has = labels
            .get(&self.key)
            .is_some_and(|value| self.value.as_ref().is_none_or(|wanted| wanted == value));
        has != self.is_negated
    }
}

/// What pruning removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names, images and layers, in the order they went.
    pub removed: Vec<Removed>,
    /// Bytes of the layers that went.
    pub reclaimed: u64,
}

impl Store {
    /// Removes the images that pass the filter and that no container or child image needs.
    ///
    /// # Errors
    /// When the store cannot be changed; conflicts only make an image stay.
    pub fn prune(&self, filter: &PruneFilter, uses: Uses<'_>) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for image in self.list() {
            if !filter.passes(&image)
                || !uses(&image.id).is_empty()
                || !self.children(&image.id).is_empty()
            {
                continue;
            }
            for tag in &image.tags {
                self.untag(&image, tag, &mut pruned.removed)?;
            }
            match self.delete(
                &image.id,
                RemoveOptions::default(),
                true,
                uses,
                &mut pruned.removed,
            ) {
                // A container or child came between.
                Ok(()) | Err(Error::InUse { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let sizes = pruned.removed.iter().map(|removed| match removed {
            Removed::Layer { size, .. } => *size,
            _ => 0,
        });
        pruned.reclaimed = sizes.sum();
        Ok(pruned)
    }
}

impl PruneFilter {
    fn passes(&self, image: &Image) -> bool {
        let is_old = self
            .until
            .is_none_or(|until| image.created().is_none_or(|created| created < until));
        let has_name_to_keep = self.dangling_only && !image.is_dangling();
        !has_name_to_keep
            && is_old
            && self
                .labels
                .iter()
                .all(|label| label.passes(&image.config.config.labels))
    }
}
