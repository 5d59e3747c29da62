//! What attackers bring along: small programs of theirs, images of theirs, and marks on the host that must not change.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::image::Image;
use testkit::{Engine, Output};

/// Compiles a C program that runs in any root.
pub(super) fn compile(engine: &Engine, name: &str, source: &str) -> PathBuf {
    let file = engine.root().join(format!("{name}.c"));
    std::fs::write(&file, source).expect("a file of ours");
    let program = engine.root().join(name);
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-static", "-o"]).arg(&program).arg(&file);
    let output = testkit::command::run(&mut cc, &[]);
    output.success();
    program
}

/// Loads a hostile image; what matters is what becomes of it when it is run.
pub(super) fn load(engine: &Engine, image: &Image) {
    let output = engine.cli("load").with_input(&image.docker_archive());
    output.success();
}

/// A file of the host that nobody in a container may read or change.
#[derive(Debug)]
pub(super) struct Secret {
    path: PathBuf,
}

const SECRET: &str = "only-the-host-knows-this";

impl Secret {
    pub(super) fn new(engine: &Engine) -> Self {
        let folder = engine.root().join("host-only");
        std::fs::create_dir_all(&folder).expect("a folder of ours");
        let path = folder.join("secret");
        std::fs::write(&path, SECRET).expect("a file of ours");
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self) -> &Path {
        self.path.parent().expect("a file in a folder")
    }

    /// The file is what it was, nothing has joined it, and this text does not hold it.
    #[track_caller]
    pub(super) fn is_safe_from(&self, text: &str) {
        assert!(!text.contains(SECRET), "the host's secret is out: {text}");
        let now = std::fs::read_to_string(&self.path).expect("it is still there");
        assert_eq!(now, SECRET, "the host's file was changed");
        let beside = std::fs::read_dir(self.folder()).expect("ours").count();
        assert_eq!(beside, 1, "something was planted beside it");
    }
}

/// Does `attack` over and over on another thread while `story` runs.
pub(super) fn meanwhile<T>(attack: impl Fn() + Send + Sync, story: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                attack();
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(story));
        over.store(true, Ordering::Relaxed);
        attacker.join().expect("the attacker does not panic");
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Repeats a story for some seconds, ten times at the least.
pub(super) fn for_seconds(seconds: u64, mut story: impl FnMut()) {
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut times = 0;
    while Instant::now() < until || times < 10 {
        story();
        times += 1;
    }
}

/// What a command of the client says that must be over by then, and is not waited for any longer.
#[track_caller]
pub(super) fn over_by(limit: Duration, engine: &Engine, line: &str) -> Output {
    let mut running = engine.cli(line).start();
    testkit::within(limit, line, || running.is_over());
    running.finish()
}

/// How long something took; it must have been less than `limit`.
#[track_caller]
pub(super) fn soon<T>(limit: Duration, what: &str, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let value = act();
    let took = begun.elapsed();
    assert!(took < limit, "{what} took {took:?}");
    value
}
