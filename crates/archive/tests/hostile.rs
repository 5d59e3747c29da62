//! Archives made to deceive: each is refused with an error that names its entry, or kept inside; nothing outside the
//! destination is ever touched.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use archive::ExtractOptions;
use archive::extract::Mode;
use archive::tar::{Entry, Kind, Writer};
use support::forge::{BLOCK, Forge};
use support::unpack;

/// A destination with something beside it that must stay as it is.
struct Place {
    _dir: tempfile::TempDir,
    dest: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (dest, outside) = (dir.path().join("dest"), dir.path().join("outside"));
        fs::create_dir(&dest).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim"), "untouched").unwrap();
        Self {
            _dir: dir,
            dest,
            outside,
        }
    }

    fn assert_untouched(&self, what: &str) {
        let names: Vec<_> = fs::read_dir(&self.outside)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["victim"], "{what}");
        assert_eq!(
            fs::read_to_string(self.outside.join("victim")).unwrap(),
            "untouched"
        );
        let beside = fs::read_dir(self.dest.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 2, "{what}");
    }
}

fn layer() -> ExtractOptions<'static> {
    ExtractOptions {
        mode: Mode::Layer { userxattr: false },
        ..ExtractOptions::default()
    }
}

/// Both modes refuse the archive, and the error names `entry`.
fn refused(what: &str, bytes: &[u8], entry: &str) {
    for options in [ExtractOptions::default(), layer()] {
        let place = Place::new();
        let error = unpack(bytes, &place.dest, &options)
            .map(|_| ())
            .expect_err(what);
        let text = fault::chain(&error);
        assert!(text.contains(entry), "{what}: {text}");
        place.assert_untouched(what);
    }
}

/// Both modes take the archive, nothing outside changes, and `inside` is what it came to.
fn kept_inside(what: &str, bytes: &[u8], inside: impl Fn(&Path)) {
    for options in [ExtractOptions::default(), layer()] {
        let place = Place::new();
        unpack(bytes, &place.dest, &options).expect(what);
        inside(&place.dest);
        place.assert_untouched(what);
    }
}

#[test]
fn paths_that_lead_out_are_refused() {
    let outside = "../outside/victim";
    refused(
        "dot-dot",
        &Forge::default().file(outside, b"x").end(),
        outside,
    );
    refused(
        "dot-dot within",
        &Forge::default().file("a/../../outside/new", b"x").end(),
        "a/../../outside",
    );
    refused(
        "dot-dot folder",
        &Forge::default().dir("a/../..").end(),
        "a/../..",
    );
    refused(
        "dot-dot link name",
        &Forge::default().header("../l", b'2', 0, "x").end(),
        "../l",
    );
    refused(
        "dot-dot in PAX",
        &Forge::default()
            .pax(&[("path", "../outside/pax")])
            .file("a", b"x")
            .end(),
        "../outside/pax",
    );
    refused(
        "dot-dot in a GNU long name",
        &Forge::default()
            .header("././@LongLink", b'L', 18, "")
            .data(b"../outside/longer\0")
            .file("a", b"x")
            .end(),
        "../outside/longer",
    );
    refused(
        "dot-dot in the prefix",
        &Forge::default()
            .header("victim", b'0', 0, "")
            .patch(345, b"../outside")
            .end(),
        "../outside/victim",
    );
    refused(
        "hard link out",
        &Forge::default()
            .header("h", b'1', 0, "../outside/victim")
            .end(),
        "\"h\"",
    );
    refused(
        "a file for the root",
        &Forge::default().file("./", b"").end(),
        "\"./\"",
    );
    refused(
        "a link for the root",
        &Forge::default().header(".", b'2', 0, "/etc").end(),
        "root",
    );
}

