//! The profile of containers that ask for none, equivalent to Docker's.
//!
//! An allow list: whatever is not named fails with EPERM. Left out on purpose: loading kernel code, mounting, namespaces
//! and raw kernel memory without the matching capability, kernel keyrings (not namespaced), io_uring (it runs calls
//! that no filter sees), userfaultfd, and sockets of the families VSOCK (reaches the host of a VM) and ALG (kernel crypto).

use oci::runtime::{SeccompAction, SeccompArg, SeccompOperator};

use super::ENOSYS;
use super::profile::{ArchMap, Filter, Profile, Rule};

/// Files, folders, attributes and file systems.
const FILES: &str = "access cachestat chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat \
    faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl \
    fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync \
    ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init \
    inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listmount listxattr listxattrat llistxattr \
    _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat \
    openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr \
    removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 \
    statmount statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime \
    utimensat utimensat_time64 utimes vmsplice write writev";

/// Memory.
const MEMORY: &str = "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 \
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages";

/// Processes, threads, identities, limits and scheduling.
const PROCESSES: &str = "capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait \
    futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid getegid32 geteuid geteuid32 getgid getgid32 \
    getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid getresuid32 getrlimit \
    getrusage getsid gettid getuid getuid32 ioprio_get ioprio_set landlock_add_rule landlock_create_ruleset \
    landlock_restrict_self prctl prlimit64 process_mrelease restart_syscall rseq sched_get_priority_max \
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval \
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp \
    set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups \
    setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 \
    setrlimit setsid setuid setuid32 ugetrlimit uretprobe vfork wait4 waitid waitpid";

/// Signals.
const SIGNALS: &str = "kill pause pidfd_open pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo \
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 \
    sigprocmask sigreturn tgkill tkill";

/// Waiting for events, asynchronous I/O and pipes.
const EVENTS: &str = "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old \
    eventfd eventfd2 io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect pipe \
    pipe2 poll ppoll ppoll_time64 pselect6 pselect6_time64 select";

/// Clocks and timers; setting the clock needs a capability and a rule below.
const TIME: &str = "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 \
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete \
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime \
    timerfd_gettime64 timerfd_settime timerfd_settime64 times";

/// Sockets but their creation, and System V and POSIX queues.
const MESSAGES: &str = "accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr mq_notify mq_open \
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd recv \
    recvfrom recvmmsg recvmmsg_time64 recvmsg semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto \
    setsockopt shmat shmctl shmdt shmget shutdown socketcall socketpair";

/// The machine.
const MACHINE: &str = "getrandom riscv_hwprobe sysinfo uname";

