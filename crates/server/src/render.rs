//! From the engine's values to wire types: pure functions, a file a noun, no I/O.

pub(crate) mod base64;
pub(crate) mod container;
pub(crate) mod event;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod log;
pub(crate) mod network;
pub(crate) mod path;
pub(crate) mod stats;
pub(crate) mod volume;

/// Nanoseconds since the epoch.
pub(crate) fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).expect("before the year 2262")
}
