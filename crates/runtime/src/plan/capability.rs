//! Capabilities by name. See capabilities(7).

use oci::runtime::Capabilities;
use sys::caps::NAMES;

/// Every name, with `CAP_`; for `features`.
pub(crate) fn known() -> Vec<String> {
    NAMES.iter().map(|name| format!("CAP_{name}")).collect()
}

/// `CAP_SYS_ADMIN`, as a bit.
pub(crate) const SYS_ADMIN: u64 = 1 << 21;

/// The sets a process is left with, as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) bounding: u64,
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    pub(crate) ambient: u64,
}

/// The number of a capability, by its name with or without `CAP_`, in any case.
pub(crate) fn number(name: &str) -> Option<u8> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES
        .iter()
        .position(|each| *each == bare)
        .and_then(|at| u8::try_from(at).ok())
}

/// The sets by names. Names that we do not know, and capabilities that `available` does not have, are left out: what
/// the machine does not grant cannot be given on.
pub(crate) fn rights(sets: Option<&Capabilities>, available: u64) -> Rights {
    let Some(sets) = sets else {
        return Rights::default();
    };
    let bits = |names: &[String]| {
        names
            .iter()
            .filter_map(|name| number(name))
            .fold(0u64, |bits, number| bits | 1 << number)
            & available
    };
    let permitted = bits(&sets.permitted);
    let inheritable = bits(&sets.inheritable);
    Rights {
        bounding: bits(&sets.bounding),
        permitted,
        effective: bits(&sets.effective) & permitted,
        inheritable,
        // The kernel refuses to raise what is not both.
        ambient: bits(&sets.ambient) & permitted & inheritable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_as_in_the_kernel() {
        assert_eq!(number("CAP_CHOWN"), Some(0));
        assert_eq!(number("sys_admin"), Some(21));
        assert_eq!(1 << number("CAP_SYS_ADMIN").expect("known"), SYS_ADMIN);
        assert_eq!(number("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(number("CAP_EVERYTHING"), None);
    }

    #[test]
    fn what_the_machine_lacks_is_left_out() {
        let names = vec!["CAP_KILL".to_owned(), "CAP_SYS_RESOURCE".to_owned()];
        let sets = Capabilities {
            bounding: names.clone(),
            effective: names.clone(),
            permitted: names.clone(),
            ambient: names,
            ..Capabilities::default()
        };
        let rights = rights(Some(&sets), !(1 << 24));
        assert_eq!(rights.bounding, 1 << 5);
        assert_eq!(rights.effective, 1 << 5);
        assert_eq!(rights.ambient, 0, "not inheritable, so not ambient");
    }
}
