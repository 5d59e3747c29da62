//! JSON string escapes exactly as Docker's json-file writes them, and back.
//!
//! Written: `\\ \" \n \r`, `\u00xx` for the other control characters and for `< > &`, `\u2028`/`\u2029`, and one `\ufffd` for
//! each byte that is not UTF-8. Everything else is copied as it is.

/// Whether the byte stands for itself in the output whatever its neighbours are.
#[inline]
const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte < 0x80 && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
}

/// Appends the escaped text.
pub(crate) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    // No early exit: the fold becomes vector instructions, and nearly every line is plain.
    if text
        .iter()
        .fold(true, |plain, &byte| plain & is_plain(byte))
    {
        out.extend_from_slice(text);
    } else {
        escape_slowly(out, text);
    }
}

#[cold]
fn escape_slowly(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        match std::str::from_utf8(text) {
            Ok(valid) => return escape_valid(out, valid),
            Err(error) => {
                let (valid, rest) = text.split_at(error.valid_up_to());
                if let Ok(valid) = std::str::from_utf8(valid) {
                    escape_valid(out, valid);
                }
                let bad = error.error_len().unwrap_or(rest.len());
                for _ in 0..bad {
                    out.extend_from_slice(b"\\ufffd");
                }
                text = &rest[bad..];
            }
        }
    }
}

fn escape_valid(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        // U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
        let separator =
            byte == 0xe2 && bytes[at + 1] == 0x80 && matches!(bytes[at + 2], 0xa8 | 0xa9);
        if is_plain(byte) || (byte >= 0x80 && !separator) {
            at += 1;
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0xe2 => {
                out.extend_from_slice(b"\\u202");
                out.push(HEX[usize::from(bytes[at + 2] & 0xf)]);
                at += 2;
            }
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 0xf)]);
            }
        }
        at += 1;
        copied = at;
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Appends what a JSON string holds, given what stands between its quotes; `None` for a broken escape.
pub(crate) fn unescape(out: &mut Vec<u8>, mut text: &[u8]) -> Option<()> {
    while let Some(at) = memchr::memchr(b'\\', text) {
        out.extend_from_slice(&text[..at]);
        let kind = *text.get(at + 1)?;
        text = &text[at + 2..];
        match kind {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'"' | b'\\' | b'/' => out.push(kind),
            b'u' => {
                let mut unit = hex4(text)?;
                text = &text[4..];
                if (0xd800..0xdc00).contains(&unit) {
                    let low = text.strip_prefix(b"\\u").and_then(hex4)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return None;
                    }
                    text = &text[6..];
                    unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                }
                let character = char::from_u32(unit)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
    }
    out.extend_from_slice(text);
    Some(())
}

fn hex4(text: &[u8]) -> Option<u32> {
    text.get(..4)?.iter().try_fold(0, |value, &digit| {
        char::from(digit).to_digit(16).map(|d| value << 4 | d)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expect: &str) {
        let mut out = Vec::new();
        escape(&mut out, text);
        assert_eq!(String::from_utf8(out).expect("escapes are text"), expect);
    }

    /// The right sides were written by dockerd 20.10.
    #[test]
    fn escapes_are_dockers() {
        check(b"plain\ttab\r\n", "plain\\u0009tab\\r\\n");
        check(
            b"\"q\" \\ <a> & \x01\x1f \x7f\n",
            "\\\"q\\\" \\\\ \\u003ca\\u003e \\u0026 \\u0001\\u001f \x7f\\n",
        );
        check(
            b"bad \xff\xc2 \xe2\x82x \xf0\x9f\x98\x80 \xe2\x80\xa8 \xc3\xa9\n",
            "bad \\ufffd\\ufffd \\ufffd\\ufffdx \u{1f600} \\u2028 \u{e9}\\n",
        );
        check(b"cut \xf0\x9f", "cut \\ufffd\\ufffd");
    }

    #[test]
    fn every_text_comes_back() {
        let text: String = (0..0x3000)
            .filter_map(char::from_u32)
            .chain(['\u{1f600}'])
            .collect();
        let (mut escaped, mut back) = (Vec::new(), Vec::new());
        escape(&mut escaped, text.as_bytes());
        unescape(&mut back, &escaped).expect("our own escapes");
        assert_eq!(back, text.as_bytes());
        let mut pair = Vec::new();
        unescape(&mut pair, br"\ud83d\ude00").expect("a surrogate pair");
        assert_eq!(pair, "\u{1f600}".as_bytes());
    }

    #[test]
    fn broken_escapes_are_noticed() {
        for bad in [&br"\"[..], br"\u12", br"\ud83d", br"\x41"] {
            assert_eq!(unescape(&mut Vec::new(), bad), None);
        }
    }
}
