//! One 512-byte header block: fields, numbers, checksum.

use super::BLOCK;

/// Which dialect the magic bytes name; it decides what the bytes after them mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// No magic: names end at 100 bytes.
    V7,
    /// POSIX: a prefix continues the name.
    Ustar,
    /// GNU before PAX: sparse maps stand where the prefix would.
    Gnu,
}

/// A header block whose checksum is right.
pub(crate) struct Header {
    pub(crate) block: [u8; BLOCK],
    pub(crate) dialect: Dialect,
}

/// The place of a field in the block.
pub(crate) type Field = std::ops::Range<usize>;

pub(crate) const NAME: Field = 0..100;
pub(crate) const MODE: Field = 100..108;
pub(crate) const UID: Field = 108..116;
pub(crate) const GID: Field = 116..124;
pub(crate) const SIZE: Field = 124..136;
pub(crate) const MTIME: Field = 136..148;
pub(crate) const CHECKSUM: Field = 148..156;
pub(crate) const FLAG: usize = 156;
pub(crate) const LINK: Field = 157..257;
pub(crate) const MAGIC: Field = 257..265;
pub(crate) const MAJOR: Field = 329..337;
pub(crate) const MINOR: Field = 337..345;
pub(crate) const PREFIX: Field = 345..500;
pub(crate) const GNU_SPARSE: Field = 386..482;
pub(crate) const GNU_SPARSE_MORE: usize = 482;
pub(crate) const GNU_REAL_SIZE: Field = 483..495;

impl Header {
    /// Checks the sum and finds the dialect; the text says what is wrong.
    pub(crate) fn parse(block: [u8; BLOCK]) -> Result<Self, &'static str> {
        let stated = number(&block[CHECKSUM]).map_err(|_| "its checksum is no number")?;
        let (unsigned, signed) = checksums(&block);
        // Some old writers summed signed bytes; readers accept both, and no other sum.
        if stated != i128::from(unsigned) && stated != i128::from(signed) {
            return Err("its checksum is wrong");
        }
        let dialect = match &block[MAGIC] {
            b"ustar\x0000" => Dialect::Ustar,
            b"ustar  \0" => Dialect::Gnu,
            [b'u', b's', b't', b'a', b'r', ..] => return Err("its magic is of no known dialect"),
            _ => Dialect::V7,
        };
        Ok(Self { block, dialect })
    }

    pub(crate) fn flag(&self) -> u8 {
        self.block[FLAG]
    }

    /// The name with its prefix.
    pub(crate) fn name(&self) -> Vec<u8> {
        let name = text(&self.block[NAME]);
        match self.dialect {
            Dialect::Ustar if self.block[PREFIX.start] != 0 => {
                [text(&self.block[PREFIX]), b"/", name].concat()
            }
            _ => name.to_vec(),
        }
    }

    pub(crate) fn link(&self) -> &[u8] {
        text(&self.block[LINK])
    }

    /// A number that may not be negative.
    pub(crate) fn unsigned(&self, field: Field) -> Result<u64, &'static str> {
        match number(&self.block[field])? {
            n if n < 0 => Err("is negative"),
            n => u64::try_from(n)
                .ok()
                .filter(|n| i64::try_from(*n).is_ok())
                .ok_or("is too large"),
        }
    }

    /// A number that may be negative.
    pub(crate) fn signed(&self, field: Field) -> Result<i64, &'static str> {
        i64::try_from(number(&self.block[field])?).map_err(|_| "is too large")
    }
}

/// Both sums of a block with its checksum field taken as spaces.
pub(crate) fn checksums(block: &[u8; BLOCK]) -> (u32, i32) {
    let mut unsigned = 0;
    let mut signed = 0;
    for (at, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { *byte };
        unsigned += u32::from(byte);
        signed += i32::from(byte.cast_signed());
    }
    (unsigned, signed)
}

/// Bytes up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    &field[..end]
}

/// Octal digits between spaces and NULs, or GNU's base 256 (top bit set, two's complement). An empty field is 0.
pub(crate) fn number(field: &[u8]) -> Result<i128, &'static str> {
    if field[0] & 0x80 != 0 {
        return base_256(field);
    }
    let is_pad = |b: &u8| *b == b' ' || *b == 0;
    let Some(first) = field.iter().position(|b| !is_pad(b)) else {
        return Ok(0);
    };
    let last = field.iter().rposition(|b| !is_pad(b)).unwrap_or(first);
    let mut n: i128 = 0;
    for digit in &field[first..=last] {
        if !(b'0'..=b'7').contains(digit) {
            return Err("is not an octal number");
        }
        n = n << 3 | i128::from(digit - b'0'); // at most 12 digits: 36 bits
    }
    Ok(n)
}

fn base_256(field: &[u8]) -> Result<i128, &'static str> {
    let negative = field[0] & 0x40 != 0;
    let mut n: i128 = if negative { -1 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        let byte = match (at, negative) {
            (0, true) => byte | 0x80,
            (0, false) => byte & 0x7f,
            _ => *byte,
        };
        n = n << 8 | i128::from(byte); // at most 12 bytes: 96 bits
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_nothing_else() {
        assert_eq!(number(b"0000644\0"), Ok(0o644));
        assert_eq!(number(b"  644 \0\0"), Ok(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Ok(0));
        assert_eq!(number(b"777777777777"), Ok(0o777_777_777_777));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Ok(0x2_0000_0000));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xfe"), Ok(-2));
        for bad in [
            &b"0000648\0"[..],
            b"12 34\0\0\0",
            b"-1\0\0\0\0\0\0",
            b"0x1\0\0\0\0\0",
        ] {
            assert!(number(bad).is_err(), "{bad:?}");
        }
    }
}
