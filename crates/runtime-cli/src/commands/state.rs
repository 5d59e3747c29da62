//! `state`: the state document of a container.

use serde::Serialize;

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given};
use crate::record::{Container, Standing};

pub(crate) const COMMAND: Command = Command {
    name: "state",
    arguments: "<container-id>",
    about: "print the state of a container",
    flags: &[],
    ends: Ends::Never,
    run,
};

/// The document: the spec's members, and those that runc adds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    oci_version: &'a str,
    id: &'a str,
    pid: i32,
    status: String,
    bundle: &'a std::path::Path,
    rootfs: &'a std::path::Path,
    created: &'a str,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: &'a std::collections::BTreeMap<String, String>,
    owner: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn of(container: &'a Container) -> Self {
        let record = &container.record;
        let standing = container.standing();
        Self {
            oci_version: oci::runtime::VERSION,
            id: &record.id,
            pid: match standing {
                Standing::Stopped => 0,
                _ => record.pid,
            },
            status: standing.to_string(),
            bundle: &record.bundle,
            rootfs: &record.rootfs,
            created: &record.created,
            annotations: &record.annotations,
            owner: "",
        }
    }

    pub(super) fn row(&self) -> [String; 6] {
        [
            self.id.to_owned(),
            self.pid.to_string(),
            self.status.clone(),
            self.bundle.display().to_string(),
            self.created.to_owned(),
            "root".to_owned(),
        ]
    }
}

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let container = Container::open(&globals.root, crate::only_id("state", given)?)?;
    let text =
        serde_json::to_string_pretty(&Document::of(&container)).map_err(|source| Error::Json {
            path: container.record.id.clone().into(),
            source,
        })?;
    crate::print(&(text + "\n"))
}
