//! The functions of Go's templates and of Docker's `--format`.

use std::cmp::Ordering;

use super::{Mode, Value};
use crate::values::quote;

const NAMES: &[&str] = &[
    "and", "eq", "ge", "gt", "html", "index", "join", "json", "le", "len", "lower", "lt", "ne",
    "not", "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate",
    "upper", "urlquery",
];

pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function; the error is Go's reason without the function's name.
pub(super) fn call(name: &str, arguments: &[Value], mode: Mode) -> Result<Value, String> {
    let changes_nothing = matches!(
        name,
        "json" | "title" | "lower" | "upper" | "truncate" | "pad"
    );
    if mode == Mode::Header && changes_nothing {
        return Ok(arguments.first().cloned().unwrap_or(Value::Nil));
    }
    let text = |index: usize| arguments.get(index).map(Value::show).unwrap_or_default();
    let number = |index: usize| match arguments.get(index) {
        Some(Value::Int(number)) => usize::try_from(*number).unwrap_or(0),
        _ => 0,
    };
    let need = |count: usize| {
        if arguments.len() == count {
            Ok(())
        } else {
            Err(format!(
                "wrong number of args for {name}: want {count} got {}",
                arguments.len()
            ))
        }
    };
    Ok(match name {
        "json" => {
            need(1)?;
            Value::Str(arguments[0].json_text())
        }
        "upper" => {
            need(1)?;
            Value::Str(text(0).to_uppercase())
        }
        "lower" => {
            need(1)?;
            Value::Str(text(0).to_lowercase())
        }
        "title" => {
            need(1)?;
            Value::Str(title(&text(0)))
        }
        "split" => {
            need(2)?;
            let (whole, separator) = (text(0), text(1));
            let parts: Vec<Value> = if separator.is_empty() {
                whole.chars().map(|c| Value::Str(c.to_string())).collect()
            } else {
                whole.split(&separator).map(Value::from).collect()
            };
            Value::List(parts)
        }
        "join" => {
            need(2)?;
            match &arguments[0] {
                Value::List(list) => {
                    let words: Vec<String> = list.iter().map(Value::show).collect();
                    Value::Str(words.join(&text(1)))
                }
                Value::Nil => Value::Str(String::new()),
                other => return Err(format!("expected []string; found {}", other.show())),
            }
        }
        "truncate" => {
            need(2)?;
            Value::Str(text(0).chars().take(number(1)).collect())
        }
        "pad" => {
            need(3)?;
            let whole = text(0);
            if whole.is_empty() {
                Value::Str(whole)
            } else {
                Value::Str(format!(
                    "{}{whole}{}",
                    " ".repeat(number(1)),
                    " ".repeat(number(2))
                ))
            }
        }
        "len" => {
            need(1)?;
            let length = match &arguments[0] {
                Value::Str(text) => text.len(),
                Value::List(list) => list.len(),
                Value::Map(map) => map.len(),
                Value::Nil => return Err("len of nil pointer".into()),
                other => return Err(format!("len of type {}", other.type_name())),
            };
            Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
        }
        "index" => index(arguments)?,
        "slice" => slice(arguments)?,
        "print" => Value::Str(print(arguments)),
        "println" => {
            let words: Vec<String> = arguments.iter().map(Value::show).collect();
            Value::Str(words.join(" ") + "\n")
        }
        "printf" => Value::Str(printf(arguments)),
        "not" => {
            need(1)?;
            Value::Bool(!arguments[0].is_true())
        }
        "and" | "or" => arguments.last().cloned().unwrap_or(Value::Nil),
        "eq" => {
            let first = arguments.first().ok_or("missing argument for comparison")?;
            if arguments.len() < 2 {
                return Err("missing argument for comparison".into());
            }
            let mut found = false;
            for other in &arguments[1..] {
                found |= compare(first, other)? == Ordering::Equal;
            }
            Value::Bool(found)
        }
        "ne" | "lt" | "le" | "gt" | "ge" => {
            need(2)?;
            let order = compare(&arguments[0], &arguments[1])?;
            Value::Bool(match name {
                "ne" => order != Ordering::Equal,
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
        "html" => Value::Str(
            print(arguments)
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&#34;")
                .replace('\'', "&#39;"),
        ),
        "urlquery" => {
            let mut escaped = String::new();
            for byte in print(arguments).bytes() {
                match byte {
                    b' ' => escaped.push('+'),
                    b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
                    _ if byte.is_ascii_alphanumeric() => escaped.push(byte as char),
                    _ => escaped.push_str(&format!("%{byte:02X}")),
                }
            }
            Value::Str(escaped)
        }
        _ => return Err("unknown function".into()),
    })
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c };
            start = !c.is_alphanumeric() && c != '_' && c != '\'';
            shown
        })
        .collect()
}

