//! What can be wrong with an identifier, a name or a filter.

/// Why a text is not what it should be; the texts are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not 64 lower hexadecimal digits.
    #[error("not an id of 64 hexadecimal digits: {text}")]
    Id {
        /// The text.
        text: String,
    },
    /// A name a container cannot have.
    #[error("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    ContainerName {
        /// The name.
        name: String,
    },
    /// A filter this list does not have.
    #[error("invalid filter '{key}'")]
    UnknownFilter {
        /// The filter's key.
        key: String,
    },
    /// A filter with a value it cannot have.
    #[error("invalid filter '{key}={values:?}'")]
    FilterValue {
        /// The filter's key.
        key: String,
        /// All its values.
        values: Vec<String>,
    },
}

impl Error {
    /// Always the caller's mistake.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Invalid
    }
}
