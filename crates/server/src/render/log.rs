//! Log lines as clients get them: prefixes, and Docker's frames when there is no terminal.

use std::fmt::Write;

use logs::{Entry, Stream};

/// How lines are dressed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dress {
    /// The time in front.
    pub(crate) timestamps: bool,
    /// The attributes stored with the line in front.
    pub(crate) details: bool,
    /// A frame around each line.
    pub(crate) frames: bool,
}

/// Appends one line.
pub(crate) fn append(out: &mut Vec<u8>, entry: &Entry, dress: Dress) {
    let mut prefix = String::new();
    if dress.timestamps {
        prefix.push_str(&logs::format_rfc3339_nine_digits(entry.time_unix_nanos));
        prefix.push(' ');
    }
    if dress.details {
        let mut comma = "";
        for (key, value) in &entry.attrs {
            let _ = write!(prefix, "{comma}{}={}", escape(key), escape(value));
            comma = ",";
        }
        prefix.push(' ');
    }
    if dress.frames {
        let stream = match entry.stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        push_head(out, stream, prefix.len() + entry.line.len());
    }
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(&entry.line);
}

/// Appends why there is no more: to the stream of Docker's frames that clients take for the engine's own, or as text.
pub(crate) fn append_failure(out: &mut Vec<u8>, why: &str, dress: Dress) {
    const ENGINE: u8 = 3;
    let text = format!("Error grabbing logs: {why}\n");
    if dress.frames {
        push_head(out, ENGINE, text.len());
    }
    out.extend_from_slice(text.as_bytes());
}

fn push_head(out: &mut Vec<u8>, stream: u8, len: usize) {
    let [a, b, c, d] = u32::try_from(len)
        .expect("a log line is shorter than 4 GiB")
        .to_be_bytes();
    out.extend_from_slice(&[stream, 0, 0, 0, a, b, c, d]);
}

/// Escapes an attribute as in a query string, so that `=`, `,` and spaces stay readable.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            stream: Stream::Stderr,
            time_unix_nanos: 1_795_218_942_143_208_229,
            line: b"hi\n".to_vec(),
            attrs: [
                ("a b".to_owned(), "1=2".to_owned()),
                ("c".to_owned(), String::new()),
            ]
            .into(),
        }
    }

    #[test]
    fn a_frame_names_the_stream_and_the_length() {
        let mut out = Vec::new();
        append(
            &mut out,
            &entry(),
            Dress {
                frames: true,
                ..Dress::default()
            },
        );
        assert_eq!(out, b"\x02\0\0\0\0\0\0\x03hi\n");
    }

    #[test]
    fn time_and_details_stand_in_front() {
        let mut out = Vec::new();
        append(
            &mut out,
            &entry(),
            Dress {
                timestamps: true,
                details: true,
                frames: false,
            },
        );
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "2026-11-20T23:55:42.143208229Z a+b=1%3D2,c= hi\n"
        );
    }
}
