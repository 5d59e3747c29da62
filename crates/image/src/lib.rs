//! Images: load, save, import, tag, remove, history, commit, prune.
#![forbid(unsafe_code)]
