//! Where the files of containers and images are on this host, for tools that look at them from outside.

use std::path::PathBuf;

use crate::container::View;
use crate::engine::Engine;
use crate::image::Image;

/// The folders of one container or image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// Read-only layers, the topmost first.
    pub lower: Vec<PathBuf>,
    /// The topmost layer: a container's writable one, an image's last.
    pub upper: Option<PathBuf>,
    /// The overlay's work folder; a container's.
    pub work: Option<PathBuf>,
    /// All layers as one. Containers are mounted in namespaces of their own, so it is reached through the process of a
    /// running one, and there is none otherwise.
    pub merged: Option<PathBuf>,
}

impl Engine {
    /// Where a container's files are; `None` when its layers are gone.
    #[must_use]
    pub fn container_folders(&self, view: &View) -> Option<Folders> {
        let oci::Rootfs::Overlay {
            lower, upper, work, ..
        } = self.shared.snapshots.rootfs(&view.record.id).ok()?
        else {
            return None;
        };
        let pid = view.record.state.pid();
        Some(Folders {
            lower,
            upper: Some(upper),
            work: Some(work),
            merged: pid.map(|pid| PathBuf::from(format!("/proc/{pid}/root"))),
        })
    }

    /// Where an image's files are; `None` when it has none, or is not unpacked.
    #[must_use]
    pub fn image_folders(&self, image: &Image) -> Option<Folders> {
        let chain = image.chain_id()?.to_string();
        let mut layers = self.shared.snapshots.layer_paths(&chain).ok()?.into_iter();
        Some(Folders {
            upper: Some(layers.next()?),
            lower: layers.collect(),
            ..Folders::default()
        })
    }
}
