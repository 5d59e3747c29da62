//! The whole lifecycle as one function from state and event to state and effects.

use std::time::Duration;

use crate::refused::Refused;
use crate::restart::Decision;
use crate::state::{Exit, State};
use crate::time::UnixNanos;

/// What users ask for and what happens to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A user asks for its start.
    Start,
    /// The pause before the policy's restart is over.
    RestartDue,
    /// Its process runs.
    Started {
        /// The process.
        pid: i32,
        /// Since when.
        at: UnixNanos,
    },
    /// Its process could not be started. `decision` is [`Decision::Stay`] for a user's start; the policy decides about its own.
    StartFailed {
        /// 125, 126 or 127, and when.
        exit: Exit,
        /// Try again?
        decision: Decision,
    },
    /// A user asks for its end, first gently.
    Stop,
    /// A user sends a signal.
    Kill {
        /// The signal.
        signal: i32,
        /// It is SIGKILL or the container's stop signal: the user wants its end.
        ends: bool,
    },
    /// A user asks for standstill.
    Pause,
    /// A user asks for it to go on.
    Unpause,
    /// Its process has ended. `decision` comes from [`RestartPolicy::decide`](crate::RestartPolicy::decide), asked with
    /// `by_user` as the state's `stopping` has it.
    Exited {
        /// How.
        exit: Exit,
        /// Start it again?
        decision: Decision,
    },
    /// A user asks for its removal.
    Remove {
        /// Kill it first when it runs.
        force: bool,
    },
    /// It could not be taken apart wholly.
    RemoveFailed,
}

/// What the engine has to do, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Write the new state to disk, before what follows.
    Persist,
    /// Start its process; answered by `Started` or `StartFailed`.
    Launch,
    /// Send the stop signal, and SIGKILL when the stop timeout is over.
    Stop,
    /// Send a signal.
    Signal(i32),
    /// Kill it and go on only when `Exited` is in.
    KillAndAwaitExit,
    /// Freeze its processes.
    Freeze,
    /// Let its processes go on.
    Thaw,
    /// Send `RestartDue` after this pause.
    ScheduleRestart(Duration),
    /// Forget the scheduled restart.
    CancelRestart,
    /// Begin with a fresh health (see [`Health::begin`](crate::Health::begin)) and its probes.
    StartHealth,
    /// Go on with the probes.
    ResumeHealth,
    /// No more probes.
    StopHealth,
    /// The restart count and pauses begin anew.
    ResetBackoff,
    /// Take it apart: rootfs, folders, name; then it is gone, or `RemoveFailed`.
    TakeApart,
    /// Tell the listeners of events.
    Announce(Announcement),
}

/// Docker's names of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement {
    /// `start`
    Start,
    /// `kill`, with the signal.
    Kill(i32),
    /// `oom`
    Oom,
    /// `die`, with the exit code.
    Die(i32),
    /// `stop`
    Stop,
    /// `pause`
    Pause,
    /// `unpause`
    Unpause,
}

impl Announcement {
    /// The action's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Announcement::Start => "start",
            Announcement::Kill(_) => "kill",
            Announcement::Oom => "oom",
            Announcement::Die(_) => "die",
            Announcement::Stop => "stop",
            Announcement::Pause => "pause",
            Announcement::Unpause => "unpause",
        }
    }
}

/// What needs a container in a certain state, without changing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Running a further process.
    Exec,
    /// Joining its streams.
    Attach,
    /// Listing its processes.
    Top,
    /// Setting its terminal's size.
    Resize,
    /// Changing its limits or policy.
    Update,
}

type Step = Result<(State, Vec<Effect>), Refused>;

/// What follows an event. Pure: no I/O, no clock; the engine performs the effects in order.
///
/// # Errors
/// When the state does not allow the event; nothing has changed then.
pub fn next(state: &State, event: Event) -> Step {
    match event {
        Event::Start => start(state),
        Event::RestartDue => restart_due(state),
        Event::Started { pid, at } => started(state, pid, at),
        Event::StartFailed { exit, decision } => start_failed(state, exit, decision),
        Event::Stop => stop(state),
        Event::Kill { signal, ends } => kill(state, signal, ends),
        Event::Pause => pause(state),
        Event::Unpause => unpause(state),
        Event::Exited { exit, decision } => exited(state, exit, decision),
        Event::Remove { force } => remove(state, force),
        Event::RemoveFailed => match state {
            State::Removing => Ok((State::Dead, vec![Effect::Persist])),
            _ => Err(Refused::OutOfOrder),
        },
    }
}

