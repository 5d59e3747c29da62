//! The runtime spec's `config.json`, Linux part, and the `state` and `features` documents.
//!
//! Spec: OCI runtime-spec 1.2.1 and later, `config.md` and `config-linux.md`.

use serde::{Deserialize, Serialize};

/// A container's `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {}

/// The spec's `process`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {}
