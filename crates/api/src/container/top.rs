//! The processes in a container.

wire! {
    /// A table of processes.
    #[serde(rename_all = "PascalCase")]
    pub struct Top {
        /// One row a process, as many cells as `titles`.
        pub processes: Vec<Vec<String>>,
        /// The columns.
        pub titles: Vec<String>,
    }
}
