//! Images: what faces may ask of them. The store knows images; here it learns which containers use them.

use std::sync::Arc;

use oci::{Platform, Reference};

use crate::blocking;
use crate::container::Pruned;
use crate::engine::{Engine, Shared};
use crate::error::{Error, Result};
use crate::prune::Until;

mod commit;
mod list;
mod transfer;

pub use commit::Commit;
pub use list::ImageQuery;
pub use transfer::Import;

pub use ::image::{
    HistoryEntry, Image, LoadEvent, ManifestInfo, ManifestKind, RemoveOptions, Removed, SaveFormat,
};

impl Engine {
    /// The image that a name, digest or id prefix means.
    ///
    /// # Errors
    /// No such image.
    pub fn image(&self, text: &str) -> Result<Arc<Image>> {
        Ok(self.shared.images.resolve(text)?)
    }

    /// The image that a name means, as its manifest for one platform alone makes it.
    ///
    /// # Errors
    /// No such image, or not for that platform.
    pub fn image_for(&self, text: &str, platform: Option<&Platform>) -> Result<Arc<Image>> {
        let image = self.image(text)?;
        match platform {
            Some(platform) => Ok(self.shared.images.for_platform(&image, platform)?),
            None => Ok(image),
        }
    }

    /// The manifests behind an image, each with the ids of the containers made from it.
    #[must_use]
    pub fn manifests(&self, image: &Image) -> Vec<(ManifestInfo, Vec<String>)> {
        let users = |info: &ManifestInfo| match &info.kind {
            ManifestKind::Image { id: Some(id), .. } => self.shared.made_from(&id.to_string()),
            _ => Vec::new(),
        };
        let manifests = self.shared.images.manifests(image).into_iter();
        manifests.map(|info| (info.clone(), users(&info))).collect()
    }

    /// How an image came to be, newest first.
    ///
    /// # Errors
    /// No such image, or not for that platform.
    pub fn image_history(
        &self,
        text: &str,
        platform: Option<&Platform>,
    ) -> Result<Vec<HistoryEntry>> {
        let image = self.image_for(text, platform)?;
        Ok(self.shared.images.history(&image))
    }

    /// The number of containers that are made from an image.
    #[must_use]
    pub fn containers_of(&self, image: &Image) -> usize {
        self.shared.uses(&image.id.to_string()).len()
    }

    /// Gives an image one more name.
    ///
    /// # Errors
    /// No such image.
    pub async fn tag(&self, text: &str, reference: Reference) -> Result<()> {
        let (image, shared) = (self.image(text)?, self.shared.clone());
        blocking::run("tag", move || {
            let reference = reference.or_latest();
            shared.images.tag(&image.id, &reference)?;
            let name = [("name".to_owned(), reference.familiar())];
            shared.tell("image", "tag", &image.id.to_string(), name.into());
            Ok(())
        })
        .await
    }

    /// Removes a name, and the image with its last one. Of several platforms, one cannot be removed alone.
    ///
    /// # Errors
    /// No such image, or not for these platforms alone; containers or other names stand against it.
    pub async fn remove_image(
        &self,
        text: &str,
        platforms: &[Platform],
        options: RemoveOptions,
    ) -> Result<Vec<Removed>> {
        for platform in platforms {
            let image = self.image(text)?;
            self.shared.images.for_platform(&image, platform)?;
            let here = image.record.variants.iter().filter(|v| v.is_complete);
            if here.filter(|variant| variant.id.is_some()).count() > 1 {
                return Err(Error::Unimplemented(format!(
                    "{text} is here for several platforms, and they can only be removed together: leave --platform out"
                )));
            }
        }
        let (text, shared) = (text.to_owned(), self.shared.clone());
        blocking::run("image removal", move || {
            let removed = shared
                .images
                .remove(&text, options, &|id| shared.uses(&id.to_string()))?;
            shared.tell_removed(&removed);
            Ok(removed)
        })
        .await
    }

    /// Removes images that nothing needs: nameless ones, or (`dangling=false`) all.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn prune_images(&self, filters: &ids::Filters) -> Result<(Vec<Removed>, u64)> {
        filters
            .require_known(&["dangling", "label", "label!", "until"])
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let label = |key: &str, is_negated: bool| -> Vec<::image::LabelFilter> {
            let split = |text: &str| match text.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (text.to_owned(), None),
            };
            let filter = |(key, value)| ::image::LabelFilter {
                key,
                value,
                is_negated,
            };
            filters.get(key).map(split).map(filter).collect()
        };
        let mut labels = label("label", false);
        labels.extend(label("label!", true));
        let filter = ::image::PruneFilter {
            dangling_only: filters
                .flag("dangling", true)
                .map_err(|e| Error::Invalid(e.to_string()))?,
            until: Until::parse(filters, self.shared.now())?.timestamp(),
            labels,
        };
        let shared = self.shared.clone();
        blocking::run("image prune", move || {
            let pruned = shared
                .images
                .prune(&filter, &|id| shared.uses(&id.to_string()))?;
            shared.tell_removed(&pruned.removed);
            Ok((pruned.removed, pruned.reclaimed))
        })
        .await
    }
}

/// Whether all the instructions are ones that an image's config can take.
///
/// # Errors
/// The first that is not.
pub fn check_changes(lines: &[String]) -> Result<()> {
    changes(lines).map(drop)
}

fn changes(lines: &[String]) -> Result<Vec<::image::Change>> {
    lines
        .iter()
        .map(|line| {
            line.parse()
                .map_err(|e: <::image::Change as std::str::FromStr>::Err| {
                    Error::Invalid(e.to_string())
                })
        })
        .collect()
}

impl Shared {
    /// The containers that are made from an image.
    pub(crate) fn uses(&self, image: &str) -> Vec<::image::Use> {
        self.containers
            .all()
            .iter()
            .map(|handle| handle.view().record)
            .filter(|record| record.image_id == image)
            .map(|record| ::image::Use {
                container: record.id[..12].to_owned(),
                is_running: record.state.is_running(),
            })
            .collect()
    }

    /// Ids of the containers that are made from an image.
    fn made_from(&self, image: &str) -> Vec<String> {
        let views = self.containers.all();
        let records = views.iter().map(|handle| handle.view().record);
        records
            .filter(|record| record.image_id == image)
            .map(|record| record.id.clone())
            .collect()
    }

    fn tell_removed(&self, removed: &[Removed]) {
        for one in removed {
            match one {
                Removed::Untagged { name, image } => {
                    self.tell(
                        "image",
                        "untag",
                        &image.to_string(),
                        [("name".to_owned(), name.clone())].into(),
                    );
                }
                Removed::Image(id) => {
                    self.tell(
                        "image",
                        "delete",
                        &id.to_string(),
                        [("name".to_owned(), id.to_string())].into(),
                    );
                }
                Removed::Layer { .. } => {}
            }
        }
    }

    /// Makes new images safe against a power cut, in the background.
    pub(crate) fn flush_images_later(self: &Arc<Self>) {
        let shared = self.clone();
        let flush = move || {
            if let Err(error) = shared.images.flush() {
                tracing::error!(
                    error = fault::chain(&error),
                    "images are not safe against a power cut yet"
                );
            }
        };
        if std::thread::Builder::new()
            .name("image flush".into())
            .spawn(flush)
            .is_err()
        {
            tracing::warn!("no thread for flushing images");
        }
    }
}

impl From<(Vec<Removed>, u64)> for Pruned {
    fn from((removed, reclaimed): (Vec<Removed>, u64)) -> Self {
        Self {
            removed: removed.iter().map(ToString::to_string).collect(),
            reclaimed,
        }
    }
}
