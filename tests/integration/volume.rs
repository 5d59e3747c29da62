//! Volumes and mounts.

mod bind;
mod named;
mod tmpfs;
