//! `ps`: which containers, newest first, by Docker's filters.

use std::time::Duration;

use lifecycle::State;

use super::request::ListQuery;
use super::view::{Size, View};
use crate::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::network::{Live, Published};

const FILTERS: [&str; 16] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

impl Engine {
    /// The containers that a query asks for, newest first.
    ///
    /// # Errors
    /// An unknown filter, or a filter that names what is not there.
    pub async fn list(&self, query: &ListQuery) -> Result<Vec<View>> {
        let filters = &query.filters;
        filters
            .require_known(&FILTERS)
            .map_err(|e| Error::Invalid(e.to_string()))?;
        check_values(filters)?;
        let mut views: Vec<View> = self.containers().all().iter().map(|h| h.view()).collect();
        views.sort_by(|a, b| {
            b.record
                .created_unix_nanos
                .cmp(&a.record.created_unix_nanos)
        });
        let every = query.all
            || query.limit.is_some()
            || filters.contains("status")
            || filters.contains("exited");
        let edge = |key: &str| -> Result<Option<i64>> {
            let Some(target) = filters.get(key).next() else {
                return Ok(None);
            };
            Ok(Some(self.container(target)?.record.created_unix_nanos))
        };
        let (before, since) = (edge("before")?, edge("since")?);
        let ancestors = self.ancestors(filters);
        views.retain(|v| {
            let created = v.record.created_unix_nanos;
            (every || is_up(&v.record.state))
                && before.is_none_or(|edge| created < edge)
                && since.is_none_or(|edge| created > edge)
                && ancestors
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&v.record.image_id))
                && passes(v, filters)
        });
        views.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(views)
    }

    fn ancestors(&self, filters: &ids::Filters) -> Option<Vec<String>> {
        filters.contains("ancestor").then(|| {
            let named = filters
                .get("ancestor")
                .filter_map(|name| self.shared.images.resolve(name).ok());
            named
                .flat_map(|image| {
                    let mut family = vec![image.id.to_string()];
                    family.extend(
                        self.shared
                            .images
                            .children(&image.id)
                            .iter()
                            .map(|c| c.id.to_string()),
                    );
                    family
                })
                .collect()
        })
    }

    /// Bytes that containers take, in the order given. A container that is gone meanwhile takes none.
    ///
    /// # Errors
    /// When the writable layer cannot be read.
    pub async fn sizes(&self, views: &[View]) -> Result<Vec<Size>> {
        let shared = self.shared.clone();
        let records: Vec<_> = views.iter().map(|v| v.record.clone()).collect();
        let measure = blocking::run("size", move || {
            Ok(records
                .iter()
                .map(|record| {
                    let writable = shared.snapshots.usage(&record.id).map_or(0, |u| u.bytes);
                    let image = record
                        .image_id
                        .parse()
                        .ok()
                        .and_then(|id| shared.images.get(&id));
                    Size {
                        writable_bytes: writable,
                        root_bytes: writable + image.map_or(0, |i| i.size()),
                    }
                })
                .collect())
        });
        // A hung file system must not hang `ps -s` for ever.
        match tokio::time::timeout(Duration::from_secs(120), measure).await {
            Ok(sizes) => sizes,
            Err(_) => Ok(vec![Size::default(); views.len()]),
        }
    }
}

/// Values that no container can have are mistakes, not empty answers.
fn check_values(filters: &ids::Filters) -> Result<()> {
    const STATES: [&str; 7] = [
        "created",
        "dead",
        "exited",
        "paused",
        "removing",
        "restarting",
        "running",
    ];
    const HEALTH: [&str; 4] = ["healthy", "none", "starting", "unhealthy"];
    for (key, known) in [("status", &STATES[..]), ("health", &HEALTH)] {
        if let Some(wrong) = filters.get(key).find(|value| !known.contains(value)) {
            return Err(Error::Invalid(format!("invalid filter '{key}={wrong}'")));
        }
    }
    filters
        .flag("is-task", false)
        .map_err(|e| Error::Invalid(e.to_string()))?;
    match filters
        .get("exited")
        .find(|code| code.parse::<i64>().is_err())
    {
        Some(wrong) => Err(Error::Invalid(format!("invalid filter 'exited={wrong}'"))),
        None => Ok(()),
    }
}

fn is_up(state: &State) -> bool {
    matches!(
        state,
        State::Running { .. } | State::Paused { .. } | State::Restarting { .. }
    )
}

fn passes(view: &View, filters: &ids::Filters) -> bool {
    let record = &view.record;
    let labels: ids::Labels = record.config.labels.clone().into_iter().collect();
    filters.matches_any("id", |id| record.id.starts_with(id))
        && filters.matches_any("name", |name| {
            let slashed = format!("/{}", record.name);
            record.name.contains(name) || slashed == name || matches_regex(name, &record.name)
        })
        && filters.matches_any("status", |status| status == record.state.name())
        && filters.matches_any("exited", |code| {
            matches!(record.state, State::Exited { .. }) && code.parse() == Ok(record.exit_code)
        })
        && filters.matches_labels("label", &labels)
        && filters.lacks_labels("label!", &labels)
        && filters.matches_any("health", |want| {
            view.health.as_ref().map_or("none", |h| h.status.name()) == want
        })
        && filters.matches_any("volume", |want| {
            record
                .mounts
                .iter()
                .any(|m| m.volume.as_deref() == Some(want) || m.destination == want)
        })
        && filters.matches_any("network", |want| is_in(view, want))
        && filters.matches_any("publish", |port| publishes(view, port))
        && filters.matches_any("expose", |port| {
            record
                .config
                .exposed_ports
                .keys()
                .any(|p| p == port || p.split('/').next() == Some(port))
        })
}

/// Whether a container is in the network of this name or id, or would be if it ran.
fn is_in(view: &View, want: &str) -> bool {
    let live = view.network.as_deref();
    let by_id = |live: &Live| live.endpoints.values().any(|e| e.network_id == want);
    view.record.networking.endpoints_config.contains_key(want) || live.is_some_and(by_id)
}

/// Whether a port of the host leads to this one of the container: `80`, `80/udp`, `80-90/tcp`.
fn publishes(view: &View, want: &str) -> bool {
    let (ports, protocol) = want.split_once('/').unwrap_or((want, "tcp"));
    let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>()) else {
        return false;
    };
    let fits = |p: &Published| {
        p.protocol.to_string() == protocol && (low..=high).contains(&p.target.port())
    };
    view.network
        .as_deref()
        .is_some_and(|live| live.published.iter().any(fits))
}

/// The anchors that users write in name filters (`^/web$`); anything more is matched as plain text.
fn matches_regex(pattern: &str, name: &str) -> bool {
    let start = pattern.strip_prefix('^');
    let body = start.unwrap_or(pattern);
    let end = body.strip_suffix('$');
    let body = end.unwrap_or(body);
    let body = if start.is_some() {
        body.strip_prefix('/').unwrap_or(body)
    } else {
        body
    };
    match (start.is_some(), end.is_some()) {
        (true, true) => name == body,
        (true, false) => name.starts_with(body),
        (false, true) => name.ends_with(body),
        (false, false) => false,
    }
}
