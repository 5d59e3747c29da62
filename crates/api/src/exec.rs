//! Execs: further processes in a running container.

use crate::Argv;

wire! {
    /// The body of `POST /containers/{id}/exec`.
    #[serde(rename_all = "PascalCase")]
    pub struct ExecConfig {
        /// `user[:group]`; empty: the container's.
        pub user: String,
        /// All capabilities.
        pub privileged: bool,
        /// Give it a terminal.
        pub tty: bool,
        /// The terminal's first size: height, width.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub console_size: Option<[u64; 2]>,
        /// Take the client's input.
        pub attach_stdin: bool,
        /// Send its errors.
        pub attach_stderr: bool,
        /// Send its output.
        pub attach_stdout: bool,
        /// Ignored by Docker too: the start request decides.
        pub detach: bool,
        /// The byte sequence that leaves it, such as `ctrl-p,ctrl-q`.
        pub detach_keys: String,
        /// `NAME=value` lines, added to the container's.
        #[serde(serialize_with = "crate::wire::null")]
        pub env: Vec<String>,
        /// Where it starts; empty: the container's.
        pub working_dir: String,
        /// The program and its arguments.
        pub cmd: Argv,
    }

    /// The body of `POST /exec/{id}/start`.
    #[serde(rename_all = "PascalCase")]
    pub struct ExecStartRequest {
        /// Do not attach.
        pub detach: bool,
        /// Must agree with the exec's own.
        pub tty: bool,
        /// The terminal's first size: height, width.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub console_size: Option<[u64; 2]>,
    }

    /// The answer of a create request.
    #[serde(rename_all = "PascalCase")]
    pub struct ExecCreateResponse {
        /// The exec's id.
        pub id: String,
    }

    /// The answer of `GET /exec/{id}/json`.
    #[serde(rename_all = "PascalCase")]
    pub struct ExecInspect {
        /// The exec's id.
        #[serde(rename = "ID")]
        pub id: String,
        /// It runs.
        pub running: bool,
        /// None before its end.
        pub exit_code: Option<i64>,
        /// What it runs.
        pub process_config: ProcessConfig,
        /// It takes input.
        pub open_stdin: bool,
        /// Its errors are sent.
        pub open_stderr: bool,
        /// Its output is sent.
        pub open_stdout: bool,
        /// It cannot be removed yet.
        pub can_remove: bool,
        /// The container's id.
        #[serde(rename = "ContainerID")]
        pub container_id: String,
        /// The byte sequence that leaves it.
        pub detach_keys: Option<String>,
        /// Its pid on the host; 0 when it does not run.
        pub pid: i64,
    }

    /// What an exec runs.
    #[serde(rename_all = "camelCase")]
    pub struct ProcessConfig {
        /// It has a terminal.
        pub tty: bool,
        /// The program.
        pub entrypoint: String,
        /// Its arguments.
        pub arguments: Vec<String>,
        /// All capabilities.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub privileged: Option<bool>,
        /// `user[:group]`.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub user: String,
    }
}
