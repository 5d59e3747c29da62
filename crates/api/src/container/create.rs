//! Creating a container.

use super::{ContainerConfig, HostConfig};
use crate::network::NetworkingConfig;

wire! {
    /// The body of a create request: the configuration with the host's part beside it.
    #[serde(rename_all = "PascalCase")]
    pub struct CreateRequest {
        flatten {
            /// What to run.
            pub config: ContainerConfig
        }
        /// How to run it here; None leaves every default.
        pub host_config: Option<HostConfig>,
        /// The networks to join.
        pub networking_config: Option<NetworkingConfig>,
    }

    /// The answer.
    #[serde(rename_all = "PascalCase")]
    pub struct CreateResponse {
        /// The new id.
        pub id: String,
        /// What was asked for and not done.
        pub warnings: Vec<String>,
    }
}
