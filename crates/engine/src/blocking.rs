//! The one crossing from async to blocking work.

use crate::error::{Error, Result};

/// Runs blocking work (files, codecs, mounts) on a thread made for it and waits for the result.
///
/// # Errors
/// The work's own error; [`Error::Panicked`] when it panicked.
pub async fn run<T, F>(what: &'static str, work: F) -> Result<T>
where
    F: FnOnce() -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Panicked { what }),
    }
}
