//! Against the real kernel, in a network namespace of the test's own.

use std::net::Ipv4Addr;
use std::time::Duration;

use sys::namespace::{Namespaces, unshare};

use super::*;

/// Runs in a new network namespace, which ends with the thread.
fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(|| {
        unshare(Namespaces::NETWORK).expect("these tests run as root");
        f()
    })
    .join()
    .expect("the test's thread")
}

fn set(name: &str, key: Vec<Type>, data: Vec<Type>, is_interval: bool) -> Set {
    Set {
        family: Family::Ip,
        table: "t".into(),
        name: name.into(),
        key,
        data,
        is_interval,
    }
}

fn table() -> Change {
    Change::AddTable(Family::Ip, "t".into())
}

#[test]
fn a_table_with_all_kinds_of_sets_is_taken_and_read_back() {
    alone(|| {
        let socket = Socket::netfilter().expect("socket");
        let ports = set(
            "ports",
            vec![Type::Protocol, Type::Port],
            vec![Type::Ipv4Address, Type::Port],
            false,
        );
        let subnets = set("subnets", vec![Type::Ipv4Address], vec![], true);
        let pairs = set(
            "pairs",
            vec![Type::Ipv4Address, Type::Interface],
            vec![],
            true,
        );
        let first = Ipv4Addr::new(172, 30, 0, 0);
        let last = Ipv4Addr::new(172, 30, 255, 255);
        let mut changes = vec![
            table(),
            Change::AddSet(ports.clone()),
            Change::AddSet(subnets.clone()),
            Change::AddSet(pairs.clone()),
        ];
        changes.extend(Change::add_elements(
            &ports,
            &[Element::leading_to(
                Key::new().protocol(6).port(8080),
                Key::from(Ipv4Addr::new(172, 30, 0, 2)).port(80),
            )],
        ));
        changes.extend(Change::add_elements(
            &subnets,
            &[Element::range(first.into(), last.into())],
        ));
        let pair = [Element::range(
            Key::from(first).interface("br0"),
            Key::from(last).interface("br0"),
        )];
        changes.extend(Change::add_elements(&pairs, &pair));
        changes.push(Change::AddChain(Chain {
            family: Family::Ip,
            table: "t".into(),
            name: "forward".into(),
            base: Some(Base {
                kind: ChainKind::Filter,
                hook: Hook::Forward,
                priority: -5,
                policy: Policy::Drop,
            }),
        }));
        changes.push(Change::AddRule(Rule {
            family: Family::Ip,
            table: "t".into(),
            chain: "forward".into(),
            expressions: vec![
                Expression::Meta(Meta::InInterface, Slot(0)),
                Expression::Equal(Slot(0), Key::new().interface("br0").bytes().to_vec()),
                Expression::Counter,
                Expression::Verdict(Verdict::Accept),
            ],
            comment: Some("hello".into()),
        }));
        commit(&socket, &changes).expect("the kernel takes it");

        assert_eq!(tables(&socket).expect("dump"), [(Family::Ip, "t".into())]);
        let found = chains(&socket).expect("dump");
        assert_eq!(found.len(), 1);
        let base = found[0].base.expect("a base chain");
        assert_eq!((base.hook, base.priority), (Hook::Forward, -5));
        assert_eq!(base.policy, Policy::Drop);
        let found = rules(&socket, Family::Ip, "t", "forward").expect("dump");
        assert_eq!(found[0].comment.as_deref(), Some("hello"));

        commit(&socket, &Change::delete_elements(&pairs, &pair)).expect("it was in");
        let again = commit(&socket, &Change::delete_elements(&pairs, &pair));
        assert_eq!(
            again.expect_err("gone").kind(),
            fault::Kind::NotFound,
            "twice deleted"
        );
    });
}

#[test]
fn a_rule_that_ends_every_packet_is_known_and_others_go_before_it() {
    alone(|| {
        let socket = Socket::netfilter().expect("socket");
        let rule = |comment: &str, expressions: &[Expression]| Rule {
            family: Family::Ip,
            table: "t".into(),
            chain: "c".into(),
            expressions: expressions.to_vec(),
            comment: Some(comment.into()),
        };
        let from_lo = [
            Expression::Meta(Meta::InInterface, Slot(0)),
            Expression::Equal(Slot(0), Key::new().interface("lo").bytes().to_vec()),
            Expression::Verdict(Verdict::Drop),
        ];
        let all = [Expression::Counter, Expression::Verdict(Verdict::Drop)];
        let accept = [Expression::Verdict(Verdict::Accept)];
        let chain = Chain {
            family: Family::Ip,
            table: "t".into(),
            name: "c".into(),
            base: None,
        };
        let changes = [
            table(),
            Change::AddChain(chain),
            Change::AddRule(rule("some", &from_lo)),
            Change::AddRule(rule("any", &accept)),
            Change::AddRule(rule("wall", &all)),
        ];
        commit(&socket, &changes).expect("the kernel takes it");
        let look = || rules(&socket, Family::Ip, "t", "c").expect("dump");
        let before = look();
        let effects: Vec<&Effect> = before.iter().map(|rule| &rule.effect).collect();
        assert_eq!(
            effects,
            [&Effect::WallOfInterfaces, &Effect::Accepts, &Effect::Wall]
        );
        let before = before[2].handle;
        let insert = |comment| Change::InsertRule {
            rule: rule(comment, &accept),
            before,
        };
        commit(&socket, &[insert("one"), insert("two")]).expect("the kernel takes them");
        let comments: Vec<_> = look().into_iter().filter_map(|rule| rule.comment).collect();
        assert_eq!(comments, ["some", "any", "one", "two", "wall"]);
    });
}

