//! Classes of caches and memory bandwidth, in the kernel's resctrl file system (Intel RDT, AMD QoS).
//!
//! ```text
//! /sys/fs/resctrl/            the default class, "/"
//!   CLASS/                    made for a container, or by the administrator
//!     schemata                what the class may use; one line a resource
//!     tasks                   who is in it
//!     mon_groups/CONTAINER/   counts one container of the class; its tasks must be of the class
//! ```
//! Spec: OCI runtime config-linux, "IntelRdt". See the kernel's `filesystems/resctrl.rst`.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use oci::runtime::IntelRdt;

use crate::error::{Error, Result};
use crate::hierarchy::mount_of;

/// A container's class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class {
    /// Its folders with a `tasks` file that the container's processes enter, in this order.
    pub enters: Vec<PathBuf>,
    /// The folders that were made for the container, to be removed with it, in this order.
    pub owns: Vec<PathBuf>,
}

/// Makes or finds the class that a container asks for, with what it may use.
///
/// # Errors
/// When no resctrl file system is mounted, a class that should be there is not, one that is there has other limits, or the
/// kernel refuses a line; what was made for the container is gone then.
pub fn create(wanted: &IntelRdt, container: &str) -> Result<Class> {
    let root = mount_of("resctrl")?.ok_or(Error::NoResctrl)?;
    create_in(&root, wanted, container)
}

fn create_in(root: &Path, wanted: &IntelRdt, container: &str) -> Result<Class> {
    let plan = plan(wanted, container)?;
    let folder = match plan.class {
        "/" => root.to_owned(),
        name => root.join(name),
    };
    let mut class = Class::default();
    match make_class(&folder, &plan, container, wanted, &mut class) {
        Ok(()) => Ok(class),
        Err(error) => {
            // What failed first is what is told.
            let _ = remove(&class.owns);
            Err(error)
        }
    }
}

fn make_class(
    folder: &Path,
    plan: &Plan<'_>,
    container: &str,
    wanted: &IntelRdt,
    class: &mut Class,
) -> Result<()> {
    if plan.must_exist && !folder.is_dir() {
        return Err(Error::Class {
            class: plan.class.to_owned(),
            reason: "there is no such class, and no schema to make it by".to_owned(),
        });
    }
    let is_new = match fs::create_dir(folder) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(source) => return Err(failed("make", folder)(source)),
    };
    // A class of a name that was asked for stays: others may be in it by now.
    if is_new && plan.is_own {
        class.owns.push(folder.to_owned());
    }
    let schemata = folder.join("schemata");
    if !plan.lines.is_empty() {
        if is_new || plan.is_own {
            set(&schemata, &plan.lines)?;
        } else {
            let now = fs::read_to_string(&schemata).map_err(failed("read", &schemata))?;
            compare(plan, &now)?;
        }
    }
    class.enters.push(folder.to_owned());
    if wanted.enable_monitoring {
        let group = folder.join("mon_groups").join(container);
        fs::create_dir(&group).map_err(failed("make", &group))?;
        class.owns.insert(0, group.clone());
        class.enters.push(group);
    }
    Ok(())
}

/// Changes what a class may use. Lines that are not given stay as they are.
///
/// # Errors
/// When the kernel refuses one, with its reason.
pub fn update(folder: &Path, l3_cache: &str, bandwidth: &str) -> Result<()> {
    let wanted = IntelRdt {
        l3_cache_schema: l3_cache.to_owned(),
        mem_bw_schema: bandwidth.to_owned(),
        ..IntelRdt::default()
    };
    set(&folder.join("schemata"), &lines(&wanted)?)
}

/// Removes what was made for a container; what has gone is no error.
///
/// # Errors
/// When a folder cannot be removed; the others are tried all the same.
pub fn remove(folders: &[PathBuf]) -> Result<()> {
    let mut result = Ok(());
    for folder in folders {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                result = result.and(Err(failed("remove", folder)(error)));
            }
            _ => {}
        }
    }
    result
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Resctrl { what, path, source }
}

