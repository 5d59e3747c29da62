//! The hugetlb controller of both versions: how much of each size of huge pages.

use oci::runtime::HugepageLimit;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::group::Place;
use crate::hierarchy::Controller;
use crate::stats::HugetlbStats;
use crate::text;

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

/// The sizes of the machine's huge pages, as files of the controller are named by them.
pub(crate) fn sizes() -> Vec<String> {
    let Ok(folders) = std::fs::read_dir("/sys/kernel/mm/hugepages") else {
        return Vec::new();
    };
    let names = folders.flatten().map(|folder| folder.file_name());
    names.filter_map(|name| size_of(name.to_str()?)).collect()
}

/// `2MB` of `hugepages-2048kB`.
fn size_of(folder: &str) -> Option<String> {
    let kilobytes = folder.strip_prefix("hugepages-")?.strip_suffix("kB")?;
    let kilobytes: u64 = kilobytes.parse().ok()?;
    Some(match kilobytes {
        0..1024 => format!("{kilobytes}KB"),
        1024..1_048_576 => format!("{}MB", kilobytes >> 10),
        _ => format!("{}GB", kilobytes >> 20),
    })
}

/// What is used of one size.
pub(crate) fn read(place: &Place<'_>, size: &str) -> Result<HugetlbStats> {
    let get =
        |dir: &Dir, file: &str| dir.get(Controller::Hugetlb, &format!("hugetlb.{size}.{file}"));
    Ok(match place {
        Place::V1(dir) => HugetlbStats {
            usage: text::number(&get(dir, "usage_in_bytes")?),
            max_usage: Some(text::number(&get(dir, "max_usage_in_bytes")?)),
            failcnt: text::number(&get(dir, "failcnt")?),
        },
        Place::V2(dir) => HugetlbStats {
            usage: text::number(&get(dir, "current")?),
            max_usage: None,
            failcnt: text::number(get(dir, "events")?.trim_start_matches("max ")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_named_as_the_controllers_files_are() {
        let folders = ["64kB", "2048kB", "1048576kB"].map(|size| format!("hugepages-{size}"));
        let named = folders.iter().filter_map(|folder| size_of(folder));
        assert_eq!(named.collect::<Vec<_>>(), ["64KB", "2MB", "1GB"]);
        assert_eq!(size_of("hugepages-"), None);
    }
}
