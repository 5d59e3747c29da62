//! Stories told to a real engine. Each has an engine, a name and a folder of its own and runs beside any other.
#![forbid(unsafe_code)]

mod attack;
mod container;
mod daemon;
mod image;
mod isolation;
mod limits;
mod network;
mod runtime;
mod volume;
