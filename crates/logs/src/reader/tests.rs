//! Readers against real files that a real writer makes, rotates and tears.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::Writer;

struct Log {
    _folder: tempfile::TempDir,
    target: Target,
}

fn log(driver: &str, options: &[(&str, &str)]) -> Log {
    let folder = tempfile::tempdir().expect("a folder");
    let target = Target {
        driver: driver.to_owned(),
        options: options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        path: folder.path().join("x-json.log"),
        attrs: BTreeMap::new(),
    };
    Log {
        _folder: folder,
        target,
    }
}

impl Log {
    fn write(&self, text: &str) {
        let mut writer = Writer::open(&self.target).expect("open the writer");
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let time = i64::try_from(index).expect("small") + 1;
            writer
                .write(Stream::Stdout, line.as_bytes(), time)
                .expect("write");
        }
        writer.end(Stream::Stdout, 99).expect("end");
    }

    fn text(&self, query: Query) -> String {
        let mut reader = Reader::open(&self.target, query).expect("open the reader");
        let mut text = Vec::new();
        reader
            .drain(
                || true,
                |entry| {
                    text.extend_from_slice(&entry.line);
                    ControlFlow::Continue(())
                },
            )
            .expect("read");
        String::from_utf8(text).expect("text")
    }

    fn tail(&self, lines: u64) -> String {
        self.text(Query {
            tail: Some(lines),
            ..Query::default()
        })
    }
}

const KINDS: [(&str, &[(&str, &str)]); 4] = [
    ("json-file", &[]),
    ("local", &[]),
    ("json-file", &[("max-size", "1k"), ("max-file", "1000")]),
    (
        "local",
        &[
            ("max-size", "1k"),
            ("max-file", "1000"),
            ("compress", "true"),
        ],
    ),
];

fn numbers(range: std::ops::Range<usize>) -> String {
    range.map(|n| format!("line {n} says <hello>\n")).collect()
}

#[test]
fn what_was_written_is_read_across_rotations() {
    for (driver, options) in KINDS {
        let log = log(driver, options);
        let text = numbers(0..200) + "unterminated";
        log.write(&text);
        assert_eq!(log.text(Query::default()), text, "{driver} {options:?}");
    }
}

#[test]
fn a_tail_begins_at_the_right_line_in_the_right_file() {
    for (driver, options) in KINDS {
        let log = log(driver, options);
        log.write(&numbers(0..200));
        for lines in [0, 1, 2, 15, 16, 17, 100, 199, 200, 500] {
            let first = 200 - usize::try_from(lines).expect("small").min(200);
            assert_eq!(
                log.tail(lines),
                numbers(first..200),
                "{driver} {options:?} tail {lines}"
            );
        }
    }
}

#[test]
fn a_tail_begins_inside_a_block_of_lines() {
    let log = log("local", &[]);
    let mut writer = Writer::open(&log.target).expect("open");
    writer
        .write(Stream::Stdout, numbers(0..50).as_bytes(), 1)
        .expect("write");
    writer
        .write(Stream::Stdout, numbers(50..100).as_bytes(), 2)
        .expect("write");
    for lines in [1, 49, 50, 51, 99, 100] {
        assert_eq!(
            log.tail(lines),
            numbers(100 - usize::try_from(lines).expect("small")..100)
        );
    }
}

#[test]
fn times_and_streams_select_lines() {
    for (driver, options) in KINDS {
        let log = log(driver, options);
        log.write(&numbers(0..100));
        let query = Query {
            since: Some(11),
            until: Some(20),
            ..Query::default()
        };
        assert_eq!(log.text(query), numbers(10..20));
        let none = Query {
            stdout: false,
            ..Query::default()
        };
        assert_eq!(log.text(none), "");
    }
}

#[test]
fn a_torn_end_is_not_shown_and_is_cut_off_by_the_next_writer() {
    for driver in ["json-file", "local"] {
        let log = log(driver, &[]);
        log.write("one\ntwo\n");
        let path = current_path(
            &log.target,
            validate(driver, &BTreeMap::new()).expect("valid").driver,
        );
        let whole = std::fs::metadata(&path).expect("stat").len();
        log.write("three\n");
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("open");
        for torn in whole..std::fs::metadata(&path).expect("stat").len() {
            file.set_len(torn).expect("tear");
            assert_eq!(log.text(Query::default()), "one\ntwo\n");
            assert_eq!(log.tail(1), "two\n");
            log.write("four\n");
            assert_eq!(log.text(Query::default()), "one\ntwo\nfour\n");
            log.write("five\n");
            file.set_len(whole).expect("reset");
            log.write("three\n");
        }
    }
}

#[test]
fn rubbish_between_records_is_skipped() {
    let log = log("json-file", &[]);
    log.write("one\n");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&log.target.path)
        .expect("open");
    file.write_all(b"\0\0\0rubbish\n").expect("write");
    log.write("two\n");
    assert_eq!(log.text(Query::default()), "one\ntwo\n");
}

#[test]
fn a_log_that_was_never_written_is_empty_and_none_cannot_be_read() {
    assert_eq!(log("json-file", &[]).text(Query::default()), "");
    let refused = Reader::open(&log("none", &[]).target, Query::default()).expect_err("unreadable");
    assert_eq!(
        refused.to_string(),
        "configured logging driver does not support reading"
    );
}

