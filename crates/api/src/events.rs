//! What happens in the engine, as clients hear of it.

use std::collections::BTreeMap;

wire! {
    /// One event.
    pub struct Event {
        /// The action, in the old place (before API 1.52).
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub status: String,
        /// The object's id, in the old place.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub id: String,
        /// The image, in the old place.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub from: String,
        /// `container`, `image`, `volume`, `network` or `daemon`.
        #[serde(rename = "Type")]
        pub kind: String,
        /// `create`, `start`, `exec_create: sh`, …
        #[serde(rename = "Action")]
        pub action: String,
        /// The object.
        #[serde(rename = "Actor")]
        pub actor: Actor,
        /// `local` or `swarm`.
        pub scope: String,
        /// Seconds since the epoch.
        pub time: i64,
        /// Nanoseconds since the epoch.
        #[serde(rename = "timeNano")]
        pub time_nano: i64,
    }

    /// The object of an event.
    pub struct Actor {
        /// Its id or name.
        #[serde(rename = "ID")]
        pub id: String,
        /// Its name, image, labels, exit code, …
        #[serde(rename = "Attributes")]
        pub attributes: BTreeMap<String, String>,
    }
}
