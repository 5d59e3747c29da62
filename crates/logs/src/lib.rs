//! Container logs: json-file, local and none; rotation, tail and follow.
#![forbid(unsafe_code)]
