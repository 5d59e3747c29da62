//! The root, mounts, devices, masked and read-only paths.

use std::os::unix::fs::symlink;

use oci::Rootfs;
use oci::runtime::{Device, IdMapping, Mount};

use crate::Test;
use crate::testbed::{Bed, strings};

pub(crate) const TESTS: &[Test] = &[
    (
        "the_root_is_writable_and_writes_stay_in_the_upper_layer",
        writes,
    ),
    ("a_read_only_root_is_one", readonly_root),
    ("a_folder_can_be_the_root", folder_root),
    ("layers_are_stacked_the_topmost_first", layers),
    ("long_layer_paths_work", long_paths),
    ("the_devices_are_there", devices),
    ("masked_paths_are_empty", masked),
    ("read_only_paths_cannot_be_written", readonly_paths),
    ("masking_a_link_is_refused", masked_link),
    ("nothing_of_the_host_is_mounted", no_host_mounts),
    ("binds_are_made_with_their_options", binds),
    (
        "recursive_read_only_reaches_mounts_below",
        recursive_readonly,
    ),
    ("mount_points_are_made_inside_the_root_only", inside_only),
    ("proc_cannot_be_a_link_nor_covered", proc_guard),
    ("a_tmpfs_can_take_over_what_the_image_has", copy_up),
    ("ids_of_a_bind_can_be_shifted", idmapped),
    ("cgroups_are_shown_read_only", cgroup_mount),
    ("mounts_of_the_host_come_in_where_asked_for", propagation),
];

fn bind(source: &std::path::Path, destination: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: "bind".to_owned(),
        source: source.display().to_string(),
        options: strings(options),
        ..Mount::default()
    }
}

fn writes() {
    let bed = Bed::sh("echo x > /etc/new; rm /etc/passwd; echo done");
    assert_eq!(bed.output(), "done\n");
    assert_eq!(
        std::fs::read_to_string(bed.upper().join("etc/new")).expect("in the upper layer"),
        "x\n"
    );
    assert!(bed.layer().join("etc/passwd").exists());
}

fn readonly_root() {
    let mut bed = Bed::sh("touch /x; touch /dev/shm/y && echo shm; mount | grep ' on / '");
    bed.spec
        .root
        .as_mut()
        .expect("made by the testbed")
        .readonly = true;
    let outcome = bed.run().expect("runs");
    assert!(
        outcome.stderr.contains("Read-only file system"),
        "{outcome:?}"
    );
    assert!(
        outcome.stdout.starts_with("shm\n") && outcome.stdout.contains("(ro,"),
        "{outcome:?}"
    );
}

fn folder_root() {
    let mut bed = Bed::sh("cat /etc/passwd | head -1");
    bed.rootfs = Rootfs::Path { path: bed.layer() };
    assert_eq!(bed.output(), "root:x:0:0:root:/root:/bin/sh\n");
}

fn layers() {
    let mut bed = Bed::sh("cat /f");
    let mut lower = Vec::new();
    for n in 0..40 {
        let layer = bed.dir.join(format!("l{n}"));
        std::fs::create_dir(&layer).expect("our own folder");
        std::fs::write(layer.join("f"), n.to_string()).expect("our own file");
        lower.push(layer);
    }
    lower.push(bed.layer());
    bed.rootfs = Rootfs::Overlay {
        lower,
        upper: bed.upper(),
        work: bed.dir.join("work"),
        idmap: None,
    };
    assert_eq!(bed.output(), "0");
}

fn long_paths() {
    let mut bed = Bed::sh("cat /f");
    let long = bed
        .dir
        .join("d".repeat(200))
        .join("with:colon,and\\more")
        .join("e".repeat(200));
    for part in ["lower", "upper", "work"] {
        std::fs::create_dir_all(long.join(part)).expect("our own folder");
    }
    std::fs::write(long.join("lower/f"), "deep").expect("our own file");
    bed.rootfs = Rootfs::Overlay {
        lower: vec![long.join("lower"), bed.layer()],
        upper: long.join("upper"),
        work: long.join("work"),
        idmap: None,
    };
    assert_eq!(bed.output(), "deep");
}

fn devices() {
    let mut bed = Bed::sh(
        "stat -c '%n %t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/own/dev; \
         for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; echo x > /dev/null; head -c 3 /dev/zero | wc -c; \
         stat -c '%u:%g' /dev/own/dev",
    );
    bed.linux().devices = vec![Device {
        path: "/dev/own/dev".into(),
        kind: "b".to_owned(),
        major: 7,
        minor: 200,
        file_mode: Some(0o640),
        uid: Some(3),
        gid: Some(4),
    }];
    assert_eq!(
        bed.output(),
        "/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n/dev/random 1:8 666\n/dev/urandom 1:9 666\n\
         /dev/tty 5:0 666\n/dev/own/dev 7:c8 640\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n\
         pts/ptmx\n3\n3:4\n"
    );
}

