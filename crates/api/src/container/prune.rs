//! Removing stopped containers.

wire! {
    /// What a prune removed.
    #[serde(rename_all = "PascalCase")]
    pub struct ContainersPruned {
        /// The ids.
        #[serde(serialize_with = "crate::wire::null")]
        pub containers_deleted: Vec<String>,
        /// Bytes freed.
        pub space_reclaimed: u64,
    }
}
