//! Control groups v1, hybrid and v2: create, limit, measure, freeze, kill, remove.
//!
//! A [`Group`] is one path, such as `/estiva/<id>`, in every hierarchy of the machine. Where a controller lives (a v1
//! hierarchy or the v2 tree) is looked up for each controller by itself, so unified, hybrid and pure v1 machines and
//! every mixture of them take the same way through the code:
//!
//! ```text
//! LinuxResources ──► limits ──► place(controller) ──► v1/<controller>.rs  or  v2/<controller>.rs ──► files
//! ```
//! Nothing is kept on disk: the kernel's tree is the only state, and [`Group::open`] finds a group again.
#![forbid(unsafe_code)]

pub mod device;
pub mod error;
pub mod features;
pub mod group;
pub mod hierarchy;
pub mod resctrl;
pub mod stats;
pub mod systemd;

mod dir;
mod freeze;
mod kill;
mod limits;
mod oom;
mod remove;
mod text;
mod v1;
mod v2;

pub use error::{Error, Result};
pub use features::Features;
pub use group::{Entry, Group};
pub use hierarchy::{Controller, Host, Mode, host, is_unified};
pub use remove::remove_folders;
pub use stats::{CpuStats, HugetlbStats, IoEntry, IoStats, MemoryStats, PidsStats, Stats};
