//! Changing a container's limits while it lives.

use super::{Resources, RestartPolicy};

wire! {
    /// The body of an update request; zero and absent values leave things as they are.
    #[serde(rename_all = "PascalCase")]
    pub struct UpdateRequest {
        flatten {
            /// The limits to change.
            pub resources: Resources
        }
        /// The new restart policy; an empty name leaves the old.
        pub restart_policy: RestartPolicy,
    }

    /// The answer.
    #[serde(rename_all = "PascalCase")]
    pub struct UpdateResponse {
        /// What was asked for and not done.
        #[serde(serialize_with = "crate::wire::null")]
        pub warnings: Vec<String>,
    }
}
