//! Typed client of the Engine API over unix sockets and TCP.
#![forbid(unsafe_code)]
