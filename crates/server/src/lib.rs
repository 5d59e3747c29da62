//! The Docker Engine API over HTTP: translates, holds no rules.
#![forbid(unsafe_code)]
