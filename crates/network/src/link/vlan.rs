//! Links that carry one VLAN of another link, called `LINK.NUMBER` as everywhere: made where a network stands on one that is
//! not there. A mark tells whose they are.

use netlink::route::link::{self, Change, New};

use super::{Error, MARK, Plan, Step, find_with, open, remove_with};

/// The link under a VLAN's and its number, by the VLAN's name; `None` for names that say neither.
fn parts(name: &str) -> Option<(&str, u16)> {
    let (parent, number) = name.rsplit_once('.')?;
    let number = number.parse().ok().filter(|n| (1..=4094).contains(n))?;
    Some((parent, number))
}

/// Makes the link of a VLAN where there is no link of this name, and marks it as of `owner`; `false` when there is none and its name is no VLAN's, or the
/// link under it is not there.
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
    let new = New {
        name,
        mac: None,
        mtu: None,
        namespace: None,
    };
    let mark = mark(owner);
    let ours = Change {
        up: Some(true),
        alias: Some(&mark),
        ..Change::default()
    };
    let mut plan = Plan::default();
    let step = || Step::Make(name.to_owned());
    plan.add(step(), link::vlan(&new, parent.index, number));
    plan.carry_out(&socket)?;
    let mut plan = Plan::default();
    plan.add(
        Step::Configure(name.to_owned()),
        link::change_named(name, &ours),
    );
    plan.carry_out(&socket).inspect_err(|_| {
        let _ = remove_with(&socket, name);
    })?;
    Ok(true)
}

/// The links of VLANs that bear this owner's mark, by their names.
///
/// # Errors
/// [`Error::Read`].
pub fn vlans_of(owner: &str) -> Result<Vec<String>, Error> {
    let links = link::list(&open()?).map_err(|source| Error::Read {
        what: "links",
        source,
    })?;
    let mark = mark(owner);
    let own = links
        .into_iter()
        .filter(|link| link.kind == "vlan" && link.alias == mark);
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
