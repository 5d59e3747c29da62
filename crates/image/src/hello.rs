//! The image that needs no network: one program of a few hundred bytes that says hello.
//!
//! It is made into an ordinary image the first time somebody runs it, and can be removed like any other.

mod program;

use std::sync::Arc;

use archive::tar::{Entry, Kind, Time, Writer};
use oci::image::{Config, Execution, History};
use oci::{ChainId, Descriptor, DiffId, Platform, Reference, media_type};

use crate::record::Image;
use crate::store::Store;
use crate::{Error, Result};

/// Names that mean it while no image has them.
const NAMES: [&str; 2] = [
    "docker.io/library/hello:latest",
    "docker.io/library/hello-world:latest",
];
/// When its program was last changed, so that it is the same image everywhere.
const CREATED: &str = "2026-11-21T00:00:00Z";
const CREATED_UNIX: i64 = 1_795_219_200;

impl Store {
    /// As [`Store::resolve`], and makes the built-in image when its name is asked for and no image has that.
    ///
    /// This is the look-up for creating containers; all others should not make images appear.
    ///
    /// # Errors
    /// As [`Store::resolve`]; also when the built-in image cannot be made.
    pub fn obtain(&self, text: &str) -> Result<Arc<Image>> {
        let missing = match self.resolve(text) {
            Err(error @ Error::NotFound(_)) => error,
            outcome => return outcome,
        };
        let reference = text.parse::<Reference>().ok().map(Reference::or_latest);
        match reference.filter(|reference| NAMES.contains(&reference.to_string().as_str())) {
            Some(reference) => self.make_hello(&reference),
            None => Err(missing),
        }
    }

    fn make_hello(&self, reference: &Reference) -> Result<Arc<Image>> {
        let host = Platform::host();
        let tar = layer(&host)?;
        let lease = self.lease();
        let digest = lease.put(&tar)?;
        let diff_id = DiffId(digest.clone());
        lease.layer(&ChainId::base(&diff_id));
        let blob = Descriptor::new(media_type::OCI_LAYER, digest, tar.len() as u64);
        let layer = self.unpack(&blob, None, Some((0, &diff_id)))?;
        let mut config = Config {
            created: Some(CREATED.to_owned()),
            architecture: host.architecture,
            variant: host.variant,
            os: host.os,
            config: Execution {
                env: vec!["PATH=/".to_owned()],
                cmd: Some(vec!["/hello".to_owned()]),
                working_dir: "/".to_owned(),
                ..Execution::default()
            },
            ..Config::default()
        };
        config.rootfs.diff_ids.push(diff_id);
        config.history.push(History {
            created: Some(CREATED.to_owned()),
            created_by: "CMD [\"/hello\"]".to_owned(),
            comment: "built into estiva".to_owned(),
            ..History::default()
        });
        let id = self.publish(&lease, &config, None, vec![layer], Some(reference))?;
        self.get(&id)
            .ok_or_else(|| Error::NotFound(reference.familiar()))
    }
}

/// A tar with the one file.
fn layer(platform: &Platform) -> Result<Vec<u8>> {
    let program = program::hello(&platform.architecture)
        .ok_or_else(|| Error::NoHello(Box::new(platform.clone())))?;
    let mut tar = Writer::new(Vec::new());
    let mut entry = Entry::new("hello", Kind::File, 0o755);
    entry.size = program.len() as u64;
    entry.mtime = Time {
        secs: CREATED_UNIX,
        nanos: 0,
    };
    let written = tar.append(&entry, &program).and_then(|()| tar.finish());
    written.map_err(|source| Error::Archive { source })
}
