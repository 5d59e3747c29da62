//! The OCI runtime: from a runtime spec to a confined process.
#![forbid(unsafe_code)]

pub mod seccomp;
