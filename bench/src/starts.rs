//! Starts: one, one more process, a hundred at once, the five hundredth.

use std::time::{Duration, Instant};

use crate::bundle;
use crate::peer::{Kind, Peer, Peers, alternate};
use crate::report::{Report, median, ratio};

/// `run --rm --network none busybox true`.
pub(crate) fn run(peers: &mut Peers, report: &mut Report) {
    report.title("run --rm --network none busybox true");
    let mut rows = alternate(&peers.all, 15, |peer| {
        peer.time("run --rm --network none busybox true")
    });
    rows.extend(bundle::runs(15));
    report.times(&rows);
    against_docker(
        &rows,
        15.0,
        "run takes at most 1/15 of docker's time",
        report,
    );
}

/// `exec` of `true` in a running container.
pub(crate) fn exec(peers: &mut Peers, report: &mut Report) {
    report.title("exec CONTAINER true");
    for peer in &peers.all {
        peer.ok("run -d --name exec-here --network none busybox sleep 3600");
    }
    let rows = alternate(&peers.all, 20, |peer| peer.time("exec exec-here true"));
    report.times(&rows);
    against_docker(
        &rows,
        12.0,
        "exec takes at most 1/12 of docker's time",
        report,
    );
    peers.all.iter().for_each(Peer::remove_all);
}

/// A hundred clients start a hundred containers at the same time.
pub(crate) fn many(peers: &mut Peers, report: &mut Report) {
    report.title("100 containers started at once");
    let engines: Vec<&Peer> = peers
        .all
        .iter()
        .filter(|peer| peer.kind != Kind::Podman)
        .collect();
    let mut rows = Vec::new();
    for peer in engines {
        let mut times = Vec::new();
        for _ in 0..3 {
            times.push(hundred(peer));
            peer.remove_all();
        }
        rows.push((peer.name.clone(), times));
    }
    report.times(&rows);
    against_docker(
        &rows,
        10.0,
        "100 at once take at most 1/10 of docker's time",
        report,
    );
}

fn hundred(peer: &Peer) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| peer.time("run -d --network none busybox sleep 3600"));
        }
    });
    begun.elapsed()
}

/// The time to start the five hundredth container beside that of the fifth.
pub(crate) fn later(peers: &mut Peers, report: &mut Report) {
    report.title("the 500th container beside the 5th");
    let Some(ours) = peers.position(Kind::Estiva).map(|at| &peers.all[at]) else {
        return;
    };
    let times: Vec<Duration> = (0..505)
        .map(|_| ours.time("run -d --network none busybox sleep 3600"))
        .collect();
    let (early, late) = (times[2..22].to_vec(), times[485..505].to_vec());
    let growth = median(&late).as_secs_f64() / median(&early).as_secs_f64();
    report.times(&[
        ("around the 5th".to_owned(), early),
        ("around the 500th".to_owned(), late),
    ]);
    report.promise(
        &format!(
            "the 500th starts as fast as the 5th within 20% (it takes {growth:.2} times as long)"
        ),
        growth <= 1.2,
    );
    ours.remove_all();
}

fn against_docker(
    rows: &[(String, Vec<Duration>)],
    least: f64,
    promise: &str,
    report: &mut Report,
) {
    let times = |name: &str| {
        rows.iter()
            .find(|(row, _)| row == name)
            .map(|(_, times)| times)
    };
    if let (Some(ours), Some(theirs)) = (times("estiva"), times("docker")) {
        let ratio = ratio(ours, theirs);
        report.promise(&format!("{promise} (1/{ratio:.1})"), ratio >= least);
    }
}
