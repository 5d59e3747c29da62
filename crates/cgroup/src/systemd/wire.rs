//! D-Bus messages as bytes: those that we send, and what we read of those that come.
//!
//! Values stand at multiples of their size, counted from the start of the message; the body starts at a multiple of 8, so
//! it is laid out by itself. Spec: D-Bus Specification, "Marshaling (Wire Format)" and "Message Format".

/// A property's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    /// `u`
    Number(u32),
    /// `t`
    Long(u64),
    /// `i`
    Signed(i32),
    /// `x`
    SignedLong(i64),
    /// `as`
    Texts(Vec<String>),
    /// `au`
    Numbers(Vec<u32>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Text(_) => "s",
            Self::Flag(_) => "b",
            Self::Number(_) => "u",
            Self::Long(_) => "t",
            Self::Signed(_) => "i",
            Self::SignedLong(_) => "x",
            Self::Texts(_) => "as",
            Self::Numbers(_) => "au",
            Self::Bytes(_) => "ay",
            Self::Pairs(_) => "a(ss)",
        }
    }
}

/// Values one after the other, with their signature.
#[derive(Debug, Default)]
pub(super) struct Body {
    bytes: Vec<u8>,
    signature: String,
}

impl Body {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.signature.push('s');
        put_text(&mut self.bytes, text);
        self
    }

    pub(super) fn flag(mut self, flag: bool) -> Self {
        self.signature.push('b');
        put_number(&mut self.bytes, flag.into());
        self
    }

    /// `a(sv)`: names and values.
    pub(super) fn properties(mut self, properties: &[(String, Value)]) -> Self {
        self.signature.push_str("a(sv)");
        put_array(&mut self.bytes, 8, |bytes| {
            for (name, value) in properties {
                align(bytes, 8);
                put_text(bytes, name);
                put_signature(bytes, value.signature());
                put_value(bytes, value);
            }
        });
        self
    }

    /// `a(sa(sv))`: no further units.
    pub(super) fn no_units(mut self) -> Self {
        self.signature.push_str("a(sa(sv))");
        put_array(&mut self.bytes, 8, |_| {});
        self
    }
}

/// A call of a method, as bytes.
pub(super) fn call(serial: u32, path: &str, interface: &str, member: &str, body: &Body) -> Vec<u8> {
    // Little endian, method call, no flags, protocol 1.
    let mut bytes = vec![b'l', METHOD_CALL, 0, 1];
    put_number(&mut bytes, length(body.bytes.len()));
    put_number(&mut bytes, serial);
    put_array(&mut bytes, 8, |bytes| {
        for (code, kind, text) in [
            (PATH, "o", path),
            (DESTINATION, "s", "org.freedesktop.systemd1"),
            (INTERFACE, "s", interface),
            (MEMBER, "s", member),
        ] {
            align(bytes, 8);
            bytes.push(code);
            put_signature(bytes, kind);
            put_text(bytes, text);
        }
        align(bytes, 8);
        bytes.push(SIGNATURE);
        put_signature(bytes, "g");
        put_signature(bytes, &body.signature);
    });
    align(&mut bytes, 8);
    bytes.extend_from_slice(&body.bytes);
    bytes
}

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a request is short")
}

fn align(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn put_number(bytes: &mut Vec<u8>, number: u32) {
    align(bytes, 4);
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, length(text.len()));
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
}

fn put_signature(bytes: &mut Vec<u8>, signature: &str) {
    bytes.push(u8::try_from(signature.len()).expect("a signature is short"));
    bytes.extend_from_slice(signature.as_bytes());
    bytes.push(0);
}

/// The length of an array does not count the padding before its first element.
fn put_array(bytes: &mut Vec<u8>, element: usize, put: impl FnOnce(&mut Vec<u8>)) {
    put_number(bytes, 0);
    let at = bytes.len() - 4;
    align(bytes, element);
    let start = bytes.len();
    put(bytes);
    let len = length(bytes.len() - start);
    bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    let put_long = |bytes: &mut Vec<u8>, number: [u8; 8]| {
        align(bytes, 8);
        bytes.extend_from_slice(&number);
    };
    match value {
        Value::Text(text) => put_text(bytes, text),
        Value::Flag(flag) => put_number(bytes, (*flag).into()),
        Value::Number(number) => put_number(bytes, *number),
        Value::Signed(number) => put_number(bytes, number.cast_unsigned()),
        Value::Long(number) => put_long(bytes, number.to_le_bytes()),
        Value::SignedLong(number) => put_long(bytes, number.to_le_bytes()),
        Value::Texts(texts) => put_array(bytes, 4, |bytes| {
            texts.iter().for_each(|text| put_text(bytes, text));
        }),
        Value::Numbers(numbers) => put_array(bytes, 4, |bytes| {
            numbers.iter().for_each(|number| put_number(bytes, *number));
        }),
        Value::Bytes(all) => put_array(bytes, 1, |bytes| bytes.extend_from_slice(all)),
        Value::Pairs(pairs) => put_array(bytes, 8, |bytes| {
            for (first, second) in pairs {
                align(bytes, 8);
                put_text(bytes, first);
                put_text(bytes, second);
            }
        }),
    }
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The answer to a call of ours.
    Return { to: u32 },
    /// The refusal of a call of ours.
    Refusal { to: u32, name: String },
    /// Something has happened.
    Signal { member: String },
    /// Nothing for us.
    Other,
}

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    body: Vec<u8>,
}

