//! The options of the log drivers, with the words Docker uses for those it refuses.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// The size at which a log is rotated when nobody said otherwise: logs are capped by default.
const DEFAULT_MAX_SIZE: u64 = 20_000_000;
/// How many files are kept when nobody said otherwise.
const DEFAULT_MAX_FILES: u32 = 5;
/// How much may wait for the log in `mode=non-blocking` when nobody said otherwise, as in Docker.
const DEFAULT_BUFFER: usize = 1 << 20;

/// A log driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Driver {
    /// Docker's JSON lines.
    JsonFile,
    /// Our compact binary records.
    Local,
    /// Nothing is kept.
    None,
}

/// A driver's options, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Which driver.
    pub driver: Driver,
    /// Rotate when a file has reached this many bytes; `None`: never.
    pub max_size_bytes: Option<u64>,
    /// How many files are kept, the current one included; at least 1.
    pub max_files: u32,
    /// Compress rotated files with gzip.
    pub compress: bool,
    /// How many bytes may wait for a slow disk before output is dropped (`mode=non-blocking`); `None`: the program waits,
    /// and no line is lost.
    pub buffer_bytes: Option<usize>,
}

/// Checks a driver's name and options.
///
/// Unlike Docker, json-file without options is capped: 20 MB a file, 5 files. `max-size=-1` lifts the cap; a `max-file`
/// without a `max-size` rotates at 20 MB; a `max-size` without a `max-file` keeps one file, as Docker does.
///
/// # Errors
/// With Docker's texts, for an unknown driver, an unknown option, or a value that cannot be used.
pub fn validate(driver: &str, options: &BTreeMap<String, String>) -> Result<Settings> {
    let (driver, extra): (_, &[&str]) = match driver {
        "json-file" | "" => (
            Driver::JsonFile,
            &["labels", "labels-regex", "env", "env-regex", "tag"],
        ),
        "local" => (Driver::Local, &[]),
        "none" => return Ok(nothing()),
        other => {
            return Err(Error::UnknownDriver {
                driver: other.to_owned(),
            });
        }
    };
    for option in options.keys() {
        let known = matches!(
            option.as_str(),
            "mode" | "max-buffer-size" | "max-size" | "max-file" | "compress"
        );
        if !known && !extra.contains(&option.as_str()) {
            return Err(match driver {
                Driver::Local => Error::UnknownLocalOption {
                    option: option.clone(),
                },
                _ => Error::UnknownOption {
                    option: option.clone(),
                },
            });
        }
    }
    settings(driver, options)
}

fn nothing() -> Settings {
    Settings {
        driver: Driver::None,
        max_size_bytes: None,
        max_files: 1,
        compress: false,
        buffer_bytes: None,
    }
}

/// How output is delivered: `blocking`, as in a pipe, unless `non-blocking` asks that the program never waits for the log.
fn buffer_of(options: &BTreeMap<String, String>) -> Result<Option<usize>> {
    let size = options.get("max-buffer-size").map(String::as_str);
    match options.get("mode").map_or("", String::as_str) {
        "" | "blocking" if size.is_some() => Err(Error::BufferWithoutMode),
        "" | "blocking" => Ok(None),
        "non-blocking" => {
            let bytes = match size {
                None => return Ok(Some(DEFAULT_BUFFER)),
                Some(size) => parse_size("max-buffer-size", size, 1024)?,
            };
            Ok(Some(usize::try_from(bytes).unwrap_or(usize::MAX)))
        }
        other => Err(Error::UnknownMode {
            mode: other.to_owned(),
        }),
    }
}

fn settings(driver: Driver, options: &BTreeMap<String, String>) -> Result<Settings> {
    let max_size_bytes = match options.get("max-size").map(String::as_str) {
        Some("-1") => None,
        Some(size) => Some(parse_size("max-size", size, 1000)?),
        None => Some(DEFAULT_MAX_SIZE),
    };
    let max_files = match options.get("max-file") {
        Some(count) => parse_count(count)?,
        None if driver == Driver::JsonFile && options.contains_key("max-size") => 1,
        None => DEFAULT_MAX_FILES,
    };
    let compress = match options.get("compress").map(String::as_str) {
        None => false,
        Some(word) => parse_bool(word)?,
    };
    if compress && (max_files < 2 || max_size_bytes.is_none()) {
        return Err(Error::CompressWithoutRotation);
    }
    Ok(Settings {
        driver,
        max_size_bytes,
        max_files,
        compress,
        buffer_bytes: buffer_of(options)?,
    })
}

