//! Named volumes and what they are made of.
#![forbid(unsafe_code)]