#[test]
fn what_others_rules_do_is_known_as_far_as_it_matters() {
    let script = r#"add table inet t; add chain inet t a; add chain inet t b;
    table inet t {
        map m { type ifname : verdict; elements = { "x" : jump a } }
        chain a { counter; log prefix "x"; limit rate 1/second log; meta l4proto tcp reject; reject; }
        chain b { iifname "x" jump a; iif lo oifname { "x", "y" } goto a; tcp dport 1 jump a; meta mark 1 iifname x goto a; }
        chain e { iifname "x" oifname "y" jump a; iifname "x" oifname "y" counter reject; iifname "y" drop; iifname "x" oifname "y" tcp dport 1 drop; }
        chain d { fib saddr . mark . iif oif missing drop; fib saddr . iif oif exists accept; fib daddr . iif type local accept; }
        chain c { counter jump b; goto b; return; ct state new return; iifname vmap @m; accept; drop; }
    }"#;
    alone(move || {
        let mut nft = std::process::Command::new("nft");
        let output = nft.arg(script).output().expect("nftables is installed");
        assert!(output.status.success(), "{output:?}");
        let socket = Socket::netfilter().expect("socket");
        let rules = table_rules(&socket, Family::Inet, "t").expect("dump");
        let effects = |chain: &str| -> Vec<Effect> {
            rules[chain]
                .iter()
                .map(|rule| rule.effect.clone())
                .collect()
        };
        let leads = |to: &str, whom, comes_back| Effect::Leads {
            to: to.into(),
            whom,
            comes_back,
        };
        use Effect::{Accepts, Nothing, Returns, Some as Few, Wall};
        assert_eq!(effects("a"), [Nothing, Nothing, Nothing, Few, Wall]);
        assert_eq!(
            effects("b"),
            [
                leads("a", Whom::OfInterfaces, true),
                leads("a", Whom::OfInterfaces, false),
                leads("a", Whom::Some, true),
                leads("a", Whom::Some, false),
            ]
        );
        let all = leads("b", Whom::All, true);
        let for_good = leads("b", Whom::All, false);
        assert_eq!(
            effects("c"),
            [all, for_good, Returns, Few, Few, Accepts, Wall]
        );
        let asks: Vec<bool> = rules["d"].iter().map(|rule| rule.asks_way_back).collect();
        assert_eq!(asks, [true, true, false]);
        assert_eq!(
            effects("e")[1..],
            [
                Effect::WallOfInterfaces,
                Effect::WallOfInterfaces,
                Effect::Some
            ]
        );
        let name = |text: &str| Some(Key::new().interface(text).bytes().to_vec());
        let both = Interfaces {
            input: name("x"),
            output: name("y"),
        };
        let one = Interfaces {
            input: name("y"),
            output: None,
        };
        let asked: Vec<_> = rules["e"].iter().map(|rule| &rule.interfaces).collect();
        assert_eq!(asked, [&Some(both.clone()), &Some(both), &Some(one), &None]);
        assert!(rules["a"].iter().all(|rule| rule.interfaces.is_none()));
        let found = chains(&socket).expect("dump");
        let uses = |name: &str| found.iter().find(|c| c.name == name).map(|c| c.uses);
        assert_eq!(
            uses("a"),
            Some(5 + 5 + 1),
            "five rules, and five and the map lead there"
        );
        assert_eq!(uses("b"), Some(4 + 2));
        assert_eq!(uses("c"), Some(7));
    });
}

#[test]
fn all_changes_are_made_or_none() {
    alone(|| {
        let socket = Socket::netfilter().expect("socket");
        let missing = Change::DeleteTable(Family::Ip6, "missing".into());
        let refused = commit(&socket, &[table(), missing]).expect_err("refused");
        assert_eq!(refused.index(), Some(1));
        assert_eq!(tables(&socket).expect("dump"), []);
        assert!(
            rules(&socket, Family::Ip, "no", "no")
                .expect("none")
                .is_empty()
        );
    });
}

#[test]
fn thousands_of_elements_go_in_one_transaction() {
    alone(|| {
        let socket = Socket::netfilter().expect("socket");
        let ports = set("ports", vec![Type::Protocol, Type::Port], vec![], false);
        let elements: Vec<Element> = (1..=60_000)
            .map(|port| Element::one(Key::new().protocol(6).port(port)))
            .collect();
        let mut changes = vec![table(), Change::AddSet(ports.clone())];
        changes.extend(Change::add_elements(&ports, &elements));
        commit(&socket, &changes).expect("the kernel takes it");
        commit(&socket, &Change::delete_elements(&ports, &elements)).expect("all were in");
    });
}

#[test]
fn a_watch_hears_who_changed_what() {
    alone(|| {
        let watch = Watch::open().expect("watch");
        let socket = Socket::netfilter().expect("socket");
        commit(&socket, &[table()]).expect("commit");
        let events = watch.next(Duration::from_secs(5)).expect("events");
        assert_eq!(
            events,
            [Event {
                family: Family::Ip,
                table: "t".into(),
                port: socket.port().expect("its address"),
            }]
        );
        assert_eq!(watch.next(Duration::from_millis(1)).expect("none"), []);
    });
}
