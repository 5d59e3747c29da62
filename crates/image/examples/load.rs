//! Loads one archive into a fresh store in a folder, and says how long each part took.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, archive, root] = &arguments[..] else {
        println!("usage: load ARCHIVE DATA-ROOT");
        return;
    };
    let root = Path::new(root);
    let content = Arc::new(content::Store::open(root).expect("open blobs"));
    let snapshots =
        Arc::new(snapshot::Store::open(&root.join("snapshots")).expect("open snapshots"));
    let images = image::Store::open(root, content, snapshots).expect("open images");
    let file = File::open(archive).expect("open archive");
    let begin = Instant::now();
    let mut tell =
        |event: image::LoadEvent| println!("{:6} ms  {event:?}", begin.elapsed().as_millis());
    match images.load(file, &image::LoadOptions::default(), &mut tell) {
        Ok(_) => println!("{:6} ms  loaded", begin.elapsed().as_millis()),
        Err(error) => println!("{}", fault::chain(&error)),
    }
    images.flush().expect("flush");
    println!("{:6} ms  on disk", begin.elapsed().as_millis());
}
