//! Layers and writable layers on the overlay file system.
#![forbid(unsafe_code)]
