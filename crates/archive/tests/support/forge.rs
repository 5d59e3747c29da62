//! Archives put together block by block.

pub(crate) const BLOCK: usize = 512;

/// An archive built block by block, so that it can lie.
#[derive(Default)]
pub(crate) struct Forge(pub(crate) Vec<u8>);

impl Forge {
    pub(crate) fn header(self, name: &str, flag: u8, size: u64, link: &str) -> Self {
        self.raw(name.as_bytes(), flag, &format!("{size:011o}\0"), link)
    }

    pub(crate) fn raw(mut self, name: &[u8], flag: u8, size: &str, link: &str) -> Self {
        let mut block = [0_u8; BLOCK];
        block[..name.len()].copy_from_slice(name);
        block[100..108].copy_from_slice(b"0000644\0");
        block[108..116].copy_from_slice(b"0000000\0");
        block[116..124].copy_from_slice(b"0000000\0");
        block[124..124 + size.len()].copy_from_slice(size.as_bytes());
        block[136..148].copy_from_slice(b"00000000000\0");
        block[156] = flag;
        block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        self.0.extend_from_slice(&block);
        self.seal()
    }

    /// Changes bytes of the last header.
    pub(crate) fn patch(mut self, at: usize, bytes: &[u8]) -> Self {
        let header = self.0.len() - BLOCK;
        self.0[header + at..header + at + bytes.len()].copy_from_slice(bytes);
        self.seal()
    }

    pub(crate) fn seal(mut self) -> Self {
        let header = self.0.len() - BLOCK;
        self.0[header + 148..header + 156].fill(b' ');
        let sum: u32 = self.0[header..].iter().map(|b| u32::from(*b)).sum();
        let text = format!("{sum:06o}\0 ");
        self.0[header + 148..header + 156].copy_from_slice(text.as_bytes());
        self
    }

    pub(crate) fn data(mut self, data: &[u8]) -> Self {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        self.pax_of(b'x', records)
    }

    pub(crate) fn pax_of(self, flag: u8, records: &[(&str, &str)]) -> Self {
        let mut body = String::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut len = rest + 1;
            while len != rest + len.to_string().len() {
                len = rest + len.to_string().len();
            }
            body += &format!("{len} {key}={value}\n");
        }
        self.header("PaxHeaders/x", flag, body.len() as u64, "")
            .data(body.as_bytes())
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.header(name, b'0', data.len() as u64, "").data(data)
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.header(name, b'5', 0, "")
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 2 * BLOCK]);
        self.0
    }
}
