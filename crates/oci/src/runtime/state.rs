//! The spec's `state` document: what hooks read on stdin and the `state` command prints.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A container as others see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// The spec's version.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// Its first process, in the reader's pid namespace; absent once stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Its bundle folder.
    pub bundle: PathBuf,
    /// The annotations of its spec.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a seccomp agent receives beside the descriptor that it answers on.
///
/// Spec: OCI runtime config-linux, "The Container Process State".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerProcessState {
    /// The spec's version.
    pub oci_version: String,
    /// What the descriptors sent along are, in their order.
    pub fds: Vec<String>,
    /// The process whose calls are asked about, in the runtime's pid namespace.
    pub pid: i32,
    /// `listenerMetadata` of the filter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// Its container.
    pub state: State,
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made.
    #[default]
    Creating,
    /// Made; the program has not been executed.
    Created,
    /// The program runs.
    Running,
    /// The program has ended.
    Stopped,
}
