//! Ways around the system call filter: other numbers for the same call, the halves of arguments that 32 bits do not show,
//! calls that the profile has never heard of, and sockets that lead out of the machine or into the kernel's cipher code.

use std::path::PathBuf;

use testkit::Engine;

use super::support::compile;

/// Makes one system call in a child: `calls NUMBER [ARGUMENT...]`, or with `int80` first by the way of 32-bit programs.
/// An argument is a number, or a path. Says the errno (0 for success), or the signal that the child died of.
const CALLS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int first = 1, old = argc > 1 && !strcmp(argv[1], "int80"), status;
    unsigned long value[4] = {0, 0, 0, 0};
    if (old)
        first++;
    char *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    for (int at = first; at < argc && at < first + 4; at++) {
        value[at - first] = strtoul(argv[at], 0, 0);
        if (argv[at][0] == '/')
            value[at - first] = (unsigned long)strcpy(low, argv[at]);
    }
    fflush(stdout);
    if (fork() == 0) {
        long got;
        if (old) {
            __asm__ volatile("int $0x80" : "=a"(got)
                             : "a"(value[0]), "b"(value[1]), "c"(value[2]), "d"(value[3])
                             : "memory", "r8", "r9", "r10", "r11");
            _exit((int)got < 0 ? -(int)got : 0);
        }
        errno = 0;
        got = syscall(value[0], value[1], value[2], value[3]);
        _exit(got < 0 ? errno : 0);
    }
    wait(&status);
    if (WIFSIGNALED(status))
        printf("signal %d\n", WTERMSIG(status));
    else
        printf("%d\n", WEXITSTATUS(status));
}
"#;

const EPERM: &str = "1";
const EIO: &str = "5";
const ENOSYS: &str = "38";
const KILLED: &str = "signal 31";

/// The calls of 64-bit x86 by number.
const MKDIR: u32 = 83;
const LSEEK: u32 = 8;
const SOCKET: u32 = 41;
/// The numbers of x32 programs have this bit.
const X32: u32 = 0x4000_0000;
/// mkdir of 32-bit programs.
const OLD_MKDIR: u32 = 39;

struct Calls {
    engine: Engine,
    program: PathBuf,
}

impl Calls {
    fn new() -> Option<Self> {
        if std::env::consts::ARCH != "x86_64" {
            testkit::skip("the numbers of calls are those of x86_64");
            return None;
        }
        let engine = testkit::engine();
        let program = compile(&engine, "calls", CALLS);
        Some(Self { engine, program })
    }

    /// What a call says in a container that is started with these options.
    fn say(&self, options: &str, call: &str) -> String {
        let program = self.program.display();
        self.engine.ok(&format!(
            "run --rm {options} -v {program}:/calls:ro busybox /calls {call}"
        ))
    }

    /// The options for a profile of one's own.
    fn profile(&self, json: &str) -> String {
        let file = self.engine.root().join("profile.json");
        std::fs::write(&file, json).expect("a file of ours");
        format!("--security-opt seccomp={}", file.display())
    }
}

const OPEN: &str = "--security-opt seccomp=unconfined";

#[test]
fn a_refused_call_is_refused_by_each_of_its_numbers() {
    let Some(calls) = Calls::new() else { return };
    let profile = calls.profile(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]}"#,
    );
    assert_eq!(calls.say(OPEN, &format!("{MKDIR} /x 0755")), "0");
    assert_eq!(calls.say(&profile, &format!("{MKDIR} /x 0755")), EIO);
    let x32 = MKDIR | X32;
    assert_eq!(calls.say(&profile, &format!("{x32} /x 0755")), KILLED);
    // A kernel without 32-bit programs ends whoever tries.
    let old = format!("int80 {OLD_MKDIR} /x 0755");
    if calls.say(OPEN, &old) == "0" {
        assert_eq!(calls.say(&profile, &old), KILLED);
    }
}

#[test]
fn an_argument_is_compared_with_all_of_its_bits() {
    let Some(calls) = Calls::new() else { return };
    let seek = |op: &str, value: u64, offset: &str| {
        let profile = calls.profile(&format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{{"names": ["lseek"], "action": "SCMP_ACT_ERRNO",
                "errnoRet": 5, "args": [{{"index": 1, "value": {value}, "op": "SCMP_CMP_{op}"}}]}}]}}"#
        ));
        calls.say(&profile, &format!("{LSEEK} 99 {offset}"))
    };
    const EBADF: &str = "9";
    assert_eq!(seek("GE", 4096, "4095"), EBADF);
    for offset in ["4096", "0x100000000", "0xffffffff00000001"] {
        assert_eq!(seek("GE", 4096, offset), EIO, "{offset}");
        assert_eq!(seek("GT", 4095, offset), EIO, "{offset}");
        assert_eq!(seek("NE", 1, offset), EIO, "{offset}");
    }
    assert_eq!(seek("EQ", 1 << 32, "0"), EBADF);
    assert_eq!(seek("EQ", 1 << 32, "0x100000000"), EIO);
    assert_eq!(seek("LT", 1 << 32, "0x100000001"), EBADF);
    assert_eq!(seek("LE", 1 << 32, "0x100000000"), EIO);
}

#[test]
fn calls_that_the_profile_has_never_heard_of_are_not_there() {
    let Some(calls) = Calls::new() else { return };
    // "Not permitted" would have a C library give up where it could fall back.
    for call in ["999", "0x3fffffff"] {
        assert_eq!(calls.say("", call), ENOSYS, "{call}");
    }
    let x32 = X32 | 999;
    assert_eq!(calls.say("", &x32.to_string()), ENOSYS);
    // keyctl, io_uring_setup, bpf: known and refused, by the numbers of x32 as well.
    for call in [250, 425, 321] {
        assert_eq!(calls.say("", &call.to_string()), EPERM, "{call}");
        assert_ne!(calls.say("", &(X32 | call).to_string()), "0", "{call}");
    }
}

#[test]
fn sockets_to_a_vms_host_and_into_the_kernels_ciphers_are_refused() {
    let Some(calls) = Calls::new() else { return };
    let datagram = 2;
    assert_eq!(calls.say("", &format!("{SOCKET} 1 {datagram}")), "0");
    for family in ["40", "38", "0x100000028", "0x100000026"] {
        for kind in [1, datagram, 5] {
            let call = format!("{SOCKET} {family} {kind}");
            assert_eq!(calls.say("", &call), EPERM, "{call}");
        }
    }
}
