//! Who is there: containers by id, by name and by id prefix.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use super::handle::Handle;
use crate::error::{Error, Result};

/// All containers of an engine. Names are reserved before a container exists, so two creations never get one name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Ordered, so that a prefix is one range.
    by_id: BTreeMap<String, Handle>,
    /// Name to id; the id may be of a container still being made.
    names: HashMap<String, String>,
}

impl Registry {
    /// The container that `target` means: a full id, a name (with or without a slash), or a unique id prefix, in this order.
    pub(crate) fn require(&self, target: &str) -> Result<Handle> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = inner.by_id.get(target) {
            return Ok(handle.clone());
        }
        let name = target.strip_prefix('/').unwrap_or(target);
        if let Some(handle) = inner.names.get(name).and_then(|id| inner.by_id.get(id)) {
            return Ok(handle.clone());
        }
        if target.is_empty() {
            return Err(Error::NoSuchContainer(target.into()));
        }
        let mut matches = inner
            .by_id
            .range(target.to_owned()..)
            .take_while(|(id, _)| id.starts_with(target))
            .map(|(_, handle)| handle);
        match (matches.next(), matches.next()) {
            (Some(handle), None) => Ok(handle.clone()),
            (Some(_), Some(_)) => Err(Error::AmbiguousPrefix(target.into())),
            _ => Err(Error::NoSuchContainer(target.into())),
        }
    }

    /// All containers, in no particular order.
    pub(crate) fn all(&self) -> Vec<Handle> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.by_id.values().cloned().collect()
    }

    /// Takes a name for the container `id`.
    pub(crate) fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = inner.names.get(name) {
            return Err(Error::NameInUse {
                name: name.into(),
                holder: holder.clone(),
            });
        }
        inner.names.insert(name.into(), id.into());
        Ok(())
    }

    /// Gives a name back.
    pub(crate) fn release(&self, name: &str) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.names.remove(name);
    }

    /// A container is there from now on.
    pub(crate) fn add(&self, handle: Handle) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.by_id.insert(handle.id().to_owned(), handle);
    }

    /// A container is gone, and its name free.
    pub(crate) fn forget(&self, id: &str, name: &str) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.by_id.remove(id);
        if inner.names.get(name).is_some_and(|holder| holder == id) {
            inner.names.remove(name);
        }
    }
}
