//! Pure container lifecycle: states and events, restart policy, health schedule; no I/O, no clock.
#![forbid(unsafe_code)]
