//! `/proc`, `/sys`, `/dev` and our own files in `/etc`, bent by the image (CVE-2019-19921, CVE-2025-31133,
//! CVE-2025-52565, CVE-2025-52881, CVE-2026-41579): either refused or mounted in the container, never on the host.

use std::path::Path;

use testkit::Engine;
use testkit::image::Image;
use testkit::tar::{Archive, Header};

use super::support::{Secret, load};

/// An image in which these paths, removed first, are links.
fn bent(links: &[(&str, &str)]) -> Image {
    let layer = links
        .iter()
        .fold(Archive::new(), |archive, (name, target)| {
            archive.with(&Header::symlink(name, target), &[])
        });
    let gone = links.iter().fold(Archive::new(), |archive, (name, _)| {
        let path = Path::new(name);
        let parent = path
            .parent()
            .map_or(String::new(), |p| format!("{}/", p.display()));
        let leaf = path.file_name().expect("a name").to_string_lossy();
        archive.file(format!("{parent}.wh.{leaf}").trim_start_matches('/'), b"")
    });
    Image::new("bent:1")
        .layer(gone.finish())
        .layer(layer.finish())
}

/// Device, number and mode of what every container gets a place of its own for.
fn host() -> Vec<(u64, u64, u32, u64)> {
    use std::os::unix::fs::MetadataExt;
    [
        "/dev/null",
        "/dev",
        "/proc",
        "/sys",
        "/etc/hosts",
        "/etc",
        "/dev/pts",
        "/dev/shm",
    ]
    .iter()
    .filter_map(|path| std::fs::metadata(path).ok())
    .map(|meta| (meta.dev(), meta.ino(), meta.mode(), meta.rdev()))
    .collect()
}

fn mounts() -> usize {
    let info = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    // Those of other stories come and go.
    info.lines()
        .filter(|line| !line.contains("estiva-"))
        .count()
}

const LOOK: &str = "sh -c 'stat -f -c %t /proc; stat -c %t,%T /dev/null; \
    echo x > /proc/sysrq-trigger; echo x > /proc/sys/kernel/core_pattern; head -c1 /proc/keys | wc -c; cat /secret'";

#[track_caller]
fn check_harmless(engine: &Engine, secret: &Secret, image: &Image, options: &str) {
    let (before, mounted) = (host(), mounts());
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("procfs");
    load(engine, image);
    for tty in ["", "-t"] {
        let output = engine
            .cli(&format!("run --rm {tty} {options} bent:1 {LOOK}"))
            .run();
        let text = output.text().replace('\r', "");
        secret.is_safe_from(&(text.clone() + &output.error()));
        // Refused with 125, or with 127 where the kernel's word was "no such file".
        let is_refused =
            output.error().contains("unable to start container process") || output.code == 125;
        if !is_refused {
            let mut lines = text.lines().filter(|line| !line.starts_with("sh:"));
            assert_eq!(
                lines.next(),
                Some("9fa0"),
                "/proc is a procfs: {text}{}",
                output.error()
            );
            assert_eq!(
                lines.next(),
                Some("1,3"),
                "/dev/null is the null device: {text}"
            );
            assert_eq!(lines.next(), Some("0"), "/proc/keys is hidden: {text}");
        }
    }
    assert_eq!(host(), before);
    assert_eq!(mounts(), mounted);
    let now = std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("procfs");
    assert_eq!(now, pattern);
}

#[test]
fn links_in_the_place_of_kernel_files_lead_nowhere() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let folder = secret.folder().display().to_string();
    let up = format!("../../../../../../../..{folder}");
    for links in [
        &[("proc", "tmp")][..],
        &[("proc", &folder)],
        &[("proc", &up)],
        &[("sys", "tmp")],
        &[("sys", &folder)],
        &[("sys", "proc")],
        &[("dev", &folder)],
        &[("dev", "proc")],
        &[("dev", "/proc/self/root/dev")],
        &[("dev", "sys")],
        &[("etc", &folder)],
        &[("etc", "proc/sys/kernel")],
        &[("etc", "/proc/1/root/etc")],
        &[("etc/hosts", &format!("{folder}/secret"))],
        &[("etc/resolv.conf", "/proc/sys/kernel/core_pattern")],
        &[("etc/hostname", "/proc/self/attr/current")],
        &[
            ("etc/hosts", "/etc/resolv.conf"),
            ("etc/resolv.conf", "/etc/hosts"),
        ],
    ] {
        check_harmless(&engine, &secret, &bent(links), "");
    }
}

