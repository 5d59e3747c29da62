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
