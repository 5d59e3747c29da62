//! How fast a writer takes output: `throughput [line-length] [megabytes]`, for json-file and local.

use std::time::Instant;

use logs::{Stream, Target, Writer};

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn main() {
    let mut args = std::env::args()
        .skip(1)
        .map(|a| a.parse::<usize>().expect("a number"));
    let length = args.next().unwrap_or(100);
    let megabytes = args.next().unwrap_or(1000);
    let line: Vec<u8> = (b' '..=b'~')
        .filter(|b| b.is_ascii_alphanumeric())
        .cycle()
        .take(length - 1)
        .chain([b'\n'])
        .collect();
    let chunk: Vec<u8> = line
        .iter()
        .copied()
        .cycle()
        .take((1 << 20) / length * length)
        .collect();
    for driver in ["json-file", "local"] {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Target {
            driver: driver.to_owned(),
            path: folder.path().join("log"),
            ..Target::default()
        };
        let mut writer = Writer::open(&target).expect("open");
        let begin = Instant::now();
        for _ in 0..megabytes {
            writer
                .write(Stream::Stdout, &chunk, logs::unix_nanos_now())
                .expect("write");
        }
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{driver}: {length}-byte lines, {:.0} MB/s",
            (chunk.len() * megabytes) as f64 / 1e6 / seconds
        );
    }
}
