//! The command line: docker's commands, flags and texts.
#![forbid(unsafe_code)]
