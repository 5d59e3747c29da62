//! The architectures a filter can speak of.

use super::Error;

/// An instruction set with a system call table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86, whose calls a 64-bit kernel takes too.
    X86,
    /// 64-bit x86 with 32-bit pointers; shares the audit token of [`Arch::X86_64`].
    X32,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// What this program was built for.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        Self::X86_64
    };

    /// Docker's word for it in a profile's `includes` and `excludes`.
    #[must_use]
    pub fn docker_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
        }
    }

    /// The OCI word for it, `SCMP_ARCH_…`.
    #[must_use]
    pub fn oci_name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
        }
    }

    /// Reads the OCI word. `Ok(None)` for the architectures of machines we do not run on: their calls cannot reach this kernel.
    ///
    /// # Errors
    /// [`Error::UnknownArch`] for a word the OCI specification does not have.
    pub fn parse(word: &str) -> Result<Option<Self>, Error> {
        match word {
            "SCMP_ARCH_X86_64" => Ok(Some(Self::X86_64)),
            "SCMP_ARCH_X86" => Ok(Some(Self::X86)),
            "SCMP_ARCH_X32" => Ok(Some(Self::X32)),
            "SCMP_ARCH_AARCH64" => Ok(Some(Self::Aarch64)),
            other if ELSEWHERE.contains(&other) => Ok(None),
            other => Err(Error::UnknownArch {
                name: other.to_owned(),
            }),
        }
    }

    /// `seccomp_data.arch` for it. See `linux/audit.h`.
    pub(super) fn audit_token(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xC000_003E,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xC000_00B7,
        }
    }
}

/// Spec: OCI runtime config-linux, "Seccomp", the other architectures.
const ELSEWHERE: &[&str] = &[
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
];
