//! Several containers at once: `--regex` of `kill` and `delete`, as crun has it.

use regex_automata::Input;
use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::syntax;

use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Flag, switch};
use crate::record::{self, Container};

/// Takes the place of an id by a pattern.
pub(crate) const REGEX: Flag = switch(
    &["regex", "r"],
    "all containers whose id this regular expression finds (crun's option)",
);

/// Memory that a pattern may take, in bytes; hostile ones would take all there is.
const SIZE_LIMIT: usize = 8 << 20;

/// Does it to each container whose id the pattern finds. What fails is warned of, and the others are done.
pub(crate) fn each(
    globals: &Globals,
    pattern: &str,
    act: impl Fn(&Container) -> Result<(), Error>,
) -> Result<u8, Error> {
    for id in matching(pattern, record::ids(&globals.root)?)? {
        if let Err(error) = Container::open(&globals.root, &id).and_then(|found| act(&found)) {
            globals.warn(&format!("{id}: {}", error.line()));
        }
    }
    Ok(0)
}

/// The ids in which the pattern is found.
fn matching(pattern: &str, ids: Vec<String>) -> Result<Vec<String>, Error> {
    let limits = dense::Config::new()
        .dfa_size_limit(Some(SIZE_LIMIT))
        .determinize_size_limit(Some(SIZE_LIMIT));
    // Ids are ASCII.
    let plain = syntax::Config::new().unicode(false).utf8(false);
    let found = dense::Builder::new()
        .configure(limits)
        .syntax(plain)
        .build(pattern);
    let automaton = found.map_err(|source| Error::Pattern {
        pattern: pattern.to_owned(),
        source: Box::new(source),
    })?;
    let is_in = |id: &String| {
        let input = Input::new(id.as_bytes()).earliest(true);
        automaton
            .try_search_fwd(&input)
            .is_ok_and(|end| end.is_some())
    };
    Ok(ids.into_iter().filter(is_in).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Vec<String> {
        let ids = ["web-1", "web-2", "db.1"].map(str::to_owned).to_vec();
        matching(pattern, ids).expect("a pattern")
    }

    #[test]
    fn a_pattern_is_found_anywhere_in_an_id() {
        assert_eq!(of("web"), ["web-1", "web-2"]);
        assert_eq!(of("^(web-2|db[.][0-9]+)$"), ["web-2", "db.1"]);
        assert_eq!(of("[[:digit:]]$").len(), 3);
        assert_eq!(of("^b"), [""; 0]);
        assert_eq!(of("").len(), 3);
    }

    #[test]
    fn what_is_no_pattern_or_takes_too_much_is_refused() {
        for bad in ["(", "a{1000}{1000}", "[0-1]*1[01]{30}"] {
            let refused = matching(bad, Vec::new()).expect_err(bad);
            let told = format!("not a regular expression: {bad:?}");
            assert!(refused.line().starts_with(&told), "{}", refused.line());
        }
    }
}
