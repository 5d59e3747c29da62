//! The OCI and Docker vocabulary: digest, reference, platform, manifest, image config, runtime spec.
#![forbid(unsafe_code)]

pub mod digest;
pub mod image;
mod json;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod reference;
pub mod rootfs;
pub mod runtime;

pub use digest::{ChainId, DiffId, Digest, Hasher};
pub use manifest::{Descriptor, Document, Index, Manifest};
pub use platform::Platform;
pub use reference::Reference;
pub use rootfs::{IdMap, Rootfs};
