//! The one shape of an API error.

wire! {
    /// The body of every 4xx and 5xx answer.
    pub struct ErrorResponse {
        /// The text that clients print.
        pub message: String,
    }
}