#[test]
fn absolute_paths_and_links_stay_inside() {
    kept_inside(
        "absolute",
        &Forge::default().file("/etc/new", b"x").end(),
        |d| {
            assert!(d.join("etc/new").exists());
        },
    );
    kept_inside(
        "absolute hard link",
        &Forge::default()
            .file("a", b"x")
            .header("h", b'1', 0, "/a")
            .end(),
        |d| assert_eq!(fs::read(d.join("h")).unwrap(), b"x"),
    );
    kept_inside(
        "symlink upwards as a parent",
        &Forge::default()
            .dir("outside")
            .header("up", b'2', 0, "../outside")
            .file("up/new", b"x")
            .end(),
        |d| assert!(d.join("outside/new").exists()),
    );
    kept_inside(
        "absolute symlink as a parent",
        &Forge::default()
            .dir("tmp")
            .header("abs", b'2', 0, "/tmp")
            .file("abs/new", b"x")
            .dir("abs/folder")
            .end(),
        |d| assert!(d.join("tmp/new").exists() && d.join("tmp/folder").is_dir()),
    );
    kept_inside(
        "chain of symlinks",
        &Forge::default()
            .dir("real")
            .header("b", b'2', 0, "../../../../real")
            .header("a", b'2', 0, "b")
            .file("a/new", b"x")
            .end(),
        |d| assert!(d.join("real/new").exists()),
    );
    kept_inside(
        "a folder that becomes a symlink",
        &Forge::default()
            .dir("d")
            .file("d/one", b"1")
            .header("d", b'2', 0, "../outside")
            .dir("outside")
            .file("d/two", b"2")
            .end(),
        |d| assert!(d.join("outside/two").exists()),
    );
    kept_inside(
        "a file over a symlink",
        &Forge::default()
            .header("f", b'2', 0, "../outside/victim")
            .file("f", b"mine")
            .end(),
        |d| assert_eq!(fs::read(d.join("f")).unwrap(), b"mine"),
    );
    kept_inside(
        "a folder over a symlink",
        &Forge::default()
            .header("f", b'2', 0, "../outside")
            .dir("f")
            .file("f/victim", b"mine")
            .end(),
        |d| assert!(d.join("f/victim").is_file()),
    );
    kept_inside(
        "a hard link to a symlink, then written through",
        &Forge::default()
            .header("s", b'2', 0, "../outside/victim")
            .header("h", b'1', 0, "s")
            .file("h", b"mine")
            .end(),
        |d| assert_eq!(fs::read(d.join("h")).unwrap(), b"mine"),
    );
}

#[test]
fn parents_that_are_no_folders_are_refused() {
    refused(
        "a file as a parent",
        &Forge::default().file("f", b"x").file("f/g", b"y").end(),
        "f/g",
    );
    refused(
        "a loop of symlinks",
        &Forge::default()
            .header("a", b'2', 0, "b")
            .header("b", b'2', 0, "a")
            .file("a/new", b"x")
            .end(),
        "a/new",
    );
    refused(
        "a dangling symlink as a parent",
        &Forge::default()
            .header("l", b'2', 0, "../outside")
            .file("l/new", b"x")
            .end(),
        "l/new",
    );
    refused(
        "proc's magic links",
        &Forge::default()
            .header("l", b'2', 0, "/proc/self/cwd")
            .file("l/new", b"x")
            .end(),
        "l/new",
    );
}

#[test]
fn sizes_that_two_readers_could_take_in_two_ways_are_refused() {
    // CVE-2025-62518: the PAX size hides an archive that a reader of the header's size sees.
    let inner = Forge::default().file("hidden", b"evil").end();
    let len = inner.len().to_string();
    refused(
        "PAX says data, header none",
        &Forge::default()
            .pax(&[("size", &len)])
            .header("outer", b'0', 0, "")
            .data(&inner)
            .end(),
        "outer",
    );
    refused(
        "PAX says none, header data",
        &Forge::default()
            .pax(&[("size", "0")])
            .file("outer", &inner)
            .end(),
        "outer",
    );
    let forge = || Forge::default();
    refused(
        "a folder with a size",
        &forge().header("d", b'5', 512, "").data(&[0; 512]).end(),
        "\"d\"",
    );
    refused(
        "a symlink with a size",
        &forge().header("s", b'2', 512, "x").data(&[1; 512]).end(),
        "\"s\"",
    );
    refused(
        "a hard link with a size",
        &forge()
            .file("a", b"")
            .header("h", b'1', 9, "a")
            .data(b"123456789")
            .end(),
        "\"h\"",
    );
    refused(
        "a negative size",
        &forge()
            .raw(b"n", b'0', "\0", "")
            .patch(124, &[0xff; 12])
            .end(),
        "\"n\"",
    );
    refused(
        "an overflowing size",
        &forge()
            .raw(b"n", b'0', "\0", "")
            .patch(
                124,
                &[
                    0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                ],
            )
            .end(),
        "\"n\"",
    );
    refused(
        "a size that is no number",
        &forge().raw(b"n", b'0', "0000000x000\0", "").end(),
        "\"n\"",
    );
    refused(
        "a size beyond the archive",
        &forge().header("n", b'0', 1 << 30, "").data(b"short").end(),
        "\"n\"",
    );
    refused(
        "a huge PAX size",
        &forge()
            .pax(&[("size", "9223372036854775808")])
            .file("n", b"")
            .end(),
        "size",
    );
    refused(
        "a negative PAX size",
        &forge().pax(&[("size", "-1")]).file("n", b"").end(),
        "size",
    );
    refused(
        "a global size",
        &forge()
            .pax_of(b'g', &[("size", "512")])
            .file("n", b"")
            .end(),
        "global",
    );
    refused(
        "a global path",
        &forge().pax_of(b'g', &[("path", "p")]).file("n", b"").end(),
        "global",
    );
}

