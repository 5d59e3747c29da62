//! `exec`: runs one more process in a container.

use std::os::fd::AsFd;
use std::path::Path;

use oci::runtime::{Capabilities, Process, Spec};
use runtime::{Exec, ExecProcess, Manner, Stdio};

use crate::Command;
use crate::console::{self, Console};
use crate::creation::{self, CONSOLE_SOCKET, PID_FILE, PIDFD_SOCKET, PRESERVE_FDS};
use crate::descriptors;
use crate::error::Error;
use crate::foreground::{self, Watch};
use crate::globals::Globals;
use crate::options::{Ends, Given, switch, value};
use crate::record::Container;

pub(crate) const COMMAND: Command = Command {
    name: "exec",
    arguments: "<container-id> <command> [command options]  || -p process.json <container-id>",
    about: "run another process in a container",
    flags: &[
        CONSOLE_SOCKET,
        value(&["cwd"], "working folder in the container"),
        value(&["env", "e"], "set an environment variable"),
        switch(&["tty", "t"], "allocate a terminal"),
        value(&["user", "u"], "user and group: <uid>[:<gid>]"),
        value(&["additional-gids", "g"], "additional group ids"),
        value(&["process", "p"], "file with the process to run"),
        switch(&["detach", "d"], "leave the process running"),
        PID_FILE,
        PIDFD_SOCKET,
        value(&["process-label"], "SELinux label of the process"),
        value(&["apparmor"], "AppArmor profile of the process"),
        switch(&["no-new-privs"], "the process can gain no privileges"),
        value(&["cap", "c"], "add a capability"),
        PRESERVE_FDS,
        value(
            &["cgroup"],
            "run in a cgroup below the container's: [<controllers>:]<cgroup>",
        ),
        switch(&["ignore-paused"], "run even if the container is paused"),
    ],
    ends: Ends::AtArgument,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    exec(globals, given).map_err(|source| Error::Exec {
        source: Box::new(source),
    })
}

fn exec(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let (id, command) = given.args.split_first().ok_or(Error::NoId)?;
    let preserved = descriptors::prepare(given)?;
    let container = Container::open(&globals.root, id)?;
    let init = container.init().ok_or(Error::ExecStopped)?;
    let group = match container.record.without_cgroup {
        true => None,
        false => Some(container.require_group()?),
    };
    let is_frozen = |group: &cgroup::Group| group.is_frozen().unwrap_or(false);
    if !given.is_on("ignore-paused") && group.as_ref().is_some_and(is_frozen) {
        return Err(Error::ExecPaused);
    }
    let in_group = |group| given.list("cgroup").try_fold(group, below);
    let group = group.map(in_group).transpose()?;
    let spec = container.spec()?;
    let mut process = process(given, &spec, command)?;
    process.env.extend(preserved.environment());
    let detach = given.is_on("detach");
    let console = Console::plan(
        creation::file_option(given, "console-socket")?,
        detach,
        process.terminal,
    )?;
    let filter = container.filter()?;
    let watch = match detach {
        true => None,
        false => Some(Watch::begin()?),
    };
    let made = runtime::exec(Exec {
        id,
        init: init.as_fd(),
        spec: &spec,
        process: &process,
        bundle: Some(&container.record.bundle),
        seccomp: filter.as_deref(),
        cgroup: group.as_ref(),
        stdio: match console {
            Console::None => descriptors::inherited()?,
            _ => Stdio::Terminal,
        },
        manner: Manner {
            preserve_fds: preserved.count,
            ..Manner::default()
        },
    })
    .map_err(|source| Error::Start { source })?;
    follow(given, console, watch.as_ref(), made)
}

/// The container's cgroup with some of its hierarchies, or all, a step further down.
fn below(group: cgroup::Group, word: &str) -> Result<cgroup::Group, Error> {
    let (controllers, path) = word.split_once(':').unwrap_or(("", word));
    let controllers: Vec<&str> = controllers
        .split(',')
        .filter(|name| !name.is_empty())
        .collect();
    match path.trim_matches('/') {
        "" => Ok(group),
        path => group
            .below(&controllers, path)
            .map_err(|source| Error::Cgroup { source }),
    }
}

