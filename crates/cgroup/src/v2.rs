//! The v2 controllers, one file each. What has the same files in v1 (cpuset, pids, hugetlb, rdma) is served from there.

pub(crate) mod cpu;
pub(crate) mod devices;
pub(crate) mod io;
pub(crate) mod memory;
