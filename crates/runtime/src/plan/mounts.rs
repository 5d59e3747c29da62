//! The mounts, with their sources opened as detached trees.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci::runtime::Mount;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use sys::mount::{Change, Depth, Propagation, set_attributes};

use super::options::{self, Attributes, Options};
use crate::errno::Refusal;
use crate::error::Error;
use crate::idmap::Idmaps;

/// One mount, ready to be attached or to be made by the child.
#[derive(Debug)]
pub(crate) struct MountPlan {
    pub(crate) destination: PathBuf,
    /// For messages.
    pub(crate) from: String,
    pub(crate) source: Source,
    pub(crate) attributes: Attributes,
    /// In order.
    pub(crate) propagation: Vec<(Propagation, Depth)>,
}

/// What is mounted.
#[derive(Debug)]
pub(crate) enum Source {
    /// A part of the host's tree.
    Tree {
        tree: Tree,
        /// Its root is not a folder.
        is_file: bool,
    },
    /// What is mounted at the destination already; only its attributes change.
    Remount(Attributes),
    /// A file system made in the container's namespaces.
    New(NewFilesystem),
    /// A tmpfs with one folder for each hierarchy of cgroups, bound from the container's own groups.
    Hierarchies(Vec<Hierarchy>),
}

/// A part of the host's tree, as a detached mount.
#[derive(Debug)]
pub(crate) enum Tree {
    /// With its attributes set.
    Open(OwnedFd),
    /// To be opened by the child when its turn comes.
    Late { source: String, options: Options },
}

impl Tree {
    /// The mount, opened if it is not yet.
    pub(crate) fn opened(self) -> Result<OwnedFd, (String, Errno)> {
        match self {
            Self::Open(tree) => Ok(tree),
            Self::Late { source, options } => open(&source, &options, None),
        }
    }
}

/// A file system to be made.
#[derive(Debug)]
pub(crate) struct NewFilesystem {
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) flags: Vec<&'static str>,
    pub(crate) own: Vec<(String, Option<String>)>,
    /// SELinux label of its root, where the file system is there before it is mounted and so takes none as an option.
    pub(crate) label: Option<String>,
    pub(crate) copies_up: bool,
    /// Shifts the ids of the new mount.
    pub(crate) idmap: Option<OwnedFd>,
}

/// One hierarchy of cgroups in the container.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    /// As in `/sys/fs/cgroup/<name>`.
    pub(crate) name: String,
    /// Each controller of several that are mounted together.
    pub(crate) aliases: Vec<String>,
    pub(crate) tree: OwnedFd,
}

/// Who opens the sources of bind mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opener {
    /// We do: the child may not be able to reach them.
    Parent,
    /// The child does, where it can: Linux lists mounts in the order in which they were made (6.8), and that is to be
    /// the spec's.
    Child,
}

/// What holds for all mounts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Common<'a> {
    pub(crate) opener: Opener,
    /// SELinux label of new file systems.
    pub(crate) label: &'a str,
}

/// Prepares every mount of the spec.
pub(crate) fn plan(
    mounts: &[Mount],
    cgroup: Option<&cgroup::Group>,
    mut idmaps: Idmaps<'_>,
    common: Common<'_>,
) -> Result<Vec<MountPlan>, Error> {
    mounts
        .iter()
        .map(|mount| one(mount, cgroup, &mut idmaps, common))
        .collect()
}

