//! Ways out of a container that were found in other engines, each tried on ours. One class, one file.

mod api;
mod archives;
mod binary;
mod bombs;
mod bundles;
mod capabilities;
mod descriptors;
mod dumpable;
mod exec;
mod filter;
mod hanging;
mod images;
mod kernel_files;
mod mounts;
mod names;
mod state;
mod subpaths;
mod support;
mod terminals;
