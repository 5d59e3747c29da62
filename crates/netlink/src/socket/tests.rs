//! Sockets against the kernel, each test in a network namespace of its own.

use std::net::Ipv4Addr;

use super::*;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTNLGRP_LINK: u32 = 1;

/// Runs in a fresh network namespace, which ends with it.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                sys::namespace::unshare(sys::namespace::Namespaces::NETWORK).expect("root");
                work()
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn veth(name: &str) -> Writer {
    let mut message = Writer::new(RTM_NEWLINK, flags::CREATE | flags::EXCLUSIVE);
    message.header(&[0; 16]).text(3, name).nest(18, |info| {
        info.text(1, "veth");
    });
    message
}

fn links() -> Writer {
    let mut message = Writer::new(RTM_GETLINK, 0);
    message.header(&[0; 16]);
    message
}

fn names(messages: &[Message]) -> Vec<String> {
    let name = |message: &Message| message.attributes(16).get(3)?.text().map(str::to_owned);
    messages.iter().filter_map(name).collect()
}

#[test]
fn a_batch_of_hundreds_is_done_and_dumped_again() {
    alone(|| {
        let socket = Socket::route().expect("socket");
        let mut batch = Batch::new();
        for number in 0..300 {
            batch.push(veth(&format!("t{number}")));
        }
        socket.batch(batch).expect("300 pairs");
        // Several datagrams of answer: a link's message is over a kilobyte.
        let found = names(&socket.dump(links()).expect("dump"));
        assert_eq!(found.len(), 601, "300 pairs and lo");
        assert!(found.iter().any(|name| name == "t299"));
        // And the socket is free for the next question.
        assert_eq!(socket.dump(links()).expect("dump").len(), 601);
    });
}

#[test]
fn the_first_refusal_is_named_with_its_place_and_the_kernels_words() {
    alone(|| {
        let socket = Socket::route().expect("socket");
        let mut batch = Batch::new();
        batch.push(veth("a"));
        batch.push(veth("a"));
        batch.push(veth("b"));
        let error = socket.batch(batch).expect_err("a is there");
        assert_eq!(
            (error.index(), error.errno()),
            (Some(1), Some(Errno::EXIST))
        );
        assert_eq!(error.kind(), fault::Kind::Conflict);
        assert!(names(&socket.dump(links()).expect("dump")).contains(&"b".to_owned()));

        let mut bad = Writer::new(RTM_NEWADDR, flags::CREATE);
        bad.header(&[2, 77, 0, 0, 1, 0, 0, 0])
            .address(2, Ipv4Addr::LOCALHOST.into());
        let mut batch = Batch::new();
        batch.push(bad);
        let error = socket.batch(batch).expect_err("no such prefix");
        assert_eq!(error.errno(), Some(Errno::INVAL));
        assert!(
            error.to_string().contains("Invalid prefix length"),
            "{error}"
        );
        // An answer with error 0 that has been left unread does not disturb the next batch.
        let mut batch = Batch::new();
        batch.push(veth("c"));
        socket.batch(batch).expect("works on");
    });
}

#[test]
fn more_refusals_than_the_socket_holds_are_still_an_error() {
    alone(|| {
        let socket = Socket::route().expect("socket");
        let mut batch = Batch::new();
        for _ in 0..2000 {
            batch.push(veth("same"));
        }
        let error = socket.batch(batch).expect_err("1,999 refusals");
        assert!(
            matches!(&error, Error::Lost | Error::Refused { index: 1, .. }),
            "{error}"
        );
        let mut batch = Batch::new();
        batch.push(veth("next"));
        socket.batch(batch).expect("works on");
    });
}

#[test]
fn a_question_has_one_answer_or_none() {
    alone(|| {
        let socket = Socket::route().expect("socket");
        let mut lo = links();
        lo.text(3, "lo");
        assert_eq!(names(&[socket.ask(lo).expect("lo")]), ["lo"]);
        let mut none = links();
        none.text(3, "nothere");
        let error = socket.ask(none).expect_err("not there");
        assert_eq!(error.kind(), fault::Kind::NotFound);
    });
}

#[test]
fn a_member_of_a_group_hears_of_changes() {
    alone(|| {
        let listener = Socket::route().expect("socket");
        listener.join(RTNLGRP_LINK).expect("join");
        let quiet = listener.receive(Some(Duration::from_millis(5)));
        assert_eq!(quiet.expect("nothing yet"), []);

        let socket = Socket::route().expect("socket");
        let mut batch = Batch::new();
        batch.push(veth("heard"));
        let mut gone = Writer::new(RTM_DELLINK, 0);
        gone.header(&[0; 16]).text(3, "heard");
        batch.push(gone);
        socket.batch(batch).expect("made and removed");

        let mut kinds = Vec::new();
        while !kinds.contains(&RTM_DELLINK) {
            let heard = listener.receive(Some(Duration::from_secs(5)));
            let heard = heard.expect("heard");
            assert!(!heard.is_empty(), "only {kinds:?} within 5 s");
            kinds.extend(heard.iter().map(|message| message.kind));
        }
        assert!(kinds.contains(&RTM_NEWLINK));
        // Too many to hold: said, and then heard on.
        let mut flood = Batch::new();
        for number in 0..400 {
            flood.push(veth(&format!("f{number}")));
        }
        socket.batch(flood).expect("pairs");
        let lost = (0..5000).any(|_| {
            matches!(
                listener.receive(Some(Duration::from_millis(50))),
                Err(Error::Lost)
            )
        });
        assert!(lost, "800 links in 200 KiB");
    });
}