#[test]
fn a_follower_sees_every_line_once_across_rotations() {
    for (driver, options) in KINDS {
        let log = log(driver, options);
        let done = AtomicBool::new(false);
        let expect = numbers(0..2000);
        let mut got = String::new();
        std::thread::scope(|scope| {
            let mut reader = Reader::open(
                &log.target,
                Query {
                    follow: true,
                    ..Query::default()
                },
            )
            .expect("open before the first line");
            let canceller = reader.canceller().expect("it follows");
            let (log, done, expect) = (&log, &done, &expect);
            scope.spawn(move || {
                let mut writer = Writer::open(&log.target).expect("open");
                for (index, line) in expect.split_inclusive('\n').enumerate() {
                    let (left, right) = line.split_at(index % line.len());
                    for part in [left, right] {
                        writer
                            .write(Stream::Stdout, part.as_bytes(), 1)
                            .expect("write");
                    }
                }
                done.store(true, SeqCst);
                canceller.wake();
            });
            reader
                .drain(
                    || done.load(SeqCst),
                    |entry| {
                        got.push_str(std::str::from_utf8(&entry.line).expect("text"));
                        ControlFlow::Continue(())
                    },
                )
                .expect("follow");
        });
        assert_eq!(got.len(), expect.len(), "{driver} {options:?}");
        assert!(got == expect, "{driver} {options:?}");
    }
}

#[test]
fn a_follower_that_was_overtaken_says_so_and_goes_on() {
    for (driver, options) in [
        ("json-file", &[("max-size", "1k"), ("max-file", "3")][..]),
        (
            "json-file",
            &[("max-size", "1k"), ("max-file", "3"), ("compress", "true")],
        ),
        ("local", &[("max-size", "1k"), ("max-file", "2")]),
    ] {
        let log = log(driver, options);
        log.write("first\n");
        let query = Query {
            follow: true,
            ..Query::default()
        };
        let mut reader = Reader::open(&log.target, query).expect("open");
        let next = |reader: &mut Reader| {
            let entry = reader.next_entry()?;
            Ok::<_, Error>(entry.map(|entry| String::from_utf8(entry.line).expect("text")))
        };
        assert_eq!(next(&mut reader).expect("read").as_deref(), Some("first\n"));
        log.write(&numbers(0..500));
        let mut told = 0;
        let mut last = String::new();
        loop {
            match next(&mut reader) {
                Ok(Some(line)) => last = line,
                Ok(None) => break,
                Err(Error::Overtaken { files }) if files > 0 => told += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(told, 1, "{driver} {options:?}");
        assert!(last.starts_with("line 499"), "{driver} {options:?}: {last}");
    }
}

#[test]
fn files_that_are_rotated_while_they_are_read_are_read_once() {
    for (driver, options) in KINDS {
        for (tail, first) in [(None, 0), (Some(120), 180)] {
            // Who does not follow ends where the log ended at first.
            for (follow, last) in [(false, 300), (true, 600)] {
                let log = log(driver, options);
                log.write(&numbers(0..300));
                let query = Query {
                    tail,
                    follow,
                    ..Query::default()
                };
                let mut reader = Reader::open(&log.target, query).expect("open");
                let begun = reader.next_entry().expect("read").expect("a line");
                log.write(&numbers(300..600));
                let mut got = String::from_utf8(begun.line).expect("text");
                while let Some(entry) = reader.next_entry().expect("read") {
                    got.push_str(std::str::from_utf8(&entry.line).expect("text"));
                }
                let case = format!("{driver} {options:?} {tail:?} follow {follow}");
                let lines = got.lines().count();
                assert!(got == numbers(first..last), "{case}: {lines} lines");
            }
        }
    }
}

#[test]
fn a_follower_can_be_cancelled() {
    let log = log("json-file", &[]);
    log.write("one\n");
    let query = Query {
        follow: true,
        tail: Some(0),
        ..Query::default()
    };
    let mut reader = Reader::open(&log.target, query).expect("open");
    let canceller = reader.canceller().expect("it follows");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            canceller.cancel();
        });
        reader
            .drain(|| false, |entry| panic!("nothing was written: {entry:?}"))
            .expect("cancelled");
    });
}

#[test]
fn files_never_outgrow_their_cap_and_their_number() {
    let log = log("json-file", &[("max-size", "1k"), ("max-file", "3")]);
    log.write(&numbers(0..200));
    let found = generations(&log.target.path).expect("list");
    assert_eq!(found.len(), 3);
    for generation in &found {
        let size = std::fs::metadata(&generation.path).expect("stat").len();
        assert!(size < 1000 + 120, "{size}");
    }
    assert!(numbers(0..200).ends_with(&log.text(Query::default())));
}

#[test]
fn a_single_file_starts_anew_when_it_is_full() {
    let log = log("json-file", &[("max-size", "1k")]);
    log.write(&numbers(0..200));
    let text = log.text(Query::default());
    assert!(!text.is_empty() && numbers(0..200).ends_with(&text));
    assert_eq!(generations(&log.target.path).expect("list").len(), 1);
}
