//! Network namespaces, made ready ahead of time.
