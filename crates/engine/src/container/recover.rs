//! Start-up: containers are read from the data root, held against what the kernel shows, and taken up again.
//!
//! | on disk                        | in the exec root         | then                                              |
//! |--------------------------------|--------------------------|---------------------------------------------------|
//! | folder without `config.json`   | any                      | creation or removal that never ended: removed     |
//! | record                         | a shim that answers      | taken over as it is: running, or just ended       |
//! | record, `exit.json`            | no shim                  | ended while nobody looked: exit taken from there  |
//! | record says running            | no shim, no `exit.json`  | ended unseen (power cut, killed shim): code 255   |
//! | record                         | nothing                  | stands                                            |

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{State, UnixNanos};
use shim::protocol::{Event, Exit};

use super::actor::{Actor, UNSEEN};
use super::control::Control;
use super::prepare;
use super::record::Record;
use crate::blocking;
use crate::engine::Shared;
use crate::error::{Error, Result};

/// A record with what was found of its last run.
struct Found {
    record: Record,
    shim: Option<std::os::fd::OwnedFd>,
}

/// Takes up every container of the data root.
pub(crate) async fn all(shared: &Arc<Shared>) -> Result<()> {
    let own = shared.clone();
    let found = blocking::run("recovery", move || look(&own)).await?;
    for each in found {
        take_up(shared, each).await;
    }
    let (own, runtime) = (shared.clone(), tokio::runtime::Handle::current());
    blocking::run("recovery", move || {
        crate::network::recover::settle(&own, &runtime);
        sweep(&own)
    })
    .await
}

fn look(shared: &Shared) -> Result<Vec<Found>> {
    let folder = shared.options.data_root.join("containers");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder)
        .map_err(|e| Error::file("read", &folder, e))?
        .flatten()
    {
        let path = entry.path();
        if !path.join("config.json").exists() {
            remove_tree(&path);
            continue;
        }
        match Record::read(&path) {
            Ok(record) => {
                shared.containers.reserve(&record.name, &record.id)?;
                let shim = shim::client::connect_to(&shared.run_dir(&record.id)).ok();
                found.push(Found { record, shim });
            }
            // Kept for whoever wants to look; without a record it is no container.
            Err(error) => tracing::error!(
                error = fault::chain(&error),
                "container not readable, left alone"
            ),
        }
    }
    Ok(found)
}

async fn take_up(shared: &Arc<Shared>, Found { mut record, shim }: Found) {
    let hello = match shim {
        Some(socket) => greet(socket).await,
        None => None,
    };
    let id = record.id.clone();
    let control = match hello {
        Some((control, Some(pid), None)) => {
            let since = started_at(shared, &record);
            record.started_unix_nanos = since;
            let stopping = matches!(record.state, State::Running { stopping: true, .. });
            let frozen =
                cgroup::Group::open(&shared.cgroup_of(&record)).and_then(|g| g.is_frozen());
            let since = UnixNanos(since);
            record.state = if frozen.unwrap_or(false) {
                State::Paused {
                    pid,
                    since,
                    stopping,
                }
            } else {
                State::Running {
                    pid,
                    since,
                    stopping,
                }
            };
            Some(control)
        }
        // It has ended, or never came to run: what it wrote is all there is to know.
        Some((control, _, _)) => {
            let _ = control.send(&shim::protocol::Request::Forget, None).await;
            ended(shared, &mut record);
            None
        }
        None => {
            ended(shared, &mut record);
            None
        }
    };
    let is_up = control.is_some();
    if is_up {
        crate::network::recover::take_up(shared, &record);
    }
    let (mut actor, handle) = Actor::new(shared.clone(), record, control);
    shared.containers.add(handle);
    if is_up {
        actor.resume();
    } else {
        actor.after_start_up().await;
    }
    tracing::debug!(container = id, is_up, "taken up");
    tokio::spawn(actor.run());
}

/// The shim's first word: pid and exit record; `None` when it does not answer.
async fn greet(socket: std::os::fd::OwnedFd) -> Option<(Control, Option<i32>, Option<Exit>)> {
    let control = Control::new(socket).ok()?;
    match tokio::time::timeout(Duration::from_secs(5), control.recv()).await {
        Ok(Ok(Some(Event::Hello { pid, exit, .. }))) => Some((control, pid, exit)),
        _ => None,
    }
}

/// Settles a container that does not run.
fn ended(shared: &Shared, record: &mut Record) {
    let was_launched = shared.run_dir(&record.id).join("launch.json").exists();
    let by_user = matches!(
        record.state,
        State::Running { stopping: true, .. } | State::Paused { stopping: true, .. }
    );
    // An exit that the record has already is an old one.
    let exit = prepare::read_exit(shared, &record.id)
        .filter(|e| e.at_unix_nanos > record.finished_unix_nanos);
    let seen = match exit {
        Some(exit) => {
            record.started_unix_nanos = exit.started_unix_nanos;
            Some(lifecycle::Exit {
                code: exit.code,
                at: UnixNanos(exit.at_unix_nanos),
                oom: exit.oom_killed,
            })
        }
        None if record.state.is_running() || was_launched => {
            prepare::kill_leftovers(shared, record);
            Some(lifecycle::Exit {
                code: UNSEEN,
                at: UnixNanos(shared.now()),
                oom: false,
            })
        }
        None => None,
    };
    prepare::clean_up(shared, record);
    if let Some(exit) = seen {
        record.exit_code = exit.code;
        record.finished_unix_nanos = exit.at.0;
        record.state = State::Exited { exit, by_user };
    } else if matches!(record.state, State::Starting { .. }) {
        record.state = record
            .state
            .exit()
            .map_or(State::Created, |exit| State::Exited { exit, by_user });
    }
}

/// When a run began that this daemon did not see begin: the record may be older than it.
fn started_at(shared: &Shared, record: &Record) -> i64 {
    let launch = shared.run_dir(&record.id).join("launch.json");
    let written = fs::metadata(launch).and_then(|m| m.modified()).ok();
    let nanos = written
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|at| i64::try_from(at.as_nanos()).ok());
    nanos.map_or(record.started_unix_nanos, |at| {
        at.max(record.started_unix_nanos)
    })
}

/// Removes what no container owns: writable layers, run folders, and what was to be deleted anyway.
fn sweep(shared: &Shared) -> Result<()> {
    let keys: HashSet<String> = shared
        .containers
        .all()
        .iter()
        .map(|h| h.id().to_owned())
        .collect();
    for key in shared.snapshots.writables() {
        if !keys.contains(&key) {
            shared.snapshots.remove_writable(&key)?;
        }
    }
    let runs = shared.options.exec_root.join("containers");
    for entry in fs::read_dir(&runs)
        .map_err(|e| Error::file("read", &runs, e))?
        .flatten()
    {
        if !keys.contains(&*entry.file_name().to_string_lossy()) {
            let _ = rustix::mount::unmount(
                entry.path().join("shm"),
                rustix::mount::UnmountFlags::DETACH,
            );
            remove_tree(&entry.path());
        }
    }
    for handle in shared.containers.all() {
        let view = handle.view();
        if view.record.state.is_running() {
            for name in view.record.mounts.iter().filter_map(|m| m.volume.as_ref()) {
                shared.volumes.acquire(name, handle.id())?;
            }
        }
    }
    if let Err(error) = shared.volumes.unmount_unheld() {
        tracing::warn!(
            error = fault::chain(&error),
            "a volume stays mounted that nobody uses"
        );
    }
    Ok(shared.snapshots.sweep()?)
}

fn remove_tree(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "leftover stays");
    }
}