fn print(arguments: &[Value]) -> String {
    let mut printed = String::new();
    for (place, value) in arguments.iter().enumerate() {
        let both_plain = place > 0
            && !matches!(value, Value::Str(_))
            && !matches!(arguments[place - 1], Value::Str(_));
        if both_plain {
            printed.push(' ');
        }
        printed.push_str(&value.show());
    }
    printed
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let Some((whole, keys)) = arguments.split_first() else {
        return Err("index of untyped nil".into());
    };
    let mut current = whole.clone();
    for key in keys {
        current = match (&current, key) {
            (Value::Map(map), Value::Str(key)) => map
                .iter()
                .find(|(known, _)| known == key)
                .map_or_else(|| Value::Str(String::new()), |(_, value)| value.clone()),
            (Value::List(list), Value::Int(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| list.get(at))
                .cloned()
                .ok_or_else(|| format!("index out of range: {at}"))?,
            (Value::Str(text), Value::Int(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| text.as_bytes().get(at))
                .map(|byte| Value::Int(i64::from(*byte)))
                .ok_or_else(|| format!("index out of range: {at}"))?,
            (Value::Nil, _) => return Err("index of untyped nil".into()),
            (Value::Map(_), other) => {
                return Err(format!(
                    "value has type {}; should be string",
                    other.type_name()
                ));
            }
            (Value::List(_), other) => {
                return Err(format!(
                    "cannot index slice/array with type {}",
                    other.type_name()
                ));
            }
            (other, _) => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(current)
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let bound = |place: usize, default: usize| match arguments.get(place) {
        Some(Value::Int(at)) => usize::try_from(*at).unwrap_or(0),
        _ => default,
    };
    let range = |length: usize| {
        let (from, to) = (bound(1, 0), bound(2, length));
        if from <= to && to <= length {
            Ok(from..to)
        } else {
            Err(format!("index out of range: {}", to.max(from)))
        }
    };
    match arguments.first() {
        Some(Value::Str(text)) => text
            .get(range(text.len())?)
            .map(Value::from)
            .ok_or_else(|| "slice inside a character".into()),
        Some(Value::List(list)) => Ok(Value::List(list[range(list.len())?].to_vec())),
        Some(other) => Err(format!("can't slice item of type {}", other.type_name())),
        None => Err("slice of untyped nil".into()),
    }
}

fn compare(a: &Value, b: &Value) -> Result<Ordering, String> {
    let order = match (a, b) {
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Nil, Value::Nil) => Ordering::Equal,
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Less),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b).unwrap_or(Ordering::Less),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)).unwrap_or(Ordering::Less),
        (Value::Nil, _) | (_, Value::Nil) => Ordering::Less,
        _ => return Err("incompatible types for comparison".into()),
    };
    Ok(order)
}

/// Go's `fmt.Sprintf` for `%v %s %d %q %t %x %f %g %c %%`, with flags, width and precision.
fn printf(arguments: &[Value]) -> String {
    let Some((Value::Str(format), values)) = arguments.split_first() else {
        return String::new();
    };
    let mut values = values.iter();
    let mut printed = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            printed.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = chars.next_if(|c| "+-# 0".contains(*c)) {
            flags.push(flag);
        }
        let mut digits = |first: bool| {
            let mut text = String::new();
            while let Some(digit) = chars.next_if(|c| c.is_ascii_digit() || (!first && *c == '.')) {
                text.push(digit);
            }
            text
        };
        let width: usize = digits(true).parse().unwrap_or(0);
        let precision = digits(false);
        let precision: Option<usize> = precision
            .strip_prefix('.')
            .map(|text| text.parse().unwrap_or(0));
        let Some(verb) = chars.next() else {
            printed.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            printed.push('%');
            continue;
        }
        let Some(value) = values.next() else {
            printed.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        let body = verb_text(verb, value, precision);
        let missing = width.saturating_sub(body.chars().count());
        if flags.contains('-') {
            printed.push_str(&body);
            printed.push_str(&" ".repeat(missing));
        } else if flags.contains('0') && matches!(value, Value::Int(_) | Value::Float(_)) {
            let (sign, digits) = body.strip_prefix('-').map_or(("", &*body), |d| ("-", d));
            printed.push_str(sign);
            printed.push_str(&"0".repeat(missing));
            printed.push_str(digits);
        } else {
            printed.push_str(&" ".repeat(missing));
            printed.push_str(&body);
        }
    }
    printed
}

fn verb_text(verb: char, value: &Value, precision: Option<usize>) -> String {
    let whole = value.show();
    match (verb, value) {
        ('v', _) => whole,
        ('s', Value::Str(_)) => match precision {
            Some(length) => whole.chars().take(length).collect(),
            None => whole,
        },
        ('s', Value::List(_) | Value::Map(_) | Value::Record(_)) => whole,
        ('q', Value::Str(text)) => quote(text),
        ('d', Value::Int(_)) | ('t', Value::Bool(_)) => whole,
        ('x', Value::Int(number)) => format!("{number:x}"),
        ('x', Value::Str(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('c', Value::Int(number)) => u32::try_from(*number)
            .ok()
            .and_then(char::from_u32)
            .map(String::from)
            .unwrap_or_default(),
        ('f', Value::Float(number)) => format!("{number:.*}", precision.unwrap_or(6)),
        ('g', Value::Float(_)) => whole,
        ('T', value) => value.type_name().to_owned(),
        _ => format!("%!{verb}({}={whole})", value.type_name()),
    }
}