#[test]
fn headers_that_lie_are_refused() {
    let forge = || Forge::default();
    let mut wrong = forge().file("first", b"x").file("second", b"y").end();
    wrong[2 * BLOCK + 3] ^= 1;
    refused("a wrong checksum", &wrong, "checksum");
    refused("a wrong checksum names what was before", &wrong, "first");
    refused("no archive at all", &[b'x'; 2048], "checksum");
    refused(
        "an empty block amid",
        &[&[0; BLOCK][..], &forge().file("a", b"").end()].concat(),
        "empty block",
    );
    refused(
        "an unknown type",
        &forge().header("odd", b'Z', 0, "").end(),
        "odd",
    );
    refused(
        "a file called a folder",
        &forge().header("f/", b'0', 0, "").end(),
        "f/",
    );
    refused("no name", &forge().header("", b'0', 0, "").end(), "path");
    refused(
        "a symlink to nothing",
        &forge().header("s", b'2', 0, "").end(),
        "\"s\"",
    );
    refused(
        "a NUL in a PAX path",
        &forge().pax(&[("path", "a\0b")]).file("x", b"").end(),
        "path",
    );
    refused(
        "two PAX headers",
        &forge()
            .pax(&[("path", "a")])
            .pax(&[("path", "b")])
            .file("x", b"")
            .end(),
        "extended headers",
    );
    refused(
        "a PAX header without entry",
        &forge().pax(&[("path", "a")]).end(),
        "ends inside",
    );
    refused(
        "an owner beyond the kernel",
        &forge().pax(&[("uid", "4294967295")]).file("u", b"").end(),
        "uid",
    );
    refused(
        "an owner that wraps to root",
        &forge().pax(&[("uid", "4294967296")]).file("u", b"").end(),
        "uid",
    );
    refused(
        "a name of 5000 bytes",
        &forge()
            .pax(&[("path", &"n/".repeat(2500))])
            .file("x", b"")
            .end(),
        "4095",
    );
    refused(
        "a component of 256 bytes",
        &forge()
            .pax(&[("path", &"n".repeat(256))])
            .file("x", b"")
            .end(),
        "255",
    );
    refused(
        "2000 folders",
        &forge().pax(&[("path", &"n/".repeat(2000))]).dir("x").end(),
        "deep",
    );
    refused(
        "an extension bomb",
        &forge()
            .header("x", b'x', 2 << 20, "")
            .data(&vec![b'1'; 2 << 20])
            .end(),
        "1 MiB",
    );
    refused(
        "a long-name bomb",
        &forge().header("x", b'L', 1 << 40, "").end(),
        "1 MiB",
    );
    refused(
        "a hidden end of a long name",
        &forge()
            .header("x", b'L', 8, "")
            .data(b"a\0../b\0\0")
            .file("x", b"")
            .end(),
        "NUL",
    );
    refused(
        "a sparse map that overlaps",
        &forge()
            .pax(&[("GNU.sparse.size", "100"), ("GNU.sparse.map", "0,5,3,5")])
            .file("s", b"0123456789")
            .end(),
        "\"s\"",
    );
    refused(
        "a sparse map beyond its size",
        &forge()
            .pax(&[("GNU.sparse.size", "8"), ("GNU.sparse.map", "0,10")])
            .file("s", b"0123456789")
            .end(),
        "\"s\"",
    );
    refused(
        "a sparse map for more than is stored",
        &forge()
            .pax(&[
                ("GNU.sparse.size", "800"),
                ("GNU.sparse.map", "0,10,20,500"),
            ])
            .file("s", b"0123456789")
            .end(),
        "\"s\"",
    );
    refused(
        "a sparse map of millions",
        &forge()
            .pax(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.realsize", "8"),
            ])
            .file("s", b"99999999\n0\n")
            .end(),
        "\"s\"",
    );
    refused(
        "a hard link to nothing",
        &forge().header("h", b'1', 0, "missing").end(),
        "\"h\"",
    );
    refused(
        "a hard link to itself",
        &forge().file("h", b"x").header("h", b'1', 0, "./h").end(),
        "\"h\"",
    );
    refused(
        "a hard link to a folder",
        &forge().dir("d").header("h", b'1', 0, "d").end(),
        "\"h\"",
    );
    refused(
        "a device that reads as a whiteout",
        &forge().header("w", b'3', 0, "").end(),
        "whiteout",
    );
    let whole = forge().file("cut", &[1; 3000]).end();
    refused("an archive cut inside a file", &whole[..2000], "cut");
    refused(
        "an archive cut inside a header",
        &whole[..300],
        "inside a block",
    );
}

