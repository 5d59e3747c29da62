//! Extracts an archive as a layer and tells how long it took: `untar ARCHIVE FOLDER [digest]`.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Instant;

use archive::compression::{Caps, decompress};
use archive::extract::{Mode, Options, extract};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("untar ARCHIVE FOLDER [digest]".into());
    };
    let start = Instant::now();
    let reader = decompress(File::open(from)?, Caps::default())?;
    let options = Options {
        mode: Mode::Layer { userxattr: false },
        digest: args.next().is_some(),
        ..Options::default()
    };
    let summary = extract(reader, File::open(to)?.as_fd(), &options)?;
    println!(
        "{} entries, {} bytes in {:?}",
        summary.entries,
        summary.bytes,
        start.elapsed()
    );
    Ok(())
}
