//! Documents of others. `null` stands for an absent member there, as the libraries of the field write and read it.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;

/// Reads a document; `path` is for the message.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8], path: &Path) -> Result<T, Error> {
    let failed = |source| Error::Json {
        path: path.to_owned(),
        source,
    };
    let first = match serde_json::from_slice(text) {
        Ok(document) => return Ok(document),
        Err(error) => failed(error),
    };
    // Seldom: a second look, without the nulls.
    match serde_json::from_slice::<Value>(text) {
        Ok(mut value) => match drop_nulls(&mut value) {
            true => serde_json::from_value(value).map_err(|_| first),
            false => Err(first),
        },
        Err(_) => Err(first),
    }
}

/// Takes members that are null away; answers whether there were any.
fn drop_nulls(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => {
            let before = members.len();
            members.retain(|_, member| !member.is_null());
            let mut dropped = members.len() < before;
            for member in members.values_mut() {
                dropped |= drop_nulls(member);
            }
            dropped
        }
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |dropped, item| drop_nulls(item) | dropped),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use oci::runtime::Spec;

    use super::*;

    #[test]
    fn null_is_an_absent_member() {
        let text =
            br#"{"ociVersion":"1.0.2","process":{"args":["x"],"env":null,"cwd":"/","user":null},
            "mounts":[{"destination":"/x","options":null}],"hooks":null}"#;
        let spec: Spec = read(text, Path::new("x")).expect("valid");
        assert_eq!(spec.process.expect("given").args, ["x"]);
        assert_eq!(spec.mounts.len(), 1);
    }

    #[test]
    fn what_is_wrong_without_nulls_is_told_with_its_place() {
        let error = read::<Spec>(br#"{"hooks":null,"process":{"args":7}}"#, Path::new("x"));
        let text = fault::chain(&error.expect_err("a number for a list"));
        assert!(text.contains("invalid type"), "{text}");
    }
}
