//! OCI runtimes alone, no engine above them: `create`, `start` and `delete` of `true`, and `exec` of `true`.
//!
//! All have the same bundle, made by our `spec`, and states in folders of their own. They take turns. Their containers'
//! processes become ours when their creator ends, so that the end of `true` is awaited without asking the runtime.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::set_child_subreaper;
use sys::process::wait_with_usage;
use testkit::rootfs;

use crate::borrowed::Borrowed;
use crate::measure::{Taken, run};
use crate::peer::binary;
use crate::report::{Report, median, ratio};

const ROUNDS: usize = 100;

/// A runtime under measurement.
#[derive(Debug)]
struct Runtime {
    program: PathBuf,
    /// What it is called by.
    name: &'static str,
    state: PathBuf,
    bundle: PathBuf,
}

/// Times of one kind of work, and the largest memory that any process of it had.
#[derive(Debug, Default)]
struct Row {
    times: Vec<Duration>,
    /// Of create, start, the end of the program, delete.
    steps: Vec<[Duration; 4]>,
    peaks_kib: Vec<u64>,
}

/// The folder with the bundle and the states; deleted when dropped.
#[derive(Debug)]
struct Home(PathBuf);

impl Home {
    /// In memory where that can be had: `/run`, where runtimes keep their states, is a tmpfs on most machines.
    fn make() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        };
        Self(folder.join(format!("estiva-bench-{}", std::process::id())))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The whole line.
pub(crate) fn runtime(report: &mut Report) {
    report.title("an OCI runtime alone, in a bundle made by `spec`");
    let borrowed = Borrowed::take();
    if let Err(error) = &borrowed {
        report.note(&format!("  crun may refuse this machine: {error}"));
    }
    let home = Home::make();
    let bundle = home.0.join("bundle");
    std::fs::create_dir_all(&bundle).expect("a folder of our own");
    rootfs::create(&bundle.join("rootfs"));
    set_child_subreaper(Some(rustix::process::getpid())).expect("any process may adopt orphans");
    let runtimes = found(&home.0, &bundle, report);
    starts(&runtimes, report);
    execs(&runtimes, report);
    drop(borrowed);
}

