//! How Docker's JSON differs from serde's: null is zero on the way in; null, empty or absent on the way out.

use std::ops::{Deref, DerefMut};

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares wire structs whose fields may each be missing or null in the input (both mean the default).
///
/// A `flatten { pub x: T }` block in the middle of the fields embeds another struct's fields there.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$fmeta:meta])* pub $field:ident : $ty:ty,)*
            $(flatten { $(#[$xmeta:meta])* pub $xfield:ident : $xty:ty }
            $($(#[$rmeta:meta])* pub $rfield:ident : $rty:ty,)*)?
        }
    )*) => {$(
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        $(#[$meta])*
        #[serde(default)]
        pub struct $name {
            $($(#[$fmeta])* #[serde(deserialize_with = "crate::wire::nullable")] pub $field: $ty,)*
            $($(#[$xmeta])* #[serde(flatten)] pub $xfield: $xty,
            $($(#[$rmeta])* #[serde(deserialize_with = "crate::wire::nullable")] pub $rfield: $rty,)*)?
        }
    )*};
}

/// Reads a value, `null` as its default.
pub(crate) fn nullable<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// Writes a default value as `null`: what Go makes of a nil slice or map.
pub(crate) fn null<S, T>(value: &T, output: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Serialize + Default + PartialEq,
{
    if absent(value) {
        output.serialize_none()
    } else {
        value.serialize(output)
    }
}

/// Whether a value is its default: what Go's `omitempty` leaves out.
pub(crate) fn absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A command line that the input may give as a list or as one string (a list of one).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Argv(pub Vec<String>);

impl Deref for Argv {
    type Target = Vec<String>;
    fn deref(&self) -> &Vec<String> {
        &self.0
    }
}

impl DerefMut for Argv {
    fn deref_mut(&mut self) -> &mut Vec<String> {
        &mut self.0
    }
}

impl From<Vec<String>> for Argv {
    fn from(words: Vec<String>) -> Self {
        Self(words)
    }
}

impl<'a> FromIterator<&'a str> for Argv {
    fn from_iter<I: IntoIterator<Item = &'a str>>(words: I) -> Self {
        Self(words.into_iter().map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for Argv {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Argv;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Argv, E> {
                Ok(Argv(vec![word.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Argv, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element::<Option<String>>()? {
                    words.push(word.unwrap_or_default());
                }
                Ok(Argv(words))
            }
        }
        input.deserialize_any(Words)
    }
}

/// An empty JSON object, the value type of Docker's sets (`"80/tcp": {}`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro always declares public structs")]
mod tests {
    use super::*;

    wire! {
        /// A sample.
        #[serde(rename_all = "PascalCase")]
        pub struct Sample {
            /// A list.
            #[serde(serialize_with = "crate::wire::null")]
            pub list: Vec<String>,
            /// Words.
            pub words: Option<Argv>,
            /// A number.
            #[serde(skip_serializing_if = "crate::wire::absent")]
            pub number: i64,
        }
    }

    #[test]
    fn null_missing_and_unknown_fields_are_taken_as_docker_takes_them() {
        let read: Sample =
            serde_json::from_str(r#"{"List":null,"Number":null,"Words":"sh","Else":{}}"#)
                .expect("valid");
        assert_eq!(
            read,
            Sample {
                words: Some(["sh"].into_iter().collect()),
                ..Sample::default()
            }
        );
        assert_eq!(
            serde_json::to_string(&read).expect("serialisable"),
            r#"{"List":null,"Words":["sh"]}"#
        );
    }
}
