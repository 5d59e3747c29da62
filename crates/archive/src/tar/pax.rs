//! PAX extended headers: `<len> <key>=<value>\n` records, and the attributes in them.
//!
//! Spec: POSIX.1-2017 `pax`, "pax Extended Header"; star's `SCHILY.xattr.`, libarchive's `LIBARCHIVE.xattr.`.

use super::entry::Time;

/// What is wrong with a record: the field, and why.
pub(crate) type Fault = (&'static str, &'static str);

/// The most bytes the kernel takes for one attribute's value (XATTR_SIZE_MAX).
const MAX_XATTR: usize = 64 << 10;

/// What the records of one extended header say; an absent field leaves the header's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) mtime: Option<Time>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: SparseKeys,
}

/// GNU's records for sparse files, versions 0.0, 0.1 and 1.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SparseKeys {
    pub(crate) major: Option<u64>,
    pub(crate) minor: Option<u64>,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) real_size: Option<u64>,
    /// Offsets and lengths, one after the other.
    pub(crate) map: Vec<u64>,
    pub(crate) is_present: bool,
}

impl Pax {
    /// Reads the records into `self`; a later record stands over an earlier one.
    pub(crate) fn read(&mut self, mut body: &[u8]) -> Result<(), Fault> {
        while !body.is_empty() {
            let (key, value, rest) = record(body).map_err(|why| ("extended header", why))?;
            self.take(key, value)?;
            body = rest;
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        match key {
            b"path" => self.path = text("path", value)?,
            b"linkpath" => self.link = text("linkpath", value)?,
            b"size" => self.size = number("size", value)?,
            b"uid" => self.uid = number("uid", value)?,
            b"gid" => self.gid = number("gid", value)?,
            b"mtime" => self.mtime = time("mtime", value)?,
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.is_present = true;
                    self.sparse.take(key, value)?;
                } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.take_xattr(name.to_vec(), value.to_vec(), true)?;
                } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                    let name = percent_decoded(name).ok_or(("xattr", "has a malformed name"))?;
                    let value = base64_decoded(value).ok_or(("xattr", "is not base64"))?;
                    self.take_xattr(name, value, false)?;
                }
            }
        }
        Ok(())
    }

    /// libarchive writes both forms of one attribute; star's raw one is the truth.
    fn take_xattr(&mut self, name: Vec<u8>, value: Vec<u8>, replace: bool) -> Result<(), Fault> {
        if name.len() > 255 || !name.contains(&b'.') || name.contains(&0) {
            return Err(("xattr", "has a malformed name"));
        }
        if value.len() > MAX_XATTR {
            return Err(("xattr", "is longer than 64 KiB"));
        }
        match self.xattrs.iter_mut().find(|(have, _)| *have == name) {
            Some((_, old)) if replace => *old = value,
            Some(_) => {}
            None => self.xattrs.push((name, value)),
        }
        Ok(())
    }
}

impl SparseKeys {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        const FIELD: &str = "GNU.sparse";
        match key {
            b"major" => self.major = number(FIELD, value)?,
            b"minor" => self.minor = number(FIELD, value)?,
            b"name" => self.name = text("GNU.sparse.name", value)?,
            b"size" => self.size = number(FIELD, value)?,
            b"realsize" => self.real_size = number(FIELD, value)?,
            b"map" => {
                self.map = value
                    .split(|b| *b == b',')
                    .filter(|part| !part.is_empty())
                    .map(|part| digits(part).ok_or((FIELD, "map holds a bad number")))
                    .collect::<Result<_, _>>()?;
            }
            b"offset" | b"numbytes" => {
                let is_offset = key == b"offset";
                if is_offset != self.map.len().is_multiple_of(2) {
                    return Err((FIELD, "offset and numbytes do not alternate"));
                }
                let n = digits(value).ok_or((FIELD, "is not a decimal number"))?;
                self.map.push(n);
            }
            _ => {} // numblocks repeats what the map's length says
        }
        Ok(())
    }
}

/// Key, value, and what follows the record.
type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// The first record.
fn record(body: &[u8]) -> Result<Record<'_>, &'static str> {
    let space = body
        .iter()
        .take(8)
        .position(|b| *b == b' ')
        .ok_or("has a record without a length")?;
    let len = digits(&body[..space]).ok_or("has a record without a length")?;
    let len = usize::try_from(len).map_err(|_| "has a record without a length")?;
    if len <= space + 1 || len > body.len() {
        return Err("has a record of a wrong length");
    }
    let (record, rest) = body.split_at(len);
    let [inner @ .., b'\n'] = &record[space + 1..] else {
        return Err("has a record of a wrong length");
    };
    let equals = inner
        .iter()
        .position(|b| *b == b'=')
        .filter(|at| *at > 0)
        .ok_or("has a record without a key")?;
    Ok((&inner[..equals], &inner[equals + 1..], rest))
}

