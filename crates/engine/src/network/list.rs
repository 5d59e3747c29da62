//! Networks as faces see them, and the filters that choose among them.

use std::sync::Arc;

use super::endpoint::Endpoint;
use super::record::Record;
use super::registry::Network;
use crate::engine::Shared;
use crate::error::{Error, Result};

/// A network with those who are in it now.
#[derive(Debug, Clone)]
pub struct NetworkView {
    /// What is written of it.
    pub record: Arc<Record>,
    /// The running containers in it.
    pub members: Vec<Member>,
}

/// A running container in a network.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id.
    pub container: String,
    /// Its name.
    pub name: String,
    /// Its end of the network.
    pub endpoint: Endpoint,
}

const FILTERS: [&str; 8] = [
    "dangling", "driver", "id", "label", "label!", "name", "scope", "type",
];

/// One network as it is now.
pub(crate) fn view(shared: &Shared, network: &Network) -> NetworkView {
    let record = network.record();
    let members = shared
        .networks
        .all_live()
        .into_iter()
        .filter_map(|(container, live)| {
            let endpoint = live.endpoints.get(&record.name)?.clone();
            let name = shared.containers.require(&container).map_or_else(
                |_| String::new(),
                |handle| handle.view().record.name.clone(),
            );
            Some(Member {
                container,
                name,
                endpoint,
            })
        })
        .collect();
    NetworkView { record, members }
}

/// The networks that filters let through, by name.
///
/// # Errors
/// An unknown filter, or a value that makes no sense.
pub(crate) fn list(shared: &Shared, filters: &ids::Filters) -> Result<Vec<Arc<Network>>> {
    let invalid = |e: ids::Error| Error::Invalid(e.to_string());
    filters.require_known(&FILTERS).map_err(invalid)?;
    if let Some(wrong) = filters
        .get("type")
        .find(|t| !["builtin", "custom"].contains(t))
    {
        return Err(Error::Invalid(format!("invalid filter: 'type'='{wrong}'")));
    }
    let dangling = match filters.contains("dangling") {
        true => Some(filters.flag("dangling", false).map_err(invalid)?),
        false => None,
    };
    let mut found: Vec<Arc<Network>> = shared
        .networks
        .registry
        .all()
        .into_iter()
        .filter(|network| {
            let record = network.record();
            let is_unused = || network.members().is_empty() && !record.is_predefined();
            passes(&record, filters) && dangling.is_none_or(|want| is_unused() == want)
        })
        .collect();
    found.sort_by_key(|network| network.record().name.clone());
    Ok(found)
}

fn passes(record: &Record, filters: &ids::Filters) -> bool {
    let kind = if record.is_predefined() {
        "builtin"
    } else {
        "custom"
    };
    filters.matches_any("id", |part| record.id.contains(part))
        && filters.matches_any("name", |part| record.name.contains(part))
        && filters.matches("driver", record.driver.name())
        && filters.matches("scope", "local")
        && filters.matches("type", kind)
        && filters.matches_labels("label", &record.labels)
        && filters.lacks_labels("label!", &record.labels)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn filters_choose_by_name_kind_and_label() {
        let mut one = record("front");
        one.labels.insert("a".into(), "b".into());
        for (key, value, expect) in [
            ("name", "ron", true),
            ("name", "back", false),
            ("driver", "bridge", true),
            ("driver", "host", false),
            ("type", "custom", true),
            ("type", "builtin", false),
            ("scope", "swarm", false),
            ("label", "a=b", true),
            ("label", "a=c", false),
            ("label!", "a", false),
            ("id", &one.id[3..20], true),
        ] {
            let filters: ids::Filters = [(key, value)].into_iter().collect();
            assert_eq!(passes(&one, &filters), expect, "{key}={value}");
        }
    }
}
