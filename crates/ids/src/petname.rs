//! Random names for containers nobody named: a mood and a navigator of sea, sky or science.

const MOODS: [&str; 64] = [
    "able", "airy", "alert", "ample", "balmy", "bold", "brave", "breezy", "bright", "brisk",
    "calm", "candid", "cheery", "civil", "clever", "cosy", "crisp", "daring", "deft", "eager",
    "earnest", "fair", "fond", "frank", "free", "fresh", "gentle", "glad", "golden", "handy",
    "hardy", "hearty", "honest", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid",
    "mellow", "merry", "mild", "neat", "nimble", "noble", "patient", "plucky", "polite", "proud",
    "quick", "quiet", "ready", "serene", "sharp", "snug", "steady", "sunny", "swift", "tidy",
    "vivid", "warm", "wise", "witty",
];

const SURNAMES: [&str; 64] = [
    "abel",
    "agnesi",
    "almeida",
    "amundsen",
    "anning",
    "banks",
    "baret",
    "bering",
    "bohr",
    "boole",
    "cabral",
    "cartier",
    "cassini",
    "cook",
    "curie",
    "darwin",
    "dias",
    "earhart",
    "elcano",
    "euler",
    "faraday",
    "fermi",
    "flinders",
    "franklin",
    "galilei",
    "galois",
    "gama",
    "gauss",
    "germain",
    "halley",
    "herschel",
    "hopper",
    "hubble",
    "humboldt",
    "hypatia",
    "joule",
    "kepler",
    "kovalevskaya",
    "laplace",
    "leavitt",
    "lovelace",
    "magellan",
    "maxwell",
    "meitner",
    "mendel",
    "mercator",
    "mirzakhani",
    "nansen",
    "newton",
    "noether",
    "nunes",
    "pascal",
    "planck",
    "polo",
    "ramanujan",
    "shackleton",
    "tasman",
    "tesla",
    "turing",
    "verne",
    "volta",
    "wegener",
    "wu",
    "zheng",
];

/// A name such as `steady_nunes`; from the third attempt on with a number behind, so that a caller who retries with a
/// growing `attempt` comes to an end.
#[must_use]
pub fn random_name(attempt: u32) -> String {
    let id = crate::ContainerId::random();
    let pick = |at: usize| {
        usize::from_str_radix(&id.as_str()[at..at + 2], 16).expect("two hexadecimal digits")
    };
    let (mood, surname) = (MOODS[pick(20) % 64], SURNAMES[pick(22) % 64]);
    if attempt < 2 {
        format!("{mood}_{surname}")
    } else {
        let number = u32::from_str_radix(&id.as_str()[30..36], 16).expect("six hexadecimal digits");
        format!("{mood}_{surname}{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_there_once_and_makes_a_valid_name() {
        for words in [MOODS, SURNAMES] {
            let mut sorted = words.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), words.len());
        }
        for attempt in 0..50 {
            let name = random_name(attempt);
            assert!(name.parse::<crate::ContainerName>().is_ok(), "{name}");
        }
    }
}
