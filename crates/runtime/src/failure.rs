//! What went wrong inside the new process, in a form that crosses to its parent.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::errno::Refusal;
use crate::error::Error;

/// A failed operation inside the child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What was tried and what came of it.
    pub(crate) what: String,
    /// Set when the program itself could not be executed.
    pub(crate) exec_code: Option<i32>,
}

/// The result of a step inside the child.
pub(crate) type Step<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            exec_code: None,
        }
    }

    pub(crate) fn exec(message: String, code: i32) -> Self {
        Self {
            what: message,
            exec_code: Some(code),
        }
    }
}

/// Says what was tried when the kernel refuses; the words are only made then.
pub(crate) trait Tried<T> {
    /// `what` is the operation with its operands, as in `open /x`.
    fn tried(self, what: impl FnOnce() -> String) -> Step<T>;
}

impl<T> Tried<T> for Result<T, Errno> {
    fn tried(self, what: impl FnOnce() -> String) -> Step<T> {
        self.map_err(|errno| Failure::new(format!("{}: {}", what(), Refusal(errno))))
    }
}

impl<T> Tried<T> for std::io::Result<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Step<T> {
        self.map_err(|error| Failure::new(format!("{}: {}", what(), Refusal::from(error))))
    }
}

/// A failure with the name of its step, as it crosses the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) step: String,
    pub(crate) what: String,
    pub(crate) exec_code: Option<i32>,
}

impl Report {
    pub(crate) fn new(step: &str, failure: Failure) -> Self {
        Self {
            step: step.to_owned(),
            what: failure.what,
            exec_code: failure.exec_code,
        }
    }

    pub(crate) fn into_error(self) -> Error {
        match self.exec_code {
            Some(code) => Error::Exec {
                message: self.what,
                code,
            },
            None => Error::Init {
                step: self.step,
                what: self.what,
            },
        }
    }
}
