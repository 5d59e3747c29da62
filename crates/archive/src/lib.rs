//! Tar archives to and from directories: safe paths, whiteouts, every kind of file, compression.
#![forbid(unsafe_code)]