/// Whether a container can be used so.
///
/// # Errors
/// When its state does not allow it.
pub fn permits(state: &State, purpose: Use) -> Result<(), Refused> {
    match (purpose, state) {
        (Use::Update, State::Removing | State::Dead) => Err(Refused::UpdateOfRemoved),
        (Use::Update, _)
        | (_, State::Running { .. })
        | (Use::Top | Use::Resize, State::Paused { .. })
        // Attached before the start, no byte is missed.
        | (
            Use::Attach,
            State::Created | State::Starting { again: false, .. } | State::Exited { .. },
        ) => Ok(()),
        (Use::Exec, State::Paused { .. }) => Err(Refused::ExecInPaused),
        (Use::Attach, State::Paused { .. }) => Err(Refused::AttachToPaused),
        (_, State::Restarting { .. } | State::Starting { again: true, .. }) => {
            Err(Refused::Restarting)
        }
        (_, _) => Err(Refused::NotRunning),
    }
}

fn start(state: &State) -> Step {
    let exit = match state {
        State::Created => None,
        // The user's start comes before the policy's.
        State::Restarting { exit } | State::Exited { exit, .. } => Some(*exit),
        State::Running { .. } | State::Starting { .. } => return Err(Refused::AlreadyStarted),
        State::Paused { .. } => return Err(Refused::StartOfPaused),
        State::Removing | State::Dead => return Err(Refused::StartOfRemoved),
    };
    let mut effects = Vec::new();
    if matches!(state, State::Restarting { .. }) {
        effects.push(Effect::CancelRestart);
    }
    effects.extend([Effect::ResetBackoff, Effect::Launch]);
    let starting = State::Starting {
        exit,
        again: false,
        stopping: false,
    };
    Ok((starting, effects))
}

fn restart_due(state: &State) -> Step {
    match state {
        State::Restarting { exit } => Ok((
            State::Starting {
                exit: Some(*exit),
                again: true,
                stopping: false,
            },
            vec![Effect::Launch],
        )),
        _ => Err(Refused::OutOfOrder),
    }
}

fn started(state: &State, pid: i32, since: UnixNanos) -> Step {
    let State::Starting { stopping, .. } = *state else {
        return Err(Refused::OutOfOrder);
    };
    let mut effects = vec![
        Effect::Persist,
        Effect::Announce(Announcement::Start),
        Effect::StartHealth,
    ];
    if stopping {
        effects.push(Effect::Stop);
    }
    let running = State::Running {
        pid,
        since,
        stopping,
    };
    Ok((running, effects))
}

fn start_failed(state: &State, exit: Exit, decision: Decision) -> Step {
    let State::Starting {
        exit: before,
        again,
        stopping,
    } = *state
    else {
        return Err(Refused::OutOfOrder);
    };
    match decision {
        Decision::Restart { after } if again && !stopping => Ok((
            State::Restarting { exit },
            vec![Effect::Persist, Effect::ScheduleRestart(after)],
        )),
        // Who never ran is as it was, with the code to be read: Docker shows it as created.
        _ if before.is_none() => Ok((State::Created, vec![Effect::Persist])),
        _ => Ok((
            State::Exited {
                exit,
                by_user: stopping,
            },
            vec![Effect::Persist],
        )),
    }
}

fn stop(state: &State) -> Step {
    match *state {
        State::Running { pid, since, .. } => Ok((
            State::Running {
                pid,
                since,
                stopping: true,
            },
            vec![Effect::Persist, Effect::Stop],
        )),
        // A frozen process hears no signal.
        State::Paused { pid, since, .. } => Ok((
            State::Running {
                pid,
                since,
                stopping: true,
            },
            vec![
                Effect::Persist,
                Effect::Thaw,
                Effect::Announce(Announcement::Unpause),
                Effect::Stop,
            ],
        )),
        State::Starting { exit, again, .. } => Ok((
            State::Starting {
                exit,
                again,
                stopping: true,
            },
            Vec::new(),
        )),
        State::Restarting { exit } => Ok((
            State::Exited {
                exit,
                by_user: true,
            },
            vec![
                Effect::CancelRestart,
                Effect::Persist,
                Effect::Announce(Announcement::Stop),
            ],
        )),
        State::Created | State::Exited { .. } | State::Removing | State::Dead => {
            Err(Refused::AlreadyStopped)
        }
    }
}

