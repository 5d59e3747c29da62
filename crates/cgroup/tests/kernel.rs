//! Groups on the kernel of this machine: what we set is asked back from its files, and limits are hit. Needs root.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cgroup::{Controller, Error, Group};
use oci::runtime::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, LinuxResources, Memory, Pids, ThrottleDevice,
};

/// A group under a parent of its own; both are gone when the test ends, also when it fails.
struct Scratch {
    parent: String,
    group: Group,
}

impl Scratch {
    fn new(resources: &LinuxResources) -> Scratch {
        Self::try_new(resources).unwrap_or_else(|error| panic!("{}", fault::chain(&error)))
    }

    fn try_new(resources: &LinuxResources) -> cgroup::Result<Scratch> {
        let parent = parent_path();
        match Group::create(&format!("{parent}/box"), resources) {
            Ok(group) => Ok(Scratch { parent, group }),
            Err(error) => {
                Group::open(&parent)?.remove()?;
                Err(error)
            }
        }
    }

    /// The folder of the group in the hierarchy with this controller.
    fn folder(&self, controller: &str) -> PathBuf {
        let folders = self.group.folders();
        let by_name = folders
            .iter()
            .find(|(label, _)| label.split(',').any(|name| name == controller));
        let folder = by_name.or_else(|| folders.iter().find(|(label, _)| label.is_empty()));
        folder.expect("a folder for the controller").1.clone()
    }

    /// Reads a file of the group: `v1` when there is a v1 hierarchy for it, else `v2`.
    fn read(&self, controller: &str, v1: &str, v2: &str) -> String {
        let folder = self.folder(controller);
        let path = [v1, v2]
            .map(|file| folder.join(file))
            .into_iter()
            .find(|path| path.exists());
        let path = path.unwrap_or_else(|| panic!("neither {v1} nor {v2} in {}", folder.display()));
        std::fs::read_to_string(path)
            .expect("a readable file")
            .trim()
            .to_owned()
    }

    /// Runs a shell script inside the group; it starts once the shell is in.
    fn shell(&self, script: &str) -> Child {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let pid = i32::try_from(child.id()).expect("a pid");
        self.group.attach(pid).expect("the shell enters the group");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(b"go\n").expect("a listening shell");
        child
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.group.kill_all();
        if let Err(error) = Group::open(&self.parent).and_then(|parent| parent.remove()) {
            eprintln!("left behind: {}", fault::chain(&error));
        }
    }
}

fn parent_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("/estiva-test-{}-{n}", std::process::id())
}

fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    holds()
}

fn wait(mut child: Child) -> std::process::ExitStatus {
    assert!(
        within(Duration::from_secs(20), || matches!(
            child.try_wait(),
            Ok(Some(_))
        )),
        "the process does not end"
    );
    child.wait().expect("an ended child")
}

fn cpu(cpu: Cpu) -> LinuxResources {
    LinuxResources {
        cpu: Some(cpu),
        ..LinuxResources::default()
    }
}

fn memory(memory: Memory) -> LinuxResources {
    LinuxResources {
        memory: Some(memory),
        ..LinuxResources::default()
    }
}

fn has(controller: Controller) -> bool {
    let there = cgroup::host().expect("cgroups").has(controller);
    if !there {
        eprintln!("skipped: this machine has no {controller} controller");
    }
    there
}

const MIB: i64 = 1 << 20;