/// What a capability opens, as the kernel itself would ask for it.
const BY_CAPABILITY: &[(&str, &str)] = &[
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules \
         lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname \
         sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_PACCT", "acct"),
    (
        "CAP_SYS_PTRACE",
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    (
        "CAP_SYS_TIME",
        "clock_settime clock_settime64 settimeofday stime",
    ),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    (
        "CAP_SYS_NICE",
        "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    ),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

/// What only some machines have.
const BY_ARCHITECTURE: &[(&[&str], &str)] = &[
    (&["amd64", "x32"], "arch_prctl"),
    (&["amd64", "x32", "x86"], "modify_ldt"),
    (
        &["arm", "arm64"],
        "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    ),
];

/// Before 4.8 a tracer could lift the filter off its tracee.
const TRACING: &str = "process_vm_readv process_vm_writev ptrace";
const TRACING_IS_SAFE_SINCE: &str = "4.8";

/// PER_LINUX, PER_LINUX32, both with UNAME26, and the query.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const AF_ALG: u64 = 38;
const AF_NFC: u64 = 39;
/// AF_KCM to AF_MCTP: all behind AF_VSOCK (40).
const FAMILIES_ABOVE_VSOCK: std::ops::RangeInclusive<u64> = 41..=45;

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// The default profile; what it allows depends on the container's capabilities.
#[must_use]
pub fn default_profile() -> Profile {
    let mut syscalls = Vec::new();
    for group in [
        FILES, MEMORY, PROCESSES, SIGNALS, EVENTS, TIME, MESSAGES, MACHINE,
    ] {
        syscalls.push(allow(group));
    }
    syscalls.push(Rule {
        includes: since(TRACING_IS_SAFE_SINCE),
        ..allow(TRACING)
    });
    syscalls.extend(sockets());
    syscalls.extend(PERSONALITIES.map(|value| allow_if("personality", equal(value))));
    syscalls.extend(BY_ARCHITECTURE.iter().map(|(arches, names)| Rule {
        includes: on(arches),
        ..allow(names)
    }));
    syscalls.extend(BY_CAPABILITY.iter().map(|(cap, names)| Rule {
        includes: with(cap),
        ..allow(names)
    }));
    syscalls.extend(threads_without_namespaces());
    Profile {
        default_action: Some(SeccompAction::Errno),
        default_errno_ret: Some(super::EPERM),
        arch_map: arch_map(),
        syscalls,
        ..Profile::default()
    }
}

/// Every family but ALG and VSOCK. Said as what is allowed, never as "not 40": the kernel looks at 32 bits of the
/// argument and the filter at 64, so "not 40" would let 0x1_0000_0028 through.
fn sockets() -> Vec<Rule> {
    let below = SeccompArg {
        op: SeccompOperator::Less,
        ..equal(AF_ALG)
    };
    let mut rules = vec![allow_if("socket", below), allow_if("socket", equal(AF_NFC))];
    rules.extend(FAMILIES_ABOVE_VSOCK.map(|family| allow_if("socket", equal(family))));
    rules
}

/// Without CAP_SYS_ADMIN: threads and forks, no namespaces. clone3 keeps its flags behind a pointer that no filter can
/// follow; ENOSYS makes C libraries use clone.
fn threads_without_namespaces() -> [Rule; 2] {
    let no_namespaces = SeccompArg {
        value: NEW_NAMESPACES,
        value_two: 0,
        op: SeccompOperator::MaskedEqual,
        index: 0,
    };
    let clone = Rule {
        excludes: with("CAP_SYS_ADMIN"),
        ..allow_if("clone", no_namespaces)
    };
    let clone3 = Rule {
        action: SeccompAction::Errno,
        errno_ret: Some(ENOSYS),
        excludes: with("CAP_SYS_ADMIN"),
        ..allow("clone3")
    };
    [clone, clone3]
}

fn arch_map() -> Vec<ArchMap> {
    let map = |architecture: &str, others: &[&str]| ArchMap {
        architecture: architecture.to_owned(),
        sub_architectures: others.iter().map(|word| (*word).to_owned()).collect(),
    };
    vec![
        map("SCMP_ARCH_X86_64", &["SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
        map("SCMP_ARCH_AARCH64", &["SCMP_ARCH_ARM"]),
    ]
}

fn allow(names: &str) -> Rule {
    Rule {
        names: names.split_whitespace().map(str::to_owned).collect(),
        action: SeccompAction::Allow,
        ..Rule::default()
    }
}

fn allow_if(name: &str, arg: SeccompArg) -> Rule {
    Rule {
        args: vec![arg],
        ..allow(name)
    }
}

fn equal(value: u64) -> SeccompArg {
    SeccompArg {
        index: 0,
        value,
        value_two: 0,
        op: SeccompOperator::Equal,
    }
}

fn with(cap: &str) -> Filter {
    Filter {
        caps: vec![cap.to_owned()],
        ..Filter::default()
    }
}

fn on(arches: &[&str]) -> Filter {
    Filter {
        arches: arches.iter().map(|arch| (*arch).to_owned()).collect(),
        ..Filter::default()
    }
}

fn since(kernel: &str) -> Filter {
    Filter {
        min_kernel: kernel.to_owned(),
        ..Filter::default()
    }
}
