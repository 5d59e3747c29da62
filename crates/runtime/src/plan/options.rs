//! Mount options: which are attributes, which are propagation, and which are the file system's own.
//!
//! Spec: OCI runtime config, "Linux mount options"; the words are those of mount(8).

use sys::mount::{Attr, Depth, Propagation};

/// Options, sorted by what they act on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// A bind mount.
    pub(crate) bind: Option<Depth>,
    /// Attributes of the mount itself.
    pub(crate) attributes: Attributes,
    /// Attributes of it and all mounts below.
    pub(crate) deep: Attributes,
    /// In order; the last of each depth counts.
    pub(crate) propagation: Vec<(Propagation, Depth)>,
    /// Flags of the file system rather than of the mount: `sync`, `dirsync`, `lazytime`.
    pub(crate) flags: Vec<&'static str>,
    /// What only the file system understands: name and value.
    pub(crate) own: Vec<(String, Option<String>)>,
    /// Fill a tmpfs with what the image has there.
    pub(crate) copies_up: bool,
    /// Shift ids by the mount's or the container's mappings.
    pub(crate) idmap: Option<Depth>,
    /// Change what is mounted there already.
    pub(crate) remounts: bool,
    /// The source's path must not lead through any symbolic link.
    pub(crate) source_without_links: bool,
}

/// Every word that is not the file system's own, sorted; for `features`.
pub(crate) fn known() -> &'static [&'static str] {
    &[
        "acl",
        "async",
        "atime",
        "bind",
        "defaults",
        "dev",
        "diratime",
        "dirsync",
        "exec",
        "idmap",
        "iversion",
        "lazytime",
        "loud",
        "mand",
        "noacl",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "noiversion",
        "nolazytime",
        "nomand",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "nosymfollow",
        "private",
        "ratime",
        "rbind",
        "rdev",
        "rdiratime",
        "relatime",
        "remount",
        "rexec",
        "ridmap",
        "rnoatime",
        "rnodev",
        "rnodiratime",
        "rnoexec",
        "rnorelatime",
        "rnostrictatime",
        "rnosuid",
        "rnosymfollow",
        "ro",
        "rprivate",
        "rrelatime",
        "rro",
        "rrw",
        "rshared",
        "rslave",
        "rstrictatime",
        "rsuid",
        "rsymfollow",
        "runbindable",
        "rw",
        "shared",
        "silent",
        "slave",
        "strictatime",
        "suid",
        "symfollow",
        "sync",
        "tmpcopyup",
        "unbindable",
    ]
}

/// Attributes to add and to remove.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) set: Attr,
    pub(crate) clear: Attr,
}

impl Attributes {
    pub(crate) fn is_empty(self) -> bool {
        self.set.is_empty() && self.clear.is_empty()
    }

    fn apply(&mut self, set: Attr, clear: Attr) {
        self.set = (self.set - clear) | set;
        self.clear = (self.clear - set) | clear;
        // The access time modes are one field: it is cleared whenever it is set.
        if !(set & Attr::ATIME).is_empty() {
            self.clear |= Attr::ATIME;
        }
    }
}

/// The propagation a word names.
pub(crate) fn propagation(word: &str) -> Option<(Propagation, Depth)> {
    Some(match word {
        "private" => (Propagation::Private, Depth::One),
        "rprivate" => (Propagation::Private, Depth::Recursive),
        "slave" => (Propagation::Slave, Depth::One),
        "rslave" => (Propagation::Slave, Depth::Recursive),
        "shared" => (Propagation::Shared, Depth::One),
        "rshared" => (Propagation::Shared, Depth::Recursive),
        "unbindable" => (Propagation::Unbindable, Depth::One),
        "runbindable" => (Propagation::Unbindable, Depth::Recursive),
        _ => return None,
    })
}

