//! Identifiers and names: container ids, exec ids, names, labels, filters.
#![forbid(unsafe_code)]

mod error;
mod filters;
mod id;
mod name;
mod petname;

pub use error::Error;
pub use filters::Filters;
pub use id::{ContainerId, ExecId, NetworkId};
pub use name::ContainerName;
pub use petname::random_name;

/// Key-value facts that users hang on things.
pub type Labels = std::collections::BTreeMap<String, String>;
