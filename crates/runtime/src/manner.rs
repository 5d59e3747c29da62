//! What a caller may ask for beyond the spec.

/// How a process is made, beyond what its spec says; the default is the safest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// This many descriptors from 3 on, open in the caller, survive the exec.
    pub preserve_fds: u32,
    /// Change the root instead of pivoting to it; for machines that run from an initramfs.
    pub no_pivot: bool,
    /// Stay in the caller's session keyring.
    pub keeps_keyring: bool,
}
