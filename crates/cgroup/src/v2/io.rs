//! The v2 io controller: `io.weight` or BFQ's weight, `io.max`, `io.stat`.

use oci::runtime::{BlockIo, ThrottleDevice};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::hierarchy::Controller;
use crate::stats::{IoEntry, IoStats};
use crate::text;

pub(crate) fn apply(dir: &Dir, io: &BlockIo) -> Result<()> {
    let leaf = io.leaf_weight.is_some_and(|v| v != 0)
        || io
            .weight_device
            .iter()
            .any(|d| d.leaf_weight.is_some_and(|v| v != 0));
    if leaf {
        return Err(Error::Unsupported {
            limit: "blockIO.leafWeight",
            reason: "cgroup v2 has no leaf weights",
        });
    }
    if let Some(weight) = io.weight.filter(|v| *v != 0) {
        set_weight(dir, "", weight)?;
    }
    for device in &io.weight_device {
        if let Some(weight) = device.weight.filter(|v| *v != 0) {
            set_weight(dir, &format!("{}:{} ", device.major, device.minor), weight)?;
        }
    }
    let rates: [(&str, &[ThrottleDevice]); 4] = [
        ("rbps", &io.throttle_read_bps_device),
        ("wbps", &io.throttle_write_bps_device),
        ("riops", &io.throttle_read_iops_device),
        ("wiops", &io.throttle_write_iops_device),
    ];
    for (key, devices) in rates {
        for device in devices {
            let rate = match device.rate {
                0 => "max".to_owned(),
                rate => rate.to_string(),
            };
            let value = format!("{}:{} {key}={rate}", device.major, device.minor);
            dir.set(Controller::Blkio, "io.max", value)?;
        }
    }
    Ok(())
}

/// BFQ takes v1's weights as they are; the cost model's `io.weight` has a wider range.
fn set_weight(dir: &Dir, device: &str, weight: u16) -> Result<()> {
    let bfq = format!("{device}{weight}");
    match dir.try_set("io.bfq.weight", &bfq) {
        Ok(()) => return Ok(()),
        // Also: this device does not run under BFQ.
        Err(Errno::NOENT | Errno::OPNOTSUPP | Errno::INVAL) => {}
        Err(errno) => return Err(dir.refused(Controller::Blkio, "io.bfq.weight", bfq, errno)),
    }
    let value = format!("{device}{}", wide_weight(weight));
    match dir.try_set("io.weight", &value) {
        Ok(()) => Ok(()),
        Err(Errno::NOENT) => Err(Error::Unsupported {
            limit: "blockIO weight",
            reason: "this kernel has neither BFQ nor the cost model (io.bfq.weight, io.weight)",
        }),
        Err(errno) => Err(dir.refused(Controller::Blkio, "io.weight", value, errno)),
    }
}

/// A weight of 10 to 1000 on the scale of 1 to 10000.
fn wide_weight(weight: u16) -> u32 {
    1 + (u32::from(weight.clamp(10, 1000)) - 10) * 9999 / 990
}

pub(crate) fn read(dir: &Dir, stats: &mut IoStats) -> Result<()> {
    let text = dir.get_if_there(Controller::Blkio, "io.stat")?;
    for line in text.as_deref().unwrap_or("").lines() {
        let mut words = line.split_ascii_whitespace();
        let Some((major, minor)) = words.next().and_then(text::device) else {
            continue;
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut stats.service_bytes, "read"),
                "wbytes" => (&mut stats.service_bytes, "write"),
                "rios" => (&mut stats.serviced, "read"),
                "wios" => (&mut stats.serviced, "write"),
                _ => continue,
            };
            list.push(IoEntry {
                major,
                minor,
                op: op.to_owned(),
                value: text::number(value),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_ends() {
        assert_eq!(wide_weight(10), 1);
        assert_eq!(wide_weight(1000), 10_000);
        assert_eq!(wide_weight(1), 1);
    }
}
