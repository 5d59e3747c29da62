//! Execs as `inspect` shows them.

use api::exec::{ExecInspect, ProcessConfig};
use engine::exec::ExecView;

/// Everything about an exec.
pub(crate) fn inspect(exec: &ExecView) -> ExecInspect {
    let (entrypoint, arguments) = match exec.config.cmd.split_first() {
        Some((program, arguments)) => (program.clone(), arguments.to_vec()),
        None => Default::default(),
    };
    ExecInspect {
        id: exec.id.clone(),
        running: exec.running,
        exit_code: exec.exit_code.map(i64::from),
        process_config: ProcessConfig {
            tty: exec.config.tty,
            entrypoint,
            arguments,
            privileged: Some(exec.config.privileged),
            user: exec.config.user.clone(),
        },
        open_stdin: exec.config.attach_stdin,
        open_stderr: exec.config.attach_stderr,
        open_stdout: exec.config.attach_stdout,
        can_remove: false,
        container_id: exec.container_id.clone(),
        detach_keys: Some(exec.config.detach_keys.clone()),
        pid: exec.pid.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_exec_tells_its_code() {
        let exec = ExecView {
            id: "e".into(),
            container_id: "c".into(),
            config: api::exec::ExecConfig {
                cmd: ["sh", "-c", "exit 3"].into_iter().collect(),
                attach_stdout: true,
                ..Default::default()
            },
            running: false,
            exit_code: Some(3),
            pid: 0,
            user: String::new(),
        };
        assert_eq!(
            serde_json::to_string(&inspect(&exec)).expect("serialisable"),
            concat!(
                r#"{"ID":"e","Running":false,"ExitCode":3,"ProcessConfig":{"tty":false,"entrypoint":"sh","#,
                r#""arguments":["-c","exit 3"],"privileged":false},"OpenStdin":false,"OpenStderr":false,"#,
                r#""OpenStdout":true,"CanRemove":false,"ContainerID":"c","DetachKeys":"","Pid":0}"#
            )
        );
    }
}
