//! Whether the host passes packets on, and whether it does so for the sake of containers alone.
//!
//! Containers need a host that forwards. A host that did not would become a road between all its links by that: whoever is
//! beside it could send through it. So who switched forwarding on is written down, for as long as the machine runs, and what
//! is no container's stays where it is:
//!
//! ```text
//! /run/lock/estiva-forwarding.<n>    the families that an engine of ours has switched on, `ipv4 ipv6`; n: the network
//!                                    namespace. Written before it is done, removed after it is undone.
//! ```
//! The last engine that needs nothing on the host any more switches it off again, unless somebody else has a bridge by then.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use network::firewall::Guarded;
use network::link::{self, Families};

use crate::error::{Error, Result};
use crate::options::NetworkOptions;

const FOLDER: &str = "/run/lock";

/// What an engine may do about forwarding.
#[derive(Debug)]
pub(super) struct Forwarding {
    folder: PathBuf,
    /// It may be switched on.
    may_switch: bool,
    /// Others may use the road.
    is_open: bool,
}

impl Forwarding {
    pub(super) fn new(options: &NetworkOptions) -> Self {
        Self {
            folder: FOLDER.into(),
            may_switch: options.ip_forward,
            is_open: options.forward_open,
        }
    }

    /// Has the host forward, and says of which families it does so for containers alone.
    ///
    /// # Errors
    /// [`Error::File`] for the mark; a switch that cannot be written.
    pub(super) fn switch_on(&self) -> Result<Guarded> {
        let (ipv6, on) = (link::has_ipv6(), link::forwarding());
        if !self.may_switch {
            if !on.v4 {
                tracing::warn!(
                    "this host passes no packets on (--ip-forward=false, net.ipv4.ip_forward=0): containers reach it and \
                     their neighbours only"
                );
            }
            return Ok(Guarded::default());
        }
        let marked = self.marked()?;
        let ours = Families {
            v4: marked.v4 || !on.v4,
            v6: marked.v6 || ipv6 && !on.v6,
        };
        if ours != marked {
            self.mark(ours)?;
            tracing::info!(
                "forwarding is switched on for containers; what is no container's is not passed on (--ip-forward-no-drop)"
            );
        }
        link::enable_forwarding(ipv6)?;
        Ok(match self.is_open {
            true => Guarded::default(),
            false => Guarded {
                v4: ours.v4,
                v6: ours.v6,
            },
        })
    }

    /// Nothing of ours needs it: it is as before, if it was we who changed it and nobody else lives by it now.
    pub(super) fn switch_off(&self) {
        let undo = || -> Result<()> {
            let marked = self.marked()?;
            if marked == Families::default() || link::has_bridges() {
                return Ok(());
            }
            link::disable_forwarding(marked)?;
            let path = self.path()?;
            fs::remove_file(&path).map_err(|e| Error::file("remove", path, e))
        };
        if let Err(error) = undo() {
            tracing::warn!(error = fault::chain(&error), "forwarding stays on");
        }
    }

    fn marked(&self) -> Result<Families> {
        let path = self.path()?;
        match fs::read_to_string(&path) {
            Ok(text) => Ok(read(&text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Families::default()),
            Err(e) => Err(Error::file("read", path, e)),
        }
    }

    fn mark(&self, families: Families) -> Result<()> {
        let path = self.path()?;
        fs::create_dir_all(&self.folder).map_err(|e| Error::file("create", &self.folder, e))?;
        fs::write(&path, text(families)).map_err(|e| Error::file("write", path, e))
    }

    fn path(&self) -> Result<PathBuf> {
        let namespace = Path::new("/proc/self/ns/net");
        let about = fs::metadata(namespace).map_err(|e| Error::file("look at", namespace, e))?;
        Ok(self
            .folder
            .join(format!("estiva-forwarding.{}", about.ino())))
    }
}

fn text(families: Families) -> String {
    let words = [(families.v4, "ipv4"), (families.v6, "ipv6")];
    let words: Vec<&str> = words
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, w)| *w)
        .collect();
    words.join(" ") + "\n"
}

fn read(text: &str) -> Families {
    let has = |word| text.split_whitespace().any(|w| w == word);
    Families {
        v4: has("ipv4"),
        v6: has("ipv6"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_switched_on_is_remembered_by_family() {
        let folder = std::env::temp_dir().join(format!("estiva-forwarding-{}", std::process::id()));
        let forwarding = Forwarding {
            folder: folder.clone(),
            may_switch: true,
            is_open: false,
        };
        assert_eq!(forwarding.marked().expect("none"), Families::default());
        let both = Families { v4: true, v6: true };
        for families in [
            Families {
                v4: true,
                v6: false,
            },
            both,
        ] {
            forwarding.mark(families).expect("written");
            assert_eq!(forwarding.marked().expect("readable"), families);
        }
        assert_eq!(text(both), "ipv4 ipv6\n");
        fs::remove_dir_all(folder).expect("ours");
    }
}
