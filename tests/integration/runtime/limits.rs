//! Limits out of the spec, and changed; pause; what is used.

use serde_json::{Value, json};
use testkit::{Bundle, cgroup, eventually, proc};

#[test]
fn limits_of_the_spec_are_the_kernels_and_can_be_changed() {
    let mut bundle = Bundle::sh("sleep 100");
    bundle.set(
        "/linux/resources",
        json!({
            "devices": [{ "allow": false, "access": "rwm" }],
            "memory": { "limit": 67108864 },
            "pids": { "limit": 50 },
            "cpu": { "quota": 50000, "period": 100000, "shares": 512 },
        }),
    );
    bundle.start();
    let pid = bundle.pid();
    let memory = || cgroup::read(pid, "memory", "memory.limit_in_bytes", "memory.max");
    let pids = || cgroup::read(pid, "pids", "pids.max", "pids.max");
    assert_eq!((memory().as_str(), pids().as_str()), ("67108864", "50"));
    assert!(cgroup::read(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
    bundle.ok("update --memory 96m --pids-limit 60 ID");
    assert_eq!((memory().as_str(), pids().as_str()), ("100663296", "60"));
    std::fs::write(
        bundle.folder.join("r.json"),
        r#"{"memory":{"limit":83886080}}"#,
    )
    .expect("a folder of ours");
    bundle.ok("update -r r.json ID");
    assert_eq!((memory().as_str(), pids().as_str()), ("83886080", "60"));
}

#[test]
fn the_pids_limit_holds() {
    let mut bundle = Bundle::sh("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo all");
    bundle.spec["linux"]["resources"]["pids"] = json!({ "limit": 4 });
    let output = bundle.cli("run ID");
    assert!(!output.text().contains("all"), "{}", output.text());
    assert!(
        output.error().contains("Resource temporarily unavailable"),
        "{}",
        output.error()
    );
}

#[test]
fn a_container_uses_the_common_devices_and_no_other() {
    let mut bundle = Bundle::sh(
        "echo x > /dev/null && head -c 1 /dev/urandom > /dev/null && mknod /tmp/mem c 1 1; head -c 1 /tmp/mem",
    );
    bundle.set("/root/readonly", json!(false));
    let caps = json!(["CAP_MKNOD", "CAP_SYS_RAWIO"]);
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), caps.clone());
    }
    let output = bundle.cli("run ID");
    assert!(
        output.error().contains("/tmp/mem: Operation not permitted"),
        "{}",
        output.error()
    );
}

#[test]
fn a_paused_container_makes_no_progress() {
    let mut bundle = Bundle::sh("i=0; while :; do i=$((i+1)); echo $i > /tick; done");
    bundle.set("/root/readonly", json!(false));
    bundle.start();
    let tick = || bundle.text("rootfs/tick");
    eventually("it ticks", || {
        tick().trim().parse::<u64>().is_ok_and(|tick| tick > 10)
    });
    bundle.ok("pause ID");
    assert_eq!(bundle.state("status"), "paused");
    let before = tick();
    std::thread::sleep(testkit::ms(200));
    assert_eq!(tick(), before);
    bundle.ok("resume ID");
    assert_eq!(bundle.state("status"), "running");
    eventually("it ticks again", || tick() != before);
    bundle.ok("pause ID");
    bundle.ok("kill ID KILL");
    bundle.await_status("stopped");
    assert!(
        bundle
            .fails(1, "pause ID")
            .contains("container not running")
    );
}

#[test]
fn what_is_used_is_told() {
    let bundle = Bundle::sh("exec sleep 100");
    bundle.start();
    let event: Value = serde_json::from_str(&bundle.ok("events --stats ID")).expect("JSON");
    assert_eq!(
        (&event["type"], &event["id"]),
        (&json!("stats"), &json!(bundle.id))
    );
    assert_eq!(event["data"]["pids"]["current"], 1);
    assert!(event["data"]["memory"]["usage"]["usage"].as_u64() > Some(0));
    assert!(event["data"]["cpu"]["usage"]["total"].as_u64() > Some(0));
    let table = bundle.ok("ps ID");
    assert!(
        table.starts_with("UID") && table.contains("sleep 100"),
        "{table}"
    );
    assert!(table.contains(&bundle.pid().to_string()));
    assert!(proc::is_alive(bundle.pid()));
}
