//! Memory of the engines' own processes, and how much output they can take.

use std::io::Write;
use std::time::{Duration, Instant};

use testkit::proc;

use crate::peer::{Kind, Peer, Peers};
use crate::report::Report;

const MEBI: f64 = 1024.0 * 1024.0;
const CONTAINERS: u32 = 20;

/// Idle memory, and what each running container adds.
pub(crate) fn memory(peers: &mut Peers, report: &mut Report) {
    report.title("memory of the engine's own processes");
    for peer in peers.all.iter().filter(|peer| peer.kind != Kind::Podman) {
        std::thread::sleep(Duration::from_secs(2));
        let idle = peer.processes();
        let rss: u64 = idle.iter().map(|pid| rss(*pid)).sum();
        let before: u64 = idle.iter().map(|pid| proc::pss(*pid)).sum();
        for _ in 0..CONTAINERS {
            peer.ok("run -d --network none busybox sleep 3600");
        }
        std::thread::sleep(Duration::from_secs(2));
        let after: u64 = peer.processes().into_iter().map(proc::pss).sum();
        let each = after.saturating_sub(before) as f64 / f64::from(CONTAINERS) / MEBI;
        let idle = rss as f64 / MEBI;
        report.note(&format!(
            "  {:<14} idle {idle:>7.1} MiB RSS   each container {each:>6.2} MiB PSS",
            peer.name
        ));
        if peer.kind == Kind::Estiva {
            report.promise(
                &format!("the idle daemon takes at most 15 MiB ({idle:.1})"),
                idle <= 15.0,
            );
            report.promise(
                &format!("each container takes at most 1 MiB ({each:.2})"),
                each <= 1.0,
            );
        }
        peer.remove_all();
    }
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
