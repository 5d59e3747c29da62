//! The kit itself: hosts that reach each other, and walls that hold.

use testkit::lan::{FAR, FAR6};

use super::support::at;

#[test]
fn hosts_reach_each_other_and_what_is_far_away() {
    let lan = testkit::lan();
    let _server = lan.host.serve("host", 7000);
    for ip in [lan.host.ip, lan.host.ip6] {
        let tcp = lan
            .client
            .ask_tcp(at(ip, 7000), "good day")
            .expect("TCP arrives");
        assert_eq!(
            (tcp.server.as_str(), tcp.text.as_str()),
            ("host", "good day")
        );
        let udp = lan
            .client
            .ask_udp(at(ip, 7000), "good day")
            .expect("UDP arrives");
        assert_eq!(tcp.client, udp.client);
        let own = if ip.is_ipv4() {
            lan.client.ip
        } else {
            lan.client.ip6
        };
        assert_eq!(udp.client, own);
    }
    let _far = lan.world.serve("far", 7001);
    assert!(lan.host.reaches(at(FAR, 7001)) && lan.host.reaches(at(FAR6, 7001)));
    lan.host
        .nft("table inet t { chain c { type filter hook input priority 0; policy drop; }; }");
    assert!(!lan.client.reaches_somehow(at(lan.host.ip, 7000)));
}

#[test]
fn each_host_has_its_own_etc_and_run() {
    let lan = testkit::lan();
    lan.host.set_resolv_conf("nameserver 192.0.2.53\n");
    lan.host.write("/run/systemd/x", "only here\n");
    assert_eq!(lan.host.sh("cat /etc/resolv.conf"), "nameserver 192.0.2.53");
    assert_ne!(
        lan.client.sh("cat /etc/resolv.conf"),
        "nameserver 192.0.2.53"
    );
    assert!(!lan.client.try_sh("cat /run/systemd/x").stderr.is_empty());
    assert_eq!(lan.host.links(), ["eth0", "lo"]);
    assert_eq!(
        lan.host.sh("ls /sys/class/net | tr '\\n' ' '").trim(),
        "eth0 lo"
    );
}
