//! The v1 blkio controller: weights and rates of block devices, and what was read and written.

use oci::runtime::{BlockIo, ThrottleDevice};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::hierarchy::Controller;
use crate::stats::{IoEntry, IoStats};
use crate::text;

/// Whether anything is asked for; a weight of 0 is "not asked for".
pub(crate) fn asks_for_something(io: &BlockIo) -> bool {
    io.weight.is_some_and(|v| v != 0)
        || io.leaf_weight.is_some_and(|v| v != 0)
        || !io.weight_device.is_empty()
        || !io.throttle_read_bps_device.is_empty()
        || !io.throttle_write_bps_device.is_empty()
        || !io.throttle_read_iops_device.is_empty()
        || !io.throttle_write_iops_device.is_empty()
}

pub(crate) fn apply(dir: &Dir, io: &BlockIo) -> Result<()> {
    if let Some(weight) = io.weight.filter(|v| *v != 0) {
        set_first(
            dir,
            ["blkio.weight", "blkio.bfq.weight"],
            &weight.to_string(),
        )?;
    }
    if let Some(weight) = io.leaf_weight.filter(|v| *v != 0) {
        dir.set(Controller::Blkio, "blkio.leaf_weight", weight)?;
    }
    for device in &io.weight_device {
        let (major, minor) = (device.major, device.minor);
        if let Some(weight) = device.weight.filter(|v| *v != 0) {
            let files = ["blkio.weight_device", "blkio.bfq.weight_device"];
            set_first(dir, files, &format!("{major}:{minor} {weight}"))?;
        }
        if let Some(weight) = device.leaf_weight.filter(|v| *v != 0) {
            let value = format!("{major}:{minor} {weight}");
            dir.set(Controller::Blkio, "blkio.leaf_weight_device", value)?;
        }
    }
    let rates: [(&str, &[ThrottleDevice]); 4] = [
        (
            "blkio.throttle.read_bps_device",
            &io.throttle_read_bps_device,
        ),
        (
            "blkio.throttle.write_bps_device",
            &io.throttle_write_bps_device,
        ),
        (
            "blkio.throttle.read_iops_device",
            &io.throttle_read_iops_device,
        ),
        (
            "blkio.throttle.write_iops_device",
            &io.throttle_write_iops_device,
        ),
    ];
    for (file, devices) in rates {
        for device in devices {
            let value = format!("{}:{} {}", device.major, device.minor, device.rate);
            dir.set(Controller::Blkio, file, value)?;
        }
    }
    Ok(())
}

/// Writes to the first file that the kernel has: weights moved from CFQ's files to BFQ's.
fn set_first(dir: &Dir, files: [&str; 2], value: &str) -> Result<()> {
    for file in files {
        match dir.try_set(file, value) {
            Err(Errno::NOENT) => {}
            Ok(()) => return Ok(()),
            Err(errno) => return Err(dir.refused(Controller::Blkio, file, value.into(), errno)),
        }
    }
    Err(Error::Unsupported {
        limit: "blockIO weight",
        reason: "this kernel has no scheduler with weights of block I/O (BFQ)",
    })
}

pub(crate) fn read(dir: &Dir, stats: &mut IoStats) -> Result<()> {
    stats.service_bytes = read_first(dir, "io_service_bytes_recursive")?;
    stats.serviced = read_first(dir, "io_serviced_recursive")?;
    Ok(())
}

/// BFQ counts only what it has scheduled; the throttling layer counts all.
fn read_first(dir: &Dir, file: &str) -> Result<Vec<IoEntry>> {
    for prefix in ["blkio", "blkio.throttle", "blkio.bfq"] {
        let text = dir.get_if_there(Controller::Blkio, &format!("{prefix}.{file}"))?;
        let entries = parse(text.as_deref().unwrap_or(""));
        if !entries.is_empty() {
            return Ok(entries);
        }
    }
    Ok(Vec::new())
}

/// The lines `8:0 Read 4096`; the sum over all devices has no device and is left out.
fn parse(text: &str) -> Vec<IoEntry> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (major, minor) = text::device(words.next()?)?;
            Some(IoEntry {
                major,
                minor,
                op: words.next()?.to_owned(),
                value: words.next()?.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_a_device_and_the_grand_total_is_left_out() {
        let entries = parse("8:0 Read 4096\n8:0 Write 0\nTotal 4096\n");
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (entries[0].major, entries[0].op.as_str(), entries[0].value),
            (8, "Read", 4096)
        );
    }
}
