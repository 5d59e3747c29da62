//! Firewalls that people run, as their packages have them: ufw and firewalld, on a host of its own.

use std::process::{Child, Stdio};

use testkit::lan::{FAR, FAR6};
use testkit::{Engine, Host, Lan};

use super::support::{Web, at, web};

/// A host whose firewall is started by `start`, with an engine; `None` where it is not installed.
fn host_with(program: &str) -> Option<Lan> {
    if Engine::is_peer() {
        testkit::skip("the peer speaks to some of them itself");
        return None;
    }
    let lan = testkit::lan();
    if lan.host.try_sh(&format!("command -v {program}")).code != 0 {
        testkit::skip(&format!("no {program} here: apt install {program}"));
        return None;
    }
    Some(lan)
}

/// A container goes out by both families, what comes in by its port is answered, and what nobody published is not.
fn passes(lan: &Lan, one: &Web<'_>) {
    testkit::eventually("the firewall is passed", || {
        one.place.reaches_somehow(at(FAR, 7000)) && one.place.reaches_somehow(at(FAR6, 7000))
    });
    assert!(
        lan.client.who_tcp(at(lan.host.ip, 8080)).is_none(),
        "the host lets nobody in"
    );
    assert!(
        !lan.client.reaches_somehow(at(lan.host.ip, 7002)),
        "nor to itself"
    );
}

#[test]
fn ufw_is_passed_by_containers_and_obeyed_by_published_ports() {
    let Some(lan) = host_with("ufw") else {
        return;
    };
    let _far = lan.world.serve("far", 7000);
    let _bad = lan.world.serve("bad", 7001);
    let _own = lan.host.serve("own", 7002);
    let engine = lan.engine();
    let one = web(&engine, "one", "-p 8080:80");
    // Behind the container's back, and then before it.
    lan.host.sh("ufw --force enable");
    passes(&lan, &one);
    // A rule of its own, in a chain that is jumped to.
    lan.host
        .sh("ufw route deny out on eth0 to any port 7001 && ufw allow 8080");
    testkit::eventually("the port is open", || {
        lan.client.who_tcp(at(lan.host.ip, 8080)).is_some()
    });
    assert!(lan.client.who_tcp(at(lan.host.ip6, 8080)).is_some());
    assert!(!one.place.reaches_somehow(at(FAR, 7001)));
    assert!(one.place.reaches_somehow(at(FAR, 7000)));
    lan.host.sh("ufw reload");
    testkit::eventually("after a reload as before", || {
        one.place.reaches_somehow(at(FAR, 7000)) && one.place.reaches_somehow(at(FAR6, 7000))
    });
    drop(one);
    engine.ok("rm -f one");
    let two = web(&engine, "two", "-p 8080:80");
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    drop(two);
    drop(engine);
    assert!(
        !lan.host.sh("nft list ruleset").contains("estiva"),
        "ours go"
    );
}

/// firewalld and the bus that it lives on, on a host with its own `/etc` and `/run`.
struct Firewalld {
    bus: Child,
    daemon: Child,
}

impl Firewalld {
    fn start(host: &Host) -> Self {
        host.sh("mkdir -p /run/dbus");
        let quiet = |program: &str, arguments: &[&str]| {
            let mut command = host.command(program);
            let command = command.args(arguments);
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("it is installed")
        };
        let bus = quiet("dbus-daemon", &["--system", "--nofork", "--nopidfile"]);
        testkit::within(
            std::time::Duration::from_secs(10),
            "the bus is there",
            || host.try_sh("test -S /run/dbus/system_bus_socket").code == 0,
        );
        let daemon = quiet("firewalld", &["--nofork", "--nopid"]);
        testkit::within(
            std::time::Duration::from_secs(30),
            "firewalld has its rules",
            || {
                let text = host.try_sh("nft list chain inet firewalld filter_FORWARD");
                text.text().contains("filter_FORWARD_ZONES")
            },
        );
        Self { bus, daemon }
    }
}

impl Drop for Firewalld {
    fn drop(&mut self) {
        for child in [&mut self.daemon, &mut self.bus] {
            testkit::proc::signal(child.id().cast_signed(), rustix::process::Signal::TERM);
            drop(child.wait());
        }
    }
}

#[test]
fn firewalld_is_passed_by_containers_and_obeyed_by_published_ports() {
    let Some(lan) = host_with("firewalld") else {
        return;
    };
    let _far = lan.world.serve("far", 7000);
    let _own = lan.host.serve("own", 7002);
    let engine = lan.engine();
    let one = web(&engine, "one", "-p 8080:80");
    // In a zone of its own: within one zone firewalld lets everything pass.
    lan.host
        .sh("firewall-offline-cmd --zone=work --add-interface=eth0");
    let running = Firewalld::start(&lan.host);
    // It makes its rules in several steps; in the end ours are where its default zone ends.
    let rules_in = |what: &str| {
        lan.host
            .sh(&format!("nft list {what}"))
            .matches("comment \"est")
            .count()
    };
    testkit::eventually("room is made", || {
        rules_in("chain inet firewalld filter_FWD_public") == 2
    });
    passes(&lan, &one);
    // What comes in by a port comes a second time, out of a link where nobody is.
    assert_eq!(rules_in("chain inet firewalld filter_PREROUTING"), 1);
    assert_eq!(rules_in("table inet firewalld"), 3);
    drop(running);
    // What it is told to let in is let in, and one that was there before the container is passed as well.
    lan.host
        .sh("firewall-offline-cmd --zone=work --add-port=8080/tcp");
    let _running = Firewalld::start(&lan.host);
    testkit::eventually("the port is open", || {
        lan.client.who_tcp(at(lan.host.ip, 8080)).is_some()
    });
    assert!(
        lan.client.who_tcp(at(lan.host.ip6, 8080)).is_some(),
        "by IPv6 too"
    );
    drop(one);
    engine.ok("rm -f one");
    let two = web(&engine, "two", "-p 8080:80");
    assert!(two.place.reaches(at(FAR, 7000)) && two.place.reaches(at(FAR6, 7000)));
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    assert!(lan.client.who_tcp(at(lan.host.ip6, 8080)).is_some());
}