fn follow(
    given: &Given,
    console: Console,
    watch: Option<&Watch>,
    made: ExecProcess,
) -> Result<u8, Error> {
    let mut terminal = made.console;
    let told = match (&console, terminal.take()) {
        (Console::Socket(path), Some(master)) => console::send(&master, path),
        (_, master) => {
            terminal = master;
            Ok(())
        }
    };
    let told = told.and_then(|()| match creation::file_option(given, "pid-file")? {
        Some(path) => creation::write_pid(&path, made.pid),
        None => Ok(()),
    });
    let told = told.and_then(|()| match creation::file_option(given, "pidfd-socket")? {
        Some(path) => console::send_pidfd(&made.pidfd, &path),
        None => Ok(()),
    });
    if let Err(error) = told {
        // Nobody would know of it.
        let _ = sys::process::send_signal(made.pidfd.as_fd(), crate::signals::KILL);
        return Err(error);
    }
    let Some(watch) = watch else { return Ok(0) };
    let code = foreground::accompany(watch, &made.pidfd, terminal)?;
    Ok(u8::try_from(code).unwrap_or(255))
}

/// What is run: the file, or the container's own process with changes.
fn process(given: &Given, spec: &Spec, command: &[String]) -> Result<Process, Error> {
    if let Some(path) = given.text("process") {
        let path = Path::new(path);
        let text = std::fs::read(path).map_err(Error::file("read", path))?;
        return crate::json::read(&text, path);
    }
    if command.is_empty() {
        return Err(Error::Arguments {
            command: "exec",
            expected: "process args cannot be empty",
        });
    }
    let mut process = spec.process.clone().unwrap_or_default();
    process.args = command.to_vec();
    process.terminal = given.is_on("tty");
    if let Some(cwd) = given.text("cwd") {
        process.cwd = cwd.to_owned();
    }
    process.env.extend(given.list("env").map(str::to_owned));
    if let Some(label) = given.text("process-label") {
        process.selinux_label = label.to_owned();
    }
    if let Some(profile) = given.text("apparmor") {
        process.apparmor_profile = profile.to_owned();
    }
    if let Some(text) = given.text("no-new-privs") {
        process.no_new_privileges = text != "false";
    }
    if let Some(user) = given.text("user") {
        (process.user.uid, process.user.gid) = ids(user)?;
    }
    for gid in given.list("additional-gids") {
        process.user.additional_gids.push(number(gid)?);
    }
    let caps = process.capabilities.get_or_insert_default();
    given.list("cap").for_each(|name| add(caps, name));
    Ok(process)
}

fn add(caps: &mut Capabilities, name: &str) {
    for set in [&mut caps.bounding, &mut caps.effective, &mut caps.permitted] {
        if !set.iter().any(|known| known == name) {
            set.push(name.to_owned());
        }
    }
}

/// `<uid>[:<gid>]`.
fn ids(text: &str) -> Result<(u32, u32), Error> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    Ok((number(uid)?, number(gid)?))
}

fn number(text: &str) -> Result<u32, Error> {
    text.parse().map_err(|_| Error::Value {
        flag: "user".to_owned(),
        value: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_process_is_changed_only_where_asked() {
        let words = ["-e", "A=1", "-u", "7:8", "-c", "CAP_KILL", "c1", "ls", "-l"];
        let given = crate::options::parse(
            COMMAND.flags,
            COMMAND.ends,
            words.into_iter().map(str::to_owned),
        )
        .expect("valid");
        let spec = Spec {
            process: Some(Process {
                terminal: true,
                cwd: "/x".to_owned(),
                env: vec!["B=2".to_owned()],
                ..Process::default()
            }),
            ..Spec::default()
        };
        let process = process(&given, &spec, &given.args[1..]).expect("valid");
        assert_eq!(process.args, ["ls", "-l"]);
        assert_eq!(process.env, ["B=2", "A=1"]);
        assert_eq!((process.user.uid, process.user.gid), (7, 8));
        assert_eq!((process.cwd.as_str(), process.terminal), ("/x", false));
        let caps = process.capabilities.expect("one was added");
        assert_eq!(
            (caps.bounding, caps.inheritable),
            (vec!["CAP_KILL".to_owned()], vec![])
        );
    }
}