/// An empty value takes the record back.
fn text(field: &'static str, value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if value.contains(&0) {
        return Err((field, "holds a NUL"));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn number(field: &'static str, value: &[u8]) -> Result<Option<u64>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    match digits(value) {
        Some(n) => Ok(Some(n)),
        None if value.starts_with(b"-") => Err((field, "is negative")),
        None => Err((field, "is not a decimal number in range")),
    }
}

/// Decimal digits only, and no more than `i64` holds.
pub(crate) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 20 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    i64::try_from(n).is_ok().then_some(n)
}

/// `[-]seconds[.fraction]`; digits beyond nanoseconds are cut.
fn time(field: &'static str, value: &[u8]) -> Result<Option<Time>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    let bad = (field, "is not a time");
    let (negative, rest) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let (whole, fraction) = match rest.iter().position(|b| *b == b'.') {
        Some(dot) => (&rest[..dot], &rest[dot + 1..]),
        None => (rest, &b""[..]),
    };
    let secs = digits(whole).ok_or(bad)?.cast_signed();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    let nanos = (0..9).fold(0, |n, at| {
        n * 10 + u32::from(fraction.get(at).map_or(0, |d| d - b'0'))
    });
    Ok(Some(match (negative, nanos) {
        (false, nanos) => Time { secs, nanos },
        (true, 0) => Time { secs: -secs, nanos },
        (true, nanos) => Time {
            secs: -secs - 1,
            nanos: 1_000_000_000 - nanos,
        },
    }))
}

fn percent_decoded(name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            let hex = std::str::from_utf8(after.get(..2)?).ok()?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &after[2..];
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    Some(out)
}

fn base64_decoded(value: &[u8]) -> Option<Vec<u8>> {
    let end = value.iter().rposition(|b| *b != b'=').map_or(0, |p| p + 1);
    let mut out = Vec::with_capacity(end / 4 * 3 + 2);
    let mut bits = 0_u32;
    let mut have = 0;
    for byte in &value[..end] {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<Pax, Fault> {
        let mut pax = Pax::default();
        pax.read(body).map(|()| pax)
    }

    #[test]
    fn records_are_read_by_their_length() {
        let pax = read(b"12 path=a=b\n11 size=42\n").unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(pax.size, Some(42));
        let binary = read(b"30 SCHILY.xattr.user.x=a\n\0=b\xff\n").unwrap();
        assert_eq!(
            binary.xattrs,
            [(b"user.x".to_vec(), b"a\n\0=b\xff".to_vec())]
        );
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in [
            &b"11 path=a=b\n"[..], // one byte short
            b"13 path=a=b\n",      // one too many
            b"path=a\n",
            b"+9 path=a\n",
            b"4 =\n",
            b"9 path=a",
            b"12 path=a\0b\n",
            b"11 size=-1\n",
            b"29 size=9223372036854775808\n",
            b"11 size=0x\n",
            b"99999999999999999999 path=a\n",
        ] {
            assert!(read(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn times_keep_their_fraction_on_both_sides_of_1970() {
        let at = |s: &str| time("mtime", s.as_bytes()).unwrap().unwrap();
        assert_eq!((at("1.5").secs, at("1.5").nanos), (1, 500_000_000));
        assert_eq!((at("-1.25").secs, at("-1.25").nanos), (-2, 750_000_000));
        assert_eq!((at("-3").secs, at("-3").nanos), (-3, 0));
        assert_eq!(at("7.1234567899").nanos, 123_456_789);
        for bad in ["x", "1.x", "--1", "1e3", "."] {
            assert!(time("mtime", bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn libarchives_attributes_are_decoded_and_yield_to_stars() {
        let pax = read(b"36 LIBARCHIVE.xattr.user.a%20b=AQID\n").unwrap();
        assert_eq!(pax.xattrs, [(b"user.a b".to_vec(), vec![1, 2, 3])]);
        let both = read(b"31 LIBARCHIVE.xattr.user.a=AQI\n25 SCHILY.xattr.user.a=z\n").unwrap();
        assert_eq!(both.xattrs, [(b"user.a".to_vec(), b"z".to_vec())]);
    }
}
