//! A loader that is killed at any moment leaves nothing that the next opening does not clear away.

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Home, config, docker_archive, tar};

#[test]
fn a_load_killed_at_any_moment_leaves_all_or_nothing() {
    let contents: Vec<Vec<u8>> = (0..200_u8).map(|byte| vec![byte; 20_000]).collect();
    let names: Vec<String> = (0..contents.len())
        .map(|number| format!("file{number}"))
        .collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(String::as_str)
        .zip(contents.iter().map(Vec::as_slice))
        .collect();
    let layers: Vec<Vec<u8>> = files.chunks(50).map(tar).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let archive = docker_archive(&["app:1"], &config(&layers), &layers);

    let mut home = Home::new();
    let path = home.dir.join("archive.tar");
    std::fs::write(&path, archive).unwrap();
    // Cargo builds examples with tests: `deps/crash-<hash>` stands beside `examples/`.
    let loader = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/load");
    let whole = {
        home.images = None;
        let begin = Instant::now();
        let status = Command::new(&loader)
            .arg(&path)
            .arg(&home.dir)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        begin.elapsed()
    };
    home.reopen();
    let complete = home.leftovers().len();
    assert!(complete > 8, "four layers, their blobs and the config");
    home.remove_everything();
    assert_eq!(home.leftovers().len(), 0);

    let (mut kept, mut cleared) = (0, 0);
    for step in 0..20 {
        home.images = None;
        let mut child = Command::new(&loader)
            .arg(&path)
            .arg(&home.dir)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The machine's speed changes from one moment to the next; the last one is never killed.
        if step < 19 {
            std::thread::sleep(whole * step / 16 + Duration::from_millis(1));
            child.kill().unwrap();
        }
        child.wait().unwrap();
        home.reopen();
        if home.images().resolve("app:1").is_ok() {
            assert_eq!(home.leftovers().len(), complete);
            kept += 1;
        } else {
            assert_eq!(home.leftovers(), Vec::<std::path::PathBuf>::new());
            cleared += 1;
        }
        home.remove_everything();
        assert_eq!(home.leftovers().len(), 0);
    }
    assert!(
        kept > 0 && cleared > 0,
        "killed both before and after the end: {kept}, {cleared}"
    );
}
