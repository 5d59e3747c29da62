//! Ids of 64 lower hexadecimal digits, from the kernel's random source.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use crate::Error;

const DIGITS: usize = 64;

/// 64 lower hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Hex([u8; DIGITS]);

impl Hex {
    /// 256 random bits. An id whose short form is all digits is passed over: it could be read as a number.
    fn random() -> Self {
        loop {
            let hex = Self::encode(random_bytes());
            if !hex.0[..12].iter().all(u8::is_ascii_digit) {
                return hex;
            }
        }
    }

    fn encode(bytes: [u8; DIGITS / 2]) -> Self {
        let mut text = [0; DIGITS];
        for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        Self(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let digits: [u8; DIGITS] = text.as_bytes().try_into().ok()?;
        let lower_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        digits.iter().all(lower_hex).then_some(Self(digits))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

/// 32 bytes from getrandom(2); waits only while the kernel's pool is unseeded, early at boot.
fn random_bytes() -> [u8; DIGITS / 2] {
    let mut bytes = [0; DIGITS / 2];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => panic!("getrandom with a valid buffer cannot fail: {errno}"),
        }
    }
    bytes
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Hex);

        impl $name {
            /// A new one.
            #[must_use]
            pub fn random() -> Self {
                Self(Hex::random())
            }

            /// All 64 digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The first 12 digits, as shown to people.
            #[must_use]
            pub fn short(&self) -> &str {
                &self.0.as_str()[..12]
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Hex::parse(text).map(Self).ok_or_else(|| Error::Id {
                    text: text.to_owned(),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
                output.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                std::borrow::Cow::<'de, str>::deserialize(input)?
                    .parse()
                    .map_err(de::Error::custom)
            }
        }
    };
}

id!(
    /// A container's id.
    ContainerId
);
id!(
    /// An exec's id.
    ExecId
);
id!(
    /// A network's id.
    NetworkId
);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_random_and_survive_a_round_trip() {
        let ids: HashSet<_> = (0..100).map(|_| ContainerId::random()).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.short().len(), 12);
            assert!(id.as_str().starts_with(id.short()));
        }
    }

    #[test]
    fn only_64_lower_digits_are_an_id() {
        let good = "0123456789abcdef".repeat(4);
        assert!(good.parse::<ExecId>().is_ok());
        for bad in [&good[1..], &good.to_uppercase(), &format!("{good}0"), ""] {
            assert!(bad.parse::<ExecId>().is_err(), "{bad}");
        }
        assert!("é".repeat(32).parse::<ExecId>().is_err());
    }

    #[test]
    fn an_id_is_a_plain_json_string() {
        let id = NetworkId::random();
        let json = serde_json::to_string(&id).expect("serialisable");
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<NetworkId>(&json).expect("valid"), id);
    }
}