fn masked() {
    let said = Bed::sh("cat /proc/kcore | wc -c; cat /proc/keys | wc -c; ls /sys/firmware | wc -l; touch /sys/firmware/x").run().expect("runs");
    assert_eq!(said.stdout, "0\n0\n0\n");
    assert!(said.stderr.contains("Read-only"), "{said:?}");
}

fn readonly_paths() {
    let said = Bed::sh("echo 1 > /proc/sys/kernel/panic; echo x > /sys/kernel/uevent_helper")
        .run()
        .expect("runs");
    assert_eq!(
        said.stderr.matches("Read-only file system").count(),
        2,
        "{said:?}"
    );
}

fn masked_link() {
    let mut bed = Bed::new(&["true"]);
    symlink("/etc/passwd", bed.layer().join("trap")).expect("our own folder");
    bed.linux().masked_paths = strings(&["/trap"]);
    let error = bed.run().expect_err("a link is not masked");
    assert!(fault::chain(&error).contains("/trap is a symbolic link"));
    let mut bed = Bed::sh("cat /etc/shadow; cat /etc/passwd | wc -l");
    std::fs::write(bed.layer().join("etc/shadow"), "secret").expect("our own file");
    bed.linux().masked_paths = strings(&["/etc/shadow", "/not/there", "/etc/passwd/below"]);
    assert_eq!(bed.output(), "2\n");
}

fn no_host_mounts() {
    let said = Bed::new(&["cat", "/proc/self/mountinfo"]).output();
    let points: Vec<_> = said
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .collect();
    assert_eq!(points[0], "/", "{said}");
    let known = ["/", "/proc", "/dev", "/sys"];
    assert!(
        points.iter().all(|point| known
            .iter()
            .any(|k| point == k || (*k != "/" && point.starts_with(&format!("{k}/"))))),
        "{said}"
    );
    assert!(!said.contains("shared:"), "{said}");
    assert_eq!(
        points.iter().filter(|point| **point == "/").count(),
        1,
        "{said}"
    );
}

fn binds() {
    let mut bed = Bed::sh(
        "cat /data/f /file; touch /data/new; echo x >> /file; grep -E ' /(data|file|rw) ' /proc/self/mountinfo; echo y > /rw/out",
    );
    let volume = bed.dir.join("volume");
    std::fs::create_dir(&volume).expect("our own folder");
    std::fs::write(volume.join("f"), "content\n").expect("our own file");
    bed.spec.mounts.extend([
        bind(
            &volume,
            "/data",
            &["rbind", "rprivate", "ro", "nosuid", "noexec"],
        ),
        bind(&volume.join("f"), "/file", &["bind", "ro"]),
        bind(&volume, "/rw", &["rbind", "rprivate"]),
    ]);
    let outcome = bed.run().expect("runs");
    assert!(
        outcome.stdout.starts_with("content\ncontent\n"),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.stderr.matches("Read-only file system").count(),
        2,
        "{outcome:?}"
    );
    let data = outcome
        .stdout
        .lines()
        .find(|line| line.contains(" /data "))
        .expect("mounted");
    assert!(data.contains("ro,nosuid,noexec"), "{data}");
    assert_eq!(
        std::fs::read_to_string(volume.join("out")).expect("written"),
        "y\n"
    );
}

fn recursive_readonly() {
    let mut bed = Bed::sh("touch /ro/sub/x; touch /rro/sub/x; ls /ro/sub");
    let volume = bed.dir.join("volume");
    std::fs::create_dir_all(volume.join("sub")).expect("our own folder");
    rustix::mount::mount(
        "tmpfs",
        volume.join("sub"),
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        None,
    )
    .expect("as root");
    bed.spec.mounts.extend([
        bind(&volume, "/ro", &["rbind", "rprivate", "ro"]),
        bind(&volume, "/rro", &["rbind", "rprivate", "rro"]),
    ]);
    let outcome = bed.run();
    rustix::mount::unmount(volume.join("sub"), rustix::mount::UnmountFlags::DETACH)
        .expect("we mounted it");
    let outcome = outcome.expect("runs");
    assert_eq!(outcome.stdout, "x\n");
    assert_eq!(
        outcome.stderr.matches("Read-only").count(),
        1,
        "{outcome:?}"
    );
}

fn inside_only() {
    let mut bed = Bed::sh("ls /run/here /up");
    let outside = bed.dir.join("outside");
    std::fs::create_dir(&outside).expect("our own folder");
    symlink("/run", bed.layer().join("var")).expect("our own folder");
    symlink("../../../../../../../../up", bed.layer().join("rel")).expect("our own folder");
    symlink(&outside, bed.layer().join("abs")).expect("our own folder");
    std::fs::write(bed.dir.join("f"), "").expect("our own file");
    let source = bed.dir.clone();
    bed.spec.mounts.extend([
        bind(&source, "/var/here", &["bind", "rprivate"]),
        bind(&source.join("f"), "/rel/file", &["bind"]),
        bind(&source.join("f"), "/abs/file", &["bind"]),
    ]);
    let said = bed.output();
    assert!(said.contains("outside") && said.contains("file"), "{said}");
    assert!(
        std::fs::read_dir(&outside).expect("ours").next().is_none(),
        "nothing was made outside"
    );
}