#[test]
fn a_group_is_made_everywhere_and_removed_with_what_was_made_inside() {
    let scratch = Scratch::new(&LinuxResources::default());
    let folders = scratch.group.folders();
    let host = cgroup::host().expect("cgroups");
    assert_eq!(
        folders.len(),
        host.legacy.len() + usize::from(host.unified.is_some())
    );
    for (_, folder) in &folders {
        assert!(folder.is_dir(), "{}", folder.display());
        std::fs::create_dir_all(folder.join("inner/most")).expect("a group inside");
    }
    let again = Group::open(&scratch.group.path()).expect("it is there");
    again.remove().expect("it goes");
    for (_, folder) in &folders {
        assert!(!folder.exists(), "{}", folder.display());
    }
    again.remove().expect("gone already is no error");
    assert!(matches!(
        Group::open(&scratch.group.path()),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn paths_that_lead_out_are_refused() {
    for path in ["", "relative", "/", "/a/../b", "/a//b", "/a/.", "/a\nb"] {
        let outcome = Group::create(path, &LinuxResources::default());
        assert!(matches!(outcome, Err(Error::Path { .. })), "{path:?}");
    }
}

#[test]
fn limits_are_what_the_kernel_shows() {
    let mut resources = LinuxResources {
        memory: Some(Memory {
            limit: Some(64 * MIB),
            swap: Some(96 * MIB),
            reservation: Some(32 * MIB),
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            shares: Some(512),
            quota: Some(25_000),
            period: Some(50_000),
            cpus: "0".into(),
            mems: "0".into(),
            ..Cpu::default()
        }),
        pids: Some(Pids { limit: Some(17) }),
        ..LinuxResources::default()
    };
    let scratch = Scratch::new(&resources);
    let bytes = |mib: i64| (mib * MIB).to_string();
    assert_eq!(
        scratch.read("memory", "memory.limit_in_bytes", "memory.max"),
        bytes(64)
    );
    assert_eq!(
        scratch.read("memory", "memory.soft_limit_in_bytes", "memory.low"),
        bytes(32)
    );
    assert_eq!(scratch.read("pids", "pids.max", "pids.max"), "17");
    assert_eq!(scratch.read("cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(scratch.read("cpuset", "cpuset.mems", "cpuset.mems"), "0");
    let swap = scratch.read("memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
    let weight = scratch.read("cpu", "cpu.shares", "cpu.weight");
    let quota = scratch.read("cpu", "cpu.cfs_quota_us", "cpu.max");
    if scratch.folder("cpu").join("cpu.shares").exists() {
        assert_eq!(
            (swap.as_str(), weight.as_str(), quota.as_str()),
            (bytes(96).as_str(), "512", "25000")
        );
    } else {
        assert_eq!(
            (swap.as_str(), weight.as_str(), quota.as_str()),
            (bytes(32).as_str(), "59", "25000 50000")
        );
    }

    // Raised, lowered and lifted again: whatever the order, memory stays below memory plus swap.
    for (limit, swap, expect) in [(128, 256, 128), (16, 16, 16), (200, 400, 200)] {
        resources = memory(Memory {
            limit: Some(limit * MIB),
            swap: Some(swap * MIB),
            ..Memory::default()
        });
        scratch
            .group
            .apply(&resources)
            .unwrap_or_else(|error| panic!("{limit}/{swap}: {}", fault::chain(&error)));
        assert_eq!(
            scratch.read("memory", "memory.limit_in_bytes", "memory.max"),
            bytes(expect)
        );
    }
    let unlimited = memory(Memory {
        limit: Some(-1),
        ..Memory::default()
    });
    scratch.group.apply(&unlimited).expect("limits are lifted");
    let stats = scratch.group.stats().expect("statistics");
    let kib = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    let kib: u64 = kib
        .split_whitespace()
        .nth(1)
        .and_then(|v| v.parse().ok())
        .expect("MemTotal");
    assert_eq!(stats.memory.limit, kib * 1024);
    assert_eq!(stats.pids.limit, Some(17));
}

#[test]
fn what_nobody_asked_for_is_not_set() {
    let nothing = LinuxResources {
        memory: Some(Memory {
            limit: Some(0),
            swap: Some(0),
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            shares: Some(0),
            quota: Some(0),
            period: Some(0),
            ..Cpu::default()
        }),
        pids: Some(Pids { limit: Some(-1) }),
        block_io: Some(BlockIo {
            weight: Some(0),
            ..BlockIo::default()
        }),
        ..LinuxResources::default()
    };
    let scratch = Scratch::new(&nothing);
    assert_eq!(scratch.read("pids", "pids.max", "pids.max"), "max");
    assert_eq!(scratch.group.stats().expect("statistics").pids.limit, None);
}

#[test]
fn a_missing_controller_is_named_and_nothing_is_left_behind() {
    if cgroup::host().expect("cgroups").has(Controller::Hugetlb) {
        eprintln!("skipped: this machine has the hugetlb controller");
        return;
    }
    let parent = parent_path();
    let resources = LinuxResources {
        hugepage_limits: vec![HugepageLimit {
            page_size: "2MB".into(),
            limit: 0,
        }],
        ..LinuxResources::default()
    };
    let path = format!("{parent}/box");
    let error = Group::create(&path, &resources).expect_err("there is no such controller");
    assert_eq!(
        error.to_string(),
        "cannot set hugepageLimits: the hugetlb controller is not available on this machine (see /proc/cgroups and the \
         kernel's configuration)"
    );
    assert!(matches!(Group::open(&path), Err(Error::NotFound { .. })));
    Group::open(&parent)
        .expect("the parent stays")
        .remove()
        .expect("it goes");
}

#[test]
fn a_refused_value_names_file_and_reason() {
    let error = Scratch::try_new(&cpu(Cpu {
        cpus: "4000".into(),
        ..Cpu::default()
    }))
    .err()
    .expect("there are not so many CPUs");
    let text = fault::chain(&error);
    assert!(
        text.contains("cannot set cpuset.cpus to \"4000\""),
        "{text}"
    );
    assert_eq!(error.kind(), fault::Kind::Invalid, "{text}");
}

#[test]
fn a_process_over_the_memory_limit_is_killed_and_counted() {
    let scratch = Scratch::new(&memory(Memory {
        limit: Some(24 * MIB),
        swap: Some(24 * MIB),
        ..Memory::default()
    }));
    assert_eq!(scratch.group.oom_kills().expect("a count"), 0);
    let child = scratch.shell("exec dd if=/dev/zero of=/dev/null bs=134217728 count=1");
    let status = wait(child);
    assert!(
        !status.success(),
        "128 MiB do not fit into 24 MiB: {status}"
    );
    assert!(scratch.group.oom_kills().expect("a count") >= 1);
    assert!(scratch.group.stats().expect("statistics").memory.oom_kills >= 1);
}

#[test]
fn the_kernel_gives_notice_of_an_oom_kill() {
    if !has(Controller::Memory) {
        return;
    }
    let scratch = Scratch::new(&memory(Memory {
        limit: Some(24 * MIB),
        swap: Some(24 * MIB),
        ..Memory::default()
    }));
    let notifier = scratch.group.oom_notifier().expect("the kernel tells");
    let notifier = notifier.expect("there is a memory controller");
    let read = |buffer: &mut [u8]| rustix::io::read(&notifier, buffer);
    let mut buffer = [0; 4096];
    assert_eq!(read(&mut buffer), Err(rustix::io::Errno::AGAIN));
    wait(scratch.shell("exec dd if=/dev/zero of=/dev/null bs=134217728 count=1"));
    let told = within(Duration::from_secs(5), || read(&mut buffer).is_ok());
    assert!(told, "a notice for the kill");
}

#[test]
fn a_limit_below_what_is_in_use_is_refused_when_asked_to_check() {
    let scratch = Scratch::new(&LinuxResources::default());
    let mut child = scratch
        .shell("x=$(head -c 40000000 /dev/zero | tr '\\0' a); echo ready; sleep 60; echo $x");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    let error = scratch
        .group
        .apply(&memory(Memory {
            limit: Some(8 * MIB),
            check_before_update: Some(true),
            ..Memory::default()
        }))
        .expect_err("40 MB are in use");
    assert_eq!(error.kind(), fault::Kind::Conflict);
    scratch.group.kill_all().expect("it dies");
    wait(child);
}

#[test]
fn a_group_at_its_pids_limit_cannot_fork() {
    let scratch = Scratch::new(&LinuxResources {
        pids: Some(Pids { limit: Some(3) }),
        ..LinuxResources::default()
    });
    let child =
        scratch.shell("sleep 30 & sleep 30 & sleep 30 & sleep 30 & echo not-reached; kill 0");
    let status = wait(child);
    assert!(!status.success(), "the third fork must fail: {status}");
    assert!(scratch.group.stats().expect("statistics").pids.current <= 3);
    scratch.group.kill_all().expect("the sleepers die");
    assert!(within(Duration::from_secs(5), || scratch
        .group
        .pids()
        .expect("pids")
        .is_empty()));
}

#[test]
fn a_quota_throttles_and_time_is_counted() {
    let scratch = Scratch::new(&cpu(Cpu {
        quota: Some(10_000),
        period: Some(100_000),
        ..Cpu::default()
    }));
    let mut child = scratch.shell("while :; do :; done");
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(1200));
    let stats = scratch.group.stats().expect("statistics");
    let elapsed = u64::try_from(start.elapsed().as_nanos()).expect("not so long");
    assert!(stats.cpu.throttled_periods > 2, "{stats:?}");
    assert!(stats.cpu.total > 20_000_000, "{stats:?}");
    assert!(
        stats.cpu.total < elapsed / 3,
        "a tenth of a CPU was granted: {stats:?}"
    );
    assert!(stats.cpu.system > stats.cpu.total);
    assert!(stats.cpu.online_cpus >= 1);
    assert!(!stats.memory.stat.is_empty());
    assert_eq!(stats.pids.current, 1);
    scratch.group.kill_all().expect("it dies");
    child.wait().expect("it is dead");
}

#[test]
fn a_frozen_group_makes_no_progress_until_thawed() {
    let scratch = Scratch::new(&LinuxResources::default());
    let child = scratch.shell("while :; do :; done");
    let used = || scratch.group.stats().expect("statistics").cpu.total;
    assert!(within(Duration::from_secs(5), || used() > 10_000_000));
    assert!(!scratch.group.is_frozen().expect("a state"));
    scratch.group.freeze().expect("it freezes");
    assert!(scratch.group.is_frozen().expect("a state"));
    let then = used();
    std::thread::sleep(Duration::from_millis(150));
    assert!(
        used() - then < 2_000_000,
        "it used {} ns while frozen",
        used() - then
    );
    scratch.group.thaw().expect("it thaws");
    assert!(!scratch.group.is_frozen().expect("a state"));
    assert!(within(Duration::from_secs(5), || used() > then + 20_000_000));
    scratch.group.kill_all().expect("it dies");
    wait(child);
}

#[test]
fn kill_all_kills_frozen_forking_and_nested_processes() {
    let scratch = Scratch::new(&LinuxResources::default());
    for (_, folder) in scratch.group.folders() {
        std::fs::create_dir(folder.join("inner")).expect("a group inside");
    }
    let inner = Group::open(&format!("{}/inner", scratch.group.path())).expect("it is there");
    if inner
        .folders()
        .iter()
        .any(|(label, _)| label.contains("cpuset"))
    {
        // A v1 group made by hand takes no process before it has CPUs.
        let (_, folder) = inner
            .folders()
            .into_iter()
            .find(|(label, _)| label.contains("cpuset"))
            .expect("just seen");
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let value = std::fs::read(folder.join("..").join(file)).expect("the parent's");
            std::fs::write(folder.join(file), value).expect("a value");
        }
    }
    let forker = scratch.shell("while :; do /bin/true; sleep 0.01 & done");
    let mut sleeper = scratch.shell("sleep 60 & wait");
    inner
        .attach(i32::try_from(sleeper.id()).expect("a pid"))
        .expect("it moves");
    assert!(within(Duration::from_secs(5), || scratch
        .group
        .pids()
        .expect("pids")
        .len()
        >= 3));
    scratch.group.freeze().expect("it freezes");
    scratch.group.kill_all().expect("all die");
    assert!(
        within(Duration::from_secs(5), || matches!(
            sleeper.try_wait(),
            Ok(Some(_))
        )),
        "the process inside must die too"
    );
    wait(forker);
    assert!(within(Duration::from_secs(5), || scratch
        .group
        .pids()
        .expect("pids")
        .is_empty()));
    scratch.group.remove().expect("it goes");
}

#[test]
fn a_group_with_living_processes_stays_and_says_who() {
    let scratch = Scratch::new(&LinuxResources::default());
    let mut child = scratch.shell("sleep 60");
    let error = scratch.group.remove().expect_err("someone is in it");
    let pid = child.id().to_string();
    assert!(error.to_string().contains(&pid), "{error}");
    scratch.group.kill_all().expect("it dies");
    child.wait().expect("it is dead");
}

#[test]
fn rates_of_block_devices_are_written() {
    if !has(Controller::Blkio) {
        return;
    }
    let Some((major, minor)) = a_disk() else {
        eprintln!("skipped: this machine has no disk");
        return;
    };
    let device = |rate| vec![ThrottleDevice { major, minor, rate }];
    let scratch = Scratch::new(&LinuxResources {
        block_io: Some(BlockIo {
            throttle_read_bps_device: device(1 << 20),
            throttle_write_iops_device: device(77),
            ..BlockIo::default()
        }),
        ..LinuxResources::default()
    });
    let rates = scratch.read("blkio", "blkio.throttle.read_bps_device", "io.max");
    assert!(
        rates.contains(&format!("{major}:{minor}")) && rates.contains("1048576"),
        "{rates}"
    );
    let rates = scratch.read("blkio", "blkio.throttle.write_iops_device", "io.max");
    assert!(rates.contains("77"), "{rates}");

    let error = scratch
        .group
        .apply(&LinuxResources {
            block_io: Some(BlockIo {
                throttle_read_bps_device: vec![ThrottleDevice {
                    major: 4000,
                    minor: 7,
                    rate: 1,
                }],
                ..BlockIo::default()
            }),
            ..LinuxResources::default()
        })
        .expect_err("there is no such device");
    assert!(
        fault::chain(&error).contains("no such block device"),
        "{}",
        fault::chain(&error)
    );
}

/// The numbers of a whole disk.
fn a_disk() -> Option<(i64, i64)> {
    for entry in std::fs::read_dir("/sys/block").ok()?.flatten() {
        let size = std::fs::read_to_string(entry.path().join("size")).ok()?;
        if size.trim() == "0" {
            continue;
        }
        let numbers = std::fs::read_to_string(entry.path().join("dev")).ok()?;
        let (major, minor) = numbers.trim().split_once(':')?;
        return Some((major.parse().ok()?, minor.parse().ok()?));
    }
    None
}

#[test]
fn device_rules_hold() {
    let rule = |allow, kind: &str, major, minor| DeviceRule {
        allow,
        kind: kind.into(),
        major,
        minor,
        access: "rwm".into(),
    };
    let scratch = Scratch::new(&LinuxResources {
        devices: vec![
            rule(false, "a", None, None),
            rule(true, "c", Some(1), Some(3)),
        ],
        ..LinuxResources::default()
    });
    let status = wait(scratch.shell("exec 3</dev/null"));
    assert!(status.success(), "/dev/null is allowed: {status}");
    let status = wait(scratch.shell("exec 3</dev/zero"));
    assert!(!status.success(), "/dev/zero is not allowed");
    scratch
        .group
        .apply(&LinuxResources {
            devices: vec![rule(true, "a", None, None)],
            ..LinuxResources::default()
        })
        .expect("the rules are replaced");
    let status = wait(scratch.shell("exec 3</dev/zero"));
    assert!(status.success(), "/dev/zero is allowed now: {status}");
}

#[test]
fn a_child_enters_by_itself_with_the_entry() {
    let scratch = Scratch::new(&LinuxResources::default());
    let entry = scratch.group.entry().expect("an entry");
    assert_eq!(
        entry.tasks.len(),
        cgroup::host().expect("cgroups").legacy.len()
    );
    let files: Vec<&OwnedFd> = entry.tasks.iter().chain(&entry.procs).collect();
    let path = |fd: &&OwnedFd| format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd());
    let writes: Vec<_> = files
        .iter()
        .map(|fd| format!("echo 0 > {}", path(fd)))
        .collect();
    let output = Command::new("sh")
        .args([
            "-ec",
            &format!("{}; cat /proc/$$/cgroup", writes.join("; ")),
        ])
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let outside: Vec<_> = text
        .lines()
        .filter(|line| !line.ends_with(&scratch.group.path()))
        .collect();
    assert!(outside.is_empty(), "not in the group: {outside:?}");
}
