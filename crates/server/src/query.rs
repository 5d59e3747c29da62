//! Query strings, read by Docker's rules.

use ids::Filters;

use crate::problem::Problem;

/// The parameters of a request, in their order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        text.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(key, true)?, decode(value, true)?))
            })
            .collect::<Result<_, Problem>>()
            .map(Self)
    }

    /// The first value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// The first value of a key, None when it is empty too.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// All values of a key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// Docker's booleans: absent, empty, `0`, `no`, `false` and `none` are false, all else is true.
    pub(crate) fn flag(&self, key: &str) -> bool {
        is_true(self.get(key).unwrap_or_default())
    }

    /// A boolean that is `default` when absent.
    pub(crate) fn flag_or(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, is_true)
    }

    /// A number, None when absent or empty.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, Problem> {
        self.text(key)
            .map(|text| {
                text.parse().map_err(|_| {
                    Problem::invalid(format!(
                        "invalid value for '{key}': {text:?} is not a number"
                    ))
                })
            })
            .transpose()
    }

    /// The `filters` parameter.
    pub(crate) fn filters(&self) -> Result<Filters, Problem> {
        match self.text("filters") {
            Some(text) => serde_json::from_str(text)
                .map_err(|e| Problem::invalid(format!("invalid filters: {e}"))),
            None => Ok(Filters::default()),
        }
    }
}

fn is_true(value: &str) -> bool {
    !matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "" | "0" | "no" | "false" | "none"
    )
}

/// Decodes `%41`, and `+` as a space where forms do.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Result<String, Problem> {
    let wrong = || Problem::invalid(format!("invalid URL escape in {text:?}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' if plus_is_space => b' ',
            b'%' => {
                let mut digit = || {
                    rest.next()
                        .and_then(|d| char::from(d).to_digit(16))
                        .ok_or_else(wrong)
                };
                let value = digit()? * 16 + digit()?;
                u8::try_from(value).expect("two hexadecimal digits fit a byte")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text).expect("a valid query")
    }

    #[test]
    fn booleans_follow_docker() {
        for (text, expect) in [
            ("a=1", true),
            ("a=true", true),
            ("a=yes", true),
            ("a=0", false),
            ("a=No", false),
            ("a=false", false),
            ("a=none", false),
            ("a=", false),
            ("a", false),
            ("", false),
            ("a=+", false),
            ("b=1", false),
        ] {
            assert_eq!(query(text).flag("a"), expect, "{text}");
        }
        assert!(query("").flag_or("stream", true));
        assert!(!query("stream=0").flag_or("stream", true));
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_refused() {
        let read = query("name=a%2Fb+c&t=x&t=y%3dz");
        assert_eq!(read.get("name"), Some("a/b c"));
        assert_eq!(read.all("t").collect::<Vec<_>>(), ["x", "y=z"]);
        assert_eq!(decode("a+b", false).expect("plain"), "a+b");
        for broken in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(Query::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn filters_and_numbers_are_checked() {
        let read = query("filters=%7B%22label%22%3A%5B%22x%22%5D%7D&limit=3&bad=x");
        assert!(read.filters().expect("valid").matches("label", "x"));
        assert_eq!(read.number("limit").expect("a number"), Some(3));
        assert!(read.number("bad").is_err());
        assert_eq!(read.number("absent").expect("absent"), None);
        assert!(query("filters=x").filters().is_err());
    }
}
