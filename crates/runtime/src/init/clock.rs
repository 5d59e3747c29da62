//! The clocks of a new time namespace.

use oci::runtime::TimeOffset;

use crate::failure::{Step, Tried};

/// Sets the offsets, while nobody is in the namespace yet: we enter it by our exec. See `time_namespaces(7)`.
pub(super) fn set(offsets: &[(&'static str, TimeOffset)]) -> Step {
    if offsets.is_empty() {
        return Ok(());
    }
    let text: String = offsets
        .iter()
        .map(|(clock, offset)| format!("{clock} {} {}\n", offset.secs, offset.nanosecs))
        .collect();
    std::fs::write("/proc/self/timens_offsets", text).tried(|| "set clock offsets".to_owned())
}
