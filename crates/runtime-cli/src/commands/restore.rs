//! `restore`: makes a container of the files of a checkpoint, by criu.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountPropagationFlags, UnmountFlags, mount_bind_recursive, mount_change, unmount,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::Command;
use crate::creation::{BUNDLE, CONSOLE_SOCKET, Made, Making, NO_PIVOT, PID_FILE};
use crate::criu::{self, Folders, Outside, SHARED_FLAGS};
use crate::error::Error;
use crate::foreground::{self, Watch};
use crate::globals::Globals;
use crate::options::{Ends, Flag, Given, switch, value};
use crate::removal;

const FLAGS: [Flag; 20] = {
    let [a, b, c, d, e, f, g, h, i] = SHARED_FLAGS;
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        BUNDLE,
        CONSOLE_SOCKET,
        PID_FILE,
        NO_PIVOT,
        switch(&["detach", "d"], "leave the container running"),
        switch(&["no-subreaper"], "ignored: orphans are not adopted"),
        value(&["empty-ns"], "network: leave the network namespace empty"),
        switch(
            &["auto-dedup"],
            "punch out of the images what has been read",
        ),
        switch(
            &["lazy-pages"],
            "fetch the memory when it is touched, from criu lazy-pages",
        ),
        value(&["lsm-profile"], "TYPE:NAME of a security module's label"),
        value(&["lsm-mount-context"], "SELinux context of mounts"),
    ]
};

pub(crate) const COMMAND: Command = Command {
    name: "restore",
    arguments: "<container-id>",
    about: "make a container of a checkpoint (needs criu)",
    flags: &FLAGS,
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let id = crate::only_id("restore", given)?;
    let folders = Folders::of(given)?;
    let outside = Outside::read(&folders)?;
    let detach = given.is_on("detach");
    let mut making = Making::begin(globals, given, id, detach)?;
    let code = match follow(globals, given, &mut making, &folders, &outside) {
        Ok(code) => code,
        Err(error) => {
            making.undo(globals);
            return Err(error);
        }
    };
    if !detach {
        removal::remove(globals, &making.container)?;
    }
    Ok(code)
}

fn follow(
    globals: &Globals,
    given: &Given,
    making: &mut Making,
    folders: &Folders,
    outside: &Outside,
) -> Result<u8, Error> {
    refuse_what_is_lost(globals, making)?;
    let watch = match given.is_on("detach") {
        true => None,
        false => Some(Watch::begin()?),
    };
    let root = MountedRoot::new(making)?;
    let pid_file = root.0.with_file_name("criu.pid");
    let mut restore = criu::call(globals, given, "restore", folders);
    restore.args(["--restore-detached", "--restore-sibling"]);
    restore.arg("--root").arg(&root.0);
    restore.arg("--pidfile").arg(&pid_file);
    restore.args(outside.put_back(making.spec()));
    let cgroup = &making.container.record.cgroup;
    if *cgroup != outside.cgroup && !globals.without_cgroups {
        restore.args(["--cgroup-root", cgroup]);
    }
    let network = network(making)?;
    if let Some(fd) = &network {
        restore.args(criu::network_word(fd.as_raw_fd()));
    }
    for flag in ["lsm-profile", "lsm-mount-context"] {
        if let Some(value) = given.text(flag) {
            restore.arg(format!("--{flag}")).arg(value);
        }
    }
    if given.is_on("lazy-pages") {
        restore.arg("--lazy-pages");
    }
    criu::run(restore, "restore", folders, None)?;
    drop(root);
    let made = made(&pid_file)?;
    let pid = Pid::from_raw(made.pid).ok_or(Error::NotRunning)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| Error::NotRunning)?;
    making.keep_for_execs()?;
    making.keep(made)?;
    let Some(watch) = watch else { return Ok(0) };
    let code = foreground::accompany(&watch, &pidfd, None)?;
    Ok(u8::try_from(code).unwrap_or(255))
}

/// What a restored container would not have as its spec says.
fn refuse_what_is_lost(globals: &Globals, making: &Making) -> Result<(), Error> {
    let spec = making.spec();
    let refused = |reason: &str| Error::Criu {
        action: "restore",
        reason: reason.to_owned(),
    };
    if spec
        .process
        .as_ref()
        .is_some_and(|process| process.terminal)
    {
        return Err(refused("containers with a terminal are not restored"));
    }
    if making.is_in_scope() {
        return Err(refused("a cgroup that systemd keeps is not restored into"));
    }
    let has_hooks = spec.hooks.as_ref().is_some_and(|hooks| {
        !(hooks.prestart.is_empty()
            && hooks.create_runtime.is_empty()
            && hooks.create_container.is_empty()
            && hooks.start_container.is_empty())
    });
    if has_hooks {
        globals.warn("hooks before the start are not run by a restore");
    }
    Ok(())
}

/// The root as criu wants it: a mount of its own. It is taken away when the container has it.
#[derive(Debug)]
struct MountedRoot(PathBuf);

impl MountedRoot {
    fn new(making: &Making) -> Result<Self, Error> {
        let record = &making.container.record;
        let folder = making.container.restore_root();
        let failed = |errno: rustix::io::Errno| Error::file("mount", &folder)(errno.into());
        fs::create_dir(&folder).map_err(Error::file("make", &folder))?;
        mount_bind_recursive(&record.rootfs, &folder).map_err(failed)?;
        let root = Self(folder.clone());
        let apart = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change(&folder, apart).map_err(failed)?;
        Ok(root)
    }
}

impl Drop for MountedRoot {
    fn drop(&mut self) {
        // Only once it is no mount any more may the folder be removed.
        if unmount(&self.0, UnmountFlags::DETACH).is_ok() {
            let _ = fs::remove_dir(&self.0);
        }
    }
}

/// The network namespace that is shared by path, open in criu, too.
fn network(making: &Making) -> Result<Option<OwnedFd>, Error> {
    let Some(path) = criu::joined_network(making.spec()) else {
        return Ok(None);
    };
    let flags = rustix::fs::OFlags::RDONLY;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty())
        .map(Some)
        .map_err(|errno| Error::file("open", path)(errno.into()))
}

fn made(pid_file: &Path) -> Result<Made, Error> {
    let text = fs::read_to_string(pid_file).map_err(Error::file("read", pid_file))?;
    let _ = fs::remove_file(pid_file);
    let pid = text.trim().parse().map_err(|_| Error::Value {
        flag: "pidfile".to_owned(),
        value: text.clone(),
    })?;
    Ok(Made {
        pid,
        pidfd: None,
        terminal: None,
        shared_root: None,
    })
}
