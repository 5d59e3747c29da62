//! System call numbers by name, one table per architecture.

mod aarch64;
mod i386;
mod x32;
mod x86_64;

use super::arch::Arch;

/// The bit that marks an x32 call among x86_64 ones.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Calls that exist for 64-bit programs only and have no x32 number.
const NOT_ON_X32: &[&str] = &[
    "_sysctl",
    "create_module",
    "epoll_ctl_old",
    "epoll_wait_old",
    "get_kernel_syms",
    "get_thread_area",
    "map_shadow_stack",
    "nfsservctl",
    "query_module",
    "set_thread_area",
    "uprobe",
    "uretprobe",
    "uselib",
    "vserver",
];

/// The number of a system call as `seccomp_data.nr` shows it; `None` when the architecture has no such call.
#[must_use]
pub(super) fn number(arch: Arch, name: &str) -> Option<u32> {
    match arch {
        Arch::X86_64 => find(x86_64::TABLE, name),
        Arch::X86 => find(i386::TABLE, name),
        Arch::Aarch64 => find(aarch64::TABLE, name),
        Arch::X32 if NOT_ON_X32.contains(&name) => None,
        Arch::X32 => find(x32::TABLE, name)
            .or_else(|| find(x86_64::TABLE, name))
            .map(|nr| nr | X32_BIT),
    }
}

fn find(table: &[(&str, u32)], name: &str) -> Option<u32> {
    table
        .binary_search_by_key(&name, |(known, _)| known)
        .ok()
        .map(|at| table[at].1)
}

/// Every call of an architecture, for tests that go through all of them.
#[cfg(test)]
pub(super) fn all(arch: Arch) -> Vec<(&'static str, u32)> {
    x86_64::TABLE
        .iter()
        .chain(i386::TABLE)
        .chain(aarch64::TABLE)
        .filter_map(|(name, _)| number(arch, name).map(|nr| (*name, nr)))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_sorted_and_names_each_number_once() {
        for table in [x86_64::TABLE, i386::TABLE, aarch64::TABLE, x32::TABLE] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
            let numbers: std::collections::BTreeSet<u32> =
                table.iter().map(|(_, nr)| *nr).collect();
            assert_eq!(numbers.len(), table.len());
        }
    }

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let check = |arch, name, expect| assert_eq!(number(arch, name), expect, "{name}");
        check(Arch::X86_64, "read", Some(0));
        check(Arch::X86_64, "mseal", Some(462));
        check(Arch::X86_64, "open_tree_attr", Some(467));
        check(Arch::X86_64, "socketcall", None);
        check(Arch::X86, "socketcall", Some(102));
        check(Arch::X86, "clock_gettime64", Some(403));
        check(Arch::Aarch64, "openat", Some(56));
        check(Arch::Aarch64, "open", None);
        check(Arch::X32, "read", Some(X32_BIT));
        check(Arch::X32, "ioctl", Some(X32_BIT | 514));
        check(Arch::X32, "uselib", None);
    }
}
