//! Capability sets as bit masks. See capabilities(7).

use std::io;

use crate::check;

/// Every capability without its `CAP_`, in the kernel's order: the place is the number. See capabilities(7), Linux 5.9.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The three sets of a thread; bit n is capability n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// What is checked.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What passes an execve of a file that inherits it.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The calling thread's sets. See capget(2).
///
/// # Errors
/// None that a live kernel gives.
pub fn get() -> io::Result<Sets> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut halves = [Half::default(); 2];
    // SAFETY: version 3 fills two halves; both arguments live through the call.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) })?;
    Ok(Sets {
        effective: join(halves[0].effective, halves[1].effective),
        permitted: join(halves[0].permitted, halves[1].permitted),
        inheritable: join(halves[0].inheritable, halves[1].inheritable),
    })
}

/// Sets the calling thread's sets. See capset(2).
///
/// # Errors
/// EPERM: more than we had.
pub fn set(sets: &Sets) -> io::Result<()> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let half = |shift: u32| Half {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let halves = [half(0), half(32)];
    // SAFETY: version 3 reads two halves; both arguments live through the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) })?;
    Ok(())
}

/// Whether a capability is in the bounding set; `None` when the kernel does not know its number.
/// See `PR_CAPBSET_READ(2const)`.
#[must_use]
pub fn in_bounding_set(capability: u8) -> Option<bool> {
    // SAFETY: takes integers only.
    let answer = unsafe {
        libc::prctl(
            libc::PR_CAPBSET_READ,
            libc::c_ulong::from(capability),
            0,
            0,
            0,
        )
    };
    match answer {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Takes a capability out of the bounding set. See `PR_CAPBSET_DROP(2const)`.
///
/// # Errors
/// EINVAL: the kernel does not know it; EPERM: no `CAP_SETPCAP`.
pub fn drop_from_bounding_set(capability: u8) -> io::Result<()> {
    // SAFETY: takes integers only.
    check(libc::c_long::from(unsafe {
        libc::prctl(
            libc::PR_CAPBSET_DROP,
            libc::c_ulong::from(capability),
            0,
            0,
            0,
        )
    }))?;
    Ok(())
}

/// Empties the ambient set. See `PR_CAP_AMBIENT(2const)`, Linux 4.3.
///
/// # Errors
/// None that a live kernel gives.
pub fn clear_ambient() -> io::Result<()> {
    // SAFETY: takes integers only.
    check(libc::c_long::from(unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    }))?;
    Ok(())
}

/// Adds a capability to the ambient set. See `PR_CAP_AMBIENT(2const)`, Linux 4.3.
///
/// # Errors
/// EPERM: not both permitted and inheritable.
pub fn raise_ambient(capability: u8) -> io::Result<()> {
    // SAFETY: takes integers only.
    check(libc::c_long::from(unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE,
            libc::c_ulong::from(capability),
            0,
            0,
        )
    }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_what_we_have_changes_nothing() {
        let before = get().expect("capget");
        set(&before).expect("capset of the same");
        assert_eq!(get().expect("capget"), before);
    }

    #[test]
    fn a_number_beyond_the_last_capability_is_unknown() {
        assert!(in_bounding_set(0).is_some());
        assert_eq!(in_bounding_set(63), None);
    }
}
