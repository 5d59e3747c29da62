//! Events as the stream tells them, and which of them a client asked for.

use api::events::{Actor, Event as Wire};
use engine::events::Event;
use ids::Filters;

/// The filters that `events` knows.
pub(crate) const FILTERS: &[&str] = &[
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// One event on the wire.
pub(crate) fn wire(event: &Event) -> Wire {
    let is_old_kind = matches!(event.kind, "container" | "image");
    let old = |text: &str| {
        if is_old_kind {
            text.to_owned()
        } else {
            String::new()
        }
    };
    Wire {
        status: old(&event.action),
        id: old(&event.actor_id),
        from: match event.kind {
            "container" => event.attributes.get("image").cloned().unwrap_or_default(),
            _ => String::new(),
        },
        kind: event.kind.to_owned(),
        action: event.action.clone(),
        actor: Actor {
            id: event.actor_id.clone(),
            attributes: event.attributes.clone(),
        },
        scope: "local".into(),
        time: event.at_unix_nanos.div_euclid(1_000_000_000),
        time_nano: event.at_unix_nanos,
    }
}

/// Whether a client that gave these filters wants the event.
pub(crate) fn is_wanted(event: &Event, filters: &Filters) -> bool {
    filters.matches_any("event", |wanted| is_action(&event.action, wanted))
        && filters.matches("type", event.kind)
        && filters.matches("scope", "local")
        && filters.matches_labels("label", &event.attributes)
        && [
            "container",
            "volume",
            "network",
            "daemon",
            "plugin",
            "service",
            "node",
            "secret",
            "config",
        ]
        .iter()
        .all(|kind| filters.matches_any(kind, |wanted| is_about(event, kind, wanted)))
        && filters.matches_any("image", |wanted| is_of_image(event, wanted))
}

/// `exec_start` means `exec_start: sh` too.
fn is_action(action: &str, wanted: &str) -> bool {
    action == wanted
        || action
            .split_once(':')
            .is_some_and(|(word, _)| word == wanted)
}

/// The object by its kind, and its id or name or how they begin.
fn is_about(event: &Event, kind: &str, wanted: &str) -> bool {
    let has = |text: &str| !wanted.is_empty() && text.starts_with(wanted);
    let is_kind = event.kind == kind;
    is_kind && (has(&event.actor_id) || event.attributes.get("name").is_some_and(|name| has(name)))
}

/// The image itself, or a container made from it, with or without the tag.
fn is_of_image(event: &Event, wanted: &str) -> bool {
    let name = match event.kind {
        "image" => event.attributes.get("name"),
        _ => event.attributes.get("image"),
    };
    let untagged = |name: &str| match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
        _ => name.to_owned(),
    };
    (event.kind == "image" && event.actor_id == wanted)
        || name.is_some_and(|name| name == wanted || untagged(name) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            kind: "container",
            action: "exec_start: sh".into(),
            actor_id: "abc123".into(),
            attributes: [("image", "bb:1"), ("name", "web"), ("env", "test")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            at_unix_nanos: 1_500_000_000,
        }
    }

    #[test]
    fn filters_choose_by_kind_action_label_and_object() {
        for (key, value, expect) in [
            ("type", "container", true),
            ("type", "image", false),
            ("event", "exec_start", true),
            ("event", "start", false),
            ("container", "abc", true),
            ("container", "web", true),
            ("container", "other", false),
            ("volume", "abc", false),
            ("image", "bb", true),
            ("image", "bb:1", true),
            ("image", "bb:2", false),
            ("label", "env=test", true),
            ("label", "env=prod", false),
        ] {
            let filters: Filters = [(key, value)].into_iter().collect();
            assert_eq!(is_wanted(&event(), &filters), expect, "{key}={value}");
        }
    }

    #[test]
    fn an_event_is_told_in_the_old_and_the_new_places() {
        assert_eq!(
            serde_json::to_string(&wire(&event())).expect("serialisable"),
            concat!(
                r#"{"status":"exec_start: sh","id":"abc123","from":"bb:1","Type":"container","Action":"exec_start: sh","#,
                r#""Actor":{"ID":"abc123","Attributes":{"env":"test","image":"bb:1","name":"web"}},"scope":"local","#,
                r#""time":1,"timeNano":1500000000}"#
            )
        );
    }
}
