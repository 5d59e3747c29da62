//! The device filter of v2: a small eBPF program made from the rules.
//!
//! The kernel runs it at every open and mknod of a device node with what is asked for, and lets pass what returns 1:
//!
//! ```text
//! type, wanted, major, minor = context
//! for rule in rules, the last first:
//!     if the rule is about this device:
//!         allow: wanted -= rule.access; if nothing is left: return 1
//!         deny:  if wanted and rule.access meet: return 0
//! return 0
//! ```
//! So for each right the last rule that matches decides, and the default is to deny.
//! See `struct bpf_cgroup_dev_ctx` in linux/bpf.h.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::OFlags;
use sys::bpf::{self, Insn};

use crate::device::{DeviceKind, Rule};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::hierarchy::Controller;

/// Loads the filter and attaches it in place of one attached before.
pub(crate) fn apply(dir: &Dir, rules: &[Rule]) -> Result<()> {
    let failed = |step: &'static str| {
        let group = dir.group().to_owned();
        move |source: io::Error| Error::DeviceProgram {
            group,
            step,
            source,
        }
    };
    let folder = dir
        .open(OFlags::RDONLY)
        .map_err(|errno| dir.unreadable(Controller::Devices, ".", errno))?;
    let program = bpf::load_device_filter(&emit(rules)).map_err(failed("load"))?;
    let mut old = Vec::new();
    for id in bpf::device_filters(&folder).map_err(failed("query"))? {
        old.push(bpf::program_by_id(id).map_err(failed("query"))?);
    }
    if let [only] = old.as_slice()
        && bpf::attach_device_filter(&folder, &program, Some(only.as_fd())).is_ok()
    {
        return Ok(());
    }
    // All attached filters must agree, so adding the new one before taking the old ones off opens no gap.
    bpf::attach_device_filter(&folder, &program, None).map_err(failed("attach"))?;
    for old in old {
        bpf::detach_device_filter(&folder, &old).map_err(failed("replace"))?;
    }
    Ok(())
}

// --- The program ---

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbf;
const MOVE: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP: u8 = 0x05;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const JUMP_IF_ANY_BIT: u8 = 0x45;
const EXIT: u8 = 0x95;

