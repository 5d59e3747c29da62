//! What a container runs: the part of its configuration that an image can give too.

use std::collections::BTreeMap;

use crate::Argv;
use crate::wire::Empty;

wire! {
    /// The portable part of a container's configuration.
    #[serde(rename_all = "PascalCase")]
    pub struct ContainerConfig {
        /// The UTS host name; empty: the id's first 12 digits.
        pub hostname: String,
        /// The UTS domain name.
        pub domainname: String,
        /// `user[:group]`, names or numbers.
        pub user: String,
        /// Attach to stdin at start.
        pub attach_stdin: bool,
        /// Attach to stdout at start.
        pub attach_stdout: bool,
        /// Attach to stderr at start.
        pub attach_stderr: bool,
        /// Ports the program listens on, `port/proto`.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub exposed_ports: BTreeMap<String, Empty>,
        /// Give the program a terminal.
        pub tty: bool,
        /// Keep stdin open although nobody is attached.
        pub open_stdin: bool,
        /// Close stdin when the first attached client leaves.
        pub stdin_once: bool,
        /// `NAME=value` lines; a bare `NAME` removes the image's value.
        #[serde(serialize_with = "crate::wire::null")]
        pub env: Vec<String>,
        /// The arguments, or the whole command without an entry point. None: the image's.
        pub cmd: Option<Argv>,
        /// How to find out whether the program is well.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub healthcheck: Option<HealthConfig>,
        /// Windows only.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub args_escaped: bool,
        /// The image as the user wrote it.
        pub image: String,
        /// Paths to be given an anonymous volume each.
        #[serde(serialize_with = "crate::wire::null")]
        pub volumes: BTreeMap<String, Empty>,
        /// Where the program starts; empty: the image's, or `/`.
        pub working_dir: String,
        /// The program with its first arguments. None: the image's; `[""]` or empty: none at all.
        pub entrypoint: Option<Argv>,
        /// No network at all.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub network_disabled: bool,
        /// The MAC address (before API 1.44).
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub mac_address: String,
        /// Build triggers carried by an image.
        #[serde(serialize_with = "crate::wire::null")]
        pub on_build: Vec<String>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
        /// The signal of a polite stop; empty: SIGTERM.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub stop_signal: String,
        /// Seconds between the polite stop and SIGKILL; None: the daemon's default; -1: wait for ever.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stop_timeout: Option<i64>,
        /// The shell of shell-form commands in builds.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub shell: Option<Argv>,
    }

    /// A health check; durations in nanoseconds, 0 inherits.
    #[serde(rename_all = "PascalCase")]
    pub struct HealthConfig {
        /// `[]` inherits, `["NONE"]` disables, `["CMD", …]` executes, `["CMD-SHELL", line]` asks the shell.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub test: Vec<String>,
        /// Time between checks.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub interval: i64,
        /// How long one check may take.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub timeout: i64,
        /// Grace after the start in which failures do not count.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub start_period: i64,
        /// Time between checks during the grace.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub start_interval: i64,
        /// Failures in a row that make it unhealthy.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub retries: i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_config_is_written_with_dockers_nulls() {
        assert_eq!(
            serde_json::to_string(&ContainerConfig::default()).expect("serialisable"),
            concat!(
                r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"#,
                r#""AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"#,
                r#""Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{}}"#
            )
        );
    }

    #[test]
    fn an_empty_entrypoint_differs_from_none() {
        let read: ContainerConfig =
            serde_json::from_str(r#"{"Entrypoint":[],"Cmd":null}"#).expect("valid");
        assert_eq!(read.entrypoint, Some(Argv::default()));
        assert_eq!(read.cmd, None);
    }
}
