//! Wire types of the Docker Engine API.
#![forbid(unsafe_code)]