fn proc_guard() {
    let mut bed = Bed::new(&["true"]);
    symlink("/etc", bed.layer().join("proc")).expect("our own folder");
    let text = fault::chain(&bed.run().expect_err("a link"));
    assert!(
        text.contains("must be mounted on an ordinary directory"),
        "{text}"
    );

    bed = Bed::new(&["true"]);
    let source = bed.dir.clone();
    bed.spec.mounts.push(bind(&source, "/proc/sys", &["bind"]));
    let text = fault::chain(&bed.run().expect_err("inside /proc"));
    assert!(text.contains("because it is inside /proc"), "{text}");

    bed = Bed::sh("cat /proc/uptime");
    std::fs::write(bed.dir.join("up"), "forever\n").expect("our own file");
    let source = bed.dir.join("up");
    bed.spec
        .mounts
        .push(bind(&source, "/proc/uptime", &["bind", "ro"]));
    assert_eq!(bed.output(), "forever\n");
}

fn copy_up() {
    let mut bed = Bed::sh(
        "cat /seed/a/b /seed/link; stat -c '%a %u' /seed /seed/a; touch /seed/new; mount | grep -c 'on /seed'",
    );
    let seed = bed.layer().join("seed/a");
    std::fs::create_dir_all(&seed).expect("our own folder");
    std::fs::write(seed.join("b"), "bee\n").expect("our own file");
    symlink("a/b", bed.layer().join("seed/link")).expect("our own folder");
    rustix::fs::chmod(
        bed.layer().join("seed"),
        rustix::fs::Mode::from_raw_mode(0o1751),
    )
    .expect("ours");
    rustix::fs::chown(&seed, Some(rustix::fs::Uid::from_raw(9)), None).expect("ours");
    bed.spec.mounts.push(Mount {
        destination: "/seed".into(),
        kind: "tmpfs".to_owned(),
        source: "tmpfs".to_owned(),
        options: strings(&["tmpcopyup"]),
        ..Mount::default()
    });
    assert_eq!(bed.output(), "bee\nbee\n1751 0\n755 9\n1\n");
    assert!(!bed.upper().join("seed/new").exists());
}

fn idmapped() {
    let mut bed = Bed::sh("stat -c %u /data/f");
    let volume = bed.dir.join("volume");
    std::fs::create_dir(&volume).expect("our own folder");
    std::fs::write(volume.join("f"), "").expect("our own file");
    let mut mount = bind(&volume, "/data", &["bind", "idmap"]);
    let shift = IdMapping {
        container_id: 0,
        host_id: 100_000,
        size: 1000,
    };
    mount.uid_mappings = vec![shift];
    mount.gid_mappings = vec![shift];
    bed.spec.mounts.push(mount);
    assert_eq!(bed.output(), "100000\n");
}

fn cgroup_mount() {
    let bed =
        Bed::sh("mkdir /sys/fs/cgroup/x; mkdir /sys/fs/cgroup/*/x; ls /sys/fs/cgroup").grouped();
    let outcome = bed.run().expect("runs");
    assert!(
        outcome.stderr.contains("Read-only file system"),
        "{outcome:?}"
    );
    assert!(!outcome.stdout.is_empty(), "{outcome:?}");
    assert!(!outcome.stderr.contains("File exists"), "{outcome:?}");
}

fn propagation() {
    use rustix::mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
    };
    let mut bed = Bed::sh(
        "while ! test -e /slave/sub/f; do sleep 0.02; done; test -e /private/sub/f || echo private",
    );
    let volume = bed.dir.join("volume");
    std::fs::create_dir_all(volume.join("sub")).expect("our own folder");
    mount_bind(&volume, &volume).expect("as root");
    mount_change(&volume, MountPropagationFlags::SHARED).expect("we mounted it");
    bed.spec.mounts.extend([
        bind(&volume, "/slave", &["rbind", "rslave"]),
        bind(&volume, "/private", &["rbind", "rprivate"]),
    ]);
    let running = bed.start();
    mount(
        "tmpfs",
        volume.join("sub"),
        "tmpfs",
        MountFlags::empty(),
        None,
    )
    .expect("as root");
    std::fs::write(volume.join("sub/f"), "").expect("our own file");
    let outcome = running.end();
    unmount(volume.join("sub"), UnmountFlags::DETACH).expect("we mounted it");
    unmount(&volume, UnmountFlags::DETACH).expect("we mounted it");
    assert_eq!(outcome.stdout, "private\n");
}
