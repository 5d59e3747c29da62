//! Memory of the engines' own processes, and how much output they can take.

use std::io::Write;
use std::time::{Duration, Instant};

use testkit::proc;

use crate::peer::{Kind, Peer, Peers};
use crate::report::Report;

const MEBI: f64 = 1024.0 * 1024.0;
const CONTAINERS: u32 = 20;

/// How many containers come and go before idle memory is looked at again.
const GONE: u32 = 300;

/// Idle memory, fresh and after many containers have come and gone, and what each running container adds.
pub(crate) fn memory(peers: &mut Peers, report: &mut Report) {
    report.title("memory of the engine's own processes");
    for peer in peers.all.iter().filter(|peer| peer.kind != Kind::Podman) {
        let fresh = idle(peer);
        let before = pss_of_all(peer);
        for _ in 0..CONTAINERS {
            peer.ok("run -d --network none busybox sleep 3600");
        }
        std::thread::sleep(QUIET);
        let after = pss_of_all(peer);
        let each = after.saturating_sub(before) as f64 / f64::from(CONTAINERS) / MEBI;
        peer.remove_all();
        for _ in 0..GONE {
            peer.ok("run --rm --network none busybox true");
        }
        let used = idle(peer);
        report.note(&format!(
            "  {:<14} idle {fresh:>7.1} MiB RSS fresh, {used:.1} after {GONE} containers   each container {each:>6.2} MiB PSS",
            peer.name
        ));
        if peer.kind == Kind::Estiva {
            report.promise(
                &format!("the idle daemon takes at most 15 MiB ({fresh:.1})"),
                fresh <= 15.0,
            );
            report.promise(
                &format!("the same after {GONE} containers ({used:.1})"),
                used <= 15.0,
            );
            report.promise(
                &format!("each container takes at most 1 MiB ({each:.2})"),
                each <= 1.0,
            );
        }
    }
}

/// How long an engine is left alone before its memory is looked at.
const QUIET: Duration = Duration::from_secs(2);

/// MiB resident when nothing is asked of the engine.
fn idle(peer: &Peer) -> f64 {
    std::thread::sleep(QUIET);
    let bytes: u64 = peer.processes().into_iter().map(rss).sum();
    bytes as f64 / MEBI
}

fn pss_of_all(peer: &Peer) -> u64 {
    peer.processes().into_iter().map(proc::pss).sum()
}

fn rss(pid: i32) -> u64 {
    let status = proc::read(pid, "status").unwrap_or_default();
    let field = proc::field_of(&status, "VmRSS").unwrap_or_default();
    field
        .trim_end_matches(" kB")
        .parse::<u64>()
        .map_or(0, |kib| kib * 1024)
}

/// A container that writes as fast as it can.
pub(crate) fn logs(peers: &mut Peers, report: &mut Report) {
    report.title("300 MB of lines from a container into its log");
    const MEGABYTES: usize = 300;
    for peer in &peers.all {
        let file = peer.root().join("lines");
        let line = [b"0123456789".repeat(12), b"\n".to_vec()].concat();
        let mut out =
            std::io::BufWriter::new(std::fs::File::create(&file).expect("a file of our own"));
        for _ in 0..MEGABYTES * 1_000_000 / line.len() {
            out.write_all(&line).expect("room for the lines");
        }
        out.into_inner().expect("room for the lines");
        let mut speeds: Vec<f64> = (0..3).map(|_| flood(peer, &file, MEGABYTES)).collect();
        speeds.sort_unstable_by(f64::total_cmp);
        report.note(&format!("  {:<14} {:>8.0} MB/s", peer.name, speeds[1]));
        if peer.kind == Kind::Estiva {
            report.promise(
                &format!("logs take at least 500 MB/s ({:.0})", speeds[1]),
                speeds[1] >= 500.0,
            );
        }
        drop(std::fs::remove_file(&file));
    }
}

fn flood(peer: &Peer, file: &std::path::Path, megabytes: usize) -> f64 {
    let options = match peer.kind {
        Kind::Podman => "--log-driver k8s-file",
        Kind::Docker | Kind::Estiva => "--log-opt max-size=2g",
    };
    let line = format!(
        "run -d --name flood --network none {options} -v {}:/lines:ro busybox cat /lines",
        file.display()
    );
    let begun = Instant::now();
    peer.ok(&line);
    peer.ok("wait flood");
    let took = begun.elapsed();
    let last = peer.ok("logs --tail 1 flood");
    assert!(last.starts_with("0123456789"), "the last line is readable");
    peer.ok("rm flood");
    megabytes as f64 / took.as_secs_f64()
}
