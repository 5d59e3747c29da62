//! The rules of the product: containers, images, volumes, execs, events, restart, prune.
#![forbid(unsafe_code)]
