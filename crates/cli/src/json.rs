//! Small ways through JSON answers, and Go's indentation of raw JSON text.

use serde_json::Value;

/// The text at `key`, empty when it is absent or no text.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The number at `key`, 0 when it is absent or no number.
pub(crate) fn int(object: &Value, key: &str) -> i64 {
    object.get(key).and_then(Value::as_i64).unwrap_or_default()
}

/// The truth at `key`, false when it is absent.
pub(crate) fn truth(object: &Value, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// The list at `key`, empty when it is absent.
pub(crate) fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The object at `key` as text pairs sorted by key.
pub(crate) fn pairs(object: &Value, key: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = object
        .get(key)
        .and_then(Value::as_object)
        .map(|map| {
            map.iter()
                .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect()
        })
        .unwrap_or_default();
    found.sort();
    found
}

/// Pairs as `a=1,b=2`.
pub(crate) fn joined(pairs: &[(String, String)]) -> String {
    let words: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    words.join(",")
}

/// JSON text indented by four blanks as Go's `json.Indent` does, every byte of strings and numbers kept.
pub(crate) fn indent(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len() * 2);
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut opened = false;
    let newline = |text: &mut String, depth: usize| {
        text.push('\n');
        for _ in 0..depth {
            text.push_str("    ");
        }
    };
    for c in raw.chars() {
        if in_string {
            text.push(c);
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == '"' {
                in_string = false;
            }
            continue;
        }
        if c.is_ascii_whitespace() {
            continue;
        }
        if opened && c != ']' && c != '}' {
            opened = false;
            depth += 1;
            newline(&mut text, depth);
        }
        match c {
            '"' => {
                in_string = true;
                text.push(c);
            }
            '{' | '[' => {
                opened = true;
                text.push(c);
            }
            ',' => {
                text.push(c);
                newline(&mut text, depth);
            }
            ':' => text.push_str(": "),
            '}' | ']' => {
                if opened {
                    opened = false;
                } else {
                    depth = depth.saturating_sub(1);
                    newline(&mut text, depth);
                }
                text.push(c);
            }
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indentation_is_gos() {
        assert_eq!(
            indent(r#"[{"a":{},"b":[1,"x:{,"],"c":[]}]"#),
            "[\n    {\n        \"a\": {},\n        \"b\": [\n            1,\n            \"x:{,\"\n        ],\n        \"c\": []\n    }\n]"
        );
    }
}