/// Writes the lines at once. A refusal comes with the kernel's own words, which it keeps in the root's `info`.
fn set(schemata: &Path, lines: &[&str]) -> Result<()> {
    let text = format!("{}\n", lines.join("\n"));
    let file = fs::OpenOptions::new().write(true).open(schemata);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| {
            let words = schemata
                .ancestors()
                .map(|folder| folder.join("info/last_cmd_status"))
                .find_map(|status| fs::read_to_string(status).ok());
            match words.as_deref().map(str::trim) {
                Some(words) if !words.is_empty() && words != "ok" => Error::Class {
                    class: schemata.display().to_string(),
                    reason: format!("{source}: {words}"),
                },
                _ => failed("write", schemata)(source),
            }
        })
}

// --- What is asked for ---

/// What to do, before a look at what is there.
#[derive(Debug, PartialEq, Eq)]
struct Plan<'a> {
    class: &'a str,
    lines: Vec<&'a str>,
    /// The class is the container's own.
    is_own: bool,
    must_exist: bool,
}

fn plan<'a>(wanted: &'a IntelRdt, container: &'a str) -> Result<Plan<'a>> {
    let is_own = wanted.clos_id.is_empty();
    let class = match is_own {
        true => container,
        false => wanted.clos_id.as_str(),
    };
    let reserved = matches!(class, "." | ".." | "info" | "mon_groups" | "mon_data");
    if reserved || (class != "/" && class.contains(['/', '\n', '\0'])) {
        return Err(Error::Class {
            class: class.to_owned(),
            reason: "it is no name of a class".to_owned(),
        });
    }
    let lines = lines(wanted)?;
    Ok(Plan {
        class,
        is_own,
        must_exist: class == "/" || (!is_own && lines.is_empty()),
        lines,
    })
}

/// Spec: the L3 schema first, then the bandwidth's, then the others.
fn lines(wanted: &IntelRdt) -> Result<Vec<&str>> {
    let bandwidth = wanted.mem_bw_schema.as_str();
    let wrong = |line: &str| Error::Class {
        class: line.to_owned(),
        reason: "it is no line of a schemata file".to_owned(),
    };
    if !bandwidth.is_empty() && !bandwidth.starts_with("MB:") {
        return Err(wrong(bandwidth));
    }
    let others = wanted.schemata.iter().map(String::as_str);
    let all = [wanted.l3_cache_schema.as_str(), bandwidth].into_iter();
    let all: Vec<&str> = all.chain(others).filter(|line| !line.is_empty()).collect();
    match all.iter().find(|line| line.contains('\n')) {
        Some(line) => Err(wrong(line)),
        None => Ok(all),
    }
}

/// Whether a class that others made has the limits that are asked for.
fn compare(plan: &Plan<'_>, now: &str) -> Result<()> {
    let now: Vec<Line<'_>> = now.lines().filter_map(Line::parse).collect();
    for line in &plan.lines {
        let is_so = Line::parse(line).is_some_and(|wanted| now.iter().any(|it| it.has(&wanted)));
        if !is_so {
            return Err(Error::Class {
                class: plan.class.to_owned(),
                reason: format!("it is there and does not have {line:?}"),
            });
        }
    }
    Ok(())
}