fn one(
    mount: &Mount,
    cgroup: Option<&cgroup::Group>,
    idmaps: &mut Idmaps<'_>,
    common: Common<'_>,
) -> Result<MountPlan, Error> {
    let options = options::parse(&mount.options);
    let failed = |what: String, errno: Errno| Error::Mount {
        from: if mount.source.is_empty() {
            mount.kind.clone()
        } else {
            mount.source.clone()
        },
        to: mount.destination.clone(),
        what,
        source: Refusal(errno),
    };
    let idmap = idmap_of(mount, &options, idmaps)?;
    let is_bind = mount.kind == "bind" || options.bind.is_some();
    let source = if options.remounts {
        remount(mount, &options)?
    } else if is_bind
        && common.opener == Opener::Child
        && idmap.is_none()
        && !options.source_without_links
    {
        let stat = rustix::fs::stat(mount.source.as_str())
            .map_err(|errno| failed(format!("open {}", mount.source), errno))?;
        Source::Tree {
            tree: Tree::Late {
                source: mount.source.clone(),
                options: options.clone(),
            },
            is_file: FileType::from_raw_mode(stat.st_mode) != FileType::Directory,
        }
    } else if is_bind {
        bind(mount, &options, idmap).map_err(|(what, errno)| failed(what, errno))?
    } else if mount.kind == "cgroup" || mount.kind == "cgroup2" {
        cgroups(cgroup, &options)?
    } else if mount.kind.is_empty() {
        return Err(Error::invalid(
            format!("mount {}", mount.destination.display()),
            "it has no type",
        ));
    } else {
        Source::New(NewFilesystem {
            kind: mount.kind.clone(),
            source: mount.source.clone(),
            flags: flags(mount, &options),
            own: labelled(&mount.kind, &options, common.label),
            label: (mount.kind == "mqueue" && !common.label.is_empty())
                .then(|| common.label.to_owned()),
            copies_up: options.copies_up,
            idmap: idmap
                .map(|(fd, _)| fd.try_clone())
                .transpose()
                .map_err(|error| failed("idmap".to_owned(), Refusal::from(error).0))?,
        })
    };
    let propagation = match (&source, options.propagation.as_slice()) {
        // Done on the detached copy; and a new mount is private from the start.
        (Source::Tree { .. }, [(only, Depth::Recursive)]) if *only != Propagation::Shared => {
            Vec::new()
        }
        (Source::New(_) | Source::Hierarchies(_), [(Propagation::Private, _)]) => Vec::new(),
        (_, all) => all.to_vec(),
    };
    let mut attributes = options.attributes;
    // On a mount without others below, the recursive words mean the same.
    attributes.set |= options.deep.set;
    Ok(MountPlan {
        destination: mount.destination.clone(),
        from: if mount.source.is_empty() {
            mount.kind.clone()
        } else {
            mount.source.clone()
        },
        source,
        attributes,
        propagation,
    })
}

fn remount(mount: &Mount, options: &Options) -> Result<Source, Error> {
    match options.own.first() {
        None => Ok(Source::Remount(options.attributes)),
        Some((name, _)) => Err(Error::invalid(
            format!("mount {}", mount.destination.display()),
            format!("{name:?} cannot be changed by a remount: only attributes of the mount can"),
        )),
    }
}

/// The file system's own options, with the label of those whose files have none of their own. The kernel labels its own.
fn labelled(kind: &str, options: &Options, label: &str) -> Vec<(String, Option<String>)> {
    let mut own = options.own.clone();
    if !label.is_empty() && !matches!(kind, "proc" | "sysfs" | "mqueue") {
        own.push(("context".to_owned(), Some(label.to_owned())));
    }
    own
}

/// File systems on disks must be told that they are read-only, too; those of the kernel are shared, and must not.
fn flags(mount: &Mount, options: &Options) -> Vec<&'static str> {
    const KERNELS_OWN: [&str; 7] = [
        "proc",
        "sysfs",
        "tmpfs",
        "devpts",
        "mqueue",
        "securityfs",
        "debugfs",
    ];
    let mut flags = options.flags.clone();
    if options.attributes.set.contains(sys::mount::Attr::RDONLY)
        && !KERNELS_OWN.contains(&mount.kind.as_str())
    {
        flags.push("ro");
    }
    flags
}

fn idmap_of<'a>(
    mount: &Mount,
    options: &Options,
    idmaps: &'a mut Idmaps<'_>,
) -> Result<Option<(&'a OwnedFd, Depth)>, Error> {
    let has_own = !(mount.uid_mappings.is_empty() && mount.gid_mappings.is_empty());
    if options.idmap.is_none() && !has_own {
        return Ok(None);
    }
    let fd = idmaps.get(&mount.uid_mappings, &mount.gid_mappings)?;
    Ok(Some((fd, options.idmap.unwrap_or(Depth::One))))
}

