//! A container as others see it: published by its actor after each change, cheap to clone.

use std::sync::Arc;

use lifecycle::Use;

use super::record::Record;
use crate::error::Result;
use crate::network::{Live, published};

/// The last published picture of a container.
#[derive(Debug, Clone)]
pub struct View {
    /// What is written on disk.
    pub record: Arc<Record>,
    /// What it has of networks while it runs.
    pub network: Option<Arc<Live>>,
    /// Its health, when a check is configured.
    pub health: Option<lifecycle::Health>,
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

impl View {
    /// Every port that the container exposes or publishes, `80/tcp`, ranges spread out.
    #[must_use]
    pub fn exposed_ports(&self) -> Vec<String> {
        published::all(&self.record.config, &self.record.host)
    }

    /// Whether the container can be used so.
    ///
    /// # Errors
    /// When its state does not allow it, in Docker's words.
    pub fn permits(&self, purpose: Use) -> Result<()> {
        lifecycle::permits(&self.record.state, purpose)
            .map_err(|refused| refused.of(&self.record.id, &self.record.name).into())
    }
}