/// `NAME:DOMAIN=VALUE;DOMAIN=VALUE`; the kernel pads names with blanks and values with zeros.
#[derive(Debug)]
struct Line<'a> {
    name: &'a str,
    values: Vec<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, values) = line.split_once(':')?;
        let plain = |value: &'a str| value.trim().trim_start_matches('0');
        let values = values.split(';').map(|each| {
            let (domain, value) = each.split_once('=')?;
            Some((plain(domain), plain(value)))
        });
        Some(Self {
            name: name.trim(),
            values: values.collect::<Option<_>>()?,
        })
    }

    /// Domains that are not asked for may be anything.
    fn has(&self, wanted: &Self) -> bool {
        self.name == wanted.name
            && wanted.values.iter().all(|(domain, value)| {
                let own = self.values.iter().find(|(own, _)| own == domain);
                own.is_some_and(|(_, own)| own.eq_ignore_ascii_case(value))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(class: &str, l3: &str, bandwidth: &str, others: &[&str]) -> IntelRdt {
        IntelRdt {
            clos_id: class.to_owned(),
            l3_cache_schema: l3.to_owned(),
            mem_bw_schema: bandwidth.to_owned(),
            schemata: others.iter().map(|line| (*line).to_owned()).collect(),
            ..IntelRdt::default()
        }
    }

    /// A folder that looks like resctrl, with one class.
    fn tree(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("estiva-rdt-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("gold/mon_groups")).expect("a folder of our own");
        fs::write(
            root.join("gold/schemata"),
            "    MB:0=100;1= 70\n    L3:0=7f0;1=01f\n",
        )
        .expect("ours");
        root
    }

    #[test]
    fn lines_come_in_the_specs_order() {
        let wanted = wanted("x", "L3:0=f", "MB:0=20", &["L2:0=1"]);
        let plan = plan(&wanted, "c1").expect("valid");
        assert_eq!(plan.lines, ["L3:0=f", "MB:0=20", "L2:0=1"]);
        assert!(!plan.is_own && !plan.must_exist);
    }

    #[test]
    fn who_names_no_class_gets_one_of_its_own_and_who_gives_no_schema_must_find_one() {
        let none = wanted("", "", "", &[]);
        let own = plan(&none, "c1").expect("valid");
        assert_eq!((own.class, own.is_own, own.must_exist), ("c1", true, false));
        assert!(
            plan(&wanted("x", "", "", &[]), "c1")
                .expect("valid")
                .must_exist
        );
        assert!(
            plan(&wanted("/", "L3:0=f", "", &[]), "c1")
                .expect("valid")
                .must_exist
        );
    }

    #[test]
    fn what_is_no_name_or_no_line_is_refused() {
        for class in ["..", "a/b", "info", "mon_groups", "a\nb"] {
            assert!(
                plan(&wanted(class, "", "", &[]), "c1").is_err(),
                "{class:?}"
            );
        }
        assert!(plan(&wanted("x", "", "L3:0=f", &[]), "c1").is_err());
        assert!(plan(&wanted("x", "L3:0=f\nMB:0=1", "", &[]), "c1").is_err());
    }

    #[test]
    fn a_class_that_is_there_is_compared_and_left_as_it_is() {
        let root = tree("compare");
        let same = wanted("gold", "L3:1=1F", "MB:1=70", &[]);
        let class = create_in(&root, &same, "c1").expect("the same limits");
        assert_eq!(class.enters, [root.join("gold")]);
        assert!(class.owns.is_empty());
        let other = wanted("gold", "L3:1=3f", "", &[]);
        let error = create_in(&root, &other, "c1").expect_err("others");
        assert!(error.to_string().contains("does not have"), "{error}");
        let missing = create_in(&root, &wanted("silver", "", "", &[]), "c1");
        let error = missing.expect_err("not there");
        assert!(error.to_string().contains("no such class"), "{error}");
        assert!(!root.join("silver").exists());
        fs::remove_dir_all(root).expect("ours");
    }

    #[test]
    fn a_class_and_a_monitoring_group_of_the_containers_own_go_with_it() {
        let root = tree("own");
        let own = create_in(&root, &wanted("", "", "", &[]), "c1").expect("a new one");
        assert_eq!((own.enters.len(), &own.owns), (1, &vec![root.join("c1")]));
        let mut watched = wanted("gold", "", "", &[]);
        watched.enable_monitoring = true;
        let class = create_in(&root, &watched, "c1").expect("beside the class");
        assert_eq!(class.owns, [root.join("gold/mon_groups/c1")]);
        assert_eq!(class.enters.len(), 2);
        remove(&own.owns).expect("empty");
        remove(&class.owns).expect("empty");
        assert!(root.join("gold").exists() && !root.join("c1").exists());
        fs::remove_dir_all(root).expect("ours");
    }

    #[test]
    fn a_new_class_whose_lines_are_refused_is_gone_again() {
        let root = tree("refused");
        // On a folder that only looks like resctrl there is no schemata file in a new class.
        create_in(&root, &wanted("", "L3:0=f", "", &[]), "c1").expect_err("no file");
        assert!(!root.join("c1").exists());
        fs::remove_dir_all(root).expect("ours");
    }
}