/// Opens the source here and not in the child, because a child in a user namespace may not be able to reach it.
fn bind(
    mount: &Mount,
    options: &Options,
    idmap: Option<(&OwnedFd, Depth)>,
) -> Result<Source, (String, Errno)> {
    let tree = open(&mount.source, options, idmap)?;
    let stat = rustix::fs::statat(&tree, c"", AtFlags::EMPTY_PATH)
        .map_err(|errno| (format!("stat {}", mount.source), errno))?;
    Ok(Source::Tree {
        tree: Tree::Open(tree),
        is_file: FileType::from_raw_mode(stat.st_mode) != FileType::Directory,
    })
}

/// Opens a source as a detached copy, and gives it its attributes; only a detached mount can be idmapped.
fn open(
    source: &str,
    options: &Options,
    idmap: Option<(&OwnedFd, Depth)>,
) -> Result<OwnedFd, (String, Errno)> {
    let depth = options.bind.unwrap_or(Depth::One);
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if depth == Depth::Recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let opened = if options.source_without_links {
        without_links(source)
            .and_then(|source| open_tree(source, c"", flags | OpenTreeFlags::AT_EMPTY_PATH))
    } else {
        open_tree(CWD, source, flags)
    };
    let tree = opened.map_err(|errno| (format!("open {source}"), errno))?;
    set(&tree, options, idmap)?;
    Ok(tree)
}

