//! As whom a program runs: `USER`, `--user` and `--group-add` against the container's own passwd and group files.
//!
//! The files are the image's, hence hostile: they come in as bytes, are read line by line, and broken lines are passed over.

use crate::error::{Error, Result};

/// The container's account files, as far as they exist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    /// `/etc/passwd`.
    pub(crate) passwd: String,
    /// `/etc/group`.
    pub(crate) group: String,
}

/// A user with everything that was looked up for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) additional_gids: Vec<u32>,
    pub(crate) home: String,
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Resolves `user[:group]` (names or ids; empty is root) and the groups to add.
///
/// # Errors
/// [`Error::Invalid`], in Docker's words, for a name that the files do not have or an id out of range.
pub(crate) fn resolve(user: &str, group_add: &[String], accounts: &Accounts) -> Result<Resolved> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let entry = passwd(&accounts.passwd).find(|e| e.name == name || name.parse() == Ok(e.uid));
    let (uid, login, mut gid, home) = match (&entry, parse_id(name)?) {
        (Some(e), _) => (e.uid, e.name, e.gid, e.home),
        (None, Some(uid)) => (uid, "", 0, "/"),
        (None, None) => {
            return Err(Error::Invalid(format!(
                "unable to find user {name}: no matching entries in passwd file"
            )));
        }
    };
    let mut additional_gids = Vec::new();
    match group {
        Some(group) if !group.is_empty() => gid = group_id(group, &accounts.group)?,
        // Only without an explicit group do the groups of the group file apply, as in Docker.
        _ => additional_gids.extend(groups(&accounts.group).filter_map(|(_, id, members)| {
            (!login.is_empty() && members.split(',').any(|m| m == login)).then_some(id)
        })),
    }
    for group in group_add {
        additional_gids.push(group_id(group, &accounts.group)?);
    }
    if !additional_gids.contains(&gid) {
        additional_gids.insert(0, gid);
    }
    additional_gids.dedup();
    let home = if home.is_empty() { "/" } else { home };
    Ok(Resolved {
        uid,
        gid,
        additional_gids,
        home: home.to_owned(),
    })
}

fn group_id(group: &str, file: &str) -> Result<u32> {
    let named = groups(file).find(|(name, id, _)| *name == group || group.parse() == Ok(*id));
    match (named, parse_id(group)?) {
        (Some((_, id, _)), _) | (None, Some(id)) => Ok(id),
        (None, None) => Err(Error::Invalid(format!(
            "unable to find group {group}: no matching entries in group file"
        ))),
    }
}

/// A decimal id; `None` for a name.
fn parse_id(text: &str) -> Result<Option<u32>> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id <= i32::MAX as u32 => Ok(Some(id)),
        _ => Err(Error::Invalid(format!(
            "uids and gids must be in range 0-{}",
            i32::MAX
        ))),
    }
}

fn passwd(file: &str) -> impl Iterator<Item = Entry<'_>> {
    file.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?;
        Some(Entry {
            name,
            uid,
            gid,
            home,
        })
    })
}

fn groups(file: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    file.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?.parse().ok()?;
        Some((name, id, fields.next().unwrap_or("")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:44::/srv:/bin/sh\n".into(),
            group: "root:x:0:\nweb:x:44:\nextra:x:50:web,root\n".into(),
        }
    }

    fn check(user: &str, add: &[&str], expect: (u32, u32, &[u32], &str)) {
        let add: Vec<String> = add.iter().map(|&g| g.into()).collect();
        let got = resolve(user, &add, &accounts()).expect("resolvable");
        assert_eq!(
            (got.uid, got.gid, &got.additional_gids[..], &got.home[..]),
            expect,
            "{user}"
        );
    }

    #[test]
    fn names_and_ids_are_found_with_their_groups_and_home() {
        check("", &[], (0, 0, &[0, 50], "/root"));
        check("web", &[], (33, 44, &[44, 50], "/srv"));
        check("33", &[], (33, 44, &[44, 50], "/srv"));
        check("web:extra", &[], (33, 50, &[50], "/srv"));
        check(
            "1000:1001",
            &["web", "7"],
            (1000, 1001, &[1001, 44, 7], "/"),
        );
    }

    #[test]
    fn an_unknown_name_and_an_id_out_of_range_are_refused() {
        for user in ["nobody", "0:nogroup", "4294967296"] {
            assert!(resolve(user, &[], &accounts()).is_err(), "{user}");
        }
    }
}
