//! The hugetlb controller of both versions: how much of each size of huge pages.

use oci::runtime::HugepageLimit;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::hierarchy::Controller;

/// Sets the limit of one page size, of pages in use and of reservations (Linux 5.7, skipped where missing).
pub(crate) fn apply(dir: &Dir, huge: &HugepageLimit, suffix: &str) -> Result<()> {
    let size = &huge.page_size;
    // The size becomes part of a file name.
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::Unsupported {
            limit: "hugepageLimits",
            reason: "the page size must be like 2MB or 1GB",
        });
    }
    dir.set(
        Controller::Hugetlb,
        &format!("hugetlb.{size}.{suffix}"),
        huge.limit,
    )?;
    let reserved = format!("hugetlb.{size}.rsvd.{suffix}");
    match dir.try_set(&reserved, &huge.limit.to_string()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(dir.refused(
            Controller::Hugetlb,
            &reserved,
            huge.limit.to_string(),
            errno,
        )),
    }
}
