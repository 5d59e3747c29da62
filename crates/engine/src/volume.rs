//! Volumes: what faces may ask of them. The store knows volumes; here it learns which containers use them.

use std::sync::Arc;

use crate::blocking;
use crate::container::Pruned;
use crate::engine::{Engine, Shared};
use crate::error::{Error, Result};

pub use ::volume::{Request as NewVolume, Volume};

impl Engine {
    /// Makes a volume, or finds the one that is already as asked.
    ///
    /// # Errors
    /// A bad name, driver or option; a volume of that name that is otherwise.
    pub async fn create_volume(&self, new: NewVolume) -> Result<Volume> {
        let shared = self.shared.clone();
        blocking::run("volume creation", move || {
            let made = shared.volumes.create(&new)?;
            if made.is_new {
                shared.tell("volume", "create", made.volume.name.as_str(), driver());
            }
            Ok(made.volume)
        })
        .await
    }

    /// The volumes that filters let through, by name.
    ///
    /// # Errors
    /// An unknown filter.
    pub fn volumes(&self, filters: &ids::Filters) -> Result<Vec<Volume>> {
        const KNOWN: [&str; 5] = ["dangling", "driver", "label", "label!", "name"];
        filters
            .require_known(&KNOWN)
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let dangling = match filters.contains("dangling") {
            true => Some(
                filters
                    .flag("dangling", true)
                    .map_err(|e| Error::Invalid(e.to_string()))?,
            ),
            false => None,
        };
        let mut list = self.shared.volumes.list();
        list.retain(|volume| {
            let labels: ids::Labels = volume.labels.clone().into_iter().collect();
            dangling.is_none_or(|want| {
                self.shared.volume_users(volume.name.as_str()).is_empty() == want
            }) && filters.matches_any("name", |name| volume.name.as_str().contains(name))
                && filters.matches_any("driver", |driver| driver == "local")
                && filters.matches_labels("label", &labels)
                && filters.lacks_labels("label!", &labels)
        });
        list.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        Ok(list)
    }

    /// A volume by its name.
    ///
    /// # Errors
    /// No such volume.
    pub fn volume(&self, name: &str) -> Result<Volume> {
        self.shared
            .volumes
            .get(name)
            .ok_or_else(|| Error::NotFound(format!("get {name}: no such volume")))
    }

    /// Removes a volume that no container uses.
    ///
    /// # Errors
    /// No such volume (unless `force`); in use.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        let (shared, name) = (self.shared.clone(), name.to_owned());
        blocking::run("volume removal", move || {
            if shared.volumes.get(&name).is_none() {
                return if force {
                    Ok(())
                } else {
                    Err(Error::NotFound(format!("get {name}: no such volume")))
                };
            }
            remove(&shared, &name)
        })
        .await
    }

    /// Removes volumes that nothing uses: anonymous ones, or (`all=true`) all.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn prune_volumes(&self, filters: &ids::Filters) -> Result<Pruned> {
        filters
            .require_known(&["all", "label", "label!"])
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let all = filters
            .flag("all", false)
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let (shared, filters) = (self.shared.clone(), filters.clone());
        blocking::run("volume prune", move || {
            let mut pruned = Pruned::default();
            for volume in shared.volumes.list() {
                let labels: ids::Labels = volume.labels.clone().into_iter().collect();
                let wanted = (all || volume.is_anonymous())
                    && filters.matches_labels("label", &labels)
                    && filters.lacks_labels("label!", &labels)
                    && shared.volume_users(volume.name.as_str()).is_empty();
                if !wanted {
                    continue;
                }
                let size = shared.volumes.usage(volume.name.as_str()).unwrap_or(0);
                if remove(&shared, volume.name.as_str()).is_ok() {
                    pruned.reclaimed += size;
                    pruned.removed.push(volume.name.as_str().to_owned());
                }
            }
            Ok(pruned)
        })
        .await
    }
}

fn remove(shared: &Arc<Shared>, name: &str) -> Result<()> {
    let users = shared.volume_users(name);
    if !users.is_empty() {
        return Err(Error::Conflict(format!(
            "remove {name}: volume is in use - [{}]",
            users.join(", ")
        )));
    }
    shared.volumes.remove(name)?;
    shared.tell("volume", "destroy", name, driver());
    Ok(())
}

fn driver() -> std::collections::BTreeMap<String, String> {
    [("driver".to_owned(), "local".to_owned())].into()
}
