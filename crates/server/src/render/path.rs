//! The description of a path in a container, as `docker cp` reads it.

use api::container::PathStat as Wire;
use engine::container::PathStat;

/// One path.
pub(crate) fn stat(found: &PathStat) -> Wire {
    Wire {
        name: found.name.clone(),
        size: found.size,
        mode: go_mode(found.mode),
        mtime: crate::when::instant(found.modified_unix_nanos),
        link_target: found.link_target.clone(),
    }
}

/// Go's `os.FileMode`: the permissions where stat(2) has them, kind and sticky bits at the other end.
fn go_mode(mode: u32) -> u32 {
    const DIR: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const NAMED_PIPE: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SETUID: u32 = 1 << 23;
    const SETGID: u32 = 1 << 22;
    const CHAR_DEVICE: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    let kind = match mode & 0o170_000 {
        0o040_000 => DIR,
        0o120_000 => SYMLINK,
        0o060_000 => DEVICE,
        0o020_000 => DEVICE | CHAR_DEVICE,
        0o010_000 => NAMED_PIPE,
        0o140_000 => SOCKET,
        _ => 0,
    };
    let bit = |from: u32, to: u32| if mode & from != 0 { to } else { 0 };
    kind | bit(0o4000, SETUID) | bit(0o2000, SETGID) | bit(0o1000, STICKY) | (mode & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_go_writes_them() {
        for (stat, go) in [
            (0o100_644, 0o644),
            (0o040_755, 0x8000_01ed),
            (0o041_777, 0x8010_01ff),
            (0o120_777, 0x0800_01ff),
            (0o104_755, 0x0080_01ed),
            (0o020_666, 0x0420_01b6),
        ] {
            assert_eq!(go_mode(stat), go, "{stat:o}");
        }
    }
}
