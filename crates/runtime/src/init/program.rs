//! The program: found, and become.

use std::ffi::{CStr, CString};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, accessat, openat, stat};
use rustix::io::Errno;
use sys::exec::{Strings, execve};
use sys::fds::{CloseRange, close_from};

use crate::errno::Refusal;
use crate::failure::{Failure, Step, Tried};
use crate::plan::ProcessPlan;

/// Command not found.
const NOT_FOUND: i32 = 127;
/// Found, and not to be executed.
const NOT_EXECUTABLE: i32 = 126;

/// All that the exec needs, in the kernel's form.
#[derive(Debug)]
pub(super) struct Program {
    candidates: Vec<CString>,
    args: Strings,
    env: Strings,
}

/// Lays it out while memory can be had and root can read `/etc/passwd`.
pub(super) fn lay_out(process: &ProcessPlan<'_>) -> Step<Program> {
    let mut env = process.env.clone();
    if !process.has_home {
        env.push(home(process.uid.as_raw()));
    }
    Ok(Program {
        candidates: candidates(process)?,
        args: Strings::new(process.args.clone()),
        env: Strings::new(env),
    })
}

/// Where the program may be: as it is named, or in each folder of `PATH`.
fn candidates(process: &ProcessPlan<'_>) -> Step<Vec<CString>> {
    let name = process.program;
    if name.is_empty() {
        return Err(not_found(name));
    }
    if name.contains('/') {
        return Ok(process.args.first().cloned().into_iter().collect());
    }
    let all = process.path.split(':').map(|folder| {
        let folder = if folder.is_empty() { "." } else { folder };
        CString::new(format!("{folder}/{name}"))
    });
    all.collect::<Result<_, _>>()
        .map_err(|_| Failure::new("PATH holds a zero byte"))
}

/// The largest `/etc/passwd` that is read; it is the image's.
const MOST_PASSWD_BYTES: usize = 1 << 20;

/// `HOME` as the container's own `/etc/passwd` has it.
fn home(uid: u32) -> CString {
    let folder = passwd()
        .ok()
        .and_then(|text| home_in(&text, uid))
        .unwrap_or_else(|| "/".to_owned());
    CString::new(format!("HOME={folder}")).unwrap_or_else(|_| c"HOME=/".to_owned())
}

fn passwd() -> Result<Vec<u8>, Errno> {
    // Not blocking: it could be a FIFO.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, c"/etc/passwd", flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || size > MOST_PASSWD_BYTES {
        return Err(Errno::INVAL);
    }
    let mut text = vec![0; size];
    let mut len = 0;
    while len < size {
        match rustix::io::read(&file, &mut text[len..])? {
            0 => break,
            more => len += more,
        }
    }
    text.truncate(len);
    Ok(text)
}

fn home_in(passwd: &[u8], uid: u32) -> Option<String> {
    let text = String::from_utf8_lossy(passwd);
    text.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let own = fields.get(2)?.parse() == Ok(uid);
        let home = fields.get(5).filter(|home| !home.is_empty())?;
        own.then(|| (*home).to_owned())
    })
}

/// Enters the working folder, and checks that it lies inside: a folder of the host, reached through a descriptor that
/// was left open, has no path here (CVE-2024-21626).
pub(super) fn enter_folder(path: &str) -> Step {
    rustix::process::chdir(path).map_err(|errno| {
        let code = match errno {
            Errno::NOENT | Errno::NOTDIR => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        };
        Failure::exec(
            format!(
                "chdir to cwd ({path:?}) set in config.json failed: {}",
                Refusal(errno)
            ),
            code,
        )
    })?;
    let now = rustix::process::getcwd(Vec::new()).tried(|| "look where we are".to_owned())?;
    if now.as_bytes().starts_with(b"/") {
        return Ok(());
    }
    Err(Failure::new(
        "the working folder is outside of the container",
    ))
}

/// No descriptor but 0 to 2, and those that were asked for, survives the exec, whoever left it open.
pub(super) fn close_all(preserved: u32) -> Step {
    close_from(preserved.saturating_add(3), CloseRange::OnExec)
        .tried(|| "mark descriptors".to_owned())
}

/// Says early that the program is not there or not to be executed; that it is there now is no promise for later.
pub(super) fn require(process: &ProcessPlan<'_>) -> Step {
    let candidates = candidates(process)?;
    if candidates.iter().any(|path| is_executable(path)) {
        return Ok(());
    }
    match candidates.first() {
        Some(path) if process.program.contains('/') => {
            let errno = stat(path).err().unwrap_or(Errno::ACCESS);
            Err(refused(process.program, path, errno, false))
        }
        _ => Err(not_found(process.program)),
    }
}

/// Becomes the program; returns why not.
pub(super) fn execute(process: &ProcessPlan<'_>, program: &Program) -> Failure {
    let by_name = !process.program.contains('/');
    for candidate in &program.candidates {
        let error = execve(candidate, &program.args, &program.env);
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let skipped = by_name
            && matches!(
                errno,
                Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::NAMETOOLONG | Errno::LOOP
            )
            && !is_executable(candidate);
        if !skipped {
            return refused(process.program, candidate, errno, by_name);
        }
    }
    not_found(process.program)
}

fn is_executable(path: &CStr) -> bool {
    stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
        && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

fn not_found(name: &str) -> Failure {
    Failure::exec(
        format!("exec: {name:?}: executable file not found in $PATH"),
        NOT_FOUND,
    )
}

fn refused(name: &str, path: &CStr, errno: Errno, by_name: bool) -> Failure {
    let found = stat(path);
    let is_folder = found
        .as_ref()
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    if is_folder {
        let words = format!("exec: {name:?}: {}", Refusal(Errno::ISDIR));
        return Failure::exec(words, NOT_EXECUTABLE);
    }
    let path = path.to_string_lossy();
    match errno {
        Errno::NOENT | Errno::NOTDIR if found.is_err() => Failure::exec(
            format!("exec: {name:?}: stat {path}: {}", Refusal(errno)),
            NOT_FOUND,
        ),
        // The file is there: what is missing is its interpreter.
        Errno::NOENT => Failure::exec(format!("exec {path}: {}", Refusal(errno)), NOT_FOUND),
        Errno::ACCESS | Errno::PERM if !by_name => Failure::exec(
            format!("exec: {name:?}: {}", Refusal(Errno::ACCESS)),
            NOT_EXECUTABLE,
        ),
        _ => Failure::exec(format!("exec {path}: {}", Refusal(errno)), NOT_EXECUTABLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_found_by_id() {
        let text = b"root:x:0:0:root:/root:/bin/sh\nbad line\nd:x:7:7::/d:\ne:x:8:8:::";
        assert_eq!(home_in(text, 0).as_deref(), Some("/root"));
        assert_eq!(home_in(text, 7).as_deref(), Some("/d"));
        assert_eq!(home_in(text, 8), None);
        assert_eq!(home_in(text, 9), None);
    }
}
