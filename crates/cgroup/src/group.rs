//! A control group: one path in every hierarchy.

use std::os::fd::OwnedFd;

use oci::runtime::LinuxResources;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::hierarchy::{Controller, Hierarchy, Host, Unified, host};
use crate::{limits, stats, v1};

/// One path in every hierarchy of the machine.
///
/// Dropping it leaves the group as it is; [`Group::remove`] removes it.
#[derive(Debug)]
pub struct Group {
    pub(crate) host: &'static Host,
    /// Without the leading slash, to be opened below a hierarchy's root.
    pub(crate) path: String,
    pub(crate) legacy: Vec<Member>,
    pub(crate) unified: Option<UnifiedMember>,
    /// No hierarchy had it before.
    is_new: bool,
    /// Folders beside it with a `tasks` file, such as those of resctrl, that its processes enter, too.
    beside: Vec<std::path::PathBuf>,
}

/// The group in one v1 hierarchy.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) hierarchy: &'static Hierarchy,
    pub(crate) dir: Dir,
}

/// The group in the v2 tree.
#[derive(Debug)]
pub(crate) struct UnifiedMember {
    pub(crate) dir: Dir,
    /// What the group's parent hands down to it.
    pub(crate) controllers: Vec<Controller>,
}

/// Where a controller of a group is found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// In this folder of a v1 hierarchy.
    V1(&'a Dir),
    /// In this folder of the v2 tree.
    V2(&'a Dir),
}

/// How a process gets into a group, without the kernel's global thread-group lock (milliseconds on a busy machine).
///
/// The parent passes `clone_into` to clone3(2) as CLONE_INTO_CGROUP (Linux 5.7); then the child writes `0` into each of
/// `tasks`, before it makes a cgroup namespace of its own. A process that exists already writes `0` into each of `procs`
/// and of `tasks`. All descriptors are close-on-exec.
#[derive(Debug)]
pub struct Entry {
    /// The group's folder in the v2 tree; set on unified and hybrid machines.
    pub clone_into: Option<OwnedFd>,
    /// `cgroup.procs` of the v2 tree, for who was not born into it; set when `clone_into` is.
    pub procs: Option<OwnedFd>,
    /// `tasks` of every v1 hierarchy, and of folders [beside](Group::beside).
    pub tasks: Vec<OwnedFd>,
}

impl Group {
    /// Makes the group in every hierarchy (folders that are there already are used) and sets its limits. When that
    /// fails, the folders made for it are removed again.
    ///
    /// # Errors
    /// When the path is not absolute or not plain, the kernel refuses a folder or a value, or a limit's controller is
    /// not on this machine.
    pub fn create(path: &str, resources: &LinuxResources) -> Result<Group> {
        let host = host()?;
        let path = relative(path)?;
        let mut made = Made {
            path,
            roots: Vec::new(),
        };
        match Self::make(host, path, resources, &mut made) {
            Ok(group) => Ok(group),
            Err(error) => {
                made.undo();
                Err(error)
            }
        }
    }

    fn make(
        host: &'static Host,
        path: &str,
        resources: &LinuxResources,
        made: &mut Made<'_>,
    ) -> Result<Group> {
        let absolute = format!("/{path}");
        let mut legacy = Vec::with_capacity(host.legacy.len());
        for hierarchy in &host.legacy {
            let dir = make_folder(&hierarchy.root, &absolute, made, |parent| {
                v1::prepare_parent(hierarchy, parent)
            })
            .map_err(|source| Error::Create {
                path: absolute.clone(),
                hierarchy: hierarchy.label(),
                source: source.into(),
            })?;
            legacy.push(Member { hierarchy, dir });
        }
        let unified = match &host.unified {
            Some(tree) => Some(make_unified(tree, &absolute, made)?),
            None => None,
        };
        let group = Group {
            host,
            path: path.to_owned(),
            is_new: made.roots.len() == legacy.len() + usize::from(unified.is_some()),
            legacy,
            unified,
            beside: Vec::new(),
        };
        // Without CPUs and memory nodes no process could enter.
        if let Some(Place::V1(dir)) = group.place(Controller::Cpuset) {
            let root = group.root_of(Controller::Cpuset);
            v1::cpuset::inherit(root, &group.path, dir, group.is_new)?;
        }
        group.apply(resources)?;
        Ok(group)
    }

    /// Opens a group that exists in at least one hierarchy.
    ///
    /// # Errors
    /// `NotFound` when no hierarchy has it.
    pub fn open(path: &str) -> Result<Group> {
        let host = host()?;
        let path = relative(path)?;
        let absolute = format!("/{path}");
        let mut legacy = Vec::with_capacity(host.legacy.len());
        for hierarchy in &host.legacy {
            if let Some(dir) = find_folder(&hierarchy.root, path, &absolute, || hierarchy.label())?
            {
                legacy.push(Member { hierarchy, dir });
            }
        }
        let mut unified = None;
        if let Some(tree) = &host.unified
            && let Some(dir) = find_folder(&tree.root, path, &absolute, || "unified".to_owned())?
        {
            let controllers = controllers_of(tree, &dir)?;
            unified = Some(UnifiedMember { dir, controllers });
        }
        if legacy.is_empty() && unified.is_none() {
            return Err(Error::NotFound { path: absolute });
        }
        Ok(Group {
            host,
            path: path.to_owned(),
            legacy,
            unified,
            is_new: false,
            beside: Vec::new(),
        })
    }

    /// Whether no hierarchy had it before [`Group::create`] made it, so that every counter started at zero.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The group's path, absolute from the roots of the hierarchies.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}", self.path)
    }

    /// Where the group's folders are, by `controllers` as `/proc/PID/cgroup` names them (empty for v2).
    #[must_use]
    pub fn folders(&self) -> Vec<(String, std::path::PathBuf)> {
        let legacy = self
            .legacy
            .iter()
            .map(|m| (m.hierarchy.label(), m.hierarchy.mount.join(&self.path)));
        let unified = self.unified.as_ref().and(self.host.unified.as_ref());
        legacy
            .chain(unified.map(|tree| (String::new(), tree.mount.join(&self.path))))
            .collect()
    }

    /// Has processes that enter the group by [`Group::entry`] enter these, too: folders with a `tasks` file that takes `0`
    /// for the writer, as those of [`resctrl`](crate::resctrl) do.
    #[must_use]
    pub fn beside(mut self, folders: &[std::path::PathBuf]) -> Self {
        self.beside.extend_from_slice(folders);
        self
    }

    /// Whether it is known which folders beside it are entered.
    #[must_use]
    pub fn enters_beside(&self) -> bool {
        !self.beside.is_empty()
    }

    /// The group with processes entering a group below it: in the hierarchies that `controllers` name (by one of their
    /// controllers, or as `name=systemd`), or in all when none is named.
    ///
    /// # Errors
    /// `NotFound` when no such hierarchy has the group below.
    pub fn below(mut self, controllers: &[&str], path: &str) -> Result<Group> {
        let missing = Error::NotFound {
            path: format!("/{}/{path}", self.path),
        };
        let Ok(inside) = relative(&format!("/{path}")).map(str::to_owned) else {
            return Err(missing);
        };
        let named = |label: &str| {
            let is_it = |name: &&str| label == *name || label.split(',').any(|one| one == *name);
            controllers.is_empty() || controllers.iter().any(is_it)
        };
        let legacy = self.legacy.iter_mut();
        let dirs = legacy
            .filter(|member| named(&member.hierarchy.label()))
            .map(|member| &mut member.dir);
        let tree = self.unified.as_mut().filter(|_| controllers.is_empty());
        let mut found = false;
        for dir in dirs.chain(tree.map(|tree| &mut tree.dir)) {
            let step = dir.at(&inside, &self.path);
            if step.exists().unwrap_or(false) {
                *dir = step;
                found = true;
            }
        }
        if found { Ok(self) } else { Err(missing) }
    }

    /// Descriptors with which a process enters the group.
    ///
    /// # Errors
    /// When the files cannot be opened.
    pub fn entry(&self) -> Result<Entry> {
        let failed = |hierarchy: String| {
            move |errno: Errno| Error::Open {
                path: self.path(),
                hierarchy,
                source: errno.into(),
            }
        };
        let mut tasks = Vec::with_capacity(self.legacy.len());
        for member in &self.legacy {
            let fd = member.dir.open_write("tasks");
            tasks.push(fd.map_err(failed(member.hierarchy.label()))?);
        }
        for folder in &self.beside {
            let path = folder.join("tasks");
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            let fd = rustix::fs::open(&path, flags, rustix::fs::Mode::empty());
            tasks.push(fd.map_err(|errno| Error::Resctrl {
                what: "open",
                path,
                source: errno.into(),
            })?);
        }
        let (mut clone_into, mut procs) = (None, None);
        if let Some(tree) = &self.unified {
            let folder = tree.dir.open(OFlags::PATH);
            clone_into = Some(folder.map_err(failed("unified".to_owned()))?);
            let file = tree.dir.open_write("cgroup.procs");
            procs = Some(file.map_err(failed("unified".to_owned()))?);
        }
        Ok(Entry {
            clone_into,
            procs,
            tasks,
        })
    }

    /// Moves an existing process, with all its threads, into the group.
    ///
    /// # Errors
    /// When the kernel refuses, e.g. because the process is gone.
    pub fn attach(&self, pid: i32) -> Result<()> {
        let dirs = self.legacy.iter().map(|m| &m.dir);
        for dir in dirs.chain(self.unified.iter().map(|m| &m.dir)) {
            dir.set(Controller::Core, "cgroup.procs", pid)?;
        }
        Ok(())
    }

    /// Sets the limits that `resources` names; what it does not name stays as it is.
    ///
    /// # Errors
    /// When the kernel refuses a value or a limit's controller is not on this machine; limits set before stay set.
    pub fn apply(&self, resources: &LinuxResources) -> Result<()> {
        limits::apply(self, resources)
    }

    /// What the group has used, and its limits.
    ///
    /// # Errors
    /// When a file that should be there cannot be read, e.g. because the group is gone.
    pub fn stats(&self) -> Result<stats::Stats> {
        stats::read(self)
    }

    /// The processes in the group and in all groups inside it, each once.
    ///
    /// # Errors
    /// When a list cannot be read.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        // One v1 hierarchy and the v2 tree: a process that left one of them is still found in the other.
        let first = self.place(Controller::Freezer).map(|place| match place {
            Place::V1(dir) | Place::V2(dir) => dir,
        });
        let first = first.or_else(|| self.legacy.first().map(|m| &m.dir));
        let tree = self.unified.as_ref().map(|m| &m.dir);
        let tree = tree.filter(|tree| first.is_none_or(|first| !std::ptr::eq(*tree, first)));
        for dir in first.into_iter().chain(tree) {
            dir.pids(&mut pids)
                .map_err(|errno| dir.unreadable(Controller::Core, "cgroup.procs", errno))?;
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// Where a controller of this group is found.
    pub(crate) fn place(&self, controller: Controller) -> Option<Place<'_>> {
        let member = self
            .legacy
            .iter()
            .find(|m| m.hierarchy.controllers.contains(&controller));
        if let Some(member) = member {
            return Some(Place::V1(&member.dir));
        }
        let tree = self.unified.as_ref()?;
        let there = match controller {
            // Part of the v2 core.
            Controller::Devices | Controller::Freezer | Controller::Core => true,
            _ => tree.controllers.contains(&controller),
        };
        there.then_some(Place::V2(&tree.dir))
    }

    /// Where a controller is found that `limit` cannot do without.
    pub(crate) fn require(&self, controller: Controller, limit: &'static str) -> Result<Place<'_>> {
        self.place(controller)
            .ok_or(Error::NoController { limit, controller })
    }

    /// The root of the hierarchy that has this controller.
    fn root_of(&self, controller: Controller) -> &'static Dir {
        let hierarchy = self
            .host
            .legacy
            .iter()
            .find(|h| h.controllers.contains(&controller));
        &hierarchy
            .expect("asked only for controllers that place() found in a v1 hierarchy")
            .root
    }
}

