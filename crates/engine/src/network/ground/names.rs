//! What our things on the host are called.

use std::path::Path;

use sha2::{Digest, Sha256};

/// Where the default data root is.
const DEFAULT_ROOT: &str = "/var/lib/estiva";

/// What our things on the host are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) table: String,
    pub(crate) bridge: String,
    pub(crate) out: String,
    pub(crate) inside: String,
}

impl Names {
    /// Different for each data root, so that daemons stand beside each other.
    pub(crate) fn of(data_root: &Path) -> Self {
        if data_root == Path::new(DEFAULT_ROOT) {
            return Self {
                table: "estiva".into(),
                bridge: "estiva0".into(),
                out: "estiva-o".into(),
                inside: "estiva-i".into(),
            };
        }
        let digest = Sha256::digest(data_root.as_os_str().as_encoded_bytes());
        let tag: String = digest[..4].iter().map(|b| format!("{b:02x}")).collect();
        Self {
            table: format!("estiva-{tag}"),
            bridge: format!("est-{tag}"),
            out: format!("eso-{tag}"),
            inside: format!("esi-{tag}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_on_other_roots_have_other_names_and_links_names_fit() {
        let own = Names::of(Path::new(DEFAULT_ROOT));
        assert_eq!(
            (own.table.as_str(), own.bridge.as_str()),
            ("estiva", "estiva0")
        );
        let [one, two] = ["/a", "/b"].map(|root| Names::of(Path::new(root)));
        assert_ne!(one, two);
        for name in [one.bridge, one.out, one.inside] {
            assert!(name.len() <= 15, "{name}");
        }
    }
}
