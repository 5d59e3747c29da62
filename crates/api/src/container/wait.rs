//! Waiting for a container's end.

wire! {
    /// How it ended.
    #[serde(rename_all = "PascalCase")]
    pub struct WaitResponse {
        /// Why waiting failed, if it did.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub error: Option<WaitError>,
        /// 0-255.
        pub status_code: i64,
    }

    /// Why waiting failed.
    #[serde(rename_all = "PascalCase")]
    pub struct WaitError {
        /// The text.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub message: String,
    }
}
