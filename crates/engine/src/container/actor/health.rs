//! Health: when the next probe is due, what runs it, and what its end means.

use std::os::fd::OwnedFd;
use std::time::Duration;

use lifecycle::UnixNanos;
use lifecycle::health::{Health, Probe, Schedule};
use shim::protocol::{Request, Target};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::Actor;
use crate::container::record::Record;
use crate::container::signal;
use crate::exec::{ExecConfig, ExecStart};

/// How much of a probe's output is kept, as in Docker.
const OUTPUT: usize = 4096;

/// The health of one container over its runs.
#[derive(Debug)]
pub(super) struct Watch {
    schedule: Option<Schedule>,
    health: Option<Health>,
    started: Option<Instant>,
    started_unix_nanos: i64,
    due: Option<Instant>,
    running: Option<Running>,
}

/// A probe under way.
#[derive(Debug)]
struct Running {
    exec: String,
    began_unix_nanos: i64,
    output: tokio::task::JoinHandle<Vec<u8>>,
    timed_out: bool,
}

impl Watch {
    pub(super) fn new(record: &Record) -> Self {
        let schedule = record.config.healthcheck.as_ref().and_then(schedule_of);
        let health = schedule.as_ref().map(|_| Health::default());
        Self {
            schedule,
            health,
            started: None,
            started_unix_nanos: 0,
            due: None,
            running: None,
        }
    }

    /// What inspect shows.
    pub(super) fn shown(&self) -> Option<Health> {
        self.health.clone()
    }

    /// When something is to be done: a probe begun, or one ended that takes too long.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn begin(&mut self, record: &Record) {
        self.schedule = record.config.healthcheck.as_ref().and_then(schedule_of);
        self.started = Some(Instant::now());
        self.started_unix_nanos = record.started_unix_nanos;
        if self.schedule.is_some() {
            self.health.get_or_insert_default().begin();
        }
        self.resume();
    }

    /// Plans the next probe.
    pub(super) fn resume(&mut self) {
        if let (Some(schedule), Some(health)) = (&self.schedule, &self.health) {
            let uptime = self.started.map_or(Duration::ZERO, |at| at.elapsed());
            self.due = Some(Instant::now() + health.next_in(schedule, uptime));
        }
    }

    pub(super) fn end(&mut self) {
        self.due = None;
        if let Some(running) = self.running.take() {
            running.output.abort();
        }
    }
}

/// The schedule of a health check; `None` for none and for `NONE`.
fn schedule_of(asked: &api::container::HealthConfig) -> Option<Schedule> {
    match asked.test.first().map(String::as_str) {
        None | Some("NONE") => None,
        _ => Some(Schedule::from_nanos(
            asked.interval,
            asked.timeout,
            asked.start_period,
            asked.start_interval,
            asked.retries,
        )),
    }
}

impl Actor {
    pub(super) async fn check_health(&mut self) {
        if let Some(running) = &mut self.health.running {
            // The probe took too long: its end, which the kill brings, counts as a failure.
            running.timed_out = true;
            self.health.due = None;
            let target = Target::Exec(running.exec.clone());
            let _ = self
                .request(
                    &Request::Signal {
                        target,
                        signal: signal::KILL,
                        all: false,
                    },
                    None,
                )
                .await;
            return;
        }
        self.health.due = None;
        let Some(schedule) = self.health.schedule else {
            return;
        };
        match self.begin_probe().await {
            Ok(running) => {
                self.health.running = Some(running);
                self.health.due = Some(Instant::now() + schedule.timeout);
            }
            Err(error) => {
                tracing::warn!(container = %self.record.id, error = fault::chain(&error), "health probe not started");
                let now = UnixNanos(self.shared.now());
                self.conclude(Probe::failed(now, now, &fault::chain(&error)));
            }
        }
    }

    async fn begin_probe(&mut self) -> crate::Result<Running> {
        let test = self
            .record
            .config
            .healthcheck
            .as_ref()
            .map(|h| h.test.clone())
            .unwrap_or_default();
        let cmd: Vec<String> = match test.first().map(String::as_str) {
            Some("CMD-SHELL") => {
                let shell = self.record.config.shell.as_ref().map(|s| s.to_vec());
                let mut words = shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
                words.push(test[1..].join(" "));
                words
            }
            Some("CMD") => test[1..].to_vec(),
            _ => test,
        };
        let exec = ids::ExecId::random().to_string();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()
            .map_err(|e| crate::Error::file("open", "a stream for a health probe", e))?;
        let config = ExecConfig {
            attach_stdout: true,
            attach_stderr: true,
            cmd: cmd.into(),
            ..ExecConfig::default()
        };
        self.add_exec(&exec, config, true);
        let (reply, _) = tokio::sync::oneshot::channel();
        let start = ExecStart {
            stream: Some(OwnedFd::from(theirs)),
            ..ExecStart::default()
        };
        self.exec_start(exec.clone(), start, reply).await;
        Ok(Running {
            exec,
            began_unix_nanos: self.shared.now(),
            output: tokio::spawn(read_output(ours)),
            timed_out: false,
        })
    }

    /// If this exec was the probe, draws the conclusion; the output is there since the exec's streams are drained.
    pub(super) async fn probe_ended(&mut self, exec: &str, code: i32) {
        if self.health.running.as_ref().is_none_or(|r| r.exec != exec) {
            return;
        }
        let Some(running) = self.health.running.take() else {
            return;
        };
        self.execs.remove(exec);
        let Some(schedule) = self.health.schedule else {
            return;
        };
        let (start, end) = (
            UnixNanos(running.began_unix_nanos),
            UnixNanos(self.shared.now()),
        );
        // The shim has closed the stream before it told the end: the reader is at its end, or about to be.
        let read = tokio::time::timeout(Duration::from_secs(1), running.output).await;
        let output = read.ok().and_then(Result::ok).unwrap_or_default();
        self.conclude(if running.timed_out {
            Probe::timed_out(start, end, schedule.timeout, &output)
        } else {
            Probe::ended(start, end, code, &output)
        });
    }

    fn conclude(&mut self, probe: Probe) {
        let started = UnixNanos(self.health.started_unix_nanos);
        let (Some(schedule), Some(health)) = (self.health.schedule, self.health.health.as_mut())
        else {
            return;
        };
        let changed = health.record(&schedule, started, probe);
        self.health.resume();
        self.publish();
        if let Some(status) = changed {
            self.tell(&format!("health_status: {}", status.name()), []);
        }
    }
}

async fn read_output(stream: std::os::unix::net::UnixStream) -> Vec<u8> {
    let mut kept = Vec::new();
    if stream.set_nonblocking(true).is_err() {
        return kept;
    }
    let Ok(mut stream) = tokio::net::UnixStream::from_std(stream) else {
        return kept;
    };
    let mut frames = Vec::new();
    let mut buffer = [0; 4096];
    // Read on beyond what is kept, so that a talkative probe does not block.
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        if frames.len() < 4 * OUTPUT {
            frames.extend_from_slice(&buffer[..len]);
        }
    }
    let mut rest = &frames[..];
    while let [_, 0, 0, 0, a, b, c, d, body @ ..] = rest {
        let len = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).min(body.len());
        kept.extend_from_slice(&body[..len]);
        rest = &body[len..];
    }
    kept.truncate(OUTPUT);
    kept
}
