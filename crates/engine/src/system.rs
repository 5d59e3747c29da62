//! The whole: counts, disk use, what the engine is.

use crate::blocking;
use crate::container::{Size, View};
use crate::engine::Engine;
use crate::error::Result;
use crate::volume::Volume;

/// How many containers there are, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub containers: usize,
    /// Those that run.
    pub running: usize,
    /// Those that are frozen.
    pub paused: usize,
    /// The rest.
    pub stopped: usize,
    /// Images.
    pub images: usize,
}

/// What takes disk.
#[derive(Debug)]
pub struct DiskUsage {
    /// Images with shared and unique sizes.
    pub images: image::Usage,
    /// Containers with their sizes.
    pub containers: Vec<(View, Size)>,
    /// Volumes with their bytes and the number of containers that use them.
    pub volumes: Vec<(Volume, u64, usize)>,
}

impl Engine {
    /// Counts containers and images.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            images: self.shared.images.list().len(),
            ..Counts::default()
        };
        for handle in self.containers().all() {
            counts.containers += 1;
            match handle.view().record.state {
                lifecycle::State::Running { .. } | lifecycle::State::Restarting { .. } => {
                    counts.running += 1
                }
                lifecycle::State::Paused { .. } => counts.paused += 1,
                _ => counts.stopped += 1,
            }
        }
        counts
    }

    /// Measures the disk.
    ///
    /// # Errors
    /// What cannot be read.
    pub async fn disk_usage(&self) -> Result<DiskUsage> {
        let views: Vec<View> = self.containers().all().iter().map(|h| h.view()).collect();
        let sizes = self.sizes(&views).await?;
        let shared = self.shared.clone();
        let (images, volumes) = blocking::run("disk usage", move || {
            let measure = |volume: Volume| {
                let bytes = shared.volumes.usage(volume.name.as_str()).unwrap_or(0);
                let users = shared.volume_users(volume.name.as_str()).len();
                (volume, bytes, users)
            };
            let volumes = shared.volumes.list().into_iter().map(measure).collect();
            Ok((shared.images.usage()?, volumes))
        })
        .await?;
        Ok(DiskUsage {
            images,
            containers: views.into_iter().zip(sizes).collect(),
            volumes,
        })
    }

    /// Bytes that all layers take on disk.
    ///
    /// # Errors
    /// What cannot be read.
    pub async fn layers_size(&self) -> Result<u64> {
        let shared = self.shared.clone();
        blocking::run("disk usage", move || Ok(shared.images.usage()?.layers)).await
    }
}
