//! Filters of lists and prunes: several values per key, any of which may match.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use crate::{Error, Labels};

/// The `filters` parameter. On the wire `{"key":{"value":true}}`; the older `{"key":["value"]}` is read too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one value.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_default().insert(value.into());
    }

    /// Whether the key has values.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|values| !values.is_empty())
    }

    /// The values of a key, in order.
    pub fn get(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// All keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.0
            .iter()
            .map(|(key, values)| (key.as_str(), values.iter().map(String::as_str)))
    }

    /// # Errors
    /// A key is not among those `known`.
    pub fn require_known(&self, known: &[&str]) -> Result<(), Error> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Error::UnknownFilter { key: key.clone() }),
            None => Ok(()),
        }
    }

    /// Whether the key has no values, or `value` among them.
    #[must_use]
    pub fn matches(&self, key: &str, value: &str) -> bool {
        self.matches_any(key, |wanted| wanted == value)
    }

    /// Whether the key has no values, or one that `test` holds for.
    pub fn matches_any(&self, key: &str, mut test: impl FnMut(&str) -> bool) -> bool {
        !self.contains(key) || self.get(key).any(&mut test)
    }

    /// Whether *all* values of the key (`name` or `name=value`) are among the labels.
    #[must_use]
    pub fn matches_labels(&self, key: &str, labels: &Labels) -> bool {
        self.get(key).all(|wanted| has_label(labels, wanted))
    }

    /// Whether *none* of the values of the key (such as `label!`) is among the labels.
    #[must_use]
    pub fn lacks_labels(&self, key: &str, labels: &Labels) -> bool {
        !self.get(key).any(|unwanted| has_label(labels, unwanted))
    }

    /// A yes-or-no filter; `default` when it is not given.
    ///
    /// # Errors
    /// Its values are not exactly one of `1`, `true`, `0`, `false`.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        if !self.contains(key) {
            return Ok(default);
        }
        let values: Vec<&str> = self.get(key).collect();
        match values.as_slice() {
            ["1" | "true"] => Ok(true),
            ["0" | "false"] => Ok(false),
            _ => Err(self.wrong_value(key)),
        }
    }

    /// The error for a key whose values make no sense.
    #[must_use]
    pub fn wrong_value(&self, key: &str) -> Error {
        Error::FilterValue {
            key: key.to_owned(),
            values: self.get(key).map(str::to_owned).collect(),
        }
    }
}

/// Whether `wanted`, `name` or `name=value`, is among the labels.
fn has_label(labels: &Labels, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|have| have == value),
        None => labels.contains_key(wanted),
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Filters {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut filters = Self::default();
        for (key, value) in pairs {
            filters.add(key, value);
        }
        filters
    }
}

impl Serialize for Filters {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_map(self.0.iter().map(|(key, values)| {
            let set: BTreeMap<_, _> = values.iter().map(|value| (value, true)).collect();
            (key, set)
        }))
    }
}

impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Values {
            Set(BTreeMap<String, bool>),
            List(Vec<String>),
        }
        let keys = Option::<BTreeMap<String, Option<Values>>>::deserialize(input)?;
        let values = |values| match values {
            Some(Values::Set(set)) => set.into_keys().collect(),
            Some(Values::List(list)) => list.into_iter().collect(),
            None => BTreeSet::new(),
        };
        Ok(Self(
            keys.unwrap_or_default()
                .into_iter()
                .map(|(key, set)| (key, values(set)))
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_wire_forms_mean_the_same() {
        let new: Filters =
            serde_json::from_str(r#"{"label":{"a=b":true,"c":true}}"#).expect("valid");
        let old: Filters = serde_json::from_str(r#"{"label":["c","a=b"]}"#).expect("valid");
        assert_eq!(new, old);
        assert_eq!(
            serde_json::to_string(&new).expect("serialisable"),
            r#"{"label":{"a=b":true,"c":true}}"#
        );
        assert!(serde_json::from_str::<Filters>(r#"{"label":3}"#).is_err());
    }

    #[test]
    fn unknown_keys_are_refused_in_dockers_words() {
        let filters: Filters = [("status", "running"), ("colour", "blue")]
            .into_iter()
            .collect();
        let error = filters.require_known(&["status"]).expect_err("unknown key");
        assert_eq!(error.to_string(), "invalid filter 'colour'");
        assert!(filters.require_known(&["status", "colour"]).is_ok());
    }

    #[test]
    fn any_value_may_match_but_all_labels_must() {
        let filters: Filters = [
            ("status", "a"),
            ("status", "b"),
            ("label", "x"),
            ("label", "y=1"),
        ]
        .into_iter()
        .collect();
        assert!(filters.matches("status", "b"));
        assert!(!filters.matches("status", "c"));
        assert!(filters.matches("name", "anything"));
        let labels = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect::<Labels>()
        };
        assert!(filters.matches_labels("label", &labels(&[("x", "9"), ("y", "1")])));
        assert!(!filters.matches_labels("label", &labels(&[("x", "9"), ("y", "2")])));
        assert!(!filters.lacks_labels("label", &labels(&[("x", "9")])));
        assert!(filters.lacks_labels("label", &labels(&[("z", "9")])));
        assert!(filters.lacks_labels("label!", &labels(&[("x", "9")])));
    }

    #[test]
    fn a_flag_is_one_clear_word() {
        let with = |value: &str| [("dangling", value)].into_iter().collect::<Filters>();
        assert_eq!(with("1").flag("dangling", false), Ok(true));
        assert_eq!(Filters::default().flag("dangling", true), Ok(true));
        assert_eq!(
            with("maybe")
                .flag("dangling", false)
                .expect_err("no word")
                .to_string(),
            r#"invalid filter 'dangling=["maybe"]'"#
        );
    }
}
