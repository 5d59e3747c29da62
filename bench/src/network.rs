//! Networks: starts with a port of their own, what flows through them, names, and networks themselves.
//!
//! Every engine has a host of its own made of network namespaces (`testkit::lan`), so that none meets another's rules and
//! this machine's own network stays as it is.

mod contestant;
mod flow;
mod queries;

use std::time::{Duration, Instant};

use contestant::{Contestant, Kind};

use crate::report::{Report, median, ratio};

/// `run --rm busybox true` on the default bridge.
pub(crate) fn run(report: &mut Report) {
    let all = &Contestant::all(report);
    report.title("run --rm busybox true, on the default bridge");
    let rows = alternate(all, 15, |it| it.time(&["run --rm busybox true"]));
    report.times(&rows);
    let promise = "a run on the default bridge takes at most 1/15 of docker's time";
    against_docker(&rows, 15.0, promise, report);
}

/// `network create` and `network rm`.
pub(crate) fn create(report: &mut Report) {
    let all = &Contestant::all(report);
    report.title("network create, network rm");
    let rows = alternate(all, 10, |it| {
        it.time(&["network create made", "network rm made"])
    });
    report.times(&rows);
    let promise = "a network is made and removed in at most 1/10 of docker's time";
    against_docker(&rows, 10.0, promise, report);
}

/// What measures a flow, in gigabits per second.
type Way = fn(&flow::Pair<'_>) -> f64;

/// Bytes of one TCP connection between two containers, and through a published port from another host.
pub(crate) fn flow(report: &mut Report) {
    let all = &Contestant::all(report);
    const PAIRS: usize = 8;
    const ROUNDS: usize = 2;
    let ways: [(&str, Way); 3] = [
        ("TCP from container to container", |pair| pair.between()),
        ("TCP from another host through a published port", |pair| {
            pair.published()
        }),
        (
            "TCP from container to container, on hosts that have br_netfilter for something else",
            |pair| pair.between_shown(),
        ),
    ];
    let mut speeds = vec![vec![Vec::new(); all.len()]; ways.len()];
    // Where the kernel has put its things makes one pair of containers some percent faster than the next, for as long as
    // they live: so there are several.
    for _ in 0..PAIRS {
        let pairs: Vec<flow::Pair> = all.iter().map(flow::Pair::start).collect();
        for round in 0..ROUNDS {
            for ((_, measure), rows) in ways.iter().zip(&mut speeds) {
                for at in turns(all.len(), round) {
                    rows[at].push(measure(&pairs[at]));
                }
            }
        }
        drop(pairs);
        all.iter().for_each(Contestant::remove_all);
    }
    for ((title, _), rows) in ways.iter().zip(&speeds) {
        report.title(title);
        compare_speeds(title, all, rows, report);
    }
}

/// Who comes when in a round: the first in one is the last in the next, so that a machine that slows down burdens all alike.
fn turns(count: usize, round: usize) -> Vec<usize> {
    match round % 2 {
        0 => (0..count).collect(),
        _ => (0..count).rev().collect(),
    }
}

fn compare_speeds(title: &str, all: &[Contestant], rows: &[Vec<f64>], report: &mut Report) {
    for (it, speeds) in all.iter().zip(rows) {
        report.note(&format!(
            "  {:<14} {:>9.2} Gbit/s   (n={}, {:.2} to {:.2})",
            it.name,
            middle(speeds),
            speeds.len(),
            speeds.iter().copied().fold(f64::INFINITY, f64::min),
            speeds.iter().copied().fold(0.0, f64::max),
        ));
    }
    let of = |kind| {
        all.iter()
            .position(|it| it.kind == kind)
            .map(|at| &rows[at])
    };
    if let (Some(ours), Some(theirs)) = (of(Kind::Estiva), of(Kind::Docker)) {
        let shares: Vec<f64> = ours.iter().zip(theirs).map(|(o, t)| o / t).collect();
        let share = middle(&shares);
        report.promise(
            &format!("{title}: at least docker's ({share:.3} of it)"),
            share >= 1.0,
        );
    }
}

/// Names of the own network, asked 5,000 times a second.
pub(crate) fn names(report: &mut Report) {
    let all = &Contestant::all(report);
    report.title("a local name, 5,000 queries per second");
    for it in all {
        it.ok("network create names");
        it.ok("run -d --name known --network names busybox sleep 3600");
        it.ok("run -d --name asks --network names busybox sleep 3600");
        let place = it.place("asks");
        let Some(server) = contestant::resolver(&place, it) else {
            report.note(&format!("  {:<14} has no resolver here", it.name));
            continue;
        };
        let asked = queries::ask(&place, server, "known");
        report.note(&format!(
            "  {:<14} p50 {:>10}   p99 {:>10}   (of {} queries {} unanswered)",
            it.name,
            queries::text(asked.quantile(0.5)),
            queries::text(asked.quantile(0.99)),
            asked.sent,
            asked.lost(),
        ));
        if it.kind == Kind::Estiva {
            let p99 = asked.quantile(0.99);
            report.promise(
                &format!(
                    "a local name is told in less than 1 ms at the 99th percentile ({})",
                    queries::text(p99)
                ),
                p99 < Duration::from_millis(1) && asked.lost() == 0,
            );
        }
        it.remove_all();
        it.ok("network rm names");
    }
}

/// A hundred clients start a hundred containers with a published port each, at the same time.
pub(crate) fn many(report: &mut Report) {
    let all = &Contestant::all(report);
    report.title("100 containers with a published port, started at once");
    let engines = all.iter().filter(|it| it.kind != Kind::Podman);
    let mut rows = Vec::new();
    for it in engines {
        let begun = Instant::now();
        let failed: usize = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..100)
                .map(|number| scope.spawn(move || it.tries(&published(number))))
                .collect();
            let is_failed = |start: std::thread::ScopedJoinHandle<'_, bool>| {
                !start.join().expect("a client does not panic")
            };
            starts
                .into_iter()
                .map(is_failed)
                .filter(|failed| *failed)
                .count()
        });
        rows.push((it.name.clone(), vec![begun.elapsed()]));
        report.note(&format!("  {:<14} {failed} of 100 failed", it.name));
        if it.kind == Kind::Estiva {
            report.promise("of 100 containers started at once none fails", failed == 0);
        }
        it.remove_all();
    }
    report.times(&rows);
}