#[test]
fn whiteouts_that_hide_no_name_are_refused() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh...", ".wh.x/below"] {
        let place = Place::new();
        let bytes = Forge::default().file(name, b"").end();
        let error = unpack(&bytes, &place.dest, &layer()).expect_err(name);
        assert!(error.to_string().contains(name), "{error}");
        place.assert_untouched(name);
    }
}

#[test]
fn a_layer_cannot_set_overlays_own_attributes() {
    let mut writer = Writer::new(Vec::new());
    for (name, kind) in [("d", Kind::Directory), ("f", Kind::File)] {
        let mut entry = Entry::new(name, kind, 0o755);
        entry.xattrs = vec![
            (b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec()),
            (b"trusted.overlay.opaque".to_vec(), b"y".to_vec()),
            (b"user.overlay.whiteout".to_vec(), b"y".to_vec()),
            (b"security.selinux".to_vec(), b"host_t".to_vec()),
            (b"trusted.other".to_vec(), b"kept".to_vec()),
        ];
        writer.append(&entry, b"").unwrap();
    }
    let bytes = writer.finish().unwrap();
    kept_inside("overlay attributes", &bytes, |dest| {
        for name in ["d", "f"] {
            let names: Vec<_> = support::xattrs(&dest.join(name)).into_keys().collect();
            assert_eq!(names, ["trusted.other"], "{name}");
        }
    });
}

#[test]
fn the_callers_caps_hold() {
    let bytes = Forge::default()
        .file("a", &[1; 600])
        .file("b", &[1; 600])
        .end();
    let place = Place::new();
    let bytes_cap = ExtractOptions {
        max_bytes: 1000,
        ..ExtractOptions::default()
    };
    let error = unpack(&bytes, &place.dest, &bytes_cap).unwrap_err();
    assert_eq!(
        error.to_string(),
        "archive holds more than 1000 bytes, at \"b\""
    );
    let entries_cap = ExtractOptions {
        max_entries: 1,
        ..ExtractOptions::default()
    };
    let error = unpack(&bytes, &place.dest, &entries_cap).unwrap_err();
    assert_eq!(
        error.to_string(),
        "archive holds more than 1 entries, at \"b\""
    );
}

#[test]
fn random_damage_never_panics_and_never_escapes() {
    let good = Forge::default()
        .dir("d")
        .file("d/f", &[3; 1500])
        .pax(&[
            ("path", "d/a-longer-name"),
            ("mtime", "1.5"),
            ("SCHILY.xattr.user.a", "b"),
        ])
        .file("x", b"abc")
        .header("d/s", b'2', 0, "../d/f")
        .header("d/h", b'1', 0, "d/f")
        .end();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    let place = Place::new();
    for round in 0..1500 {
        let mut bytes = good.clone();
        for _ in 0..1 + next() % 4 {
            let at = next() % bytes.len();
            bytes[at] = next() as u8;
        }
        // Half of the rounds get right checksums again, so that damage reaches beyond them.
        if round % 2 == 0 {
            for header in (0..bytes.len()).step_by(BLOCK) {
                if &bytes[header + 257..header + 262] == b"ustar" {
                    let block = Forge(bytes[header..header + BLOCK].to_vec()).seal().0;
                    bytes[header..header + BLOCK].copy_from_slice(&block);
                }
            }
        }
        let _ = unpack(&bytes, &place.dest, &layer());
        for name in fs::read_dir(&place.dest).unwrap() {
            let path = name.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
    }
    place.assert_untouched("random damage");
}
