//! The compiler against a plain reading of the rules, and against the kernel.

use std::io::Write;
use std::process::{Command, Stdio};

use super::interpret::{Call, run};
use super::*;

const X86_64: u32 = 0xC000_003E;
const X86: u32 = 0x4000_0003;
const AARCH64: u32 = 0xC000_00B7;

fn rule(names: &[&str], action: SeccompAction, args: &[SeccompArg]) -> SeccompSyscall {
    SeccompSyscall {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        action,
        errno_ret: None,
        args: args.to_vec(),
    }
}

fn arg(index: u32, op: SeccompOperator, value: u64, value_two: u64) -> SeccompArg {
    SeccompArg {
        index,
        value,
        value_two,
        op,
    }
}

fn profile(default: SeccompAction, syscalls: Vec<SeccompSyscall>) -> LinuxSeccomp {
    LinuxSeccomp {
        default_action: default,
        architectures: vec![
            "SCMP_ARCH_X86_64".into(),
            "SCMP_ARCH_X86".into(),
            "SCMP_ARCH_X32".into(),
            "SCMP_ARCH_AARCH64".into(),
            "SCMP_ARCH_ARM".into(),
        ],
        syscalls,
        ..LinuxSeccomp::default()
    }
}

fn default_for(caps: &[&str]) -> LinuxSeccomp {
    let capabilities: Vec<String> = caps.iter().map(|cap| (*cap).to_owned()).collect();
    let context = profile::Context {
        capabilities: &capabilities,
        arch: Arch::X86_64,
        kernel: (6, 1),
    };
    let resolved = default_profile().resolve(context);
    resolved
        .expect("the default profile is consistent")
        .expect("and not empty")
}

fn holds(arg: &SeccompArg, args: [u64; 6]) -> bool {
    let actual = args[arg.index as usize];
    match arg.op {
        SeccompOperator::NotEqual => actual != arg.value,
        SeccompOperator::Less => actual < arg.value,
        SeccompOperator::LessOrEqual => actual <= arg.value,
        SeccompOperator::Equal => actual == arg.value,
        SeccompOperator::GreaterOrEqual => actual >= arg.value,
        SeccompOperator::Greater => actual > arg.value,
        SeccompOperator::MaskedEqual => actual & arg.value == arg.value_two & arg.value,
    }
}

/// The rules read one after the other, as the module's head says them.
fn plain_reading(seccomp: &LinuxSeccomp, names: &[(&str, u32)], nr: u32, args: [u64; 6]) -> u32 {
    let meant: Vec<&str> = names
        .iter()
        .filter(|(_, known)| *known == nr)
        .map(|(name, _)| *name)
        .collect();
    let named =
        |rule: &&SeccompSyscall| rule.names.iter().any(|name| meant.contains(&name.as_str()));
    let rules: Vec<&SeccompSyscall> = seccomp.syscalls.iter().filter(named).collect();
    for rule in rules.iter().filter(|rule| !rule.args.is_empty()) {
        let mut indices: Vec<u32> = rule.args.iter().map(|arg| arg.index).collect();
        indices.sort_unstable();
        indices.dedup();
        let decides = match indices.len() == rule.args.len() {
            true => rule.args.iter().all(|arg| holds(arg, args)),
            false => rule.args.iter().any(|arg| holds(arg, args)),
        };
        if decides {
            return verdict(rule.action, rule.errno_ret).expect("a small errno");
        }
    }
    if let Some(rule) = rules.iter().find(|rule| rule.args.is_empty()) {
        return verdict(rule.action, rule.errno_ret).expect("a small errno");
    }
    let newest = || {
        seccomp
            .syscalls
            .iter()
            .flat_map(|rule| &rule.names)
            .filter_map(|name| names.iter().find(|(known, _)| known == name))
            .map(|(_, nr)| *nr)
            .max()
    };
    if refuses(seccomp.default_action) && newest().is_some_and(|newest| nr > newest) {
        return RET_ERRNO | ENOSYS;
    }
    verdict(seccomp.default_action, seccomp.default_errno_ret).expect("a small errno")
}

/// Small, seeded and good enough to mix rules (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.roll() % from.len() as u64) as usize]
    }
}

const VALUES: &[u64] = &[
    0,
    1,
    8,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0008,
    0x7e02_0000,
    0xffff_ffff_0000_0000,
    u64::MAX,
];

const ARCHES: [(Arch, u32); 4] = [
    (Arch::X86_64, X86_64),
    (Arch::X86, X86),
    (Arch::X32, X86_64),
    (Arch::Aarch64, AARCH64),
];

