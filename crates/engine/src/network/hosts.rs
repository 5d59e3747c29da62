//! The text of a container's `/etc/hosts`: pure.
//!
//! A start writes it afresh; while the container runs only the lines of what joins or leaves are touched, so that its own
//! edits stay.

use std::net::IpAddr;

/// The lines that every container's file begins with.
const BASE: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
                    ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// One address and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) address: IpAddr,
    /// With blanks between them.
    pub(crate) names: String,
}

impl Line {
    fn text(&self) -> String {
        format!("{}\t{}\n", self.address, self.names)
    }
}

/// A fresh file: what the user added, then links, then the container itself.
pub(crate) fn fresh(lines: &[Line]) -> String {
    with(BASE, lines)
}

/// A file with more lines at its end.
pub(crate) fn with(text: &str, lines: &[Line]) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    lines.iter().for_each(|line| text.push_str(&line.text()));
    text
}

/// A file without the lines that are just these; what the container has changed in them is its own now.
pub(crate) fn without(text: &str, lines: &[Line]) -> String {
    let gone: Vec<String> = lines.iter().map(Line::text).collect();
    text.split_inclusive('\n')
        .filter(|have| !gone.iter().any(|line| line == have))
        .collect()
}

/// The names of the container itself: its host name, with the domain before it where it has one, as Docker writes them.
pub(crate) fn own_names(hostname: &str, domain: &str) -> String {
    if domain.is_empty() {
        return hostname.to_owned();
    }
    let short = hostname.split('.').next().unwrap_or(hostname);
    format!("{hostname}.{domain} {short}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(address: &str, names: &str) -> Line {
        Line {
            address: address.parse().expect("an address"),
            names: names.into(),
        }
    }

    #[test]
    fn lines_come_and_go_and_edits_stay() {
        let own = [line("10.5.0.9", "c1"), line("fd00::9", "c1")];
        let text = fresh(&own);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("ff02::2\tip6-allrouters\n10.5.0.9\tc1\nfd00::9\tc1\n"));
        let edited = format!("{text}1.2.3.4 mine");
        let joined = with(&edited, &[line("10.6.0.2", "c1")]);
        assert!(joined.ends_with("1.2.3.4 mine\n10.6.0.2\tc1\n"));
        let left = without(&joined, &own);
        assert!(!left.contains("10.5.0.9"));
        assert!(left.contains("1.2.3.4 mine\n10.6.0.2\tc1\n"));
        assert_eq!(
            without("10.5.0.9\tc1 changed\n", &own),
            "10.5.0.9\tc1 changed\n"
        );
    }

    #[test]
    fn a_domain_goes_with_the_name() {
        assert_eq!(own_names("foo", ""), "foo");
        assert_eq!(own_names("foo.bar", "x.y"), "foo.bar.x.y foo");
    }
}
