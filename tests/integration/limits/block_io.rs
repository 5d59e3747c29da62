//! Block input and output: weight and rates.

use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use testkit::cgroup;

/// The disk under a folder, as a device node and `major:minor`; none when the folder is on no disk.
fn disk(folder: &std::path::Path) -> Option<(String, String)> {
    let device = std::fs::metadata(folder).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let link = std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // A partition's limits are those of its disk.
    let whole = match link.join("partition").exists() {
        true => link.parent()?.to_owned(),
        false => link,
    };
    let number = std::fs::read_to_string(whole.join("dev")).ok()?;
    let name = whole.file_name()?.to_str()?.to_owned();
    Some((format!("/dev/{name}"), number.trim().to_owned()))
}

#[test]
fn writing_is_as_slow_as_asked() {
    let engine = testkit::engine();
    let Some((node, number)) = disk(engine.root()) else {
        return testkit::skip("the tests' folder is on no block device");
    };
    let container = engine.run(&format!(
        "--device-write-bps {node}:1mb --device-read-iops {node}:500 busybox sleep 60"
    ));
    if cgroup::is_unified() {
        let max = container.cgroup("io", "", "io.max");
        assert!(
            max.contains(&number) && max.contains("wbps=1048576") && max.contains("riops=500"),
            "{max}"
        );
    } else {
        let rate = container.cgroup("blkio", "blkio.throttle.write_bps_device", "");
        assert_eq!(rate, format!("{number} 1048576"));
        let rate = container.cgroup("blkio", "blkio.throttle.read_iops_device", "");
        assert_eq!(rate, format!("{number} 500"));
    }
    let begun = Instant::now();
    // Direct, or the page cache would take it all at once.
    container.exec("dd if=/dev/zero of=/file bs=256k count=12 oflag=direct");
    assert!(
        begun.elapsed().as_millis() > 1800,
        "3 MiB in {:?}",
        begun.elapsed()
    );
    engine.refuses("run --device-write-bps /dev/no-such:1mb busybox true");
}

#[test]
fn a_weight_out_of_range_is_refused() {
    let engine = testkit::engine();
    let output = engine
        .cli("run --rm --blkio-weight 5000 busybox true")
        .run();
    // Where the kernel knows no weights, the wish is dropped with a warning before it is looked at.
    assert!(
        output.code == 125 || output.error().contains("Weight discarded"),
        "{}",
        output.error()
    );
}
