//! Images: load, save, import, tag, remove, history, commit, prune.
//!
//! | module | does |
//! |---|---|
//! | [`Store`] | what is in memory and the one way to change it; lookups, names |
//! | `load` | archives and layouts to images |
//! | `save` | images to one archive that docker, podman and skopeo read |
//! | `make` | images from a tar of a file system (`import`) or a container (`commit`) |
//! | `layers` | blobs to layers, verified by diff id |
//! | `lease` | keeps what is being made; collects what nothing refers to |
//! | `hello` | the image that needs no network |
//!
//! A layer is kept twice: unpacked as a snapshot, and as the blob it came as, so that `save` gives back the very bytes
//! whose digests manifests and configs name.
#![forbid(unsafe_code)]

pub mod changes;
mod error;
mod hello;
mod history;
mod id;
mod layers;
mod lease;
mod load;
mod make;
mod manifests;
mod meta;
mod prune;
mod record;
mod remove;
mod resolve;
mod save;
mod store;
mod tag;
mod usage;

pub use changes::Change;
pub use error::{Error, NotAnArchive, Obstacle, Result};
pub use history::HistoryEntry;
pub use id::ImageId;
pub use load::{LoadEvent, LoadOptions};
pub use make::{Commit, Import};
pub use manifests::{ManifestInfo, ManifestKind};
pub use prune::{LabelFilter, PruneFilter, Pruned};
pub use record::{Image, Layer, Record, Variant};
pub use remove::{RemoveOptions, Removed, Use, Uses};
pub use save::SaveFormat;
pub use store::Store;
pub use usage::{ImageUsage, Usage};
