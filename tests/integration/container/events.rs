//! `events`: what happened, in order.

use serde_json::Value;
use testkit::eventually;

#[test]
fn a_life_is_told_from_create_to_destroy() {
    let engine = testkit::engine();
    let container = engine.run("--name life busybox sh -c 'exit 3'");
    container.wait();
    container.await_state("exited");
    engine.ok("rm life");
    let line = "events --since 1h --until 0s --filter type=container --format json";
    let told = || -> Vec<Value> {
        engine
            .ok(line)
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    };
    let actions = |events: &[Value]| -> Vec<String> {
        events
            .iter()
            .map(|event| event["Action"].as_str().expect("text").to_owned())
            .collect()
    };
    eventually("the end is told", || {
        actions(&told())
            .last()
            .is_some_and(|last| last == "destroy")
    });
    let events = told();
    assert_eq!(actions(&events), ["create", "start", "die", "destroy"]);
    let die = &events[2]["Actor"];
    assert_eq!(die["ID"], container.id());
    assert_eq!(die["Attributes"]["exitCode"], "3");
    assert_eq!(die["Attributes"]["name"], "life");
    assert_eq!(die["Attributes"]["image"], "busybox");
}

#[test]
fn a_listener_hears_as_it_happens() {
    let engine = testkit::engine();
    let listener = engine
        .cli("events --filter event=start --format '{{.Action}} {{.Actor.Attributes.name}}'")
        .start();
    std::thread::sleep(testkit::ms(500));
    drop(engine.run("--name heard busybox sleep 60"));
    std::thread::sleep(testkit::ms(500));
    listener.signal(rustix::process::Signal::INT);
    assert_eq!(listener.finish().text(), "start heard");
}
