//! bpf(2), as far as device filters of cgroups need it.

use std::ffi::c_long;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const BPF_PROG_LOAD: c_long = 5;
const BPF_PROG_ATTACH: c_long = 8;
const BPF_PROG_DETACH: c_long = 9;
const BPF_PROG_GET_FD_BY_ID: c_long = 13;
const BPF_PROG_QUERY: c_long = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;
const BPF_F_REPLACE: u32 = 1 << 2;

/// The most programs that one cgroup can hold. See `BPF_CGROUP_MAX_PROGS` in the kernel.
const MAX_PROGRAMS: usize = 64;

/// One eBPF instruction, `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high four (little endian machines).
    pub registers: u8,
    /// Jump distance or memory offset.
    pub offset: i16,
    /// Constant operand.
    pub immediate: i32,
}

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct IdAttr {
    prog_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// Loads a device filter. See bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE, Linux 4.15.
///
/// # Errors
/// EINVAL or EACCES when the verifier refuses the program, EPERM without CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN).
pub fn load_device_filter(program: &[Insn]) -> io::Result<OwnedFd> {
    let mut attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        insns: program.as_ptr() as u64,
        license: c"Apache".as_ptr() as u64,
        prog_name: *b"estiva_devices\0\0",
        ..LoadAttr::default()
    };
    // SAFETY: the attribute is a valid union member for BPF_PROG_LOAD; `program` and the licence outlive the call.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &mut attr) }?;
    owned(fd)
}

/// Attaches a device filter to a v2 cgroup, beside others or in place of `replace` (Linux 5.6).
///
/// # Errors
/// EPERM when a cgroup above does not allow several programs; EINVAL when this kernel cannot replace.
pub fn attach_device_filter(
    cgroup: impl AsFd,
    program: impl AsFd,
    replace: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attr = AttachAttr {
        target_fd: raw(cgroup.as_fd()),
        attach_bpf_fd: raw(program.as_fd()),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI | replace.map_or(0, |_| BPF_F_REPLACE),
        replace_bpf_fd: replace.map_or(0, raw),
    };
    // SAFETY: the attribute is a valid union member for BPF_PROG_ATTACH and holds no pointer.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attr) }.map(drop)
}

/// Takes a device filter off a v2 cgroup.
///
/// # Errors
/// ENOENT when it is not attached.
pub fn detach_device_filter(cgroup: impl AsFd, program: impl AsFd) -> io::Result<()> {
    let mut attr = AttachAttr {
        target_fd: raw(cgroup.as_fd()),
        attach_bpf_fd: raw(program.as_fd()),
        attach_type: BPF_CGROUP_DEVICE,
        ..AttachAttr::default()
    };
    // SAFETY: the attribute is a valid union member for BPF_PROG_DETACH and holds no pointer.
    unsafe { bpf(BPF_PROG_DETACH, &mut attr) }.map(drop)
}

/// The ids of the device filters attached to a v2 cgroup itself.
///
/// # Errors
/// EINVAL when this kernel has no device filters.
pub fn device_filters(cgroup: impl AsFd) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; MAX_PROGRAMS];
    let mut attr = QueryAttr {
        target_fd: raw(cgroup.as_fd()),
        attach_type: BPF_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: MAX_PROGRAMS as u32,
        ..QueryAttr::default()
    };
    // SAFETY: the attribute is a valid union member for BPF_PROG_QUERY; `prog_ids` has room for `prog_cnt` numbers and
    // outlives the call.
    unsafe { bpf(BPF_PROG_QUERY, &mut attr) }?;
    Ok(ids[..(attr.prog_cnt as usize).min(MAX_PROGRAMS)].to_vec())
}

/// Opens a loaded program by its id.
///
/// # Errors
/// ENOENT when it is gone.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = IdAttr {
        prog_id: id,
        ..IdAttr::default()
    };
    // SAFETY: the attribute is a valid union member for BPF_PROG_GET_FD_BY_ID and holds no pointer.
    let fd = unsafe { bpf(BPF_PROG_GET_FD_BY_ID, &mut attr) }?;
    owned(fd)
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    // A borrowed descriptor is never negative.
    fd.as_raw_fd().cast_unsigned()
}

fn owned(fd: c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us (close-on-exec), and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// `attr` must be the union member of `command`, with pointers that are valid for it during the call.
unsafe fn bpf<T>(command: c_long, attr: &mut T) -> io::Result<c_long> {
    // SAFETY: the kernel reads (and for queries writes) `size_of::<T>()` bytes at `attr`, which is exclusively borrowed;
    // the caller vouches for its content.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
