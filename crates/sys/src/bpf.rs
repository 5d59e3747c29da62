//! eBPF programs on cgroups: loading, attaching, listing.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::check;

const CMD_PROG_LOAD: libc::c_long = 5;
const CMD_PROG_ATTACH: libc::c_long = 8;
const CMD_PROG_DETACH: libc::c_long = 9;
const CMD_PROG_GET_FD_BY_ID: libc::c_long = 13;
const CMD_PROG_QUERY: libc::c_long = 16;
const CMD_LINK_CREATE: libc::c_long = 28;

/// `BPF_PROG_TYPE_CGROUP_DEVICE`: decides who may open or make which device node. Linux 4.15.
pub const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
/// `BPF_CGROUP_DEVICE`, the place such a program is attached at.
pub const ATTACH_CGROUP_DEVICE: u32 = 6;

bitflags::bitflags! {
    /// How a program is attached, `BPF_F_*`. See bpf(2).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct AttachFlags: u32 {
        /// Programs of groups below may override this one.
        const OVERRIDE = 1;
        /// Programs of groups below run as well as this one, and several may sit on one group.
        const MULTI = 2;
        /// Replace the given program of the same group. Linux 5.5.
        const REPLACE = 4;
    }
}

// SAFETY (of the callers): attr must be laid out as the kernel's `union bpf_attr` for that command, and every pointer in it
// must be good for what the command does with it.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: attr lives through the call and its size is given; the rest is the caller's promise.
    check(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            std::mem::size_of::<T>(),
        )
    })
}

fn owned(fd: libc::c_long) -> OwnedFd {
    // SAFETY: only called with what a bpf command has just returned as a new descriptor (close-on-exec).
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Loads a program of eight-byte instructions (`struct bpf_insn`) and returns its descriptor. See bpf(2).
///
/// # Errors
/// EINVAL or EACCES: the verifier refuses it; EPERM: no `CAP_BPF` (or what the program's type needs besides).
pub fn load_program(kind: u32, instructions: &[u64], license: &CStr) -> io::Result<OwnedFd> {
    #[repr(C)]
    #[derive(Default)]
    struct Attr {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
    }
    let mut attr = Attr {
        prog_type: kind,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..Attr::default()
    };
    // SAFETY: laid out as the command's part of bpf_attr; the slice and the C string live through the call.
    unsafe { bpf(CMD_PROG_LOAD, &mut attr) }.map(owned)
}

/// Attaches a program to a cgroup v2 folder, where it stays as long as the folder. See bpf(2), `BPF_PROG_ATTACH`.
///
/// # Errors
/// EPERM: a program above forbids it; EINVAL: flags do not agree with those of a program already there.
pub fn attach_program(
    target: impl AsFd,
    program: impl AsFd,
    place: u32,
    flags: AttachFlags,
    replaced: Option<&OwnedFd>,
) -> io::Result<()> {
    #[repr(C)]
    struct Attr {
        target_fd: u32,
        attach_bpf_fd: u32,
        attach_type: u32,
        attach_flags: u32,
        replace_bpf_fd: u32,
    }
    let mut attr = Attr {
        target_fd: target.as_fd().as_raw_fd() as u32,
        attach_bpf_fd: program.as_fd().as_raw_fd() as u32,
        attach_type: place,
        attach_flags: flags.bits(),
        replace_bpf_fd: replaced.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    // SAFETY: laid out as the command's part of bpf_attr; it holds integers only.
    unsafe { bpf(CMD_PROG_ATTACH, &mut attr) }?;
    Ok(())
}

/// Takes a program off a cgroup v2 folder. See bpf(2), `BPF_PROG_DETACH`.
///
/// # Errors
/// ENOENT: it is not there.
pub fn detach_program(target: impl AsFd, program: impl AsFd, place: u32) -> io::Result<()> {
    #[repr(C)]
    struct Attr {
        target_fd: u32,
        attach_bpf_fd: u32,
        attach_type: u32,
        attach_flags: u32,
    }
    let mut attr = Attr {
        target_fd: target.as_fd().as_raw_fd() as u32,
        attach_bpf_fd: program.as_fd().as_raw_fd() as u32,
        attach_type: place,
        attach_flags: 0,
    };
    // SAFETY: laid out as the command's part of bpf_attr; it holds integers only.
    unsafe { bpf(CMD_PROG_DETACH, &mut attr) }?;
    Ok(())
}

/// Attaches a program to a cgroup v2 folder for as long as the returned link is held. See bpf(2), Linux 5.7.
///
/// # Errors
/// As [`attach_program`].
pub fn create_link(target: impl AsFd, program: impl AsFd, place: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target_fd: u32,
        attach_type: u32,
        flags: u32,
    }
    let mut attr = Attr {
        prog_fd: program.as_fd().as_raw_fd() as u32,
        target_fd: target.as_fd().as_raw_fd() as u32,
        attach_type: place,
        flags: 0,
    };
    // SAFETY: laid out as the command's part of bpf_attr; it holds integers only.
    unsafe { bpf(CMD_LINK_CREATE, &mut attr) }.map(owned)
}

/// Ids of the programs (at most 64) that sit on a cgroup v2 folder itself. See bpf(2), Linux 4.16.
///
/// # Errors
/// ENOSPC: more than 64.
pub fn attached_programs(target: impl AsFd, place: u32) -> io::Result<Vec<u32>> {
    const MOST: usize = 64;
    #[repr(C)]
    struct Attr {
        target_fd: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        prog_cnt: u32,
        padding: u32,
        prog_attach_flags: u64,
    }
    let mut ids = [0u32; MOST];
    let mut attr = Attr {
        target_fd: target.as_fd().as_raw_fd() as u32,
        attach_type: place,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: MOST as u32,
        padding: 0,
        prog_attach_flags: 0,
    };
    // SAFETY: laid out as the command's part of bpf_attr; ids has room for the count given and lives through the call.
    unsafe { bpf(CMD_PROG_QUERY, &mut attr) }?;
    Ok(ids[..(attr.prog_cnt as usize).min(MOST)].to_vec())
}

/// The program of an id. See bpf(2), Linux 4.13.
///
/// # Errors
/// ENOENT: it is gone.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        id: u32,
        next_id: u32,
        open_flags: u32,
    }
    let mut attr = Attr {
        id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: laid out as the command's part of bpf_attr; it holds integers only.
    unsafe { bpf(CMD_PROG_GET_FD_BY_ID, &mut attr) }.map(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r0 = 1; exit`: allow everything.
    const ALLOW: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];

    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test says why")]
    fn the_smallest_device_program_loads() {
        match load_program(PROG_TYPE_CGROUP_DEVICE, &ALLOW, c"Apache-2.0") {
            Ok(_) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                eprintln!("skipped: this kernel lets us load no program: {error}");
            }
            Err(error) => panic!("load: {error}"),
        }
    }

    #[test]
    fn a_program_without_an_end_is_refused() {
        let error = load_program(PROG_TYPE_CGROUP_DEVICE, &ALLOW[..1], c"Apache-2.0")
            .expect_err("no exit instruction");
        assert!(error.raw_os_error().is_some());
    }
}
