//! Where the stored bytes of a sparse file lie: the old GNU map and PAX 0.0, 0.1 and 1.0.

use super::BLOCK;
use super::entry::Extent;
use super::header::{self, GNU_REAL_SIZE, GNU_SPARSE, GNU_SPARSE_MORE, Header};
use super::pax::digits;

/// The most extents one file may have: a map of 16 MiB in memory.
pub(crate) const MAX_EXTENTS: usize = 1 << 20;

/// A map is ordered, without overlap, inside the file, and accounts for each stored byte; the text says what is not.
pub(crate) fn check(map: &[Extent], size: u64, stored: u64) -> Result<(), &'static str> {
    let mut end = 0;
    let mut total = 0;
    for extent in map {
        if extent.offset < end {
            return Err("its sparse map is out of order");
        }
        end = extent
            .offset
            .checked_add(extent.len)
            .filter(|end| *end <= size)
            .ok_or("its sparse map goes beyond its size")?;
        total += extent.len; // no overlap and end <= size: cannot overflow
    }
    if total == stored {
        Ok(())
    } else {
        Err("its sparse map and its stored size differ")
    }
}

/// Offsets and lengths, alternating.
pub(crate) fn pairs(numbers: &[u64]) -> Result<Vec<Extent>, &'static str> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("its sparse map ends in an offset");
    }
    Ok(pairs
        .iter()
        .map(|[offset, len]| Extent {
            offset: *offset,
            len: *len,
        })
        .collect())
}

/// The old GNU map: four extents in the header, more in the blocks after it.
pub(crate) struct OldGnu {
    pub(crate) map: Vec<Extent>,
    pub(crate) size: u64,
    /// Another block of the map follows.
    pub(crate) more: bool,
}

impl OldGnu {
    pub(crate) fn begin(header: &Header) -> Result<Self, &'static str> {
        let mut this = Self {
            map: Vec::new(),
            size: header
                .unsigned(GNU_REAL_SIZE)
                .map_err(|_| "its real size is no number in range")?,
            more: header.block[GNU_SPARSE_MORE] == 1,
        };
        this.take(&header.block[GNU_SPARSE])?;
        Ok(this)
    }

    /// A continuation block: 21 extents, then the mark whether another follows.
    pub(crate) fn go_on(&mut self, block: &[u8; BLOCK]) -> Result<(), &'static str> {
        self.more = block[504] == 1;
        self.take(&block[..504])
    }

    fn take(&mut self, fields: &[u8]) -> Result<(), &'static str> {
        for pair in fields.as_chunks::<24>().0 {
            if pair[0] == 0 && pair[12] == 0 {
                break; // unused slots are NUL
            }
            let number = |field: &[u8]| {
                header::number(field)
                    .ok()
                    .and_then(|n| u64::try_from(n).ok())
                    .ok_or("its sparse map holds a bad number")
            };
            let (offset, len) = (number(&pair[..12])?, number(&pair[12..])?);
            if self.map.len() == MAX_EXTENTS {
                return Err("its sparse map is too long");
            }
            self.map.push(Extent { offset, len });
        }
        Ok(())
    }
}

/// PAX 1.0: the map stands before the data, decimal lines padded to a block. Fed block by block.
#[derive(Default)]
pub(crate) struct Pax10 {
    line: Vec<u8>,
    numbers: Vec<u64>,
    expected: Option<usize>,
}

impl Pax10 {
    /// Takes a block; true when the map is whole, the rest of that block being padding.
    pub(crate) fn feed(&mut self, block: &[u8; BLOCK]) -> Result<bool, &'static str> {
        for byte in block {
            if *byte != b'\n' {
                if self.line.len() == 20 {
                    return Err("its sparse map holds a bad number");
                }
                self.line.push(*byte);
                continue;
            }
            let n = digits(&self.line).ok_or("its sparse map holds a bad number")?;
            self.line.clear();
            match self.expected {
                Some(_) => self.numbers.push(n),
                None => {
                    let count = usize::try_from(n).ok().filter(|n| *n <= MAX_EXTENTS);
                    self.expected = Some(count.ok_or("its sparse map is too long")? * 2);
                }
            }
            if self.expected == Some(self.numbers.len()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn map(&self) -> Result<Vec<Extent>, &'static str> {
        pairs(&self.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_lies_is_refused() {
        let map = |list: &[(u64, u64)]| -> Vec<Extent> {
            list.iter()
                .map(|(offset, len)| Extent {
                    offset: *offset,
                    len: *len,
                })
                .collect()
        };
        assert_eq!(check(&map(&[(0, 5), (10, 5), (20, 0)]), 20, 10), Ok(()));
        for (bad, size, stored) in [
            (map(&[(10, 5), (0, 5)]), 20, 10),
            (map(&[(0, 5), (4, 5)]), 20, 10),
            (map(&[(0, 5)]), 4, 5),
            (map(&[(0, 5)]), 20, 6),
            (map(&[(u64::MAX, 5)]), 20, 5),
        ] {
            assert!(check(&bad, size, stored).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_map_before_the_data_is_read_over_block_borders() {
        let mut text = b"60\n".to_vec();
        for n in 0..60 {
            text.extend_from_slice(format!("{}\n512\n", n * 100_000).as_bytes());
        }
        text.resize(text.len().next_multiple_of(BLOCK), 0);
        let mut map = Pax10::default();
        let blocks = text.as_chunks::<BLOCK>().0;
        let (last, before) = blocks.split_last().unwrap();
        assert!(before.iter().all(|block| map.feed(block) == Ok(false)));
        assert_eq!(map.feed(last), Ok(true));
        assert_eq!(map.map().unwrap()[59].offset, 5_900_000);
    }
}
