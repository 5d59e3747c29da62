//! Pure container lifecycle: states and events, restart policy, health schedule; no I/O, no clock.
//!
//! ```text
//!            start            started                 pause
//! Created ──────────► Starting ─────► Running ◄──────────────────► Paused
//!    │                 ▲   │            │  │         unpause          │
//!    │    restart due  │   │ failed     │  └────────── exited ◄───────┘
//!    │   or start      │   ▼            ▼ exited            │
//!    │            Restarting ◄── policy ── │ ◄──────────────┘
//!    │                 │ stop              ▼ no policy
//!    │                 └──────────────► Exited ──start──► Starting
//!    ▼ remove                              ▼ remove
//! Removing ──failed──► Dead ──remove──► Removing ──removed──► (gone)
//! ```
//! [`next`] is the whole of it. The engine performs the effects in order and reports what happened as the next event;
//! the time comes in with the events.
#![forbid(unsafe_code)]

pub mod health;
pub mod refused;
pub mod restart;
pub mod state;
pub mod time;
pub mod transition;

pub use health::Health;
pub use refused::{Refusal, Refused};
pub use restart::RestartPolicy;
pub use state::{Exit, State};
pub use time::UnixNanos;
pub use transition::{Announcement, Effect, Event, Use, next, permits};
