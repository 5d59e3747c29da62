//! `checkpoint`: writes a running container into files, by criu.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::FdFlags;

use crate::Command;
use crate::criu::{self, Folders, Outside, SHARED_FLAGS};
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Flag, Given, switch, value};
use crate::record::{Container, Standing};
use crate::removal;

const FLAGS: [Flag; 19] = {
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
        value(
            &["parent-path"],
            "images of an earlier pre-dump, relative to --image-path",
        ),
        switch(&["leave-running"], "let the container go on"),
        switch(
            &["pre-dump"],
            "write the memory only, and let the container go on",
        ),
        value(&["empty-ns"], "network: leave the network namespace empty"),
        switch(
            &["auto-dedup"],
            "punch out of earlier images what is written again",
        ),
        switch(&["link-remap"], "with files that have been removed"),
        switch(
            &["tcp-skip-in-flight"],
            "without TCP connections that are being made",
        ),
        value(
            &["page-server"],
            "send the memory to ADDRESS:PORT, or serve it there with --lazy-pages",
        ),
        switch(
            &["lazy-pages"],
            "keep the memory until a restore elsewhere has fetched it",
        ),
        value(
            &["status-fd"],
            "descriptor that gets a zero byte when lazy pages can be fetched",
        ),
    ]
};

pub(crate) const COMMAND: Command = Command {
    name: "checkpoint",
    arguments: "<container-id>",
    about: "write a running container into files (needs criu)",
    flags: &FLAGS,
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let status = status_descriptor(given)?;
    let container = Container::open(&globals.root, crate::only_id("checkpoint", given)?)?;
    let standing = container.standing();
    if !matches!(standing, Standing::Running | Standing::Created) {
        return Err(Error::Criu {
            action: "dump",
            reason: format!("the container is {standing}"),
        });
    }
    if container.record.shared_root.is_some() {
        return Err(Error::Criu {
            action: "dump",
            reason: "the container's mounts are those of others".to_owned(),
        });
    }
    let folders = Folders::of(given)?;
    let lazy = given.is_on("lazy-pages");
    let action = match given.is_on("pre-dump") {
        true => "pre-dump",
        false => "dump",
    };
    let record = &container.record;
    let spec = container.spec()?;
    let outside = Outside::of(record.pid, &spec, record.cgroup.clone())?;
    let mut dump = criu::call(globals, given, action, &folders);
    dump.args(["--tree", &record.pid.to_string()]);
    dump.arg("--root").arg(&record.rootfs);
    dump.args(outside.left_out(&spec)?);
    for flag in ["link-remap", "leave-running", "lazy-pages"] {
        if given.is_on(flag) {
            dump.arg(format!("--{flag}"));
        }
    }
    if given.is_on("tcp-skip-in-flight") {
        dump.arg("--skip-in-flight");
    }
    if let Some(parent) = given.text("parent-path") {
        dump.args(["--prev-images-dir", parent]);
    }
    if action == "pre-dump" || given.text("parent-path").is_some() {
        dump.arg("--track-mem");
    }
    if let Some(server) = given.text("page-server") {
        let (address, port) = server.rsplit_once(':').ok_or_else(|| Error::Value {
            flag: "page-server".to_owned(),
            value: server.to_owned(),
        })?;
        // With lazy pages it is criu that is asked for the memory.
        if !lazy {
            dump.arg("--page-server");
        }
        dump.args(["--address", address, "--port", port]);
    }
    if let Some(fd) = &status {
        dump.args(["--status-fd", &fd.as_raw_fd().to_string()]);
    }
    outside.write(&folders)?;
    // With lazy pages this lasts until they have been fetched.
    criu::run(dump, action, &folders, status)?;
    if action == "dump" && !given.is_on("leave-running") {
        removal::kill(&container)?;
        removal::remove(globals, &container)?;
    }
    Ok(0)
}

/// The descriptor of `--status-fd`, which criu inherits.
fn status_descriptor(given: &Given) -> Result<Option<OwnedFd>, Error> {
    let Some(number) = given.number::<i32>("status-fd")?.filter(|fd| *fd != -1) else {
        return Ok(None);
    };
    let refused = || Error::Value {
        flag: "status-fd".to_owned(),
        value: number.to_string(),
    };
    if number < 3 {
        return Err(refused());
    }
    let fd = sys::fds::inherited(number).ok_or_else(refused)?;
    // What we have opened ourselves closes at an exec; what the caller has passed on cannot.
    if rustix::io::fcntl_getfd(&fd).is_ok_and(|flags| flags.contains(FdFlags::CLOEXEC)) {
        let _is_not_ours_to_close = fd.into_raw_fd();
        return Err(refused());
    }
    let flags = rustix::fs::fcntl_getfl(&fd).map_err(|_| refused())?;
    match flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
        true => Ok(Some(fd)),
        false => Err(refused()),
    }
}