/// The path without its leading slash, if it stays below the root.
fn relative(path: &str) -> Result<&str> {
    let wrong = || Error::Path {
        path: path.to_owned(),
    };
    let inner = path.strip_prefix('/').ok_or_else(wrong)?;
    let plain = |name: &str| {
        !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains(['\0', '\n'])
    };
    if inner.len() < 4000 && inner.split('/').all(plain) {
        Ok(inner)
    } else {
        Err(wrong())
    }
}

/// The folders made by one `create`, so that a failure can take them away again.
struct Made<'a> {
    path: &'a str,
    roots: Vec<&'static Dir>,
}

impl Made<'_> {
    fn undo(&self) {
        for root in self.roots.iter().rev() {
            // Nothing has entered the group yet, so a plain rmdir is enough; the first error is the one to tell.
            let _ = root.at(self.path, self.path).remove();
        }
    }
}

/// Makes the group's folder below `root`, with its parents. `prepare` sees each parent newly made.
fn make_folder(
    root: &'static Dir,
    absolute: &str,
    made: &mut Made<'_>,
    prepare: impl Fn(&Dir) -> rustix::io::Result<()>,
) -> rustix::io::Result<Dir> {
    let path = made.path;
    let dir = root.at(path, absolute);
    let mut result = dir.make();
    if result == Err(Errno::NOENT) {
        for (at, _) in path.match_indices('/') {
            let parent = root.at(&path[..at], absolute);
            match parent.make() {
                Ok(()) => prepare(&parent)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        result = dir.make();
    }
    match result {
        Ok(()) => made.roots.push(root),
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    Ok(dir)
}

fn make_unified(
    tree: &'static Unified,
    absolute: &str,
    made: &mut Made<'_>,
) -> Result<UnifiedMember> {
    let failed = |errno: Errno| Error::Create {
        path: absolute.to_owned(),
        hierarchy: "unified".to_owned(),
        source: errno.into(),
    };
    let dir = make_folder(&tree.root, absolute, made, |_| Ok(())).map_err(failed)?;
    let mut controllers = controllers_of(tree, &dir)?;
    if tree.controllers.iter().any(|c| !controllers.contains(c)) {
        hand_down(tree, made.path, absolute).map_err(failed)?;
        controllers = controllers_of(tree, &dir)?;
    }
    Ok(UnifiedMember { dir, controllers })
}

/// Hands every controller of the root down to the parent of `path`. What the kernel refuses (a parent with processes of
/// its own, a controller bound elsewhere) stays away: it matters only to who asks for a limit of it.
fn hand_down(tree: &Unified, path: &str, absolute: &str) -> rustix::io::Result<()> {
    let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
    for parent in std::iter::once(".").chain(parents) {
        let dir = tree.root.at(parent, absolute);
        let available = dir.try_get("cgroup.controllers")?;
        let enabled = dir.try_get("cgroup.subtree_control")?;
        let enabled: Vec<_> = enabled.split_whitespace().collect();
        let missing: Vec<_> = available
            .split_whitespace()
            .filter(|name| !enabled.contains(name))
            .map(|name| format!("+{name}"))
            .collect();
        if missing.is_empty()
            || dir
                .try_set("cgroup.subtree_control", &missing.join(" "))
                .is_ok()
        {
            continue;
        }
        for name in missing {
            let _ = dir.try_set("cgroup.subtree_control", &name);
        }
    }
    Ok(())
}

fn controllers_of(tree: &Unified, dir: &Dir) -> Result<Vec<Controller>> {
    if tree.controllers.is_empty() {
        return Ok(Vec::new()); // as on hybrid machines: the root has none to hand down
    }
    let text = dir.get(Controller::Core, "cgroup.controllers")?;
    Ok(text
        .split_whitespace()
        .filter_map(Controller::from_name)
        .collect())
}

fn find_folder(
    root: &Dir,
    path: &str,
    absolute: &str,
    label: impl Fn() -> String,
) -> Result<Option<Dir>> {
    let dir = root.at(path, absolute);
    match dir.exists() {
        Ok(exists) => Ok(exists.then_some(dir)),
        Err(errno) => Err(Error::Open {
            path: absolute.to_owned(),
            hierarchy: label(),
            source: errno.into(),
        }),
    }
}