/// The runtimes that run something here, ours first.
fn found(home: &Path, bundle: &Path, report: &mut Report) -> Vec<Runtime> {
    let own = Some(binary());
    let all = [
        ("estiva-runtime", own),
        ("crun", in_path("crun")),
        ("runc", in_path("runc")),
    ];
    let mut runtimes = Vec::new();
    for (name, program) in all {
        let Some(program) = program else {
            report.note(&format!("  not installed: {name}"));
            continue;
        };
        let runtime = Runtime {
            program,
            name,
            state: home.join(format!("state-{name}")),
            bundle: bundle.to_owned(),
        };
        std::fs::create_dir_all(&runtime.state).expect("a folder of our own");
        if runtimes.is_empty() {
            runtime.write_spec();
        }
        match runtime.create_start_delete() {
            Ok(_) => runtimes.push(runtime),
            Err(error) => report.note(&format!("  left out: {error}")),
        }
    }
    runtimes
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

impl Runtime {
    /// Runs one of its commands.
    fn command(&self, line: &str) -> Result<Taken, String> {
        let mut words = vec![
            "--root".to_owned(),
            self.state.to_string_lossy().into_owned(),
        ];
        words.extend(line.split(' ').map(str::to_owned));
        run(&self.program, self.name, &words)
    }

    fn id(&self) -> String {
        format!("estiva-bench-{}-{}", self.name, std::process::id())
    }

    fn write_spec(&self) {
        let config = self.bundle.join("config.json");
        self.command(&format!("spec --bundle {}", self.bundle.display()))
            .expect("ours writes a spec");
        let text = std::fs::read_to_string(&config).expect("it has written it");
        // Peers of some age refuse a newer spec than they know, whatever it asks for.
        let text = text
            .replace(&format!("{:?}", oci::runtime::VERSION), "\"1.0.2\"")
            .replace("\"terminal\": true", "\"terminal\": false")
            .replace("\"sh\"", "\"true\"");
        std::fs::write(&config, text).expect("a folder of our own");
    }

    /// Creates a container; gives its first process, which is our child once its creator has ended.
    fn create(&self) -> Result<(i32, Taken), String> {
        let pid_file = self.state.join("pid");
        let (bundle, file, id) = (self.bundle.display(), pid_file.display(), self.id());
        let taken = self.command(&format!("create --bundle {bundle} --pid-file {file} {id}"))?;
        let text = std::fs::read_to_string(&pid_file).map_err(|error| error.to_string())?;
        let pid = text.trim().parse().map_err(|_| "no pid".to_owned())?;
        Ok((pid, taken))
    }

    fn create_start_delete(&self) -> Result<(Taken, [Duration; 4]), String> {
        let id = self.id();
        let begun = Instant::now();
        let (pid, created) = self.create()?;
        let started = self.command(&format!("start {id}"))?;
        let waits = Instant::now();
        let ended = wait_with_usage(pid).map_err(|error| error.to_string())?;
        let waited = waits.elapsed();
        let deleted = self.command(&format!("delete {id}"))?;
        let peaks = [created, started, deleted].map(|taken| taken.peak_kib);
        let whole = Taken {
            time: begun.elapsed(),
            peak_kib: peaks.into_iter().fold(ended.peak_kib, u64::max),
        };
        Ok((whole, [created.time, started.time, waited, deleted.time]))
    }
}

fn starts(runtimes: &[Runtime], report: &mut Report) {
    let mut rows: Vec<Row> = runtimes.iter().map(|_| Row::default()).collect();
    let mut floor = Vec::new();
    let program = runtimes.first().map(Runtime::busybox);
    for round in 0..=ROUNDS {
        for (runtime, row) in runtimes.iter().zip(&mut rows) {
            let taken = runtime.create_start_delete();
            let (taken, steps) = taken.unwrap_or_else(|error| panic!("{error}"));
            row.push(round, taken);
            row.steps.push(steps);
        }
        floor.extend(
            program
                .as_deref()
                .and_then(|program| floor_of(&["start", program])),
        );
    }
    report.note("create, start and delete of true:");
    print(runtimes, &rows, floor, report);
    promise(runtimes, &rows, "crun", "create-start-delete", 0.6, report);
    promise(runtimes, &rows, "runc", "create-start-delete", 0.25, report);
    promise_memory(runtimes, &rows, "create-start-delete", report);
}

fn execs(runtimes: &[Runtime], report: &mut Report) {
    let config = runtimes.first().map(|ours| ours.bundle.join("config.json"));
    if let Some(config) = config {
        let text = std::fs::read_to_string(&config).expect("it was written");
        let text = text.replace("\"true\"\n", "\"sleep\", \"3600\"\n");
        std::fs::write(&config, text).expect("a folder of our own");
    }
    let inits: Vec<i32> = runtimes
        .iter()
        .map(|runtime| {
            let (pid, _) = runtime.create().unwrap_or_else(|error| panic!("{error}"));
            let started = runtime.command(&format!("start {}", runtime.id()));
            started.unwrap_or_else(|error| panic!("{error}"));
            pid
        })
        .collect();
    let mut rows: Vec<Row> = runtimes.iter().map(|_| Row::default()).collect();
    let mut floor = Vec::new();
    let target = inits.first().map(i32::to_string);
    for round in 0..=ROUNDS {
        for (runtime, row) in runtimes.iter().zip(&mut rows) {
            let taken = runtime.command(&format!("exec {} true", runtime.id()));
            row.push(round, taken.unwrap_or_else(|error| panic!("{error}")));
        }
        if let Some(pid) = &target {
            floor.extend(floor_of(&["exec", "/bin/true", pid]));
        }
    }
    for (runtime, pid) in runtimes.iter().zip(inits) {
        let deleted = runtime.command(&format!("delete --force {}", runtime.id()));
        if let Err(error) = deleted {
            report.note(&format!("  left behind: {error}"));
        }
        drop(wait_with_usage(pid));
    }
    report.note("exec of true:");
    print(runtimes, &rows, floor, report);
    promise(runtimes, &rows, "crun", "exec", 0.6, report);
    promise_memory(runtimes, &rows, "exec", report);
}

impl Runtime {
    fn busybox(&self) -> String {
        let path = self.bundle.join("rootfs/bin/busybox");
        path.to_string_lossy().into_owned()
    }
}

impl Row {
    /// Keeps what was measured; the first round warms up.
    fn push(&mut self, round: usize, taken: Taken) {
        if round > 0 {
            self.times.push(taken.time);
            self.peaks_kib.push(taken.peak_kib);
        }
    }

    fn peak_kib(&self) -> u64 {
        let mut sorted = self.peaks_kib.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

impl Row {
    /// The medians of the steps, if the work has any.
    fn steps(&self) -> String {
        if self.steps.is_empty() {
            return String::new();
        }
        let of = |step: usize| {
            let times: Vec<Duration> = self.steps.iter().map(|steps| steps[step]).collect();
            median(&times).as_secs_f64() * 1000.0
        };
        let (create, start, end, delete) = (of(0), of(1), of(2), of(3));
        format!("   create {create:.2}, start {start:.2}, its end {end:.2}, delete {delete:.2} ms")
    }
}

/// One turn of the floor.
fn floor_of(args: &[&str]) -> Option<Duration> {
    let own = std::env::current_exe().ok()?;
    let output = std::process::Command::new(own)
        .arg("floor")
        .args(args)
        .output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    text.trim().parse().ok().map(Duration::from_nanos)
}

fn print(runtimes: &[Runtime], rows: &[Row], floor: Vec<Duration>, report: &mut Report) {
    let named = runtimes.iter().map(|runtime| runtime.name.to_owned());
    let times = rows.iter().map(|row| row.times.clone());
    let mut lines: Vec<(String, Vec<Duration>)> = named.zip(times).collect();
    lines.push(("floor".to_owned(), floor));
    report.times(&lines);
    for (runtime, row) in runtimes.iter().zip(rows) {
        let (name, peak) = (runtime.name, row.peak_kib());
        report.note(&format!(
            "  {name:<14} {peak:>9} KiB at most{}",
            row.steps()
        ));
    }
}

fn find<'a>(runtimes: &[Runtime], rows: &'a [Row], name: &str) -> Option<&'a Row> {
    let at = runtimes.iter().position(|runtime| runtime.name == name)?;
    rows.get(at)
}

fn promise(
    runtimes: &[Runtime],
    rows: &[Row],
    peer: &str,
    work: &str,
    most: f64,
    report: &mut Report,
) {
    let (Some(ours), Some(theirs)) = (rows.first(), find(runtimes, rows, peer)) else {
        return;
    };
    let share = 1.0 / ratio(&ours.times, &theirs.times);
    report.promise(
        &format!("{work} takes at most {most} of {peer}'s time ({share:.2})"),
        share <= most,
    );
}

fn promise_memory(runtimes: &[Runtime], rows: &[Row], work: &str, report: &mut Report) {
    let (Some(ours), Some(theirs)) = (rows.first(), find(runtimes, rows, "crun")) else {
        return;
    };
    let (ours, theirs) = (ours.peak_kib(), theirs.peak_kib());
    report.promise(
        &format!("{work} has at most crun's peak of memory ({ours} beside {theirs} KiB)"),
        ours <= theirs,
    );
}
