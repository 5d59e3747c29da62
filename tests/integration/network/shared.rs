//! Networks that are not the container's own: the host's, another container's, none.

use testkit::Engine;

use super::support::{at, idle, web};

#[test]
fn the_hosts_network_is_the_hosts() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let container = idle(&engine, "--network host");
    assert_eq!(
        testkit::proc::namespace(container.pid(), "net"),
        testkit::proc::namespace(engine.daemon_pid(), "net")
    );
    let _server = container.place().serve("inside", 7000);
    assert!(lan.client.reaches(at(lan.host.ip, 7000)));
    let error = engine
        .cli("run --rm --network host -p 80:80 busybox true")
        .run();
    assert!(
        error
            .error()
            .contains("Published ports are discarded when using host network mode"),
        "{}",
        error.error()
    );
    error.success();
    let hostname = engine.ok("run --rm --network host busybox hostname");
    assert_eq!(hostname, lan.host.sh("hostname"));
}

#[test]
fn anothers_network_is_shared_with_its_names_and_ports() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let owner = web(
        &engine,
        "owner",
        "--network net -p 8080:80 --hostname of-owner",
    );
    let guest = idle(&engine, "--name guest --network container:owner");
    assert_eq!(
        testkit::proc::namespace(guest.pid(), "net"),
        testkit::proc::namespace(owner.container.pid(), "net")
    );
    for file in ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"] {
        assert_eq!(guest.read(file), owner.container.read(file), "{file}");
    }
    assert_eq!(guest.exec("hostname"), "of-owner");
    assert!(guest.place().reaches(at([127, 0, 0, 1].into(), 80)));
    let mode = guest.inspect()["HostConfig"]["NetworkMode"].clone();
    let id = owner.container.inspect()["Id"].clone();
    assert_eq!(mode, format!("container:{}", id.as_str().expect("an id")));
    for (line, text) in [
        (
            "-p 81:81",
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            "--hostname x",
            "conflicting options: hostname and the network mode",
        ),
        (
            "--dns 1.1.1.1",
            "conflicting options: dns and the network mode",
        ),
        (
            "--link owner:x",
            "conflicting options: container type network can't be used with links",
        ),
        (
            "--add-host a:1.1.1.1",
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            "--mac-address 02:11:22:33:44:55",
            "conflicting options: mac-address and the network mode",
        ),
    ] {
        if Engine::is_peer() && line.contains("mac-address") {
            continue;
        }
        let error = engine.fails(
            125,
            &format!("run {line} --network container:owner busybox true"),
        );
        assert!(error.contains(text), "{line}: {error}");
    }
    let error = engine.fails(125, "run --rm --network container:nobody busybox true");
    assert!(error.contains("No such container: nobody"), "{error}");
    engine.ok("stop -t 0 owner");
    let error = engine.fails(125, "run --rm --network container:owner busybox true");
    assert!(error.contains("of a non running container"), "{error}");
}

#[test]
fn none_is_loopback_and_nothing_else() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let container = idle(&engine, "--name lonely --network none");
    assert_eq!(container.place().links(), ["lo"]);
    assert_eq!(container.place().addresses("lo"), []);
    assert!(
        container
            .place()
            .sh("ip addr show lo")
            .contains("127.0.0.1/8")
    );
    let told = container.inspect();
    assert_eq!(told["NetworkSettings"]["Networks"]["none"]["IPAddress"], "");
    let error = engine.fails(1, "network connect bridge lonely");
    assert!(
        error.contains("none") || error.contains("private"),
        "{error}"
    );
}

#[test]
fn the_network_of_a_restarted_owner_is_found_again() {
    if Engine::is_peer() {
        return testkit::skip("the same in the peer, but slow");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    drop(web(&engine, "owner", ""));
    drop(idle(&engine, "--name guest --network container:owner"));
    engine.ok("restart -t 0 owner");
    engine.ok("restart -t 0 guest");
    let space = |name: &str| {
        let container = testkit::Container::new(&engine, name.to_owned());
        testkit::proc::namespace(container.pid(), "net")
    };
    assert_eq!(space("guest"), space("owner"));
}
