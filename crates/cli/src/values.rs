//! The text of flag values: sizes, spans of time, numbers, in Go's and Docker's grammar and error words.

/// Reads a memory size such as `64m`, `1.5g`, `100kb` or `512` in powers of 1024.
///
/// # Errors
/// Docker's words for a bad size.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let bad = || format!("invalid size: '{text}'");
    let split = text
        .rfind(|c: char| c.is_ascii_digit() || c == '.')
        .map_or(0, |at| at + 1);
    let (number, mut suffix) = text.split_at(split);
    let plain = !number.is_empty()
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == '-' || c == '+');
    if !plain {
        return Err(bad());
    }
    suffix = suffix.strip_prefix(' ').unwrap_or(suffix);
    let value: f64 = number.parse().map_err(|_| bad())?;
    if value < 0.0 {
        return Err(bad());
    }
    let lower = suffix.to_ascii_lowercase();
    let power = match lower.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    Ok((value * 1024f64.powi(power)) as i64)
}

/// Reads a Go duration such as `1h2m3.5s`, in nanoseconds.
///
/// # Errors
/// Go's words for a bad duration.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let quoted = quote(text);
    let bad = || format!("time: invalid duration {quoted}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let value: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = &rest[..letters];
        rest = &rest[letters..];
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "" => return Err(format!("time: missing unit in duration {quoted}")),
            _ => {
                return Err(format!(
                    "time: unknown unit {} in duration {quoted}",
                    quote(unit)
                ));
            }
        };
        total += value * scale;
    }
    let total = total as i64;
    Ok(if negative { -total } else { total })
}

/// Reads a number of CPUs such as `1.5`, in billionths.
///
/// # Errors
/// Docker's words for a bad number.
pub(crate) fn nano_cpus(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let value = match text.split_once('/') {
        Some((above, below)) => {
            let above: f64 = above.parse().map_err(|_| bad())?;
            let below: f64 = below.parse().map_err(|_| bad())?;
            above / below
        }
        None => text.parse().map_err(|_| bad())?,
    };
    let nano = value * 1e9;
    if !nano.is_finite() {
        return Err(bad());
    }
    if (nano - nano.round()).abs() > 1e-6 {
        return Err("value is too precise".into());
    }
    Ok(nano.round() as i64)
}

/// Reads a signed number in Go's base-0 grammar.
///
/// # Errors
/// `strconv.ParseInt`'s words.
pub(crate) fn int(text: &str) -> Result<i64, String> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let parsed = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(&format!("{sign}{hex}"), 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(&format!("{sign}{}", digits.trim_start_matches("0o")), 8)
    } else {
        format!("{sign}{digits}").parse()
    };
    parsed.map_err(|error| number_error("ParseInt", text, &error))
}

/// Reads an unsigned number of at most `bits` bits.
///
/// # Errors
/// `strconv.ParseUint`'s words.
pub(crate) fn uint(text: &str, bits: u32) -> Result<u64, String> {
    let value: u64 = text
        .parse()
        .map_err(|error| number_error("ParseUint", text, &error))?;
    if bits < 64 && value >> bits != 0 {
        return Err(format!(
            "strconv.ParseUint: parsing {}: value out of range",
            quote(text)
        ));
    }
    Ok(value)
}

fn number_error(function: &str, text: &str, error: &std::num::ParseIntError) -> String {
    use std::num::IntErrorKind;
    let why = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.{function}: parsing {}: {why}", quote(text))
}

/// Reads a boolean as Go does.
///
/// # Errors
/// `strconv.ParseBool`'s words.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            quote(text)
        )),
    }
}

/// Text in double quotes with Go's escapes.
#[must_use]
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                quoted.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("64m"), Ok(64 << 20));
        assert_eq!(bytes("1.5g"), Ok(1536 << 20));
        assert_eq!(bytes("100"), Ok(100));
        assert_eq!(bytes("10 KB"), Ok(10240));
        assert_eq!(bytes("abc"), Err("invalid size: 'abc'".into()));
        assert_eq!(bytes("5x"), Err("invalid suffix: 'x'".into()));
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Ok(90_000_000_000));
        assert_eq!(duration("1.5s"), Ok(1_500_000_000));
        assert_eq!(duration("0"), Ok(0));
        assert_eq!(
            duration("5"),
            Err("time: missing unit in duration \"5\"".into())
        );
        assert_eq!(duration("x"), Err("time: invalid duration \"x\"".into()));
    }

    #[test]
    fn cpus() {
        assert_eq!(nano_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(
            nano_cpus("0.0000000001"),
            Err("value is too precise".into())
        );
        assert!(nano_cpus("x").is_err());
    }

    #[test]
    fn numbers() {
        assert_eq!(int("-1"), Ok(-1));
        assert_eq!(int("010"), Ok(8));
        assert!(int("x").unwrap_err().contains("strconv.ParseInt"));
        assert!(uint("70000", 16).unwrap_err().contains("out of range"));
    }
}
