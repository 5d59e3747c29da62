//! Compiled seccomp programs: made once for a profile and a set of capabilities, kept as files that shims read.
//!
//! Key of a file: SHA-256 of everything that decides the program.
//!
//! | enters the key        | because                                        |
//! |-----------------------|------------------------------------------------|
//! | the profile's text    | it is the program's source (empty: built-in)   |
//! | the capabilities      | rules may depend on them                       |
//! | the compiler's version| another compiler may make another program      |
//!
//! Kernel and architecture do not change while the exec root lives.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use oci::runtime::LinuxSeccomp;
use runtime::seccomp::profile::{Context, Profile};
use runtime::seccomp::{Arch, compile, default_profile};

use crate::error::{Error, Result};
use crate::options::Options;
use crate::spec::{Seccomp, Security};

/// One compiled program.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// An array of `struct sock_filter`.
    pub(crate) file: PathBuf,
    /// The profile without its rules: flags and listener, which the spec carries.
    pub(crate) head: LinuxSeccomp,
}

/// The programs of an engine.
#[derive(Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    known: Mutex<HashMap<String, Option<Program>>>,
}

impl Programs {
    pub(crate) fn open(exec_root: &Path) -> Result<Self> {
        let folder = exec_root.join("seccomp");
        fs::create_dir_all(&folder).map_err(|e| Error::file("create", &folder, e))?;
        Ok(Self {
            folder,
            known: Mutex::default(),
        })
    }

    /// The program for these rights; `None` when nothing is filtered.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a profile that cannot be read or compiled.
    pub(crate) fn program(
        &self,
        security: &Security,
        bounding: &[String],
        options: &Options,
    ) -> Result<Option<Program>> {
        let text = match (&security.seccomp, &options.seccomp_profile) {
            (Seccomp::Unconfined, _) => return Ok(None),
            (Seccomp::Profile(text), _) | (Seccomp::Default, Some(text)) => text.as_str(),
            (Seccomp::Default, None) => "",
        };
        if text == "unconfined" {
            return Ok(None);
        }
        let key = format!(
            "{}\n{}\n{text}",
            env!("CARGO_PKG_VERSION"),
            bounding.join(",")
        );
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = known.get(&key) {
            return Ok(program.clone());
        }
        let program = self.make(text, bounding, &key)?;
        known.insert(key, program.clone());
        Ok(program)
    }

    fn make(&self, text: &str, bounding: &[String], key: &str) -> Result<Option<Program>> {
        let refuse = |e: &dyn std::fmt::Display| Error::Invalid(format!("seccomp profile: {e}"));
        let profile = if text.is_empty() {
            default_profile()
        } else {
            Profile::parse(text).map_err(|e| refuse(&e))?
        };
        let context = Context {
            capabilities: bounding,
            arch: Arch::NATIVE,
            kernel: kernel_version(),
        };
        let Some(rules) = profile.resolve(context).map_err(|e| refuse(&e))? else {
            return Ok(None);
        };
        let program = compile(&rules).map_err(|e| refuse(&e))?;
        let name = oci::Digest::of(key.as_bytes());
        let path = self.folder.join(format!("{}.bpf", name.hex()));
        super::record::write_whole(&path, &program.filter)?;
        let head = LinuxSeccomp {
            syscalls: Vec::new(),
            ..rules
        };
        Ok(Some(Program { file: path, head }))
    }
}

fn kernel_version() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
