//! Starts a throwaway engine, speaks to it as a user would, asks the kernel what is really so, and leaves nothing behind.
//!
//! | variable | meaning |
//! |---|---|
//! | `ESTIVA_BIN` | the binary under test; otherwise `estiva` beside the test binary |
//! | `ESTIVA_TEST_CLI=docker` | the stories are told through the unmodified docker CLI |
//! | `ESTIVA_TEST_PEER=1` | the stories are told to a throwaway dockerd, which proves the story itself |
//! | `ESTIVA_TEST_RUNTIME=runc` | the OCI runtime's stories are told to another runtime |
//! | `ESTIVA_TEST_KEEP=1` | a failed story's folder and daemon log stay for a look |
#![forbid(unsafe_code)]

pub mod bundle;
pub mod cgroup;
pub mod command;
pub mod container;
pub mod dns;
pub mod echo;
pub mod engine;
pub mod http;
pub mod image;
pub mod lan;
pub mod leftovers;
pub mod place;
pub mod proc;
pub mod pty;
pub mod rootfs;
pub mod survey;
pub mod tar;

use std::time::{Duration, Instant};

pub use bundle::Bundle;
pub use command::{Output, Running, words};
pub use container::Container;
pub use engine::{Engine, Options};
pub use lan::{Host, Lan};
pub use place::Place;
pub use pty::Pty;

/// A running engine of its own with the image `busybox` in it.
///
/// # Panics
/// When the engine does not come up.
#[must_use]
pub fn engine() -> Engine {
    Engine::start(&Options::default())
}

/// A network of hosts of its own.
///
/// # Panics
/// Without root, iproute2 or util-linux.
#[must_use]
pub fn lan() -> Lan {
    Lan::new(&lan::Plan::default())
}

/// Milliseconds, for stories that read like sentences.
#[must_use]
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits until `claim` holds, ten seconds at most.
///
/// # Panics
/// When it does not hold in time; `what` says what was awaited.
#[track_caller]
pub fn eventually(what: &str, claim: impl FnMut() -> bool) {
    within(Duration::from_secs(10), what, claim);
}

/// Waits until `claim` holds.
///
/// # Panics
/// When it does not hold within `limit`.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut claim: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !claim() {
        assert!(Instant::now() < deadline, "within {limit:?}: {what}");
        std::thread::sleep(ms(20));
    }
}

/// Whether the machine grants every capability there is; the peer starts no privileged container without.
#[must_use]
pub fn grants_all_capabilities() -> bool {
    let bound = proc::status(std::process::id().cast_signed(), "CapBnd");
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    let last: u32 = last.trim().parse().unwrap_or(40);
    u64::from_str_radix(&bound, 16).is_ok_and(|bound| bound == (1 << (last + 1)) - 1)
}

/// A device node of this machine that is not among a container's own and opens without special rights.
#[must_use]
pub fn spare_device() -> Option<&'static str> {
    [
        "/dev/fuse",
        "/dev/loop-control",
        "/dev/net/tun",
        "/dev/hwrng",
        "/dev/rtc0",
    ]
    .into_iter()
    .find(|node| std::fs::File::open(node).is_ok())
}

/// Prints why a story is not told here; to be followed by `return`.
#[expect(
    clippy::print_stderr,
    reason = "a skip must say why, where the runner shows it"
)]
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
