//! How an image came to be.

use jiff::Timestamp;

use crate::ImageId;
use crate::record::Image;
use crate::store::Store;

/// One step of an image's making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The image that the step made; `None` when it was made elsewhere (Docker shows `<missing>`).
    pub id: Option<ImageId>,
    /// When.
    pub created: Option<Timestamp>,
    /// The command.
    pub created_by: String,
    /// The names that the step's image has.
    pub tags: Vec<String>,
    /// Bytes of the layer that the step made.
    pub size: u64,
    /// The message.
    pub comment: String,
}

impl Store {
    /// The steps of an image's making, the newest first.
    #[must_use]
    pub fn history(&self, image: &Image) -> Vec<HistoryEntry> {
        let mut layers = image.record.layers.iter();
        let mut entries: Vec<HistoryEntry> = Vec::new();
        for step in &image.config.history {
            let layer = if step.empty_layer {
                None
            } else {
                layers.next()
            };
            entries.push(HistoryEntry {
                id: None,
                created: step
                    .created
                    .as_deref()
                    .and_then(|created| created.parse().ok()),
                created_by: step.created_by.clone(),
                tags: Vec::new(),
                size: layer.map_or(0, |layer| layer.size),
                comment: step.comment.clone(),
            });
        }
        entries.reverse();
        self.name_steps(image, &mut entries);
        entries
    }

    /// The newest step made the image itself; going on from parent to parent, as long as they are here.
    fn name_steps(&self, image: &Image, entries: &mut [HistoryEntry]) {
        let mut current = self.get(&image.id);
        for entry in entries {
            let Some(made) = current else {
                return;
            };
            entry.id = Some(made.id.clone());
            entry.tags = made.repo_tags();
            current = made.parent().and_then(|parent| self.get(parent));
        }
    }
}
