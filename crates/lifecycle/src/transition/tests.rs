//! The lifecycle told as stories, and walked at random.

use super::*;

fn exit(code: i32) -> Exit {
    Exit {
        code,
        at: UnixNanos(9),
        oom: false,
    }
}

const AGAIN: Decision = Decision::Restart {
    after: Duration::from_millis(100),
};

fn started() -> Event {
    Event::Started {
        pid: 42,
        at: UnixNanos(5),
    }
}

fn ended(code: i32, decision: Decision) -> Event {
    Event::Exited {
        exit: exit(code),
        decision,
    }
}

/// Sends events in order; returns the last state and all effects.
fn tell(events: &[Event]) -> (State, Vec<Effect>) {
    let mut state = State::Created;
    let mut all = Vec::new();
    for event in events {
        let (after, effects) =
            next(&state, *event).unwrap_or_else(|refused| panic!("{event:?}: {refused:?}"));
        state = after;
        all.extend(effects);
    }
    (state, all)
}

fn refusal(before: &[Event], event: Event) -> Refused {
    next(&tell(before).0, event).expect_err("refused")
}

#[test]
fn a_plain_run_starts_and_ends() {
    let (state, effects) = tell(&[Event::Start, started(), ended(3, Decision::Stay)]);
    assert_eq!(
        state,
        State::Exited {
            exit: exit(3),
            by_user: false
        }
    );
    assert_eq!(
        effects,
        [
            Effect::ResetBackoff,
            Effect::Launch,
            Effect::Persist,
            Effect::Announce(Announcement::Start),
            Effect::StartHealth,
            Effect::StopHealth,
            Effect::Persist,
            Effect::Announce(Announcement::Die(3)),
        ]
    );
}

#[test]
fn who_is_stopped_by_a_user_is_not_started_again_by_the_policy() {
    let (state, effects) = tell(&[Event::Start, started(), Event::Stop, ended(143, AGAIN)]);
    assert!(matches!(state, State::Exited { by_user: true, .. }));
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::ScheduleRestart(_)))
    );
    assert_eq!(effects.last(), Some(&Effect::Announce(Announcement::Stop)));
}

#[test]
fn the_policy_restarts_until_a_user_stops_it() {
    let restarting = [Event::Start, started(), ended(1, AGAIN)];
    let (state, _) = tell(&restarting);
    assert_eq!(state.name(), "restarting");
    let (state, _) = tell(&[&restarting[..], &[Event::RestartDue, started()]].concat());
    assert_eq!(state.name(), "running");
    let (state, effects) = tell(&[&restarting[..], &[Event::Stop]].concat());
    assert!(matches!(state, State::Exited { by_user: true, .. }));
    assert!(effects.contains(&Effect::CancelRestart));
    assert_eq!(
        refusal(
            &[&restarting[..], &[Event::Stop]].concat(),
            Event::RestartDue
        ),
        Refused::OutOfOrder
    );
}

#[test]
fn a_stop_during_the_start_is_kept() {
    let (state, effects) = tell(&[Event::Start, Event::Stop, started()]);
    assert!(matches!(state, State::Running { stopping: true, .. }));
    assert_eq!(effects.last(), Some(&Effect::Stop));
}

#[test]
fn a_container_that_could_not_start_the_first_time_stays_created() {
    let failed = Event::StartFailed {
        exit: exit(127),
        decision: Decision::Stay,
    };
    assert_eq!(tell(&[Event::Start, failed]).0, State::Created);
    let (state, _) = tell(&[
        Event::Start,
        started(),
        ended(0, Decision::Stay),
        Event::Start,
        failed,
    ]);
    assert_eq!(state.exit().map(|exit| exit.code), Some(127));
}

#[test]
fn a_signal_that_ends_reaches_a_paused_container() {
    let kill = Event::Kill {
        signal: 9,
        ends: true,
    };
    let (state, effects) = tell(&[Event::Start, started(), Event::Pause, kill]);
    assert!(matches!(state, State::Running { stopping: true, .. }));
    assert!(effects.contains(&Effect::Thaw));
}

#[test]
fn a_harmless_signal_leaves_the_policy_in_force() {
    let hup = Event::Kill {
        signal: 1,
        ends: false,
    };
    let (state, _) = tell(&[Event::Start, started(), hup, ended(129, AGAIN)]);
    assert_eq!(state.name(), "restarting");
}

