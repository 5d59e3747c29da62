//! The daemon: its life, its deaths, and what it refuses.

mod api;
mod crash;
mod refusals;
mod start;
mod streams;
mod words;
