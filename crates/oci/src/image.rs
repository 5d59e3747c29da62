//! The image config: what a container made of the image runs, and how the image came to be.
//!
//! Spec: OCI image-spec, `config.md`; with the fields Docker adds. Fields unknown here are kept, so that a config that is
//! read, changed and written again loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::{ChainId, DiffId};
use crate::json;
use crate::platform::Platform;

/// Largest config that is read, in bytes.
pub const MAX_CONFIG: u64 = 8 << 20;

/// A whole image config document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// RFC 3339 time of the build, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub author: String,
    /// GOARCH name; empty in some old images.
    #[serde(default, deserialize_with = "json::null_default")]
    pub architecture: String,
    /// CPU variant, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// GOOS name.
    #[serde(default, deserialize_with = "json::null_default")]
    pub os: String,
    /// Windows build the image wants.
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// What a container starts with.
    #[serde(default, deserialize_with = "json::null_default")]
    pub config: Execution,
    /// The layers.
    #[serde(default, deserialize_with = "json::null_default")]
    pub rootfs: Layers,
    /// One entry per build step, the oldest first.
    #[serde(default, deserialize_with = "json::null_default")]
    pub history: Vec<History>,
    /// Everything else, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Config {
    /// Reads a config document.
    ///
    /// # Errors
    /// When it is no JSON of that shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The platform it was built for, in normal form.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
            os_version: self.os_version.clone(),
            os_features: Vec::new(),
        }
        .normalized()
    }

    /// The chain of its topmost layer; `None` for an image without layers.
    #[must_use]
    pub fn chain_id(&self) -> Option<ChainId> {
        ChainId::top(&self.rootfs.diff_ids)
    }
}

/// The config's `rootfs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// Always `layers`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Digests of the uncompressed layers, the lowest first.
    #[serde(default, deserialize_with = "json::null_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            kind: "layers".into(),
            diff_ids: Vec::new(),
        }
    }
}

/// One step of an image's making.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339 time, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who did it.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub author: String,
    /// The command.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub created_by: String,
    /// Free text.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub comment: String,
    /// Whether the step made no layer.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "json::null_default"
    )]
    pub empty_layer: bool,
    /// Everything else, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The config's `config`: what a container starts with unless told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    /// `user[:group]`, names or numbers.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub user: String,
    /// Ports such as `80/tcp`.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        with = "json::set"
    )]
    pub exposed_ports: BTreeSet<String>,
    /// `NAME=value` lines.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub env: Vec<String>,
    /// The program and its first arguments; `None` and empty differ.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::string_or_list"
    )]
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments, or the program when there is no entrypoint.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::string_or_list"
    )]
    pub cmd: Option<Vec<String>>,
    /// How the container says that it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Whether Windows' command line is already escaped.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "json::null_default"
    )]
    pub args_escaped: bool,
    /// Paths that get volumes.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        with = "json::set"
    )]
    pub volumes: BTreeSet<String>,
    /// Where the program starts.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub working_dir: String,
    /// Build steps for images made on top of this one.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub on_build: Vec<String>,
    /// Labels.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to stop, by name or number.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub stop_signal: String,
    /// Seconds between the stop signal and SIGKILL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// What runs the shell form of build steps.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::string_or_list"
    )]
    pub shell: Option<Vec<String>>,
    /// Everything else, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A health check; durations in nanoseconds, zero means "take the default".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`; empty means "as the image says".
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub test: Vec<String>,
    /// Time between two probes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// How long one probe may take.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Failures in this first time do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Time between two probes in the start period.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive_a_rewrite() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"Env":["A=1"],"Hostname":"h","Cmd":null},
            "rootfs":{"type":"layers","diff_ids":[]},"docker_version":"20.10","history":[{"created_by":"x","empty_layer":true}]}"#;
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.config.cmd, None);
        let again: Value = serde_json::to_value(&config).unwrap();
        assert_eq!(again["docker_version"], "20.10");
        assert_eq!(again["config"]["Hostname"], "h");
        assert_eq!(again["history"][0]["empty_layer"], true);
    }

    #[test]
    fn go_nulls_and_lone_strings_are_read() {
        let text = r#"{"config":{"Env":null,"Entrypoint":"sh","Volumes":{"/data":{}},"ExposedPorts":null,"Labels":null,"OnBuild":null,
            "Healthcheck":{"Test":["CMD","x"],"Interval":5}},"history":null,"rootfs":{"type":"layers","diff_ids":null}}"#;
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.config.entrypoint, Some(vec!["sh".to_owned()]));
        assert!(config.config.volumes.contains("/data"));
        assert_eq!(config.config.healthcheck.unwrap().interval, 5);
        assert_eq!(config.rootfs.diff_ids, []);
    }

    #[test]
    fn null_config_is_an_empty_one() {
        let config = Config::parse(br#"{"config":null,"author":null}"#).unwrap();
        assert_eq!(config.config, Execution::default());
    }
}
