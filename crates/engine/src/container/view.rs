//! A container as others see it: published by its actor after each change, cheap to clone.

use std::sync::Arc;

use lifecycle::State;

use super::record::Record;

/// The last published picture of a container.
#[derive(Debug, Clone)]
pub struct View {
    /// What is written on disk.
    pub record: Arc<Record>,
    /// Where it is in its life.
    pub state: State,
    /// Its health, when a check is configured.
    pub health: Option<lifecycle::health::Health>,
    /// Ids of execs that run or are yet to run.
    pub execs: Vec<String>,
}

/// Bytes that a container takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Written by the container itself.
    pub writable_bytes: u64,
    /// With all layers below.
    pub root_bytes: u64,
}
