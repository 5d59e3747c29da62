//! The OCI and Docker vocabulary: digest, reference, platform, manifest, image config, runtime spec.
#![forbid(unsafe_code)]

pub mod rootfs;
pub mod runtime;

pub use rootfs::Rootfs;