fn kill(state: &State, signal: i32, ends: bool) -> Step {
    let announce = Effect::Announce(Announcement::Kill(signal));
    match *state {
        State::Running {
            pid,
            since,
            stopping,
        } => Ok((
            State::Running {
                pid,
                since,
                stopping: stopping || ends,
            },
            if ends && !stopping {
                vec![Effect::Persist, Effect::Signal(signal), announce]
            } else {
                vec![Effect::Signal(signal), announce]
            },
        )),
        State::Paused { pid, since, .. } if ends => Ok((
            State::Running {
                pid,
                since,
                stopping: true,
            },
            vec![
                Effect::Persist,
                Effect::Signal(signal),
                Effect::Thaw,
                announce,
            ],
        )),
        // It hears the signal when it goes on.
        State::Paused { .. } => Ok((state.clone(), vec![Effect::Signal(signal), announce])),
        State::Restarting { exit } if ends => Ok((
            State::Exited {
                exit,
                by_user: true,
            },
            vec![Effect::CancelRestart, Effect::Persist, announce],
        )),
        _ => Err(Refused::NotRunningToKill),
    }
}

fn pause(state: &State) -> Step {
    match *state {
        State::Running {
            pid,
            since,
            stopping,
        } => Ok((
            State::Paused {
                pid,
                since,
                stopping,
            },
            vec![
                Effect::StopHealth,
                Effect::Freeze,
                Effect::Persist,
                Effect::Announce(Announcement::Pause),
            ],
        )),
        State::Paused { .. } => Err(Refused::AlreadyPaused),
        State::Restarting { .. } | State::Starting { again: true, .. } => Err(Refused::Restarting),
        _ => Err(Refused::NotRunning),
    }
}

fn unpause(state: &State) -> Step {
    match *state {
        State::Paused {
            pid,
            since,
            stopping,
        } => Ok((
            State::Running {
                pid,
                since,
                stopping,
            },
            vec![
                Effect::Thaw,
                Effect::Persist,
                Effect::ResumeHealth,
                Effect::Announce(Announcement::Unpause),
            ],
        )),
        _ => Err(Refused::NotPaused),
    }
}

fn exited(state: &State, exit: Exit, decision: Decision) -> Step {
    let (State::Running { stopping, .. } | State::Paused { stopping, .. }) = *state else {
        return Err(Refused::OutOfOrder);
    };
    let mut effects = vec![Effect::StopHealth, Effect::Persist];
    if exit.oom {
        effects.push(Effect::Announce(Announcement::Oom));
    }
    effects.push(Effect::Announce(Announcement::Die(exit.code)));
    if stopping {
        effects.push(Effect::Announce(Announcement::Stop));
    }
    match decision {
        Decision::Restart { after } if !stopping => {
            effects.push(Effect::ScheduleRestart(after));
            Ok((State::Restarting { exit }, effects))
        }
        _ => Ok((
            State::Exited {
                exit,
                by_user: stopping,
            },
            effects,
        )),
    }
}

fn remove(state: &State, force: bool) -> Step {
    let mut effects = match state {
        State::Removing => return Err(Refused::RemovalInProgress),
        State::Running { .. } | State::Paused { .. } if force => vec![Effect::KillAndAwaitExit],
        // A start in progress is waited for by the engine, which sends events one after the other.
        State::Starting { .. } => return Err(Refused::removal_of(state)),
        State::Restarting { .. } if force => vec![Effect::CancelRestart],
        State::Running { .. } | State::Paused { .. } | State::Restarting { .. } => {
            return Err(Refused::removal_of(state));
        }
        State::Created | State::Exited { .. } | State::Dead => Vec::new(),
    };
    if state.is_running() {
        // The state stays until the process is gone; the engine sends `Remove` again after `Exited`.
        let (State::Running { pid, since, .. } | State::Paused { pid, since, .. }) = *state else {
            return Err(Refused::OutOfOrder);
        };
        effects.insert(0, Effect::Persist);
        if matches!(state, State::Paused { .. }) {
            effects.insert(1, Effect::Thaw);
        }
        let ending = State::Running {
            pid,
            since,
            stopping: true,
        };
        return Ok((ending, effects));
    }
    effects.extend([Effect::Persist, Effect::TakeApart]);
    Ok((State::Removing, effects))
}

#[cfg(test)]
mod tests;
