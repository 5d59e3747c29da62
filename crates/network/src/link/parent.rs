//! Links of the host that macvlan and ipvlan stand on, made where they are not there: those that carry one VLAN of another
//! link, called `LINK.NUMBER` as everywhere, and dummies, which lead nowhere. A mark tells whose they are.

use netlink::message::Writer;
use netlink::route::link::{self, Change, New};
use netlink::socket::Socket;

use super::host::has_ipv6_in_kernel;
use super::{Error, MARK, Plan, Step, find_with, open, remove_with};

/// The link under a VLAN's and its number, by the VLAN's name; `None` for names that say neither.
fn parts(name: &str) -> Option<(&str, u16)> {
    let (parent, number) = name.rsplit_once('.')?;
    let number = number.parse().ok().filter(|n| (1..=4094).contains(n))?;
    Some((parent, number))
}

/// Makes the link of a VLAN where there is no link of this name, and marks it as of `owner`; `false` when there is none and
/// its name is no VLAN's, or the link under it is not there.
///
/// # Errors
/// [`Error::Read`]; [`Error::Step`]: EOPNOTSUPP where the kernel has no VLANs.
pub fn ensure_vlan(name: &str, owner: &str) -> Result<bool, Error> {
    let socket = open()?;
    if find_with(&socket, name)?.is_some() {
        return Ok(true);
    }
    let Some((parent, number)) = parts(name) else {
        return Ok(false);
    };
    let Some(parent) = find_with(&socket, parent)? else {
        return Ok(false);
    };
    make(&socket, name, owner, Change::default(), |new| {
        link::vlan(new, parent.index, number)
    })?;
    Ok(true)
}

/// Makes a link that leads nowhere where there is none of this name, and marks it as of `owner`.
///
/// # Errors
/// [`Error::Read`]; [`Error::Step`]: EOPNOTSUPP where the kernel has no dummies; [`Error::InTheWay`] where the name is
/// another link's.
pub fn ensure_dummy(name: &str, owner: &str) -> Result<(), Error> {
    let socket = open()?;
    match find_with(&socket, name)? {
        Some(link) if link.kind == "dummy" => Ok(()),
        Some(_) => Err(Error::InTheWay {
            name: name.to_owned(),
        }),
        None => {
            // It takes no part in IP: it is there for others to stand on.
            let quiet = Change {
                link_local: has_ipv6_in_kernel().then_some(false),
                ..Change::default()
            };
            make(&socket, name, owner, quiet, link::dummy)
        }
    }
}

/// Makes a link, marks it and sets it up; what could not be marked is removed again.
fn make(
    socket: &Socket,
    name: &str,
    owner: &str,
    change: Change<'_>,
    message: impl FnOnce(&New<'_>) -> Writer,
) -> Result<(), Error> {
    let new = New {
        name,
        mac: None,
        mtu: None,
        namespace: None,
    };
    let mark = mark(owner);
    let ours = Change {
        alias: Some(&mark),
        ..change
    };
    // Not in one message: the kernel sets a link up before it hears of the rest.
    let up = Change {
        up: Some(true),
        ..Change::default()
    };
    let mut plan = Plan::default();
    plan.add(Step::Make(name.to_owned()), message(&new));
    plan.carry_out(socket)?;
    let mut plan = Plan::default();
    plan.add(
        Step::Configure(name.to_owned()),
        link::change_named(name, &ours),
    );
    plan.add(Step::SetUp(name.to_owned()), link::change_named(name, &up));
    plan.carry_out(socket).inspect_err(|_| {
        let _ = remove_with(socket, name);
    })
}

/// The VLANs' links and dummies that bear this owner's mark, by their names.
///
/// # Errors
/// [`Error::Read`].
pub fn parents_of(owner: &str) -> Result<Vec<String>, Error> {
    let links = link::list(&open()?).map_err(|source| Error::Read {
        what: "links",
        source,
    })?;
    let mark = mark(owner);
    let own = links
        .into_iter()
        .filter(|link| ["vlan", "dummy"].contains(&link.kind.as_str()) && link.alias == mark);
    Ok(own.map(|link| link.name).collect())
}

fn mark(owner: &str) -> String {
    format!("{MARK}: {owner}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_is_called_by_its_link_and_its_number() {
        assert_eq!(parts("eth0.50"), Some(("eth0", 50)));
        assert_eq!(parts("bond0.1.7"), Some(("bond0.1", 7)));
        for name in ["eth0", "eth0.", "eth0.x", "eth0.0", "eth0.4095"] {
            assert_eq!(parts(name), None, "{name}");
        }
    }
}
