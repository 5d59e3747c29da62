//! OCI seccomp: from the words of a profile to the program that the kernel runs before every system call.
//!
//! A program is one block per architecture: calls are found by binary search over ranges of numbers, then their
//! conditions are tried in the profile's order. Rules of one call combine so: the first whose conditions hold decides; then
//! the rule without conditions; then the profile's default. Calls newer than any that the profile names fail with ENOSYS
//! when the default would refuse them, so that C libraries fall back to the older call instead of giving up.
//!
//! Spec: OCI runtime config-linux, "Seccomp". See seccomp(2).

mod arch;
mod assemble;
mod default;
#[cfg(test)]
mod interpret;
pub mod profile;
mod syscalls;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use oci::runtime::{LinuxSeccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompSyscall};

pub use arch::Arch;
use assemble::{Block, Comparison, Condition, Instruction, Leaf, Range, Rule};
pub use default::default_profile;
use syscalls::X32_BIT;

const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_KILL_THREAD: u32 = 0;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
/// Ask the listener.
pub(crate) const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_LOG: u32 = 0x7ffc_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

const FLAG_TSYNC: u32 = 1;
const FLAG_LOG: u32 = 1 << 1;
const FLAG_SPEC_ALLOW: u32 = 1 << 2;
const FLAG_NEW_LISTENER: u32 = 1 << 3;
const FLAG_TSYNC_ESRCH: u32 = 1 << 4;
const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The kernel takes no larger errno (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;

/// A number that no call has: a tracer writes it to skip a call.
const SKIPPED: u32 = u32::MAX;

/// Marks a file that holds an encoded [`Program`].
const MAGIC: [u8; 4] = *b"BPF1";

/// A filter ready for seccomp(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// An array of `struct sock_filter`, 8 bytes each, 4096 at most.
    pub filter: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_…` for seccomp(2). With NEW_LISTENER set the call returns the listener's descriptor.
    pub flags: u32,
}

impl Program {
    /// The program as one file: a 4-byte mark, the flags (little endian), the filter.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.filter.len());
        bytes.extend(MAGIC);
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(&self.filter);
        bytes
    }

    /// Reads what [`Program::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::NotAProgram`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let fits = bytes.len() > 8
            && bytes.len().is_multiple_of(8)
            && bytes.len() <= 8 + 8 * assemble::MAX_INSTRUCTIONS
            && bytes[..4] == MAGIC;
        if !fits {
            return Err(Error::NotAProgram { len: bytes.len() });
        }
        let flags = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        Ok(Self {
            filter: bytes[8..].to_vec(),
            flags,
        })
    }

    /// Whether installing it yields a descriptor that someone must listen on.
    #[must_use]
    pub fn wants_listener(&self) -> bool {
        self.flags & FLAG_NEW_LISTENER != 0
    }
}

/// Why a profile is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An architecture that the OCI specification does not have.
    #[error("seccomp profile names the unknown architecture {name:?}")]
    UnknownArch {
        /// As written.
        name: String,
    },
    /// A flag that the OCI specification does not have.
    #[error("seccomp profile names the unknown flag {name:?}")]
    UnknownFlag {
        /// As written.
        name: String,
    },
    /// System calls have six arguments.
    #[error("seccomp rule for {syscall} compares argument {index}; there are 0 to 5")]
    NoSuchArgument {
        /// The call.
        syscall: String,
        /// As written.
        index: u32,
    },
    /// An errno that the kernel could not return.
    #[error("seccomp profile returns errno {errno}; the largest is 4095")]
    ErrnoTooLarge {
        /// As written.
        errno: u32,
    },
    /// The listener would have to answer for its own writes.
    #[error("seccomp profile asks a listener {what}, which would block the container's start")]
    NotifyDeadlock {
        /// What it asks about.
        what: &'static str,
    },
    /// More rules than fit into one program.
    #[error("seccomp profile needs {instructions} instructions; the kernel takes 4096")]
    TooLong {
        /// How many it would take.
        instructions: usize,
    },
    /// The bytes are no encoded program.
    #[error("{len} bytes are no compiled seccomp program")]
    NotAProgram {
        /// How many bytes.
        len: usize,
    },
    /// A profile's JSON cannot be read.
    #[error("read seccomp profile")]
    Json {
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A profile says the same thing in two ways.
    #[error("seccomp profile has both '{one}' and '{other}', use one of them")]
    Ambiguous {
        /// One member.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// `minKernel` is not `MAJOR.MINOR`.
    #[error("seccomp profile names the kernel version {version:?}; expected MAJOR.MINOR")]
    BadKernelVersion {
        /// As written.
        version: String,
    },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::NotAProgram { .. } => fault::Kind::Internal,
            _ => fault::Kind::Invalid,
        }
    }
}

/// Compiles a filter.
///
/// Names of calls that no architecture of the filter has are skipped: profiles are written for newer kernels too.
///
/// # Errors
/// When the profile cannot be said in one program: see [`Error`].
pub fn compile(seccomp: &LinuxSeccomp) -> Result<Program, Error> {
    let default = verdict(seccomp.default_action, seccomp.default_errno_ret)?;
    refuse_deadlocks(seccomp)?;
    let blocks = blocks(seccomp, default)?;
    let code = assemble::program(&blocks, RET_KILL_PROCESS)?;
    Ok(Program {
        filter: code.into_iter().flat_map(Instruction::to_bytes).collect(),
        flags: flags(seccomp)?,
    })
}

/// What filters may say, for the features document. Spec: OCI runtime, "Features Structure", "Seccomp".
pub(crate) fn features() -> serde_json::Value {
    let flags = [
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ];
    serde_json::json!({
        "enabled": true,
        "actions": [
            "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
            "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE",
            "SCMP_ACT_TRAP",
        ],
        "operators": [
            "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
            "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
        ],
        "archs": [
            Arch::Aarch64.oci_name(), Arch::X32.oci_name(), Arch::X86.oci_name(),
            Arch::X86_64.oci_name(),
        ],
        "knownFlags": flags,
        "supportedFlags": flags,
    })
}

/// The runtime itself writes between installing the filter and exec; nobody would answer the listener then.
fn refuse_deadlocks(seccomp: &LinuxSeccomp) -> Result<(), Error> {
    if seccomp.default_action == SeccompAction::Notify {
        let what = "about every call";
        return Err(Error::NotifyDeadlock { what });
    }
    let asks_write = |rule: &SeccompSyscall| {
        rule.action == SeccompAction::Notify && rule.names.iter().any(|name| name == "write")
    };
    if seccomp.syscalls.iter().any(asks_write) {
        let what = "about write";
        return Err(Error::NotifyDeadlock { what });
    }
    Ok(())
}

fn flags(seccomp: &LinuxSeccomp) -> Result<u32, Error> {
    let mut flags = 0;
    for name in &seccomp.flags {
        flags |= match name.as_str() {
            "SECCOMP_FILTER_FLAG_TSYNC" => FLAG_TSYNC,
            "SECCOMP_FILTER_FLAG_LOG" => FLAG_LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => FLAG_SPEC_ALLOW,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => FLAG_WAIT_KILLABLE_RECV,
            _ => return Err(Error::UnknownFlag { name: name.clone() }),
        };
    }
    if seccomp.flags.is_empty() {
        // As other runtimes do: the mitigation costs much and guards against a sandbox in one process only.
        flags = FLAG_SPEC_ALLOW;
    }
    let notifies = seccomp
        .syscalls
        .iter()
        .any(|rule| rule.action == SeccompAction::Notify);
    if notifies {
        flags |= FLAG_NEW_LISTENER;
        if flags & FLAG_TSYNC != 0 {
            // Both return a number; without this the kernel could not tell them apart and refuses.
            flags |= FLAG_TSYNC_ESRCH;
        }
    } else {
        // The kernel takes this flag only beside a listener.
        flags &= !FLAG_WAIT_KILLABLE_RECV;
    }
    Ok(flags)
}

/// `SECCOMP_RET_…` with its data.
fn verdict(action: SeccompAction, errno: Option<u32>) -> Result<u32, Error> {
    let data = errno.unwrap_or(EPERM);
    if errno.is_some_and(|errno| errno > MAX_ERRNO) {
        return Err(Error::ErrnoTooLarge { errno: data });
    }
    Ok(match action {
        SeccompAction::KillProcess => RET_KILL_PROCESS,
        SeccompAction::KillThread => RET_KILL_THREAD,
        SeccompAction::Trap => RET_TRAP,
        SeccompAction::Errno => RET_ERRNO | data,
        SeccompAction::Trace => RET_TRACE | data,
        SeccompAction::Allow => RET_ALLOW,
        SeccompAction::Log => RET_LOG,
        SeccompAction::Notify => RET_USER_NOTIF,
    })
}

/// One block per audit token; the machine's own architecture is always among them.
fn blocks(seccomp: &LinuxSeccomp, default: u32) -> Result<Vec<Block>, Error> {
    let mut arches = vec![Arch::NATIVE];
    for word in &seccomp.architectures {
        if let Some(arch) = Arch::parse(word)?
            && !arches.contains(&arch)
        {
            arches.push(arch);
        }
    }
    let mut blocks: Vec<Block> = Vec::new();
    for arch in arches.iter().copied().filter(|arch| *arch != Arch::X32) {
        let mut ranges = ranges(arch, seccomp, default)?;
        if arch == Arch::X86_64 {
            let x32 = arches.contains(&Arch::X32);
            ranges.extend(x32_ranges(x32, seccomp, default)?);
        }
        blocks.push(Block {
            audit_token: arch.audit_token(),
            ranges: merged(ranges),
        });
    }
    Ok(blocks)
}

/// The half of x86_64's numbers that x32 programs use; all of it is refused when the profile does not list x32.
fn x32_ranges(listed: bool, seccomp: &LinuxSeccomp, default: u32) -> Result<Vec<Range>, Error> {
    let mut ranges = match listed {
        true => ranges(Arch::X32, seccomp, default)?,
        false => vec![plain(X32_BIT, RET_KILL_PROCESS)],
    };
    // Runs nothing, and any verdict but this would overwrite the result that the tracer chose.
    ranges.push(plain(SKIPPED, RET_ALLOW));
    Ok(ranges)
}

/// What happens to each call of one architecture, sorted by number, without gaps.
fn ranges(arch: Arch, seccomp: &LinuxSeccomp, default: u32) -> Result<Vec<Range>, Error> {
    let base = if arch == Arch::X32 { X32_BIT } else { 0 };
    let leaves = leaves(arch, seccomp, default)?;
    let mut ranges = vec![plain(base, default)];
    let mut newest = None;
    for (nr, leaf) in leaves {
        ranges.push(Range { first: nr, leaf });
        ranges.push(plain(nr + 1, default));
        newest = Some(nr);
    }
    if let Some(newest) = newest
        && refuses(seccomp.default_action)
    {
        ranges.push(plain(newest + 1, RET_ERRNO | ENOSYS));
    }
    Ok(ranges)
}

fn refuses(action: SeccompAction) -> bool {
    !matches!(
        action,
        SeccompAction::Allow | SeccompAction::Log | SeccompAction::Notify | SeccompAction::Trace
    )
}

fn plain(first: u32, otherwise: u32) -> Range {
    let rules = Vec::new();
    Range {
        first,
        leaf: Leaf { rules, otherwise },
    }
}

/// Of ranges that begin at the same number the last counts; neighbours that say the same become one.
fn merged(ranges: Vec<Range>) -> Vec<Range> {
    let by_first: BTreeMap<u32, Leaf> = ranges
        .into_iter()
        .map(|range| (range.first, range.leaf))
        .collect();
    let mut merged: Vec<Range> = Vec::new();
    for (first, leaf) in by_first {
        if merged.last().is_none_or(|last| last.leaf != leaf) {
            merged.push(Range { first, leaf });
        }
    }
    merged
}

fn leaves(arch: Arch, seccomp: &LinuxSeccomp, default: u32) -> Result<BTreeMap<u32, Leaf>, Error> {
    let mut leaves: BTreeMap<u32, (Vec<Rule>, Option<u32>)> = BTreeMap::new();
    for rule in &seccomp.syscalls {
        let verdict = verdict(rule.action, rule.errno_ret)?;
        let alternatives = alternatives(rule)?;
        for name in &rule.names {
            let Some(nr) = syscalls::number(arch, name) else {
                continue;
            };
            let (rules, otherwise) = leaves.entry(nr).or_default();
            if rule.args.is_empty() {
                otherwise.get_or_insert(verdict);
            }
            rules.extend(alternatives.iter().cloned().map(|conditions| Rule {
                conditions,
                verdict,
            }));
        }
    }
    Ok(leaves
        .into_iter()
        .map(|(nr, (rules, otherwise))| (nr, simplified(rules, otherwise.unwrap_or(default))))
        .collect())
}

/// Rules at the end that say what happens anyway cost time and decide nothing.
fn simplified(mut rules: Vec<Rule>, otherwise: u32) -> Leaf {
    while rules.last().is_some_and(|rule| rule.verdict == otherwise) {
        rules.pop();
    }
    Leaf { rules, otherwise }
}

/// The lists of conditions of one rule, any of which suffices.
///
/// Conditions hold together, unless two of them look at the same argument: then each stands alone, as in every runtime
/// since libseccomp took one comparison per argument.
fn alternatives(rule: &SeccompSyscall) -> Result<Vec<Vec<Condition>>, Error> {
    let mut conditions = Vec::with_capacity(rule.args.len());
    let mut seen = [false; 6];
    let mut repeats = false;
    for arg in &rule.args {
        let Some(seen) = seen.get_mut(arg.index as usize) else {
            return Err(Error::NoSuchArgument {
                syscall: rule.names.first().cloned().unwrap_or_default(),
                index: arg.index,
            });
        };
        repeats |= std::mem::replace(seen, true);
        conditions.push(condition(arg));
    }
    Ok(match (conditions.is_empty(), repeats) {
        (true, _) => Vec::new(),
        (false, true) => conditions.into_iter().map(|one| vec![one]).collect(),
        (false, false) => vec![conditions],
    })
}

fn condition(arg: &SeccompArg) -> Condition {
    let value = arg.value;
    Condition {
        argument: arg.index,
        comparison: match arg.op {
            SeccompOperator::NotEqual => Comparison::NotEqual(value),
            SeccompOperator::Less => Comparison::Less(value),
            SeccompOperator::LessOrEqual => Comparison::LessOrEqual(value),
            SeccompOperator::Equal => Comparison::Equal(value),
            SeccompOperator::GreaterOrEqual => Comparison::GreaterOrEqual(value),
            SeccompOperator::Greater => Comparison::Greater(value),
            SeccompOperator::MaskedEqual => Comparison::MaskedEqual {
                mask: value,
                value: arg.value_two,
            },
        },
    }
}
