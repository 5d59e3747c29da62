//! Identifiers and names: container ids, exec ids, names, labels, filters.
#![forbid(unsafe_code)]
