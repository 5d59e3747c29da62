//! Blobs by digest: verified on the way in, immutable after.
#![forbid(unsafe_code)]
