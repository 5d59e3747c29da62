//! What a container cannot see, touch or do.

mod capabilities;
mod devices;
mod namespaces;
mod paths;
mod rights;
mod seccomp;
mod userns;
