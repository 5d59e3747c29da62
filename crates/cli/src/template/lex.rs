//! Templates cut into text and actions, and actions into tokens.

use super::parse::Error;

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    Action { at: usize, tokens: Vec<Token> },
}

/// A token with its byte offset in the template.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
    /// Whether a blank stands before it.
    pub(super) spaced: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Dot,
    Field(String),
    Variable(String),
    Word(String),
    Str(String),
    Int(i64),
    Float(f64),
    Pipe,
    Open,
    Close,
    Comma,
    Declare,
    Assign,
}

/// Cuts a template into pieces.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    while at <= text.len() {
        let rest = &text[at..];
        let Some(open) = rest.find("{{") else {
            let tail = if trim_next { rest.trim_start() } else { rest };
            if !tail.is_empty() {
                found.push(Piece::Text(tail.to_owned()));
            }
            break;
        };
        let mut before = &rest[..open];
        if trim_next {
            before = before.trim_start();
        }
        let mut inside = at + open + 2;
        let trims_before = text[inside..].starts_with('-')
            && text[inside + 1..].starts_with(|c: char| c.is_ascii_whitespace());
        if trims_before {
            before = before.trim_end();
            inside += 2;
        }
        if !before.is_empty() {
            found.push(Piece::Text(before.to_owned()));
        }
        let comment = text[inside..].trim_start().starts_with("/*");
        let end = if comment {
            let close = text[inside..]
                .find("*/")
                .ok_or_else(|| Error::at(inside, "unclosed comment"))?;
            let after = inside + close + 2;
            text[after..]
                .find("}}")
                .map(|offset| after + offset)
                .ok_or_else(|| Error::at(after, "comment ends before closing delimiter"))?
        } else {
            end_of_action(text, inside)?
        };
        let mut body = &text[inside..end];
        trim_next = body.ends_with(" -") || body == "-";
        if trim_next {
            body = &body[..body.len() - 1];
        }
        if !comment {
            found.push(Piece::Action {
                at: inside,
                tokens: tokens(body, inside)?,
            });
        }
        at = end + 2;
    }
    Ok(found)
}

/// The offset of the `}}` that ends the action beginning at `from`; quoted text may hold braces.
fn end_of_action(text: &str, from: usize) -> Result<usize, Error> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Ok(at),
            quote @ (b'"' | b'`' | b'\'') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' && quote != b'`' {
                        2
                    } else {
                        1
                    };
                }
                if at >= bytes.len() {
                    return Err(Error::at(from, "unterminated quoted string"));
                }
            }
            _ => {}
        }
        at += 1;
    }
    Err(Error::at(from, "unclosed action"))
}

fn tokens(body: &str, base: usize) -> Result<Vec<Token>, Error> {
    let bytes = body.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    let mut spaced = true;
    while at < bytes.len() {
        let start = at;
        let word_end = |from: usize| {
            body[from..]
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .map_or(body.len(), |offset| from + offset)
        };
        let kind = match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' => {
                spaced = true;
                at += 1;
                continue;
            }
            b'|' => {
                at += 1;
                Kind::Pipe
            }
            b'(' => {
                at += 1;
                Kind::Open
            }
            b')' => {
                at += 1;
                Kind::Close
            }
            b',' => {
                at += 1;
                Kind::Comma
            }
            b':' if bytes.get(at + 1) == Some(&b'=') => {
                at += 2;
                Kind::Declare
            }
            b'=' => {
                at += 1;
                Kind::Assign
            }
            b'.' if bytes.get(at + 1).is_none_or(|c| !is_word(*c)) => {
                at += 1;
                Kind::Dot
            }
            b'.' if !bytes[at + 1].is_ascii_digit() => {
                at = word_end(at + 1);
                Kind::Field(body[start + 1..at].to_owned())
            }
            b'$' => {
                at = word_end(at + 1);
                Kind::Variable(body[start..at].to_owned())
            }
            b'"' => {
                let (text, end) = unquote(body, at + 1, base)?;
                at = end;
                Kind::Str(text)
            }
            b'`' => {
                let end = body[at + 1..]
                    .find('`')
                    .ok_or_else(|| Error::at(base + at, "unterminated raw quoted string"))?;
                at += end + 2;
                Kind::Str(body[start + 1..at - 1].to_owned())
            }
            c if c.is_ascii_digit() || c == b'-' || c == b'+' => {
                at += 1;
                while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'.') {
                    at += 1;
                }
                let text = &body[start..at];
                match (text.parse::<i64>(), text.parse::<f64>()) {
                    (Ok(number), _) => Kind::Int(number),
                    (_, Ok(number)) => Kind::Float(number),
                    _ => {
                        return Err(Error::at(
                            base + start,
                            format!("bad number syntax: \"{text}\""),
                        ));
                    }
                }
            }
            c if is_word(c) => {
                at = word_end(at);
                Kind::Word(body[start..at].to_owned())
            }
            _ => {
                let c = body[at..].chars().next().unwrap_or(' ');
                return Err(Error::at(
                    base + at,
                    format!(
                        "unexpected {} in command",
                        super::super::values::quote(&c.to_string())
                    ),
                ));
            }
        };
        found.push(Token {
            at: base + start,
            kind,
            spaced,
        });
        spaced = false;
    }
    Ok(found)
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn unquote(body: &str, from: usize, base: usize) -> Result<(String, usize), Error> {
    let mut text = String::new();
    let mut chars = body[from..].char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '"' => return Ok((text, from + offset + 1)),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(other) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    Err(Error::at(base + from, "unterminated quoted string"))
}
