//! Limits, each proven by hitting it.

mod block_io;
mod cpu;
mod memory;
mod pids;
