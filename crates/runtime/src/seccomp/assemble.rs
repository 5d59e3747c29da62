//! From ranges of system call numbers to classic BPF: a binary search tree with rules at its leaves.
//!
//! ```text
//! ld arch ─► one block per audit token ─► ld nr ─► jge … jge ─► leaf: compare arguments, return
//! ```
//! On the way to a leaf only the instructions stand that the kernel's own constant folding understands, so a call that
//! is always allowed never runs the program at all (`seccomp_is_const_allow`, Linux 5.11).

use super::Error;

/// `BPF_MAXINSNS`: the kernel takes no longer program.
pub(super) const MAX_INSTRUCTIONS: usize = 4096;

const LD_ABS: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JA: u16 = 0x05; // BPF_JMP | BPF_JA
const JEQ: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JGT: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const JGE: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RET: u16 = 0x06; // BPF_RET | BPF_K

const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGS: u32 = 16;

/// One `struct sock_filter`. See `linux/filter.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) jt: u8,
    pub(super) jf: u8,
    pub(super) k: u32,
}

impl Instruction {
    /// Its bytes as the kernel reads them.
    pub(super) fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&self.code.to_ne_bytes());
        bytes[2] = self.jt;
        bytes[3] = self.jf;
        bytes[4..].copy_from_slice(&self.k.to_ne_bytes());
        bytes
    }
}

/// How an argument is compared; 64 bits, unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    MaskedEqual { mask: u64, value: u64 },
}

/// One condition on one argument (0 to 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u32,
    pub(super) comparison: Comparison,
}

/// Conditions that must all hold, and what the filter returns then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) conditions: Vec<Condition>,
    pub(super) verdict: u32,
}

/// What happens to a call: the first rule that holds decides, else `otherwise`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) rules: Vec<Rule>,
    pub(super) otherwise: u32,
}

/// The calls from `first` up to the next range's first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) leaf: Leaf,
}

/// All calls of one audit token; the ranges are sorted and the first begins at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) audit_token: u32,
    pub(super) ranges: Vec<Range>,
}

/// The program of all blocks; calls of any other architecture get `foreign`.
pub(super) fn program(blocks: &[Block], foreign: u32) -> Result<Vec<Instruction>, Error> {
    let mut code = vec![load(OFFSET_ARCH)];
    for block in blocks {
        let mut body = vec![load(OFFSET_NR)];
        body.extend(tree(&block.ranges)?);
        code.extend(branch(JEQ, block.audit_token, &body));
        code.extend(body);
    }
    code.push(ret(foreign));
    if code.len() > MAX_INSTRUCTIONS {
        return Err(Error::TooLong {
            instructions: code.len(),
        });
    }
    Ok(code)
}

/// Goes on when the comparison holds and jumps over `body` when it does not.
fn branch(code: u16, k: u32, body: &[Instruction]) -> Vec<Instruction> {
    match u8::try_from(body.len()) {
        Ok(jf) => vec![jump(code, k, 0, jf)],
        Err(_) => vec![jump(code, k, 1, 0), far(body.len())],
    }
}

fn tree(ranges: &[Range]) -> Result<Vec<Instruction>, Error> {
    let [only] = ranges else {
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let below = tree(low)?;
        let above = tree(high)?;
        let mut code = match u8::try_from(below.len()) {
            Ok(jt) => vec![jump(JGE, high[0].first, jt, 0)],
            Err(_) => vec![jump(JGE, high[0].first, 0, 1), far(below.len())],
        };
        code.extend(below);
        code.extend(above);
        return Ok(code);
    };
    let mut code = Vec::new();
    for rule in &only.leaf.rules {
        code.extend(rule_code(rule)?);
    }
    code.push(ret(only.leaf.otherwise));
    Ok(code)
}

/// Where a comparison leads: on to the next condition, or out of the rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exit {
    Holds,
    Fails,
    Next,
}