#[test]
fn what_the_image_has_in_dev_is_not_used() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    let victim = secret.path().display().to_string();
    let mut layer = Archive::new();
    for (name, target) in [
        ("dev/null", victim.as_str()),
        ("dev/console", &victim),
        ("dev/pts", "/proc"),
        ("dev/ptmx", &victim),
        ("dev/shm", "/proc/sys"),
        ("dev/mqueue", "/sys"),
        ("dev/fd", "/etc"),
        ("dev/stdout", &victim),
    ] {
        layer = layer.with(&Header::symlink(name, target), &[]);
    }
    let image = Image::new("bent:1").layer(layer.finish());
    check_harmless(&engine, &secret, &image, "");
    load(&engine, &image);
    let look = "sh -c 'tty; stat -c %t /dev/console; stat -f -c %t /dev/pts; readlink /dev/fd; readlink /dev/ptmx'";
    let text = engine
        .ok(&format!("run --rm -t bent:1 {look}"))
        .replace('\r', "");
    assert_eq!(text, "/dev/pts/0\n88\n1cd1\n/proc/self/fd\npts/ptmx");
}

#[test]
fn volumes_that_the_image_asks_for_cannot_take_the_kernels_place() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    for path in [
        "/proc",
        "/proc/",
        "//proc",
        "/./proc",
        "/tmp/../proc",
        "/proc/sys",
        "/proc/self/attr",
        "/proc/kcore",
        "/proc/sysrq-trigger",
        "/proc/1",
    ] {
        let image = Image::new("bent:1").config("Volumes", serde_json::json!({path: {}}));
        check_harmless(&engine, &secret, &image, "");
        engine.remove_all_containers();
    }
    // A link in the image on the way to it.
    for (link, target) in [("x", "proc"), ("x", "/proc/self"), ("x", "dev/pts")] {
        let image = Image::new("bent:1")
            .layer(
                Archive::new()
                    .with(&Header::symlink(link, target), &[])
                    .finish(),
            )
            .config("Volumes", serde_json::json!({"/x": {}, "/x/sys": {}}));
        check_harmless(&engine, &secret, &image, "");
        engine.remove_all_containers();
    }
}

#[test]
fn masks_of_a_bent_proc_are_not_left_out() {
    let engine = testkit::engine();
    let secret = Secret::new(&engine);
    // A procfs elsewhere, reached by a link, would have none of its files masked.
    let image = bent(&[("proc", "real-proc")]);
    check_harmless(&engine, &secret, &image, "--tmpfs /real-proc");
    // A procfs in a place that something else is mounted over later: what has its name is the attacker's.
    for link in ["v/proc", "/v"] {
        let image = bent(&[("proc", link)]);
        check_harmless(&engine, &secret, &image, "-v attackers:/v");
    }
    let image = bent(&[("sys", "proc/self/cwd/real-sys")]);
    check_harmless(&engine, &secret, &image, "");
}

#[test]
fn the_masks_are_files_of_the_hosts_own() {
    let engine = testkit::engine();
    // CVE-2025-31133: a /dev/null of the image as the mask would make the masked file whatever it likes.
    let text = engine.ok("run --rm busybox sh -c 'stat -c %t,%T /proc/keys; stat -f -c %t /proc/keys /proc/timer_list | sort -u; echo x > /proc/timer_list; cat /proc/timer_list'");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("1,3"), "{text}");
    assert_ne!(lines.next(), Some("9fa0"), "{text}");
    assert_eq!(lines.next(), None, "{text}");
}