/// The time to start the five hundredth container with a published port beside that of the fifth.
pub(crate) fn later(report: &mut Report) {
    let ours = Contestant::start(Kind::Estiva);
    report.title("the 500th container with a published port beside the 5th");
    let times: Vec<Duration> = (0..505)
        .map(|number| ours.time(&[&published(number)]))
        .collect();
    let (early, late) = (times[2..22].to_vec(), times[485..505].to_vec());
    let growth = median(&late).as_secs_f64() / median(&early).as_secs_f64();
    report.times(&[
        ("around the 5th".to_owned(), early),
        ("around the 500th".to_owned(), late),
    ]);
    report.promise(
        &format!("the 500th with a published port starts as fast as the 5th within 20% (it takes {growth:.2} times as long)"),
        growth <= 1.2,
    );
    ours.remove_all();
}

fn published(number: u16) -> String {
    format!("run -d -p {}:80 busybox sleep 3600", 20_000 + number)
}

/// How long the kernel is given to clean up behind one before the next: taking apart namespaces and links holds locks
/// that all share.
const REST: Duration = Duration::from_millis(200);

/// Everyone does the work once unmeasured, then by turns.
fn alternate(
    all: &[Contestant],
    rounds: usize,
    work: impl Fn(&Contestant) -> Duration,
) -> Vec<(String, Vec<Duration>)> {
    let mut rows: Vec<(String, Vec<Duration>)> =
        all.iter().map(|it| (it.name.clone(), Vec::new())).collect();
    for it in all {
        work(it);
    }
    for _ in 0..rounds {
        for (it, (_, times)) in all.iter().zip(&mut rows) {
            std::thread::sleep(REST);
            times.push(work(it));
        }
    }
    rows
}

fn against_docker(
    rows: &[(String, Vec<Duration>)],
    least: f64,
    promise: &str,
    report: &mut Report,
) {
    let of = |name: &str| rows.iter().find(|(row, _)| row == name);
    if let (Some((_, ours)), Some((_, theirs))) = (of("estiva"), of("docker")) {
        let ratio = ratio(ours, theirs);
        report.promise(&format!("{promise} (1/{ratio:.1})"), ratio >= least);
    }
}

/// The middle of some numbers; zero of none.
fn middle(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
