//! Docker's contexts: `~/.docker/contexts/meta/<sha256 of name>/meta.json`, and the current one in `config.json`.
//!
//! The files are Docker's own and are read unmodified, so both tools share one list.

use std::{fs, path::PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A named daemon address.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// Its description, often empty.
    pub description: String,
    /// The daemon's address as a URL.
    pub host: String,
    /// The whole metadata file.
    pub metadata: Value,
    /// The folder of the metadata file.
    pub folder: PathBuf,
}

/// The contexts in one client configuration folder.
#[derive(Debug, Clone)]
pub struct Contexts {
    folder: PathBuf,
}

impl Contexts {
    /// The contexts below `folder` (`~/.docker` by default).
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The parsed `config.json`, or an empty object when there is none or it is broken.
    #[must_use]
    pub fn config(&self) -> Value {
        fs::read(self.folder.join("config.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_else(|| Value::Object(serde_json::Map::new()))
    }

    /// The name of the current context, if one is set.
    #[must_use]
    pub fn current(&self) -> Option<String> {
        let config = self.config();
        let name = config.get("currentContext")?.as_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Makes `name` current; the default context removes the entry.
    ///
    /// # Errors
    /// An unknown context, or a configuration file that cannot be written.
    pub fn make_current(&self, name: &str) -> Result<()> {
        let mut config = self.config();
        if let Value::Object(entries) = &mut config {
            if name == "default" {
                entries.shift_remove("currentContext");
            } else {
                self.require(name)?;
                entries.insert("currentContext".into(), name.into());
            }
        }
        let path = self.folder.join("config.json");
        let fail = |operation, path: PathBuf| {
            move |source| Error::File {
                operation,
                path,
                source,
            }
        };
        let text = serde_json::to_string_pretty(&config).unwrap_or_default();
        fs::create_dir_all(&self.folder).map_err(fail("mkdir", self.folder.clone()))?;
        let fresh = self.folder.join("config.json.new");
        fs::write(&fresh, text).map_err(fail("write", fresh.clone()))?;
        fs::rename(&fresh, &path).map_err(fail("rename", path.clone()))
    }

    /// The context called `name`.
    ///
    /// # Errors
    /// [`Error::NoContext`] when there is none.
    pub fn require(&self, name: &str) -> Result<Context> {
        let digest = Sha256::digest(name.as_bytes());
        let id: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = self.folder.join("contexts/meta").join(id);
        let path = folder.join("meta.json");
        let text = fs::read(&path).map_err(|_| Error::NoContext {
            name: name.into(),
            path: path.display().to_string(),
        })?;
        let metadata: Value =
            serde_json::from_slice(&text).map_err(|source| Error::FileFormat { path, source })?;
        Ok(describe(metadata, folder))
    }

    /// Every stored context, sorted by name; `default` is not among them.
    #[must_use]
    pub fn list(&self) -> Vec<Context> {
        let Ok(entries) = fs::read_dir(self.folder.join("contexts/meta")) else {
            return Vec::new();
        };
        let mut found: Vec<Context> = entries
            .flatten()
            .filter_map(|entry| {
                let text = fs::read(entry.path().join("meta.json")).ok()?;
                let metadata = serde_json::from_slice(&text).ok()?;
                Some(describe(metadata, entry.path()))
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }
}

fn describe(metadata: Value, folder: PathBuf) -> Context {
    let text = |pointer: &str| {
        metadata
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Context {
        name: text("/Name"),
        description: text("/Metadata/Description"),
        host: text("/Endpoints/docker/Host"),
        metadata,
        folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_under_the_digest_of_its_name() {
        let root = std::env::temp_dir().join(format!("estiva-contexts-{}", std::process::id()));
        // The digest of "far".
        let digest = Sha256::digest(b"far");
        let id: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        let folder = root.join("contexts/meta").join(id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("meta.json"),
            r#"{"Name":"far","Metadata":{"Description":"d"},"Endpoints":{"docker":{"Host":"tcp://1.2.3.4:5"}}}"#,
        )
        .unwrap();
        let contexts = Contexts::new(root.clone());
        assert_eq!(contexts.require("far").unwrap().host, "tcp://1.2.3.4:5");
        assert_eq!(contexts.list().len(), 1);
        contexts.make_current("far").unwrap();
        assert_eq!(contexts.current().as_deref(), Some("far"));
        contexts.make_current("default").unwrap();
        assert_eq!(contexts.current(), None);
        assert!(contexts.make_current("near").is_err());
        fs::remove_dir_all(root).unwrap();
    }
}