fn insn(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Insn {
    Insn {
        code,
        registers: if cfg!(target_endian = "little") {
            to | from << 4
        } else {
            to << 4 | from
        },
        offset,
        immediate,
    }
}

fn emit(rules: &[Rule]) -> Vec<Insn> {
    let mut program = vec![
        insn(LOAD_WORD, KIND, CONTEXT, 0, 0),
        insn(MOVE_REGISTER, WANTED, KIND, 0, 0),
        insn(AND, KIND, 0, 0, 0xffff),
        insn(SHIFT_RIGHT, WANTED, 0, 0, 16),
        insn(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        emit_rule(&mut program, rule);
        // What follows could not be reached, which the verifier refuses in nobody's favour.
        if rule.is_total() {
            break;
        }
    }
    program.extend([insn(MOVE, RESULT, 0, 0, 0), insn(EXIT, 0, 0, 0, 0)]);
    program
}

fn emit_rule(program: &mut Vec<Insn>, rule: &Rule) {
    let access = i32::from(rule.access.bits());
    let verdict = |allow: bool| {
        [
            insn(MOVE, RESULT, 0, 0, allow.into()),
            insn(EXIT, 0, 0, 0, 0),
        ]
    };
    let body = if rule.allow {
        let mut body = vec![
            insn(AND, WANTED, 0, 0, !access),
            insn(JUMP_IF_NOT_EQUAL, WANTED, 0, 2, 0),
        ];
        body.extend(verdict(true));
        body
    } else {
        let mut body = vec![
            insn(JUMP_IF_ANY_BIT, WANTED, 0, 1, access),
            insn(JUMP, 0, 0, 2, 0),
        ];
        body.extend(verdict(false));
        body
    };
    let kind = rule.kind.map(|kind| match kind {
        DeviceKind::Block => 1,
        DeviceKind::Char => 2,
    });
    // A number above i32::MAX is refused when the rule is checked.
    let number = |number: Option<u32>| number.and_then(|number| i32::try_from(number).ok());
    let conditions: Vec<_> = [
        (KIND, kind),
        (MAJOR, number(rule.major)),
        (MINOR, number(rule.minor)),
    ]
    .into_iter()
    .filter_map(|(register, value)| Some((register, value?)))
    .collect();
    for (at, (register, value)) in conditions.iter().enumerate() {
        let over = conditions.len() - at - 1 + body.len();
        let over = i16::try_from(over).expect("a rule is at most seven instructions long");
        program.push(insn(JUMP_IF_NOT_EQUAL, *register, 0, over, *value));
    }
    program.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Access, rules, tests::rule};

    /// Runs the program as the kernel would; panics on what the verifier would refuse.
    fn run(program: &[Insn], kind: u32, wanted: u8, major: u32, minor: u32) -> bool {
        let context = [u32::from(wanted) << 16 | kind, major, minor];
        let mut registers = [0u64; 11];
        let mut at = 0usize;
        for _ in 0..10_000 {
            let i = program[at];
            let (to, from) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let immediate = i64::from(i.immediate).cast_unsigned();
            let mut jump = false;
            match i.code {
                LOAD_WORD => {
                    assert_eq!(from, usize::from(CONTEXT));
                    registers[to] = context[usize::try_from(i.offset / 4).unwrap()].into();
                }
                MOVE_REGISTER => registers[to] = registers[from],
                MOVE => registers[to] = immediate,
                AND => registers[to] &= immediate,
                SHIFT_RIGHT => registers[to] >>= immediate,
                JUMP => jump = true,
                JUMP_IF_NOT_EQUAL => jump = registers[to] != immediate,
                JUMP_IF_ANY_BIT => jump = registers[to] & immediate != 0,
                EXIT => return registers[0] == 1,
                other => panic!("unknown operation {other:#x}"),
            }
            at += 1;
            if jump {
                at = at.checked_add_signed(i.offset.into()).unwrap();
            }
        }
        panic!("the program does not end");
    }

    /// The rules' meaning, right by right: the last that matches decides.
    fn expect(rules: &[Rule], kind: u32, wanted: u8, major: u32, minor: u32) -> bool {
        let kind = if kind == 1 {
            DeviceKind::Block
        } else {
            DeviceKind::Char
        };
        [Access::MKNOD, Access::READ, Access::WRITE]
            .into_iter()
            .filter(|bit| wanted & bit != 0)
            .all(|bit| {
                rules
                    .iter()
                    .rev()
                    .find(|r| {
                        r.kind.is_none_or(|k| k == kind)
                            && r.major.is_none_or(|m| m == major)
                            && r.minor.is_none_or(|m| m == minor)
                            && r.access.bits() & bit != 0
                    })
                    .is_some_and(|r| r.allow)
            })
    }

    fn check(spec: &[&str]) {
        let spec: Vec<_> = spec.iter().map(|text| rule(text)).collect();
        let rules = rules(&spec).expect("good rules");
        let program = emit(&rules);
        for kind in [1, 2] {
            for wanted in 1..8 {
                for major in [0, 1, 5, 136, 4095] {
                    for minor in [0, 1, 3, 5, 1_048_575] {
                        assert_eq!(
                            run(&program, kind, wanted, major, minor),
                            expect(&rules, kind, wanted, major, minor),
                            "{spec:?}: kind {kind} wanted {wanted} {major}:{minor}"
                        );
                    }
                }
            }
        }
        bpf::load_device_filter(&program).expect("the kernel's verifier takes the program");
    }

    #[test]
    fn the_program_decides_as_the_rules_say_and_the_kernel_takes_it() {
        check(&[]);
        check(&["deny a *:* rwm"]);
        check(&["allow a *:* rwm"]);
        check(&[
            "deny a *:* rwm",
            "allow c *:* m",
            "allow b *:* m",
            "allow c 1:3 rwm",
            "allow c 136:* rwm",
        ]);
        check(&["allow a *:* rwm", "deny c 1:3 w", "deny b *:* m"]);
        check(&["allow c 1:* rwm", "deny c 1:3 w", "allow c 1:3 r"]);
        check(&["allow c 1:3 r", "allow c *:3 w", "deny a *:5 rw"]);
    }

    #[test]
    fn a_last_rule_about_everything_ends_the_program() {
        let all = rules(&[rule("allow c 1:3 rwm"), rule("allow a *:* rwm")]).expect("good rules");
        assert_eq!(emit(&all).len(), 6 + 4 + 2);
    }
}
