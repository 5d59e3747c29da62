//! Giving images names.

use jiff::Timestamp;
use oci::Reference;

use crate::meta::{Batch, Name};
use crate::store::Store;
use crate::{Error, ImageId, Result};

impl Store {
    /// Names an image; a name that another image had moves over. Without a tag it is `latest`.
    ///
    /// # Errors
    /// When the image is gone, or the name has a digest.
    pub fn tag(&self, id: &ImageId, reference: &Reference) -> Result<()> {
        if reference.digest().is_some() {
            return Err(Error::TagWithDigest);
        }
        let reference = reference.clone().or_latest();
        let held = self.lock();
        let image = self
            .get(id)
            .ok_or_else(|| Error::NotFound(id.to_string()))?;
        let mut record = image.record.clone();
        record.last_tagged = Some(Timestamp::now());
        let name = Name {
            image: id.clone(),
            target: record.target().map(|descriptor| descriptor.digest.clone()),
        };
        let batch = Batch {
            put_images: vec![(id.clone(), record)],
            put_names: vec![(reference, name)],
            ..Batch::default()
        };
        self.apply(&held, batch)
    }
}
