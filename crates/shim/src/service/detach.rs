//! Finds the keys by which a terminal's client leaves, in a stream that may cut them anywhere.

/// How far the keys have been typed.
#[derive(Debug, Default)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    typed: usize,
}

impl DetachKeys {
    /// Never leaves when `keys` is empty.
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Self { keys, typed: 0 }
    }

    /// Appends to `out` what is input, and answers true when the keys are complete: what follows them is not input.
    pub(crate) fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            out.extend_from_slice(bytes);
            return false;
        }
        for &byte in bytes {
            if byte != self.keys[self.typed] && self.typed > 0 {
                // Not the keys after all: what was held back is input. The byte may begin them anew.
                out.extend_from_slice(&self.keys[..self.typed]);
                self.typed = 0;
            }
            if byte == self.keys[self.typed] {
                self.typed += 1;
                if self.typed == self.keys.len() {
                    self.typed = 0;
                    return true;
                }
            } else {
                out.push(byte);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[u8], typed: &[&[u8]], input: &[u8], leaves: bool) {
        let mut filter = DetachKeys::new(keys.to_vec());
        let mut out = Vec::new();
        let left = typed.iter().any(|part| filter.filter(part, &mut out));
        assert_eq!((out.as_slice(), left), (input, leaves));
    }

    #[test]
    fn keys_are_found_and_everything_else_is_input() {
        check(b"\x10\x11", &[b"ls\n\x10\x11rest"], b"ls\n", true);
        check(b"\x10\x11", &[b"\x10", b"\x11"], b"", true);
        check(b"\x10\x11", &[b"\x10", b"x\x11"], b"\x10x\x11", false);
        check(b"\x10\x11", &[b"\x10\x10\x11"], b"\x10", true);
        check(b"", &[b"\x10\x11"], b"\x10\x11", false);
    }
}
