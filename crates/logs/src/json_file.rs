//! Docker's json-file format: one JSON object a line, its members in Docker's order.
//!
//! `{"log":"text\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-20T23:50:58.647941181Z"}`

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Deserialize;

use crate::escape::{escape, unescape};
use crate::{Entry, Stream, format_rfc3339_nanos, parse_rfc3339};

const OPENING: &[u8] = b"{\"log\":\"";

/// What follows the text of each record of one chunk: stream, attributes and time, then the opening of the next record.
pub(crate) fn closing(
    stream: Stream,
    attrs: &BTreeMap<String, String>,
    unix_nanos: i64,
) -> Vec<u8> {
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let mut text = format!("\",\"stream\":\"{stream}\",").into_bytes();
    if !attrs.is_empty() {
        text.extend_from_slice(b"\"attrs\":{");
        for (index, (name, value)) in attrs.iter().enumerate() {
            text.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
            escape(&mut text, name.as_bytes());
            text.extend_from_slice(b"\":\"");
            escape(&mut text, value.as_bytes());
            text.push(b'"');
        }
        text.extend_from_slice(b"},");
    }
    text.extend_from_slice(
        format!("\"time\":\"{}\"}}\n", format_rfc3339_nanos(unix_nanos)).as_bytes(),
    );
    text
}

/// Appends one record; `closing` is from [`closing`].
#[inline]
pub(crate) fn encode(out: &mut Vec<u8>, line: &[u8], closing: &[u8]) {
    let (text, newline): (_, &[u8]) = match line.split_last() {
        Some((b'\n', text)) => (text, b"\\n"),
        _ => (line, b""),
    };
    // One growth check for the usual case instead of one for each part.
    out.reserve(OPENING.len() + line.len() + 1 + closing.len());
    out.extend_from_slice(OPENING);
    escape(out, text);
    out.extend_from_slice(newline);
    out.extend_from_slice(closing);
}

/// The fallback for records that others wrote.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    time: String,
}

/// Reads one record, given without its newline, into `entry`; false when it is not one.
pub(crate) fn decode(record: &[u8], entry: &mut Entry) -> bool {
    entry.line.clear();
    entry.attrs.clear();
    if decode_ours(record, entry).is_some() {
        return true;
    }
    entry.line.clear();
    let Ok(record) = serde_json::from_slice::<Record>(record) else {
        return false;
    };
    let Some(time) = parse_rfc3339(&record.time) else {
        return false;
    };
    entry.line.extend_from_slice(record.log.as_bytes());
    entry.stream = if record.stream == "stderr" {
        Stream::Stderr
    } else {
        Stream::Stdout
    };
    entry.attrs = record.attrs;
    entry.time_unix_nanos = time;
    true
}

/// The exact shape that [`encode`] writes without attributes.
fn decode_ours(record: &[u8], entry: &mut Entry) -> Option<()> {
    let rest = record.strip_prefix(OPENING)?;
    let mut end = 0;
    loop {
        end += memchr::memchr2(b'"', b'\\', &rest[end..])?;
        if rest[end] == b'"' {
            break;
        }
        end += 2;
        if end > rest.len() {
            return None;
        }
    }
    let (text, rest) = rest.split_at(end);
    let rest = rest.strip_prefix(b"\",\"stream\":\"std")?;
    let (stream, rest) = match rest.split_at_checked(3)? {
        (b"out", rest) => (Stream::Stdout, rest),
        (b"err", rest) => (Stream::Stderr, rest),
        _ => return None,
    };
    let time = rest.strip_prefix(b"\",\"time\":\"")?.strip_suffix(b"\"}")?;
    entry.time_unix_nanos = parse_rfc3339(std::str::from_utf8(time).ok()?)?;
    entry.stream = stream;
    unescape(&mut entry.line, text)
}

/// The length of the file up to the end of its last whole record.
pub(crate) fn sound_length(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).expect("at most a block")];
        file.read_exact_at(part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_docker_writes() {
        let attrs = BTreeMap::from([
            ("a".to_owned(), "b".to_owned()),
            ("tag".to_owned(), "x".to_owned()),
        ]);
        let time = parse_rfc3339("2026-11-20T23:50:58.647941181Z").expect("a time");
        let mut out = Vec::new();
        encode(
            &mut out,
            b"plain\ttab\r\n",
            &closing(Stream::Stdout, &attrs, time),
        );
        // Written by dockerd 20.10 for the same output and options.
        let docker = concat!(
            r#"{"log":"plain\u0009tab\r\n","stream":"stdout","attrs":{"a":"b","tag":"x"},"#,
            r#""time":"2026-11-20T23:50:58.647941181Z"}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(out).expect("text"), docker);
        let mut entry = Entry::default();
        assert!(decode(docker.trim_end().as_bytes(), &mut entry));
        assert_eq!(entry.line, b"plain\ttab\r\n");
        assert_eq!((entry.attrs, entry.time_unix_nanos), (attrs, time));
    }

    #[test]
    fn records_come_back_and_rubbish_does_not() {
        let mut entry = Entry::default();
        for line in [
            &b"x\n"[..],
            b"",
            b"\\",
            b"\"\\\"\n",
            "é<>&\u{2028}".as_bytes(),
        ] {
            let mut out = Vec::new();
            encode(
                &mut out,
                line,
                &closing(Stream::Stderr, &BTreeMap::new(), 5),
            );
            assert!(decode(
                out.strip_suffix(b"\n").expect("a newline"),
                &mut entry
            ));
            assert_eq!(
                (entry.line.as_slice(), entry.stream),
                (line, Stream::Stderr)
            );
        }
        for rubbish in [
            &b""[..],
            b"{}",
            b"{\"log\":\"x\\",
            b"{\"log\":\"x\\\"",
            b"null",
            &[0; 9],
        ] {
            assert!(!decode(rubbish, &mut entry));
        }
    }
}
