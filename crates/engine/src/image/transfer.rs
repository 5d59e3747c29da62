//! Images as archives: load, save, import.

use std::io::{self, Read};

use oci::{Platform, Reference};
use tokio::sync::mpsc;

use super::{LoadEvent, SaveFormat, changes};
use crate::blocking;
use crate::engine::Engine;
use crate::error::Result;
use crate::stream::{Chunks, outward};

/// Events of a load that may wait for a slow client.
const BACKLOG: usize = 64;

/// An image to be made of a file system.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Dockerfile instructions for its config.
    pub changes: Vec<String>,
    /// The message of its history.
    pub message: String,
    /// Its name.
    pub reference: Option<Reference>,
    /// `os/arch`, when it is not for this machine.
    pub platform: Option<Platform>,
}

impl Engine {
    /// Loads an archive; the receiver gets what happens, then an error or the end.
    pub fn load(
        &self,
        archive: impl Read + Send + 'static,
        platform: Option<Platform>,
    ) -> mpsc::Receiver<Result<LoadEvent>> {
        let (to, from) = mpsc::channel(BACKLOG);
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || {
            let options = ::image::LoadOptions { platform };
            let mut listen = |event: LoadEvent| {
                if let LoadEvent::Loaded { image, name } = &event {
                    let name = name.clone().unwrap_or_else(|| image.to_string());
                    shared.tell(
                        "image",
                        "load",
                        &image.to_string(),
                        [("name".to_owned(), name)].into(),
                    );
                }
                let _ = to.blocking_send(Ok(event));
            };
            match shared.images.load(archive, &options, &mut listen) {
                Ok(_) => shared.flush_images_later(),
                Err(error) => drop(to.blocking_send(Err(error.into()))),
            }
        });
        from
    }

    /// Images as one archive, for all their platforms or for one.
    ///
    /// # Errors
    /// One of them is not there, or not for that platform.
    pub fn save(
        &self,
        names: Vec<String>,
        platform: Option<Platform>,
        format: SaveFormat,
    ) -> Result<Chunks> {
        for name in &names {
            // Known missing before the first byte, so that a client gets an error and not half an archive.
            if let Err(error) = self.image(name)
                && self.repository_is_empty(name)
            {
                return Err(error);
            }
        }
        for image in names.iter().filter_map(|name| self.image(name).ok()) {
            if let Some(platform) = &platform {
                self.shared.images.for_platform(&image, platform)?;
            }
            let id = image.id.to_string();
            let name = [("name".to_owned(), id.clone())];
            self.shared.tell("image", "save", &id, name.into());
        }
        let (mut writer, chunks) = outward();
        let images = self.shared.images.clone();
        tokio::task::spawn_blocking(move || {
            match images.save(&names, platform.as_ref(), format, &mut writer) {
                Ok(()) => drop(writer),
                Err(error) => writer.fail(io::Error::other(fault::chain(&error))),
            }
        });
        Ok(chunks)
    }

    fn repository_is_empty(&self, name: &str) -> bool {
        let Ok(reference) = name.parse::<Reference>() else {
            return true;
        };
        !self.shared.images.list().iter().any(|i| {
            i.tags
                .iter()
                .any(|t| t.repository() == reference.repository())
        })
    }

    /// Makes an image of a file system; gives its id.
    ///
    /// # Errors
    /// A bad instruction; an archive that is refused. Nothing is left then.
    pub async fn import(&self, tar: impl Read + Send + 'static, import: Import) -> Result<String> {
        let import = ::image::Import {
            changes: changes(&import.changes)?,
            message: import.message,
            reference: import.reference.map(Reference::or_latest),
            platform: import.platform,
        };
        let shared = self.shared.clone();
        blocking::run("import", move || {
            let id = shared.images.import(tar, &import)?.to_string();
            let name = import
                .reference
                .map_or_else(|| id.clone(), |r| r.familiar());
            shared.tell("image", "import", &id, [("name".to_owned(), name)].into());
            shared.flush_images_later();
            Ok(id)
        })
        .await
    }
}