/// A rule's conditions in order, then its verdict; a failed condition jumps behind it.
fn rule_code(rule: &Rule) -> Result<Vec<Instruction>, Error> {
    let parts: Vec<Vec<Step>> = rule.conditions.iter().map(condition_steps).collect();
    let length: usize = parts.iter().map(Vec::len).sum::<usize>() + 1;
    let mut code = Vec::with_capacity(length);
    for part in parts {
        let end_of_condition = code.len() + part.len();
        for step in part {
            let here = code.len() + 1;
            let target = |exit| match exit {
                Exit::Next => 0,
                Exit::Holds => end_of_condition - here,
                Exit::Fails => length - here,
            };
            code.push(match step {
                Step::Load(offset) => load(offset),
                Step::And(mask) => plain(AND, mask),
                Step::Test { code, k, yes, no } => {
                    let too_far = |_| Error::TooLong {
                        instructions: length,
                    };
                    let jt = u8::try_from(target(yes)).map_err(too_far)?;
                    let jf = u8::try_from(target(no)).map_err(too_far)?;
                    jump(code, k, jt, jf)
                }
            });
        }
    }
    code.push(ret(rule.verdict));
    Ok(code)
}

enum Step {
    Load(u32),
    And(u32),
    Test {
        code: u16,
        k: u32,
        yes: Exit,
        no: Exit,
    },
}

/// A 64-bit comparison made of 32-bit ones: the high word first.
fn condition_steps(condition: &Condition) -> Vec<Step> {
    use Exit::{Fails, Holds, Next};
    let low_at =
        OFFSET_ARGS + 8 * condition.argument + if cfg!(target_endian = "big") { 4 } else { 0 };
    let high_at =
        OFFSET_ARGS + 8 * condition.argument + if cfg!(target_endian = "big") { 0 } else { 4 };
    let test = |code, k, yes, no| Step::Test { code, k, yes, no };
    match condition.comparison {
        Comparison::Equal(value) => vec![
            Step::Load(high_at),
            test(JEQ, high(value), Next, Fails),
            Step::Load(low_at),
            test(JEQ, low(value), Holds, Fails),
        ],
        Comparison::NotEqual(value) => vec![
            Step::Load(high_at),
            test(JEQ, high(value), Next, Holds),
            Step::Load(low_at),
            test(JEQ, low(value), Fails, Holds),
        ],
        Comparison::Greater(value) => vec![
            Step::Load(high_at),
            test(JGT, high(value), Holds, Next),
            test(JEQ, high(value), Next, Fails),
            Step::Load(low_at),
            test(JGT, low(value), Holds, Fails),
        ],
        Comparison::GreaterOrEqual(value) => vec![
            Step::Load(high_at),
            test(JGT, high(value), Holds, Next),
            test(JEQ, high(value), Next, Fails),
            Step::Load(low_at),
            test(JGE, low(value), Holds, Fails),
        ],
        Comparison::Less(value) => vec![
            Step::Load(high_at),
            test(JGT, high(value), Fails, Next),
            test(JEQ, high(value), Next, Holds),
            Step::Load(low_at),
            test(JGE, low(value), Fails, Holds),
        ],
        Comparison::LessOrEqual(value) => vec![
            Step::Load(high_at),
            test(JGT, high(value), Fails, Next),
            test(JEQ, high(value), Next, Holds),
            Step::Load(low_at),
            test(JGT, low(value), Fails, Holds),
        ],
        Comparison::MaskedEqual { mask, value } => {
            let mut steps = Vec::with_capacity(6);
            // Words the mask leaves nothing of are not looked at.
            if high(mask) != 0 {
                steps.push(Step::Load(high_at));
                steps.push(Step::And(high(mask)));
                steps.push(test(JEQ, high(value & mask), Next, Fails));
            }
            if low(mask) != 0 {
                steps.push(Step::Load(low_at));
                steps.push(Step::And(low(mask)));
                steps.push(test(JEQ, low(value & mask), Holds, Fails));
            }
            steps
        }
    }
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

fn low(value: u64) -> u32 {
    value as u32
}

fn load(offset: u32) -> Instruction {
    plain(LD_ABS, offset)
}

fn ret(verdict: u32) -> Instruction {
    plain(RET, verdict)
}

fn far(over: usize) -> Instruction {
    plain(JA, over as u32)
}

fn plain(code: u16, k: u32) -> Instruction {
    jump(code, k, 0, 0)
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}