fn check_everything(seccomp: &LinuxSeccomp, dice: &mut Dice) {
    let program = compile(seccomp).expect("the profile compiles");
    for (arch, token) in ARCHES {
        let names = syscalls::all(arch);
        let base = if arch == Arch::X32 { X32_BIT } else { 0 };
        for nr in (0..600).chain([0x3fff_ffff, 0x2000_0000]) {
            let nr = base | nr;
            for _ in 0..2 {
                let args = std::array::from_fn(|_| dice.pick(VALUES));
                let call = Call {
                    nr,
                    arch: token,
                    args,
                };
                let (actual, _) = run(&program.filter, call);
                let expect = plain_reading(seccomp, &names, nr, args);
                assert_eq!(actual, expect, "{arch:?} {nr} {args:x?}");
            }
        }
    }
}

#[test]
fn any_mix_of_rules_means_what_a_plain_reading_says() {
    use SeccompAction as Act;
    use SeccompOperator as Op;
    let names: Vec<&str> = syscalls::all(Arch::X86_64)
        .into_iter()
        .chain(syscalls::all(Arch::X86))
        .map(|(name, _)| name)
        .collect();
    let actions = [
        Act::KillThread,
        Act::KillProcess,
        Act::Trap,
        Act::Errno,
        Act::Trace,
        Act::Allow,
        Act::Log,
    ];
    let ops = [
        Op::NotEqual,
        Op::Less,
        Op::LessOrEqual,
        Op::Equal,
        Op::GreaterOrEqual,
        Op::Greater,
        Op::MaskedEqual,
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..12 {
        let mut rules = Vec::new();
        for _ in 0..dice.roll() % 14 {
            let few: Vec<&str> = (0..1 + dice.roll() % 12)
                .map(|_| dice.pick(&names))
                .collect();
            let args: Vec<SeccompArg> = (0..dice.roll() % 4)
                .map(|_| {
                    let index = (dice.roll() % 6) as u32;
                    arg(index, dice.pick(&ops), dice.pick(VALUES), dice.pick(VALUES))
                })
                .collect();
            let mut one = rule(&few, dice.pick(&actions), &args);
            if dice.roll().is_multiple_of(2) {
                one.errno_ret = Some((dice.roll() % 4096) as u32);
            }
            rules.push(one);
        }
        let default = dice.pick(&actions);
        check_everything(&profile(default, rules), &mut dice);
    }
}

#[test]
fn the_default_profile_means_what_a_plain_reading_says() {
    let mut dice = Dice(7);
    for caps in [&[][..], &["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"][..]] {
        let mut seccomp = default_for(caps);
        seccomp.architectures.push("SCMP_ARCH_AARCH64".to_owned());
        check_everything(&seccomp, &mut dice);
    }
}

#[test]
fn every_comparison_holds_exactly_at_its_edges() {
    use SeccompOperator as Op;
    let edges = [0u64, 1, 0x1_0000_0000, 0x1_0000_0005, 0xffff_ffff, u64::MAX];
    for op in [
        Op::NotEqual,
        Op::Less,
        Op::LessOrEqual,
        Op::Equal,
        Op::GreaterOrEqual,
        Op::Greater,
        Op::MaskedEqual,
    ] {
        for value in edges {
            for two in edges {
                let condition = arg(5, op, value, two);
                let seccomp = profile(
                    SeccompAction::Allow,
                    vec![rule(&["read"], SeccompAction::Trap, &[condition])],
                );
                let program = compile(&seccomp).expect("the profile compiles");
                for near in edges {
                    for actual in [near.wrapping_sub(1), near, near.wrapping_add(1)] {
                        let args = [9, 9, 9, 9, 9, actual];
                        let call = Call {
                            nr: 0,
                            arch: X86_64,
                            args,
                        };
                        let trapped = run(&program.filter, call).0 == RET_TRAP;
                        assert_eq!(
                            trapped,
                            holds(&condition, args),
                            "{condition:?} {actual:#x}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_call_is_found_in_few_steps_and_the_program_is_small() {
    let program = compile(&default_for(&[])).expect("the profile compiles");
    let instructions = program.filter.len() / 8;
    assert!(instructions < 1000, "{instructions} instructions");
    for (name, nr) in syscalls::all(Arch::X86_64) {
        let call = Call {
            nr,
            arch: X86_64,
            args: [0; 6],
        };
        let (_, steps) = run(&program.filter, call);
        assert!(steps <= 30, "{name} takes {steps} steps");
    }
}

#[test]
fn the_default_profile_refuses_what_docker_refuses() {
    let ask = |caps: &[&str], name: &str, first: u64| {
        let program = compile(&default_for(caps)).expect("the profile compiles");
        let nr = syscalls::number(Arch::X86_64, name).expect("a call of this machine");
        let mut args = [0; 6];
        args[0] = first;
        let call = Call {
            nr,
            arch: X86_64,
            args,
        };
        run(&program.filter, call).0
    };
    let eperm = RET_ERRNO | EPERM;
    for name in [
        "mount",
        "keyctl",
        "io_uring_setup",
        "userfaultfd",
        "bpf",
        "unshare",
        "setns",
        "reboot",
        "kexec_load",
        "swapon",
        "pivot_root",
        "chroot",
        "init_module",
        "perf_event_open",
        "open_by_handle_at",
    ] {
        assert_eq!(ask(&[], name, 0), eperm, "{name}");
    }
    for name in [
        "read",
        "execve",
        "ptrace",
        "mseal",
        "futex_wait",
        "setxattrat",
    ] {
        assert_eq!(ask(&[], name, 0), RET_ALLOW, "{name}");
    }
    assert_eq!(ask(&[], "clone3", 0), RET_ERRNO | ENOSYS);
    assert_eq!(
        ask(&[], "open_tree_attr", 0),
        RET_ERRNO | ENOSYS,
        "newer than the profile"
    );
    assert_eq!(ask(&[], "clone", 17), RET_ALLOW);
    assert_eq!(ask(&[], "clone", 0x1000_0000), eperm, "CLONE_NEWUSER");
    assert_eq!(ask(&["CAP_SYS_ADMIN"], "clone3", 0), RET_ALLOW);
    assert_eq!(ask(&["CAP_SYS_ADMIN"], "mount", 0), RET_ALLOW);
    assert_eq!(ask(&["CAP_SYS_CHROOT"], "chroot", 0), RET_ALLOW);
    assert_eq!(ask(&["CAP_BPF"], "bpf", 0), RET_ALLOW);
    for family in [1, 2, 10, 16, 17, 39, 44] {
        assert_eq!(ask(&[], "socket", family), RET_ALLOW, "family {family}");
    }
    for family in [38, 40, (1 << 32) | 40, (1 << 32) | 38, 46] {
        assert_eq!(ask(&[], "socket", family), eperm, "family {family:#x}");
    }
    assert_eq!(ask(&[], "personality", 0xffff_ffff), RET_ALLOW);
    assert_eq!(
        ask(&[], "personality", 0x0040_0000),
        eperm,
        "ADDR_NO_RANDOMIZE"
    );
}

#[test]
fn foreign_calls_kill_and_a_tracers_skip_passes() {
    let only_64 = LinuxSeccomp {
        architectures: vec!["SCMP_ARCH_X86_64".to_owned()],
        ..profile(SeccompAction::Allow, Vec::new())
    };
    let program = compile(&only_64).expect("the profile compiles");
    let ask = |arch, nr| {
        run(
            &program.filter,
            Call {
                nr,
                arch,
                args: [0; 6],
            },
        )
        .0
    };
    assert_eq!(ask(X86_64, 0), RET_ALLOW);
    assert_eq!(ask(X86, 0), RET_KILL_PROCESS);
    assert_eq!(ask(AARCH64, 0), RET_KILL_PROCESS);
    assert_eq!(ask(X86_64, X32_BIT), RET_KILL_PROCESS);
    assert_eq!(ask(X86_64, u32::MAX), RET_ALLOW);
}

#[test]
fn flags_follow_the_profile_and_the_actions() {
    let flags = |flags: &[&str], action| {
        let seccomp = LinuxSeccomp {
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            ..profile(SeccompAction::Allow, vec![rule(&["mkdir"], action, &[])])
        };
        compile(&seccomp).map(|program| program.flags)
    };
    let log = "SECCOMP_FILTER_FLAG_LOG";
    let tsync = "SECCOMP_FILTER_FLAG_TSYNC";
    let killable = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";
    let (errno, notify) = (SeccompAction::Errno, SeccompAction::Notify);
    assert_eq!(flags(&[], errno).expect("none"), FLAG_SPEC_ALLOW);
    assert_eq!(flags(&[log], errno).expect("known"), FLAG_LOG);
    assert_eq!(flags(&[log, killable], errno).expect("known"), FLAG_LOG);
    assert_eq!(
        flags(&[tsync, killable], notify).expect("known"),
        FLAG_TSYNC | FLAG_NEW_LISTENER | FLAG_TSYNC_ESRCH | FLAG_WAIT_KILLABLE_RECV
    );
    assert!(matches!(
        flags(&["NOPE"], errno),
        Err(Error::UnknownFlag { .. })
    ));
}

#[test]
fn what_cannot_work_is_refused() {
    let refusal = |seccomp: LinuxSeccomp| compile(&seccomp).unwrap_err().to_string();
    assert_eq!(
        refusal(profile(SeccompAction::Notify, Vec::new())),
        "seccomp profile asks a listener about every call, which would block the container's start"
    );
    let notify_write = rule(&["read", "write"], SeccompAction::Notify, &[]);
    assert_eq!(
        refusal(profile(SeccompAction::Allow, vec![notify_write])),
        "seccomp profile asks a listener about write, which would block the container's start"
    );
    let seventh = arg(6, SeccompOperator::Equal, 0, 0);
    assert_eq!(
        refusal(profile(
            SeccompAction::Allow,
            vec![rule(&["read"], SeccompAction::Trap, &[seventh])]
        )),
        "seccomp rule for read compares argument 6; there are 0 to 5"
    );
    let mut huge = rule(&["read"], SeccompAction::Errno, &[]);
    huge.errno_ret = Some(4096);
    assert_eq!(
        refusal(profile(SeccompAction::Allow, vec![huge])),
        "seccomp profile returns errno 4096; the largest is 4095"
    );
    let endless: Vec<SeccompSyscall> = (0..3000)
        .map(|value| {
            let condition = arg(0, SeccompOperator::Equal, value, 0);
            rule(&["read"], SeccompAction::Trap, &[condition])
        })
        .collect();
    assert!(refusal(profile(SeccompAction::Allow, endless)).contains("the kernel takes 4096"));
}

#[test]
fn a_program_survives_its_file() {
    let program = compile(&default_for(&[])).expect("the profile compiles");
    let bytes = program.encode();
    assert_eq!(Program::decode(&bytes).expect("our own file"), program);
    assert!(Program::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(Program::decode(&program.filter).is_err());
}

/// Installs the filter on stdin, makes the calls given as arguments and prints what each returned.
const PROBE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sock_filter code[4096];

int main(int argc, char **argv) {
    size_t bytes = fread(code, 1, sizeof code, stdin);
    struct sock_fprog program = { .len = bytes / 8, .filter = code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, atol(argv[1]), &program) < 0) return 2;
    for (int i = 2; i + 1 < argc; i += 2) {
        errno = 0;
        syscall(atol(argv[i]), strtoul(argv[i + 1], 0, 0), 0, 0, 0, 0, 0);
        printf("%d\n", errno);
    }
    return 0;
}
"#;

#[test]
fn the_kernel_loads_the_default_profile_and_obeys_it() {
    let dir = std::env::temp_dir().join(format!("estiva-seccomp-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder of our own");
    let (source, probe) = (dir.join("probe.c"), dir.join("probe"));
    std::fs::write(&source, PROBE).expect("the probe's source is written");
    let compiled = Command::new("cc")
        .arg("-o")
        .arg(&probe)
        .arg(&source)
        .status();
    assert!(compiled.expect("cc is installed").success());

    let program = compile(&default_for(&[])).expect("the profile compiles");
    let number = |name| {
        syscalls::number(Arch::X86_64, name)
            .expect("a call of this machine")
            .to_string()
    };
    let calls = [
        (number("getpid"), "0", 0),
        (number("mount"), "0", 1),
        (number("clone3"), "0", 38),
        (number("unshare"), "0", 1),
        (number("personality"), "0xffffffff", 0),
        (number("personality"), "0x40000", 1),
        (number("socket"), "40", 1),
        ("468".to_owned(), "0", 38),
    ];
    let mut command = Command::new(&probe);
    command.arg(program.flags.to_string());
    for (nr, first, _) in &calls {
        command.arg(nr).arg(first);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the probe runs");
    child
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(&program.filter)
        .expect("the probe reads the filter");
    let output = child.wait_with_output().expect("the probe ends");
    std::fs::remove_dir_all(&dir).expect("the folder is ours");
    assert!(output.status.success(), "{:?}", output.status);
    let printed = String::from_utf8(output.stdout).expect("numbers");
    let errnos: Vec<i32> = printed
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    let expect: Vec<i32> = calls.iter().map(|(.., errno)| *errno).collect();
    assert_eq!(errnos, expect);
}
