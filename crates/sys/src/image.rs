//! The file that this process runs from, exchanged for the same file seen through another mount.
//!
//! `/proc/PID/exe` leads to the file that was executed, and so do the mappings of its code. A process that becomes a
//! container must not offer the host's binary there (CVE-2019-5736). Executing itself again from a mount that is read-only
//! does it, and costs as much as any start of a program; this costs a fifth of that.
//!
//! Every mapping of the file is replaced, in place, by one of the other descriptor's, and pages that this process has
//! written are carried over. Then the kernel is asked to take the other file for `exe`, which it refuses as long as one
//! mapping of the old one is left: see `PR_SET_MM_MAP` in prctl(2), `replace_mm_exe_file` in the kernel.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};

const PAGE: usize = 4096;
/// Bytes of an entry of `/proc/PID/pagemap`.
const ENTRY: usize = 8;

/// Has this process, which must have one thread and be linked statically, run from `file`: the same file as its own, opened
/// for reading through another mount. See `PR_SET_MM_MAP` in prctl(2), Linux 3.18.
///
/// # Errors
/// EINVAL: the kernel was built without `CONFIG_CHECKPOINT_RESTORE`; EPERM: neither `CAP_CHECKPOINT_RESTORE` nor
/// `CAP_SYS_ADMIN`; EBUSY: a mapping of the old file is left. The process goes on as it was after each of them.
pub fn run_from(file: BorrowedFd<'_>) -> io::Result<()> {
    let inode = rustix::fs::fstat(file)?.st_ino;
    let maps = read("/proc/self/maps")?;
    let pages = open("/proc/self/pagemap")?;
    // All that is allocated is allocated here: the allocator's own words lie in pages that are about to be carried over.
    let own: Vec<Mapping> = maps.lines().filter_map(|line| parse(line, inode)).collect();
    let longest = own.iter().map(Mapping::pages).max().unwrap_or(0);
    let mut flags = vec![0u8; longest * ENTRY];
    for mapping in &own {
        let written = written_pages(mapping, &pages, &mut flags)?;
        replace(mapping, file, written)?;
    }
    let mut map = layout(&read("/proc/self/stat")?).ok_or_else(unreadable)?;
    map.exe_fd = file.as_raw_fd().unsigned_abs();
    // SAFETY: the kernel reads one `prctl_mm_map` of the size given, which lives until the call returns, and checks each of
    // its values, which are those that it has told.
    let done = unsafe {
        libc::prctl(
            libc::PR_SET_MM,
            libc::PR_SET_MM_MAP,
            &raw const map,
            size_of::<MmMap>(),
            0,
        )
    };
    super::check(done.into()).map(drop)
}

fn unreadable() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn open(path: &str) -> io::Result<OwnedFd> {
    Ok(openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn read(path: &str) -> io::Result<String> {
    let file = open(path)?;
    let mut bytes = Vec::with_capacity(8192);
    while rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes))? > 0 {
        bytes.reserve(4096);
    }
    String::from_utf8(bytes).map_err(|_| unreadable())
}

/// One mapping of the program's file.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    begin: usize,
    end: usize,
    protection: i32,
    offset: i64,
}

impl Mapping {
    fn len(&self) -> usize {
        self.end - self.begin
    }

    fn pages(&self) -> usize {
        self.len() / PAGE
    }
}

/// A line of proc_pid_maps(5), if it is about this inode.
fn parse(line: &str, inode: u64) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (begin, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?.as_bytes();
    let offset = fields.next()?;
    if fields.nth(1)?.parse() != Ok(inode) {
        return None;
    }
    let right = |at: usize, flag: i32| match rights.get(at) {
        Some(b'-') | None => 0,
        Some(_) => flag,
    };
    Some(Mapping {
        begin: usize::from_str_radix(begin, 16).ok()?,
        end: usize::from_str_radix(end, 16).ok()?,
        protection: right(0, libc::PROT_READ)
            | right(1, libc::PROT_WRITE)
            | right(2, libc::PROT_EXEC),
        offset: i64::from_str_radix(offset, 16).ok()?,
    })
}

/// Which pages are ours and no longer the file's, as entries of proc_pid_pagemap(5); none for code, which nobody writes.
fn written_pages<'a>(
    mapping: &Mapping,
    pages: &OwnedFd,
    entries: &'a mut [u8],
) -> io::Result<&'a [u8]> {
    if mapping.protection & libc::PROT_EXEC != 0 {
        return Ok(&[]);
    }
    let entries = &mut entries[..mapping.pages() * ENTRY];
    let at = (mapping.begin / PAGE * ENTRY) as u64;
    match rustix::io::pread(pages, &mut *entries, at)? {
        len if len == entries.len() => Ok(entries),
        _ => Err(unreadable()),
    }
}