/// The fixed part of a message's head.
pub(super) const FIXED: usize = 16;
/// No message that we wait for comes near it.
const MOST_BYTES: usize = 1 << 20;

/// How long a message is, from its fixed part; `None` when it is no message that we understand.
pub(super) fn message_len(fixed: &[u8; FIXED]) -> Option<usize> {
    if fixed[0] != b'l' || fixed[3] != 1 {
        return None;
    }
    let body = Reader::new(&fixed[4..]).number()? as usize;
    let fields = Reader::new(&fixed[12..]).number()? as usize;
    let len = FIXED
        .checked_add(fields)?
        .checked_next_multiple_of(8)?
        .checked_add(body)?;
    (len <= MOST_BYTES).then_some(len)
}

impl Message {
    /// Reads a whole message.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let fixed: &[u8; FIXED] = bytes.first_chunk()?;
        let len = message_len(fixed)?;
        let fields = Reader::new(&fixed[12..]).number()? as usize;
        let head = bytes.get(..FIXED + fields)?;
        let body = bytes.get(head.len().next_multiple_of(8)..len)?.to_vec();
        let (mut member, mut error_name, mut to) = (String::new(), String::new(), 0);
        let mut reader = Reader {
            bytes: head,
            at: FIXED,
        };
        while reader.at < head.len() {
            reader.align(8);
            let code = reader.byte()?;
            match (code, reader.signature()?.as_str()) {
                (MEMBER, "s") => member = reader.text()?,
                (ERROR_NAME, "s") => error_name = reader.text()?,
                (REPLY_SERIAL, "u") => to = reader.number()?,
                (_, "s" | "o") => drop(reader.text()?),
                (_, "g") => drop(reader.signature()?),
                (_, "u") => drop(reader.number()?),
                _ => return None,
            }
        }
        let kind = match fixed[1] {
            METHOD_RETURN => Kind::Return { to },
            ERROR => Kind::Refusal {
                to,
                name: error_name,
            },
            SIGNAL => Kind::Signal { member },
            _ => Kind::Other,
        };
        Some(Self { kind, body })
    }

    /// The body of a refusal, or of an answer that is one text or path.
    pub(super) fn one_text(&self) -> Option<String> {
        Reader::new(&self.body).text()
    }

    /// The body of `JobRemoved`: the job's path, and what came of it.
    pub(super) fn removed_job(&self) -> Option<(String, String)> {
        let mut reader = Reader::new(&self.body);
        reader.number()?;
        let path = reader.text()?;
        reader.text()?;
        Some((path, reader.text()?))
    }
}

#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    fn text(&mut self) -> Option<String> {
        let len = self.number()? as usize;
        let text = self.take(len)?;
        self.take(1)?;
        String::from_utf8(text.to_vec()).ok()
    }

    fn signature(&mut self) -> Option<String> {
        let len = usize::from(self.byte()?);
        let text = self.take(len)?;
        self.take(1)?;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_laid_out_as_the_specification_has_it() {
        let body = Body::new()
            .text("x.scope")
            .properties(&[("PIDs".to_owned(), Value::Numbers(vec![7]))])
            .no_units();
        assert_eq!(body.signature, "sa(sv)a(sa(sv))");
        // The text (4 + 8), the array's length, its only element at a multiple of 8, and an empty array of structures.
        assert_eq!(&body.bytes[..12], b"\x07\0\0\0x.scope\0");
        assert_eq!(body.bytes[12..16], 24u32.to_le_bytes());
        assert_eq!(&body.bytes[16..25], b"\x04\0\0\0PIDs\0");
        assert_eq!(&body.bytes[25..29], b"\x02au\0");
        assert_eq!(body.bytes[32..36], 4u32.to_le_bytes());
        assert_eq!(body.bytes[36..40], 7u32.to_le_bytes());
        assert_eq!(body.bytes[40..], [0; 8]);
        let bytes = call(5, "/a", "b.c", "D", &body);
        assert_eq!(
            message_len(bytes.first_chunk().expect("long enough")),
            Some(bytes.len())
        );
        assert!(bytes.ends_with(&body.bytes));
    }

    #[test]
    fn what_comes_is_told_apart() {
        let body = Body::new().text("/org/job/1");
        let mut bytes = call(1, "/p", "i.f", "JobRemoved", &body);
        bytes[1] = SIGNAL;
        let message = Message::parse(&bytes).expect("a message");
        let member = "JobRemoved".to_owned();
        assert_eq!(message.kind, Kind::Signal { member });
        assert_eq!(message.one_text().as_deref(), Some("/org/job/1"));
        bytes[1] = METHOD_RETURN;
        let message = Message::parse(&bytes).expect("a message");
        assert_eq!(message.kind, Kind::Return { to: 0 });
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_no_message() {
        let bytes = call(1, "/p", "i.f", "M", &Body::new().text("x"));
        for len in 0..bytes.len() {
            assert_eq!(Message::parse(&bytes[..len]), None, "{len}");
        }
        let mut long = bytes;
        long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(message_len(long.first_chunk().expect("long enough")), None);
    }
}
