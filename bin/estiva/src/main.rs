//! The one binary: picks a face by subcommand or by the name it is called by.
#![forbid(unsafe_code)]

fn main() {}
