//! What few kernels have: huge pages under a limit, classes of packets, SELinux. `tests/vm/run runtime::uncommon` has all.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{Bundle, proc};

/// Huge pages that the machine keeps for programs, as long as this lives.
struct HugePages(String);

const KEPT: &str = "/proc/sys/vm/nr_hugepages";

impl HugePages {
    fn keep(count: u32) -> Self {
        let before = std::fs::read_to_string(KEPT).expect("a kernel with huge pages");
        std::fs::write(KEPT, count.to_string()).expect("we are root");
        Self(before)
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        drop(std::fs::write(KEPT, &self.0));
    }
}

#[test]
fn a_limit_of_huge_pages_is_the_kernels() {
    let here = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if !here.contains("hugetlb") {
        return testkit::skip("this machine limits no huge pages by cgroup v2");
    }
    let _pages = HugePages::keep(4);
    let mut bundle = Bundle::sh(
        "fallocate -l 2097152 /huge/one && echo one; fallocate -l 4194304 /huge/more || echo refused; sleep 100",
    );
    let mounts = bundle.spec["mounts"].as_array_mut().expect("a list");
    mounts.push(json!({
        "destination": "/huge", "type": "hugetlbfs", "source": "huge", "options": ["pagesize=2M"],
    }));
    bundle.spec["linux"]["resources"]["hugepageLimits"] =
        json!([{ "pageSize": "2MB", "limit": 2_097_152 }]);
    bundle.start();
    testkit::eventually("the second is refused", || {
        bundle.text("out").contains("refused")
    });
    assert_eq!(
        bundle.text("out"),
        "one\nrefused\n",
        "{}",
        bundle.text("err")
    );
    let limit = testkit::cgroup::read(
        bundle.pid(),
        "hugetlb",
        "hugetlb.2MB.limit_in_bytes",
        "hugetlb.2MB.max",
    );
    assert_eq!(limit, "2097152");
    let event: Value = serde_json::from_str(&bundle.ok("events --stats ID")).expect("JSON");
    let told = &event["data"]["hugetlb"]["2MB"];
    assert_eq!(told["usage"], 2_097_152, "{event}");
    assert!(
        told["failcnt"].as_u64().is_some_and(|count| count > 0),
        "{event}"
    );
}

/// The folder of a process's group in the v1 hierarchy of a controller, wherever that is mounted.
fn v1_folder(pid: i32, controller: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - cgroup ")?;
        let has = right.split([' ', ',']).any(|word| word == controller);
        left.split(' ').nth(4).filter(|_| has)
    })?;
    let groups = proc::read(pid, "cgroup")?;
    let group = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let has = controllers.split(',').any(|word| word == controller);
        has.then_some(path)
    })?;
    Some(Path::new(mount).join(group.trim_start_matches('/')))
}

#[test]
fn classes_and_priorities_of_packets_are_the_groups() {
    if v1_folder(1, "net_cls").is_none() {
        return testkit::skip("no hierarchy of net_cls is mounted");
    }
    let mut bundle = Bundle::sh("sleep 100");
    bundle.spec["linux"]["resources"]["network"] =
        json!({ "classID": 0x0010_0001, "priorities": [{ "name": "lo", "priority": 3 }] });
    // Priorities are of the links that the one sees who writes them.
    let namespaces = bundle.spec["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list");
    namespaces.retain(|namespace| namespace["type"] != "network");
    bundle.start();
    let folder = v1_folder(bundle.pid(), "net_cls").expect("it is there");
    assert!(folder.ends_with(&bundle.id), "{}", folder.display());
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).expect("its file");
    assert_eq!(read("net_cls.classid").trim(), "1048577");
    assert!(read("net_prio.ifpriomap").contains("lo 3\n"));
    bundle.ok("delete --force ID");
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[test]
fn labels_of_selinux_are_the_processes_and_the_mounts() {
    // The labels are of tests/vm/selinux.cil.
    let own = std::fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    if !own.starts_with("u:r:host_t:") {
        return testkit::skip("this machine has no SELinux with the labels of the story");
    }
    let (process, files) = ("u:r:box_t:s0:c0", "u:object_r:box_file_t:s0:c0");
    let mut bundle = Bundle::sh("cat /proc/self/attr/current; sleep 100");
    bundle.set("/process/noNewPrivileges", json!(false));
    bundle.spec["process"]["selinuxLabel"] = json!(process);
    bundle.spec["linux"]["mountLabel"] = json!(files);
    bundle.start();
    let label = |text: &str| text.trim_matches(['\0', '\n']).to_owned();
    testkit::eventually("it has spoken", || !bundle.text("out").is_empty());
    assert_eq!(label(&bundle.text("out")), process);
    let mounts = proc::read(bundle.pid(), "mountinfo").expect("it runs");
    for point in ["/dev", "/dev/shm", "/dev/pts"] {
        let line = mounts
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(point));
        let line = line.unwrap_or_else(|| panic!("no {point}:\n{mounts}"));
        assert!(
            line.contains(&format!("context=\"{files}\""))
                || line.contains(&format!("context={files}")),
            "{line}"
        );
    }
    let queues = format!("/proc/{}/root/dev/mqueue", bundle.pid());
    let mut found = [0; 64];
    let len = rustix::fs::getxattr(queues, "security.selinux", &mut found[..]).expect("a label");
    assert_eq!(label(&String::from_utf8_lossy(&found[..len])), files);
    let joined = bundle.ok("exec ID cat /proc/self/attr/current");
    assert_eq!(label(&joined), process);
    // The label of a program that is not to have one is that of whom it stems from.
    let plain = Bundle::sh("cat /proc/self/attr/current");
    assert_eq!(label(&plain.ok("run ID")), label(&own));
    bundle.ok("delete --force ID");
    // The kernel knows no such label.
    bundle.spec["process"]["selinuxLabel"] = json!("u:r:nobody_t:s0");
    let error = bundle.fails(1, "run ID");
    assert!(error.contains("u:r:nobody_t:s0"), "{error}");
    assert!(bundle.leftovers().is_empty(), "{:?}", bundle.leftovers());
}
