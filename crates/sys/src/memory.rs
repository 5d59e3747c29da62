//! The C library's allocator, told to give back what a long-lived small process does not need.

/// Has every block of `bytes` or more taken by a mapping of its own, which freeing gives back at once.
///
/// Without this glibc raises the bound after the first large block is freed, and an idle process keeps what a busy one
/// needed. See mallopt(3), `M_MMAP_THRESHOLD`.
pub fn map_large_blocks(bytes: i32) {
    // SAFETY: mallopt takes two integers and has no other condition.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes);
    }
}

/// Has all threads share this many heaps; without it glibc makes up to eight a CPU, each keeping what it once needed.
/// See mallopt(3), `M_ARENA_MAX`. To be called before there are threads.
pub fn share_heaps(count: i32) {
    // SAFETY: mallopt takes two integers and has no other condition.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, count);
    }
}

/// Gives the heap's free pages back to the kernel. See malloc_trim(3).
pub fn trim_heap() {
    // SAFETY: malloc_trim takes an integer and has no other condition.
    unsafe {
        libc::malloc_trim(0);
    }
}

unsafe extern "C" {
    /// Where the program's image begins. Defined by the linker, as [`etext`] is. See end(3).
    static __executable_start: u8;
    /// Where its code ends.
    static etext: u8;
}

/// Has the kernel take this process's view of its own code and constants away: what is used again is mapped again from
/// the page cache, what only the start needed is not. See madvise(2), `MADV_DONTNEED`.
///
/// The kernel maps sixteen pages around each that is touched, so in a large program a start alone can make megabytes
/// resident.
pub fn forget_code() {
    // A page in use at both ends is left alone: data may begin on the last one.
    const PAGE: usize = 4096;
    let begin = (&raw const __executable_start)
        .addr()
        .next_multiple_of(PAGE);
    let end = (&raw const etext).addr() & !(PAGE - 1);
    if begin < end {
        let begin = (&raw const __executable_start).with_addr(begin);
        // SAFETY: from its first page to the end of its code the image is a private mapping of the program's file that
        // nobody writes to, so the kernel's copy and ours are the same, and touching a page brings it back.
        unsafe {
            libc::madvise(
                begin.cast_mut().cast(),
                end - begin.addr(),
                libc::MADV_DONTNEED,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_forgotten_still_runs_and_constants_are_the_same() {
        let words = ["a", "constant"];
        forget_code();
        assert_eq!(words.concat(), "aconstant");
    }
}