/// Opens a source that lies where containers can write: one of them may have put a link to the host's root in its place
/// since somebody looked. See openat2(2), `RESOLVE_NO_SYMLINKS`.
fn without_links(source: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    sys::open::openat2(CWD, source, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

fn set(
    tree: &OwnedFd,
    options: &Options,
    idmap: Option<(&OwnedFd, Depth)>,
) -> Result<(), (String, Errno)> {
    let change = |depth: Depth, change: &Change<'_>| {
        set_attributes(tree, depth, change)
            .map_err(|error| (format!("set {change:?}"), Refusal::from(error).0))
    };
    // A copy is a peer of what it was copied from: unless sharing is asked for, what the container mounts must not
    // show up outside.
    let shared = options
        .propagation
        .iter()
        .any(|(each, _)| *each == Propagation::Shared);
    let deep = Change {
        set: options.deep.set,
        clear: options.deep.clear,
        propagation: (!shared).then_some(match options.propagation.as_slice() {
            [(only, Depth::Recursive)] => *only,
            _ => Propagation::Slave,
        }),
        idmap: None,
    };
    if !(deep.set.is_empty() && deep.clear.is_empty() && deep.propagation.is_none()) {
        change(Depth::Recursive, &deep)?;
    }
    // `rw` on a copy of a read-only mount does not make it writable: nobody but the host's own set-up may do that.
    let mut own = options.attributes;
    own.clear -= sys::mount::Attr::RDONLY;
    if !own.is_empty() {
        let one = Change {
            set: own.set,
            clear: own.clear,
            ..Change::default()
        };
        change(Depth::One, &one)?;
    }
    if let Some((fd, depth)) = idmap {
        let shifted = Change {
            idmap: Some(fd.as_fd()),
            ..Change::default()
        };
        change(depth, &shifted)?;
    }
    Ok(())
}

/// On a pure v2 machine cgroup2 is one file system; otherwise it is a folder of hierarchies.
fn cgroups(group: Option<&cgroup::Group>, options: &Options) -> Result<Source, Error> {
    let unified = match cgroup::host() {
        Ok(host) => host.mode() == cgroup::Mode::Unified,
        Err(source) => return Err(Error::Cgroup { source }),
    };
    if unified {
        return Ok(Source::New(NewFilesystem {
            kind: "cgroup2".to_owned(),
            source: "cgroup".to_owned(),
            flags: Vec::new(),
            own: Vec::new(),
            label: None,
            copies_up: false,
            idmap: None,
        }));
    }
    let folders = group.map(cgroup::Group::folders).unwrap_or_default();
    folders
        .iter()
        .map(|(label, folder)| hierarchy(label, folder, options))
        .collect::<Result<_, _>>()
        .map(Source::Hierarchies)
}

fn hierarchy(label: &str, folder: &Path, options: &Options) -> Result<Hierarchy, Error> {
    let name = match label {
        "" => "unified",
        named => named.strip_prefix("name=").unwrap_or(named),
    };
    let failed = |what: &str, errno: Errno| Error::Mount {
        from: folder.display().to_string(),
        to: Path::new("/sys/fs/cgroup").join(name),
        what: what.to_owned(),
        source: Refusal(errno),
    };
    let change = Change {
        set: options.attributes.set,
        clear: options.attributes.clear - sys::mount::Attr::RDONLY,
        propagation: Some(Propagation::Private),
        idmap: None,
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, folder, flags).map_err(|errno| failed("open the cgroup", errno))?;
    set_attributes(&tree, Depth::One, &change)
        .map_err(|error| failed("set attributes", Refusal::from(error).0))?;
    Ok(Hierarchy {
        name: name.to_owned(),
        aliases: if name.contains(',') {
            name.split(',').map(str::to_owned).collect()
        } else {
            Vec::new()
        },
        tree,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(opener: Opener) -> Common<'static> {
        Common { opener, label: "" }
    }

    fn bind_of(source: &str) -> Mount {
        Mount {
            destination: "/x".into(),
            kind: "bind".to_owned(),
            source: source.to_owned(),
            options: vec!["rbind".to_owned(), "rprivate".to_owned(), "ro".to_owned()],
            ..Mount::default()
        }
    }

    #[test]
    fn a_source_without_links_is_opened_through_none() {
        let temp = std::env::temp_dir().join(format!("estiva-source-{}", std::process::id()));
        std::fs::create_dir_all(temp.join("real/inner")).expect("a temporary folder");
        std::os::unix::fs::symlink("real", temp.join("link")).expect("symlink");
        let linux = oci::runtime::Linux::default();
        let try_it = |path: &str, word: &str| {
            let mut mount = bind_of(temp.join(path).to_str().expect("ASCII"));
            mount.options.push(word.to_owned());
            plan(&[mount], None, Idmaps::new(&linux), common(Opener::Parent)).map(drop)
        };
        try_it("real/inner", "src-nofollow").expect("no link");
        try_it("link/inner", "rw").expect("links are followed elsewhere");
        let error = try_it("link/inner", "src-nofollow").expect_err("a link");
        assert!(fault::chain(&error).contains("too many levels"), "{error}");
        std::fs::remove_dir_all(&temp).expect("ours");
    }

    #[test]
    fn a_source_that_is_not_there_is_named_with_its_destination() {
        let linux = oci::runtime::Linux::default();
        for opener in [Opener::Parent, Opener::Child] {
            let nowhere = [bind_of("/nowhere")];
            let error =
                plan(&nowhere, None, Idmaps::new(&linux), common(opener)).expect_err("missing");
            assert_eq!(
                fault::chain(&error),
                "error mounting \"/nowhere\" to rootfs at \"/x\": open /nowhere: no such file or directory"
            );
            assert_eq!(error.kind(), fault::Kind::Invalid);
        }
    }

    #[test]
    fn a_file_is_told_from_a_folder() {
        let linux = oci::runtime::Linux::default();
        let plans = plan(
            &[bind_of("/etc"), bind_of("/etc/passwd")],
            None,
            Idmaps::new(&linux),
            common(Opener::Parent),
        )
        .expect("both are there");
        let files: Vec<_> = plans
            .iter()
            .map(|each| matches!(each.source, Source::Tree { is_file: true, .. }))
            .collect();
        assert_eq!(files, [false, true]);
    }

    #[test]
    fn only_attributes_are_changed_by_a_remount() {
        let linux = oci::runtime::Linux::default();
        let remount = |word: &str| {
            let mut mount = bind_of("");
            mount.options = vec!["remount".to_owned(), word.to_owned()];
            plan(&[mount], None, Idmaps::new(&linux), common(Opener::Parent))
        };
        let plans = remount("ro").expect("an attribute");
        assert!(matches!(plans[0].source, Source::Remount(_)));
        assert!(remount("size=1m").is_err());
    }

    #[test]
    fn new_file_systems_bear_the_label_but_those_of_the_kernel() {
        let options = options::parse(&["mode=755".to_owned()]);
        assert_eq!(labelled("tmpfs", &options, "a:b:c").len(), 2);
        assert_eq!(labelled("proc", &options, "a:b:c").len(), 1);
        assert_eq!(labelled("tmpfs", &options, "").len(), 1);
    }
}
