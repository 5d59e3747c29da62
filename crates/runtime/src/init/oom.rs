//! How much the OOM killer likes the container.

use crate::failure::{Step, Tried};

/// Sets it when it was asked for. Lowering it below what we were given needs `CAP_SYS_RESOURCE`.
pub(super) fn set(score: Option<i32>) -> Step {
    let Some(score) = score else {
        return Ok(());
    };
    const FILE: &str = "/proc/self/oom_score_adj";
    let wanted = score.to_string();
    let Err(error) = std::fs::write(FILE, &wanted) else {
        return Ok(());
    };
    // Nothing to complain of when it is so already.
    if std::fs::read_to_string(FILE).is_ok_and(|now| now.trim() == wanted) {
        return Ok(());
    }
    Err(error).tried(|| format!("set oom_score_adj to {score}"))
}
