//! `load` of a large image: 700 MB, 40,000 files, six gzip layers.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use testkit::image::{Image, through};
use testkit::tar::{Archive, Header};

use crate::peer::{Kind, Peer, Peers};
use crate::report::{Report, ratio};

const LAYERS: u32 = 6;
const FILES_PER_LAYER: u32 = 6_667;
const FILE_BYTES: usize = 17_500;

/// Time to load, each engine three times.
pub(crate) fn load(peers: &mut Peers, report: &mut Report) {
    report.title("load of an image of 700 MB and 40,000 files");
    let archive = generate(&peers.all[0]);
    let rounds = 3;
    let mut rows: Vec<(String, Vec<Duration>)> = Vec::new();
    for peer in &peers.all {
        rows.push((peer.name.clone(), Vec::new()));
    }
    for _ in 0..rounds {
        for (peer, (_, times)) in peers.all.iter().zip(&mut rows) {
            match load_once(peer, &archive) {
                Ok(time) => {
                    times.push(time);
                    peer.ok("rmi -f large:1");
                }
                Err(why) => report.note(&format!("  {} cannot load it: {why}", peer.name)),
            }
        }
    }
    rows.retain(|(_, times)| !times.is_empty());
    report.times(&rows);
    drop(std::fs::remove_file(&archive));
    let of = |kind| {
        let name = &peers.all[peers.position(kind)?].name;
        rows.iter()
            .find(|(row, _)| row == name)
            .map(|(_, times)| times)
    };
    if let (Some(ours), Some(theirs)) = (of(Kind::Estiva), of(Kind::Docker)) {
        let ratio = ratio(ours, theirs);
        report.promise(
            &format!("load takes at most half of docker's time (1/{ratio:.1})"),
            ratio >= 2.0,
        );
    }
}

fn load_once(peer: &Peer, archive: &PathBuf) -> Result<Duration, String> {
    let file = std::fs::File::open(archive).expect("the archive is there");
    let mut command = peer.client("load");
    command
        .stdin(file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let output = command.output().expect("the client can be started");
    match output.status.success() {
        true => Ok(begun.elapsed()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn generate(home: &Peer) -> PathBuf {
    let mut image = Image::new("large:1");
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    for layer in 0..LAYERS {
        let mut archive = Archive::new();
        for file in 0..FILES_PER_LAYER {
            if file % 200 == 0 {
                let folder = format!("l{layer}/d{}/", file / 200);
                archive = archive.with(&Header::folder(&folder), &[]);
            }
            let name = format!("l{layer}/d{}/f{file}", file / 200);
            archive = archive.file(&name, &content(&mut seed));
        }
        image = image.layer(archive.finish());
    }
    let path = home.root().join("large.tar");
    // The archive holds plain layers, as docker save writes them; packed as a whole, as it travels.
    let packed = through("gzip", &["-1"], &image.docker_archive());
    std::fs::write(&path, packed).expect("room for the archive");
    path
}

/// Text-like: words from a small set in random order, so that it packs to about a third.
fn content(seed: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FILE_BYTES);
    while bytes.len() < FILE_BYTES {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        bytes.extend(format!("{:05x} word{} ", *seed & 0xf_ffff, *seed >> 60).as_bytes());
    }
    bytes.truncate(FILE_BYTES);
    bytes
}
