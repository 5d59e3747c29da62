//! Links against the kernel, each test in a namespace of its own.