/// What a word adds and removes.
fn attribute(word: &str) -> Option<(Attr, Attr)> {
    let none = Attr::empty();
    Some(match word {
        "ro" => (Attr::RDONLY, none),
        "rw" => (none, Attr::RDONLY),
        "nosuid" => (Attr::NOSUID, none),
        "suid" => (none, Attr::NOSUID),
        "nodev" => (Attr::NODEV, none),
        "dev" => (none, Attr::NODEV),
        "noexec" => (Attr::NOEXEC, none),
        "exec" => (none, Attr::NOEXEC),
        "noatime" => (Attr::NOATIME, none),
        "strictatime" => (Attr::STRICTATIME, none),
        "atime" | "relatime" | "norelatime" | "nostrictatime" => (none, Attr::ATIME),
        "nodiratime" => (Attr::NODIRATIME, none),
        "diratime" => (none, Attr::NODIRATIME),
        "nosymfollow" => (Attr::NOSYMFOLLOW, none),
        "symfollow" => (none, Attr::NOSYMFOLLOW),
        _ => return None,
    })
}

/// Sorts the options of a mount.
pub(crate) fn parse(words: &[String]) -> Options {
    let mut options = Options::default();
    for word in words {
        if let Some((set, clear)) = attribute(word) {
            options.attributes.apply(set, clear);
        } else if let Some(each) = propagation(word) {
            options.propagation.push(each);
        } else if let Some((set, clear)) = word.strip_prefix('r').and_then(attribute) {
            options.deep.apply(set, clear);
        } else {
            options.other(word);
        }
    }
    options
}

impl Options {
    fn other(&mut self, word: &str) {
        match word {
            "bind" => self.bind = self.bind.or(Some(Depth::One)),
            "rbind" => self.bind = Some(Depth::Recursive),
            "idmap" => self.idmap = Some(Depth::One),
            "ridmap" => self.idmap = Some(Depth::Recursive),
            "tmpcopyup" => self.copies_up = true,
            "src-nofollow" => self.source_without_links = true,
            "remount" => self.remounts = true,
            "sync" => self.flags.push("sync"),
            "dirsync" => self.flags.push("dirsync"),
            "lazytime" => self.flags.push("lazytime"),
            // What a new mount has anyway, and what means nothing to the kernel (fstab's own words).
            "defaults" | "async" | "nolazytime" | "nomand" | "mand" | "loud" | "silent"
            | "auto" | "noauto" | "user" | "nouser" | "_netdev" | "nofail" | "iversion"
            | "noiversion" | "acl" | "noacl" | "" => {}
            _ => self.own.push(match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Options {
        parse(&words.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn attributes_are_told_from_the_file_systems_own_words() {
        let options = of("nosuid,noexec,nodev,mode=1777,size=65536k,ro");
        assert_eq!(
            options.attributes.set,
            Attr::NOSUID | Attr::NOEXEC | Attr::NODEV | Attr::RDONLY
        );
        assert_eq!(
            options.own,
            [
                ("mode".to_owned(), Some("1777".to_owned())),
                ("size".to_owned(), Some("65536k".to_owned()))
            ]
        );
    }

    #[test]
    fn the_later_word_counts() {
        let options = of("ro,rw,nosuid,suid,noatime,strictatime");
        assert_eq!(options.attributes.set & Attr::RDONLY, Attr::empty());
        assert_eq!(
            options.attributes.clear,
            Attr::RDONLY | Attr::NOSUID | Attr::ATIME
        );
    }

    #[test]
    fn recursive_words_are_told_from_those_that_begin_with_r() {
        let options = of("rbind,rro,rnosuid,rprivate,relatime,rw");
        assert_eq!(options.bind, Some(Depth::Recursive));
        assert_eq!(options.deep.set, Attr::RDONLY | Attr::NOSUID);
        assert_eq!(
            options.propagation,
            [(Propagation::Private, Depth::Recursive)]
        );
        assert_eq!(options.attributes.clear, Attr::ATIME | Attr::RDONLY);
    }
}
