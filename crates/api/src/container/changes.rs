//! What a container changed in its file system.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How a path differs from the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Content or metadata differ (0, `C`).
    #[default]
    Modified,
    /// New (1, `A`).
    Added,
    /// Gone (2, `D`).
    Deleted,
}

impl Serialize for ChangeKind {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for ChangeKind {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match u8::deserialize(input)? {
            0 => Ok(Self::Modified),
            1 => Ok(Self::Added),
            2 => Ok(Self::Deleted),
            other => Err(de::Error::custom(format_args!(
                "unknown change kind {other}"
            ))),
        }
    }
}

wire! {
    /// One changed path.
    #[serde(rename_all = "PascalCase")]
    pub struct Change {
        /// Absolute path in the container.
        pub path: String,
        /// How it changed.
        pub kind: ChangeKind,
    }
}