/// Bit 63 tells of a page in memory, 62 of one in the swap, 61 that it belongs to a file.
fn is_written(entry: &[u8]) -> bool {
    let entry = entry.try_into().map_or(0, u64::from_ne_bytes);
    entry >> 62 != 0 && entry >> 61 & 1 == 0
}

/// Puts a mapping of `file` in the place of an equal one, at once.
fn replace(mapping: &Mapping, file: BorrowedFd<'_>, entries: &[u8]) -> io::Result<()> {
    let written = || {
        let all = entries.chunks_exact(ENTRY).enumerate();
        all.filter(|(_, entry)| is_written(entry))
            .map(|(number, _)| number * PAGE)
    };
    let carries = written().next().is_some();
    let protection = match carries {
        true => libc::PROT_READ | libc::PROT_WRITE,
        false => mapping.protection,
    };
    // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that is there.
    let copy = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            mapping.len(),
            protection,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            mapping.offset,
        )
    };
    if copy == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // From here to the move nothing may be allocated: what is written to a page after it has been copied would be lost.
    for at in written() {
        let from = std::ptr::with_exposed_provenance::<u8>(mapping.begin + at);
        // SAFETY: both are whole pages, the one readable, the other writable, in mappings of the same length.
        unsafe { std::ptr::copy_nonoverlapping(from, copy.cast::<u8>().add(at), PAGE) };
    }
    if carries {
        // SAFETY: the mapping is our own and nobody knows of it yet.
        let done = unsafe { libc::mprotect(copy, mapping.len(), mapping.protection) };
        super::check(done.into())?;
    }
    let place = std::ptr::with_exposed_provenance_mut::<c_void>(mapping.begin);
    // SAFETY: what takes the place has the same bytes and rights: the file's, and those that were written. The kernel does
    // it in one step, so code that is running or reading there does not see it happen.
    let moved = unsafe {
        libc::mremap(
            copy,
            mapping.len(),
            mapping.len(),
            libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
            place,
        )
    };
    match moved {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// `struct prctl_mm_map` of `linux/prctl.h`.
#[repr(C)]
#[derive(Debug, Default)]
struct MmMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// The layout that this process has, as the kernel tells it in proc_pid_stat(5): only `exe` is to change.
fn layout(stat: &str) -> Option<MmMap> {
    // The name, in parentheses, may hold anything; what follows it is the third field.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    // SAFETY: sbrk(0) only tells where the heap ends.
    let brk = unsafe { libc::sbrk(0) };
    Some(MmMap {
        start_code: field(26)?,
        end_code: field(27)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk: brk.addr() as u64,
        start_stack: field(28)?,
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
        ..MmMap::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mappings_of_the_file_count() {
        let line = "00590000-0122a000 r-xp 0038f000 fe:00 9994259    /usr/bin/x";
        let mapping = parse(line, 9_994_259).expect("the file's");
        assert_eq!((mapping.begin, mapping.pages()), (0x59_0000, 0xc9a));
        assert_eq!(mapping.protection, libc::PROT_READ | libc::PROT_EXEC);
        assert_eq!(mapping.offset, 0x38_f000);
        assert_eq!(parse(line, 7), None);
        assert_eq!(parse("1000-2000 rw-p 00000000 00:00 0", 9_994_259), None);
    }

    #[test]
    fn a_page_of_ours_is_in_memory_or_swap_and_no_files() {
        let written = |bits: u64| is_written(&bits.to_ne_bytes());
        assert!(written(1 << 63) && written(1 << 62));
        assert!(!written(0) && !written(1 << 63 | 1 << 61));
    }

    #[test]
    fn the_kernels_own_words_make_a_layout_that_makes_sense() {
        let map = layout(&read("/proc/self/stat").expect("procfs")).expect("all fields");
        assert!(map.start_code < map.end_code && map.start_data < map.end_data);
        assert!(map.start_brk <= map.brk && map.arg_start < map.arg_end);
    }

    #[test]
    fn written_data_is_seen_by_the_kernel_as_ours() {
        static mut WORDS: [u8; 3 * PAGE] = [1; 3 * PAGE];
        let words = &raw mut WORDS;
        // SAFETY: the bytes are in bounds, and no other test knows of them.
        unsafe { words.cast::<u8>().add(PAGE).write_volatile(2) };
        let page = words.expose_provenance() / PAGE + 1;
        let pages = open("/proc/self/pagemap").expect("procfs");
        let mut entry = [0u8; ENTRY];
        rustix::io::pread(&pages, &mut entry, (page * ENTRY) as u64).expect("one entry");
        assert!(is_written(&entry));
    }
}