#[test]
fn refusals_say_what_stands_against_it() {
    let running = [Event::Start, started()];
    let paused = [Event::Start, started(), Event::Pause];
    let restarting = [Event::Start, started(), ended(1, AGAIN)];
    let remove = Event::Remove { force: false };
    assert_eq!(refusal(&running, Event::Start), Refused::AlreadyStarted);
    assert_eq!(refusal(&[], Event::Stop), Refused::AlreadyStopped);
    assert_eq!(refusal(&[], Event::Pause), Refused::NotRunning);
    assert_eq!(refusal(&paused, Event::Pause), Refused::AlreadyPaused);
    assert_eq!(refusal(&running, Event::Unpause), Refused::NotPaused);
    assert_eq!(refusal(&paused, Event::Start), Refused::StartOfPaused);
    assert_eq!(refusal(&running, remove), Refused::RemovalOf("running"));
    assert_eq!(refusal(&paused, remove), Refused::RemovalOf("paused"));
    assert_eq!(
        refusal(&restarting, remove),
        Refused::RemovalOf("restarting")
    );
    assert_eq!(refusal(&[remove], remove), Refused::RemovalInProgress);
    assert_eq!(refusal(&[remove], Event::Start), Refused::StartOfRemoved);
    assert_eq!(refusal(&restarting, Event::Pause), Refused::Restarting);
    let state = |events: &[Event]| tell(events).0;
    assert_eq!(
        permits(&state(&paused), Use::Exec),
        Err(Refused::ExecInPaused)
    );
    assert_eq!(
        permits(&state(&restarting), Use::Exec),
        Err(Refused::Restarting)
    );
    assert_eq!(permits(&state(&[]), Use::Exec), Err(Refused::NotRunning));
    assert_eq!(permits(&state(&[]), Use::Attach), Ok(()));
    assert_eq!(
        permits(&state(&[remove]), Use::Update),
        Err(Refused::UpdateOfRemoved)
    );
}

#[test]
fn force_kills_first_and_removes_after_the_exit() {
    let force = Event::Remove { force: true };
    let (state, effects) = tell(&[Event::Start, started(), Event::Pause, force]);
    assert!(matches!(state, State::Running { stopping: true, .. }));
    assert_eq!(
        effects[effects.len() - 3..],
        [Effect::Persist, Effect::Thaw, Effect::KillAndAwaitExit]
    );
    let (state, effects) = tell(&[Event::Start, started(), force, ended(137, AGAIN), force]);
    assert_eq!(state, State::Removing);
    assert_eq!(effects.last(), Some(&Effect::TakeApart));
    let (state, _) = next(&state, Event::RemoveFailed).expect("it may fail");
    assert_eq!(
        next(&state, force).expect("and be tried again").0,
        State::Removing
    );
}

/// A walk of random events: whatever the order, the invariants hold.
#[test]
fn no_order_of_events_breaks_the_invariants() {
    let events = [
        Event::Start,
        Event::RestartDue,
        started(),
        Event::StartFailed {
            exit: exit(127),
            decision: AGAIN,
        },
        Event::Stop,
        Event::Kill {
            signal: 9,
            ends: true,
        },
        Event::Kill {
            signal: 1,
            ends: false,
        },
        Event::Pause,
        Event::Unpause,
        ended(1, AGAIN),
        ended(0, Decision::Stay),
        Event::Remove { force: false },
        Event::Remove { force: true },
        Event::RemoveFailed,
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut state = State::Created;
    let (mut frozen, mut scheduled, mut alive) = (false, false, false);
    for step in 0..200_000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let event = events[usize::try_from(seed % events.len() as u64).expect("small")];
        let Ok((after, effects)) = next(&state, event) else {
            continue;
        };
        if matches!(event, Event::Started { .. }) {
            alive = true;
        }
        if matches!(event, Event::Exited { .. }) {
            (alive, frozen) = (false, false);
        }
        if matches!(event, Event::RestartDue) {
            scheduled = false;
        }
        for effect in effects {
            match effect {
                Effect::Freeze => frozen = true,
                Effect::Thaw => frozen = false,
                Effect::ScheduleRestart(_) => scheduled = true,
                Effect::CancelRestart => scheduled = false,
                Effect::Launch => assert!(!alive, "step {step}: launched twice"),
                Effect::TakeApart => assert!(!alive, "step {step}: taken apart alive"),
                Effect::Signal(_) | Effect::Stop => {
                    assert!(alive, "step {step}: a signal to nobody");
                }
                _ => {}
            }
        }
        assert_eq!(after.is_running(), alive, "step {step}: {event:?}");
        assert_eq!(
            matches!(after, State::Paused { .. }),
            frozen,
            "step {step}: {event:?}"
        );
        assert_eq!(
            matches!(after, State::Restarting { .. }),
            scheduled,
            "step {step}: {event:?}"
        );
        // Start again from the beginning now and then: a removed container stays removed.
        state = if matches!(after, State::Removing) && seed.is_multiple_of(3) {
            State::Created
        } else {
            after
        };
    }
}
