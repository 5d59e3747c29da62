//! `container prune`: every container that does not run.

use lifecycle::State;

use super::request::RemoveOptions;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::prune::Until;

/// What a prune has removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids or names.
    pub removed: Vec<String>,
    /// Bytes.
    pub reclaimed: u64,
}

impl Engine {
    /// Removes stopped containers by `until` and `label` filters. One that cannot be removed is passed over.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn prune_containers(&self, filters: &ids::Filters) -> Result<Pruned> {
        filters
            .require_known(&["label", "label!", "until"])
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let until = Until::parse(filters, self.shared.now())?;
        let mut pruned = Pruned::default();
        for handle in self.containers().all() {
            let view = handle.view();
            let record = &view.record;
            let labels: ids::Labels = record.config.labels.clone().into_iter().collect();
            let stands = matches!(
                record.state,
                State::Created | State::Exited { .. } | State::Dead
            );
            if !stands
                || !until.includes(record.created_unix_nanos)
                || !filters.matches_labels("label", &labels)
                || !filters.lacks_labels("label!", &labels)
            {
                continue;
            }
            let size = self.sizes(std::slice::from_ref(&view)).await?;
            if self
                .remove(&record.id, RemoveOptions::default())
                .await
                .is_ok()
            {
                pruned.reclaimed += size.first().map_or(0, |s| s.writable_bytes);
                pruned.removed.push(record.id.clone());
            }
        }
        Ok(pruned)
    }
}
