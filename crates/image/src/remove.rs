//! Removing names and images, by Docker's rules.

use std::fmt;
use std::sync::Arc;

use oci::{ChainId, Reference};

use crate::error::Obstacle;
use crate::meta::Batch;
use crate::record::Image;
use crate::store::Store;
use crate::{Error, ImageId, Result};

/// A container that was made from an image, as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The container's short id.
    pub container: String,
    /// Whether it runs (or is paused).
    pub is_running: bool,
}

/// Tells which containers use an image; the engine's answer.
pub type Uses<'a> = &'a dyn Fn(&ImageId) -> Vec<Use>;

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Remove in spite of several names or stopped containers.
    pub force: bool,
    /// Leave parents alone that nothing names.
    pub no_prune: bool,
}

/// One thing that was removed; its text is Docker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name.
    Untagged {
        /// The name, as people write it.
        name: String,
        /// The image that had it.
        image: ImageId,
    },
    /// An image.
    Image(ImageId),
    /// A layer that no other image has.
    Layer {
        /// The layer.
        chain: ChainId,
        /// Bytes of its files.
        size: u64,
    },
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untagged { name, .. } => write!(f, "Untagged: {name}"),
            Self::Image(id) => write!(f, "Deleted: {id}"),
            Self::Layer { chain, .. } => write!(f, "Deleted: {chain}"),
        }
    }
}

impl Store {
    /// Removes the name given, and the image when that was its last; given an id, the image with its names.
    ///
    /// # Errors
    /// When there is no such image, or something stands against it.
    pub fn remove(
        &self,
        text: &str,
        options: RemoveOptions,
        uses: Uses<'_>,
    ) -> Result<Vec<Removed>> {
        let image = self.resolve(text)?;
        let mut removed = Vec::new();
        let by_name = !Self::is_id_prefix(&image.id, text);
        let mut is_quiet = false;
        if by_name {
            let reference: Reference = text.parse()?;
            self.check_last_name(&image, text, options, uses)?;
            self.untag(&image, &reference.or_latest(), &mut removed)?;
            if self
                .get(&image.id)
                .is_some_and(|image| !image.tags.is_empty())
            {
                return Ok(removed);
            }
            is_quiet = true;
        } else if has_single_name(&image) {
            check(self, &image, uses, options.force, false)?;
            for tag in &image.tags {
                self.untag(&image, tag, &mut removed)?;
            }
        }
        self.delete(&image.id, options, is_quiet, uses, &mut removed)?;
        Ok(removed)
    }

    /// Removes one name, or with a digest all names of that repository.
    pub(crate) fn untag(
        &self,
        image: &Image,
        reference: &Reference,
        removed: &mut Vec<Removed>,
    ) -> Result<()> {
        let held = self.lock();
        let goes = |tag: &&Reference| match reference.digest() {
            Some(_) => tag.repository() == reference.repository(),
            None => *tag == reference,
        };
        let names: Vec<Reference> = image.tags.iter().filter(goes).cloned().collect();
        let batch = Batch {
            drop_names: names.clone(),
            ..Batch::default()
        };
        self.apply(&held, batch)?;
        let left = self
            .get(&image.id)
            .map(|image| image.digests.clone())
            .unwrap_or_default();
        let digests = image.digests.iter().filter(|digest| {
            digest.repository() == reference.repository() && !left.contains(digest)
        });
        removed.extend(names.iter().chain(digests).map(|name| Removed::Untagged {
            name: name.familiar(),
            image: image.id.clone(),
        }));
        Ok(())
    }

    /// Deletes an image without names, then each parent that is left without names and children.
    pub(crate) fn delete(
        &self,
        id: &ImageId,
        options: RemoveOptions,
        is_quiet: bool,
        uses: Uses<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<()> {
        let (mut id, mut options, mut is_quiet) = (id.clone(), options, is_quiet);
        loop {
            let Some(image) = self.get(&id) else {
                return Ok(());
            };
            if let Err(conflict) = check(self, &image, uses, options.force, true) {
                // A name was taken away as asked; that the image itself must stay is only told when it now lies about
                // without use and name.
                let used = !uses(&id).is_empty();
                return if is_quiet
                    && (!image.is_dangling() || used || !self.children(&id).is_empty())
                {
                    Ok(())
                } else {
                    Err(conflict)
                };
            }
            self.delete_one(&image, removed)?;
            match image.parent() {
                Some(parent) if !options.no_prune => id = parent.clone(),
                _ => return Ok(()),
            }
            options.force = false;
            is_quiet = true;
        }
    }

    fn delete_one(&self, image: &Arc<Image>, removed: &mut Vec<Removed>) -> Result<()> {
        let held = self.lock();
        let batch = Batch {
            drop_images: vec![image.id.clone()],
            drop_names: image.tags.clone(),
            ..Batch::default()
        };
        self.apply(&held, batch)?;
        removed.extend(image.tags.iter().map(|tag| Removed::Untagged {
            name: tag.familiar(),
            image: image.id.clone(),
        }));
        removed.push(Removed::Image(image.id.clone()));
        let layers: Vec<ChainId> = image
            .record
            .layers
            .iter()
            .map(|layer| layer.chain_id.clone())
            .collect();
        let collected = self.collect(&image.record.blobs, &layers)?;
        removed.extend(collected.layers.into_iter().map(|chain| {
            Removed::Layer {
                size: image
                    .record
                    .layers
                    .iter()
                    .find(|layer| layer.chain_id == chain)
                    .map_or(0, |layer| layer.size),
                chain,
            }
        }));
        Ok(())
    }

    /// Without its only name the image would lie about while a container uses it.
    fn check_last_name(
        &self,
        image: &Image,
        text: &str,
        options: RemoveOptions,
        uses: Uses<'_>,
    ) -> Result<()> {
        if options.force || !has_single_name(image) {
            return Ok(());
        }
        match uses(&image.id).into_iter().next() {
            Some(user) => Err(Error::NameInUse {
                name: text.to_owned(),
                container: user.container,
                image: image.id.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// At most one tag.
fn has_single_name(image: &Image) -> bool {
    image.tags.len() <= 1
}

/// What stands against deleting the image; `names_count` also counts its own names.
fn check(
    store: &Store,
    image: &Image,
    uses: Uses<'_>,
    force: bool,
    names_count: bool,
) -> Result<()> {
    let refuse = |is_hard, obstacle| {
        Err(Error::InUse {
            image: image.id.clone(),
            is_hard,
            obstacle,
        })
    };
    if !store.children(&image.id).is_empty() {
        return refuse(true, Obstacle::Children);
    }
    let users = uses(&image.id);
    if let Some(user) = users.iter().find(|user| user.is_running) {
        return refuse(true, Obstacle::Running(user.container.clone()));
    }
    if force {
        return Ok(());
    }
    if names_count && !image.tags.is_empty() {
        return refuse(false, Obstacle::Names);
    }
    match users.into_iter().next() {
        Some(user) => refuse(false, Obstacle::Stopped(user.container)),
        None => Ok(()),
    }
}
