//! A classic BPF machine, as strict as the kernel's checker: the oracle of the tests.

/// What a filter is asked about: `struct seccomp_data` without the instruction pointer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) nr: u32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.nr,
            4 => self.arch,
            8 | 12 => 0,
            16..64 if offset.is_multiple_of(4) => {
                let arg = self.args[(offset as usize - 16) / 8];
                let wants_high = offset.is_multiple_of(8) == cfg!(target_endian = "big");
                if wants_high {
                    (arg >> 32) as u32
                } else {
                    arg as u32
                }
            }
            _ => panic!("the kernel refuses to load at {offset}"),
        }
    }
}

/// Runs a filter; gives the verdict and how many instructions it took.
///
/// # Panics
/// On anything the kernel would refuse to load.
pub(super) fn run(filter: &[u8], call: Call) -> (u32, usize) {
    let instruction = |at: usize| {
        let bytes = &filter[8 * at..8 * at + 8];
        let opcode = u16::from_ne_bytes([bytes[0], bytes[1]]);
        let k = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        (opcode, bytes[2], bytes[3], k)
    };
    let mut accumulator = 0u32;
    let mut at = 0;
    let mut steps = 0;
    loop {
        let (opcode, jt, jf, k) = instruction(at);
        at += 1;
        steps += 1;
        let mut branch = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match opcode {
            0x20 => accumulator = call.word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => branch(accumulator == k),
            0x25 => branch(accumulator > k),
            0x35 => branch(accumulator >= k),
            0x06 => return (k, steps),
            other => panic!("opcode {other:#x} is none that we emit"),
        }
    }
}