fn parse_count(text: &str) -> Result<u32> {
    match text.parse::<u32>() {
        Ok(0) => Err(Error::TooFewFiles),
        Ok(count) => Ok(count.min(10_000)),
        Err(_) => Err(Error::BadNumber {
            value: text.to_owned(),
        }),
    }
}

/// The words Go's `strconv.ParseBool` takes.
fn parse_bool(text: &str) -> Result<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::BadBool {
            value: text.to_owned(),
        }),
    }
}

/// A size such as `10m`, `1.5GB`, `512KiB`; Docker counts 1000 bytes to a kilobyte of a file and 1024 to one of memory.
fn parse_size(option: &'static str, text: &str, kilo: u64) -> Result<u64> {
    let bad = || Error::BadSize {
        value: text.to_owned(),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let value: f64 = text[..end].parse().map_err(|_| bad())?;
    let unit = text[end..].trim().to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(bad()),
    };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes far beyond 2^53 bytes are not files"
    )]
    let bytes = (value * kilo.pow(power) as f64) as u64;
    if bytes == 0 {
        return Err(Error::NotPositive { option });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(driver: &str, options: &[(&str, &str)]) -> std::result::Result<Settings, String> {
        let options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        validate(driver, &options).map_err(|error| error.to_string())
    }

    #[test]
    fn logs_are_capped_by_default_and_uncapped_on_demand() {
        let default = check("json-file", &[]).expect("the default is valid");
        assert_eq!(
            (default.max_size_bytes, default.max_files),
            (Some(20_000_000), 5)
        );
        let open = check("json-file", &[("max-size", "-1")]).expect("-1 lifts the cap");
        assert_eq!(open.max_size_bytes, None);
        let one = check("json-file", &[("max-size", "10k")]).expect("a size alone is valid");
        assert_eq!((one.max_size_bytes, one.max_files), (Some(10_000), 1));
        let many = check("local", &[("max-size", "1.5MB"), ("compress", "true")])
            .expect("local compresses");
        assert_eq!(
            (many.max_size_bytes, many.compress),
            (Some(1_500_000), true)
        );
    }

    #[test]
    fn refusals_use_dockers_words() {
        let refused = |driver, options| check(driver, options).expect_err("must be refused");
        assert_eq!(
            refused("syslogd", &[]),
            "error looking up logging plugin syslogd: plugin \"syslogd\" not found"
        );
        assert_eq!(
            refused("json-file", &[("max-sice", "1m")]),
            "unknown log opt 'max-sice' for json-file log driver"
        );
        assert_eq!(
            refused("json-file", &[("mode", "maybe")]),
            "logger: logging mode not supported: maybe"
        );
        let lossy = [("mode", "non-blocking"), ("max-buffer-size", "4m")];
        assert!(refused("json-file", &lossy[1..]).contains("only supported with"));
        assert!(refused("json-file", &[("max-size", "ten")]).contains("invalid size"));
        assert!(refused("json-file", &[("max-file", "0")]).contains("less than 1"));
        assert!(
            refused(
                "json-file",
                &[("compress", "true"), ("max-size", "1m"), ("max-file", "1")]
            )
            .contains("compress cannot be true")
        );
    }

    #[test]
    fn a_buffer_comes_with_the_mode_that_needs_one() {
        let buffer = |options| check("json-file", options).map(|s| s.buffer_bytes);
        assert_eq!(buffer(&[("mode", "blocking")]), Ok(None));
        assert_eq!(buffer(&[("mode", "non-blocking")]), Ok(Some(1 << 20)));
        let four = [("mode", "non-blocking"), ("max-buffer-size", "4m")];
        assert_eq!(buffer(&four), Ok(Some(4 << 20)));
        assert!(check("local", &four).is_ok());
    }

    #[test]
    fn none_takes_any_option_as_docker_does() {
        assert!(check("none", &[("whatever", "1")]).is_ok());
    }
}