#[test]
fn a_foreign_table_is_refused_whole_by_netfilter() {
    alone(|| {
        let socket = Socket::netfilter().expect("socket");
        let table = |kind: u16, flags: u16, name: &str| {
            let mut message = Writer::new(10 << 8 | kind, flags);
            message.header(&[2, 0, 0, 0]).text(1, name);
            message
        };
        let mut batch = Batch::transaction(None);
        batch.push(table(0, flags::CREATE | flags::EXCLUSIVE, "one"));
        batch.push(table(2, 0, "absent"));
        batch.push(table(0, flags::CREATE | flags::EXCLUSIVE, "two"));
        let error = socket.batch(batch).expect_err("absent");
        assert_eq!(
            (error.index(), error.kind()),
            (Some(1), fault::Kind::NotFound)
        );
        assert_eq!(socket.dump(table(1, 0, "")).map(|t| t.len()).ok(), Some(0));

        let mut batch = Batch::transaction(None);
        batch.push(table(0, flags::CREATE | flags::EXCLUSIVE, "one"));
        socket.batch(batch).expect("made");
        // A wrong generation is refused at the head, with no answer to any message.
        let mut batch = Batch::transaction(Some(4_000_000));
        batch.push(table(2, 0, "one"));
        let error = socket.batch(batch).expect_err("another generation");
        assert_eq!(error.errno().map(Errno::raw_os_error), Some(libc::ERESTART));
        let mut batch = Batch::transaction(None);
        batch.push(table(2, 0, "one"));
        socket.batch(batch).expect("removed");
    });
}

#[test]
fn a_send_of_a_megabyte_is_taken() {
    alone(|| {
        let socket = Socket::route().expect("socket");
        let mut batch = Batch::new();
        for number in 0..4 {
            let mut message = veth(&format!("big{number}"));
            // Refused, but taken: an alias may have 255 bytes.
            message.bytes_of(20, &vec![b'x'; 60_000]);
            for _ in 0..5 {
                message.bytes_of(20, &vec![b'x'; 60_000]);
            }
            batch.push(message);
        }
        assert!(batch.len_bytes() > 1_000_000);
        let error = socket.batch(batch).expect_err("too long an alias");
        assert!(matches!(error, Error::Refused { index: 0, .. }), "{error}");
    });
}

#[test]
fn a_dump_under_churn_is_whole() {
    alone(|| {
        let here = std::fs::File::open("/proc/thread-self/ns/net").expect("proc");
        let socket = Socket::route().expect("socket");
        let mut batch = Batch::new();
        for number in 0..60 {
            batch.push(veth(&format!("s{number}")));
        }
        socket.batch(batch).expect("pairs");
        let over = std::sync::atomic::AtomicBool::new(false);
        let is_over = || over.load(std::sync::atomic::Ordering::Relaxed);
        std::thread::scope(|scope| {
            let churn = scope.spawn(|| {
                let network = sys::namespace::Namespaces::NETWORK;
                sys::namespace::join(&here, network).expect("joined");
                let socket = Socket::route().expect("socket");
                let mut made = 0;
                while !is_over() {
                    let mut batch = Batch::new();
                    batch.push(veth(&format!("c{made}")));
                    socket.batch(batch).expect("made");
                    made += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                made
            });
            let mut outcomes = [0, 0];
            for _ in 0..100 {
                match socket.dump(links()) {
                    Ok(messages) => {
                        let mut found = names(&messages);
                        let count = found.len();
                        found.sort();
                        found.dedup();
                        assert_eq!(found.len(), count, "each once");
                        let stable = found.iter().filter(|name| name.starts_with('s'));
                        assert_eq!(stable.count(), 60, "none left out");
                        outcomes[0] += 1;
                    }
                    Err(Error::Unstable) => outcomes[1] += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(churn.join().expect("churned") > 0);
            assert!(outcomes[0] > 90, "whole and unstable: {outcomes:?}");
        });
    });
}

#[test]
fn what_others_send_us_is_not_heard() {
    use rustix::net::{getsockname, sendto};

    alone(|| {
        let socket = Socket::route().expect("socket");
        let stranger = Socket::route().expect("socket");
        let name = getsockname(&socket).expect("bound");
        let name = SocketAddrNetlink::try_from(name).expect("netlink");
        // "Message 1 refused: EPERM", and then all is well, for every number that may come.
        for sequence in 1..40u32 {
            let mut lie = Writer::new(KIND_ERROR, 0);
            lie.header(&(-1i32).to_ne_bytes()).header(&[0; 16]);
            let mut lie = lie.bytes().to_vec();
            lie[8..12].copy_from_slice(&sequence.to_ne_bytes());
            sendto(&stranger, &lie, SendFlags::empty(), &name).expect("sent");
        }
        let mut batch = Batch::new();
        batch.push(veth("true"));
        socket.batch(batch).expect("the kernel says so");
        assert_eq!(socket.dump(links()).expect("dump").len(), 3);
    });
}
