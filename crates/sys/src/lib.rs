//! The kernel: one typed function per system call, and every line of unsafe.

pub mod bpf;
pub mod spawn;
