//! The same archive, extracted by us and by GNU tar, gives the same tree; what we pack, GNU tar and Python read.

mod support;

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use archive::extract::Mode;
use archive::{ExtractOptions, PackOptions, pack};
use support::{assert_same, describe, make_tree, run, text, unpack};

/// Whole seconds and no names that only PAX can hold: what the older formats carry.
fn round_times(tree: &Path) {
    run(
        "sh",
        &[
            "-c",
            &format!(
                "cd {} && find . -depth -exec touch -h -d @1600000000 {{}} +",
                text(tree)
            ),
        ],
    );
}

fn differs_from_gnu(format: &[&str], needs_round: bool) {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    make_tree(&tree);
    if needs_round {
        round_times(&tree);
    }
    let tar = dir.path().join("a.tar");
    let mut args = vec!["-C", text(&tree), "-cf", text(&tar), "--numeric-owner"];
    args.extend_from_slice(format);
    args.push(".");
    run("tar", &args);
    let theirs = dir.path().join("theirs");
    let ours = dir.path().join("ours");
    let layer = dir.path().join("layer");
    for dest in [&theirs, &ours, &layer] {
        fs::create_dir(dest).unwrap();
    }
    let dest = text(&theirs);
    run(
        "tar",
        &[
            "-C",
            dest,
            "-xpf",
            text(&tar),
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
        ],
    );
    let bytes = fs::read(&tar).unwrap();
    let expected = describe(&theirs);
    unpack(&bytes, &ours, &ExtractOptions::default()).unwrap();
    assert_same(&describe(&ours), &expected, &format!("plain {format:?}"));
    let options = ExtractOptions {
        mode: Mode::Layer { userxattr: false },
        ..ExtractOptions::default()
    };
    unpack(&bytes, &layer, &options).unwrap();
    assert_same(&describe(&layer), &expected, &format!("layer {format:?}"));
    // Holes stay holes.
    let blocks = |root: &Path| {
        use std::os::unix::fs::MetadataExt;
        root.join("sparse").metadata().unwrap().blocks()
    };
    if format.contains(&"--sparse") {
        assert!(blocks(&ours) < 400, "{format:?}: {}", blocks(&ours));
    }
}

#[test]
fn every_format_of_gnu_tar_extracts_as_gnu_tar_does_it() {
    differs_from_gnu(&["--format=posix", "--xattrs", "--xattrs-include=*"], false);
    differs_from_gnu(&["--format=gnu"], true);
    for version in ["0.0", "0.1", "1.0"] {
        let version = format!("--sparse-version={version}");
        differs_from_gnu(&["--format=posix", "--sparse", &version], false);
    }
    differs_from_gnu(&["--format=gnu", "--sparse"], true);
}

#[test]
fn what_we_pack_gnu_tar_python_and_we_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    make_tree(&tree);
    let options = PackOptions {
        nanoseconds: true,
        ..PackOptions::default()
    };
    let source = fs::File::open(&tree).unwrap();
    let mut bytes = Vec::new();
    let packed = pack(source.as_fd(), &options, &mut bytes).unwrap();
    assert_eq!(packed.entries, describe(&tree).len() as u64);
    let tar = dir.path().join("a.tar");
    fs::write(&tar, &bytes).unwrap();
    let theirs = dir.path().join("theirs");
    let ours = dir.path().join("ours");
    let pythons = dir.path().join("pythons");
    for dest in [&theirs, &ours, &pythons] {
        fs::create_dir(dest).unwrap();
    }
    let dest = text(&theirs);
    run(
        "tar",
        &[
            "-C",
            dest,
            "-xpf",
            text(&tar),
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
        ],
    );
    assert_same(&describe(&theirs), &describe(&tree), "GNU tar");
    unpack(&bytes, &ours, &ExtractOptions::default()).unwrap();
    assert_same(&describe(&ours), &describe(&tree), "ours");
    let script = "import tarfile,sys\n\
        for m in tarfile.open(sys.argv[1]):\n \
        print(repr(m.name), oct(m.mode), m.uid, m.gid, m.size, m.type.decode(), repr(m.linkname))";
    let listed = run("python3", &["-c", script, text(&tar)]);
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.lines().count() as u64, packed.entries);
    assert!(
        listed.contains("'bin/sudo' 0o6755 0 42 0 1 'bin/su'"),
        "{listed}"
    );
    assert!(
        listed.contains("'etc/large-id' 0o644 4000000000 3000000 1 0 ''"),
        "{listed}"
    );
    let mut again = Vec::new();
    pack(source.as_fd(), &options, &mut again).unwrap();
    assert!(bytes == again, "equal input gives equal bytes");
}

#[test]
fn archives_of_python_extract_as_gnu_tar_does_it() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    make_tree(&tree);
    round_times(&tree);
    for format in ["USTAR", "GNU", "PAX"] {
        let tar = dir.path().join("a.tar");
        // ustar has no room for the long names and the large ids.
        let script = format!(
            "import tarfile,sys\n\
             f=lambda m: None if tarfile.{format}_FORMAT==tarfile.USTAR_FORMAT and (len(m.name)>200 or len(m.linkname)>100 or m.uid>2000000) else m\n\
             t=tarfile.open(sys.argv[2],'w',format=tarfile.{format}_FORMAT)\n\
             t.add(sys.argv[1],'.',filter=f)\nt.close()"
        );
        run("python3", &["-c", &script, text(&tree), text(&tar)]);
        let theirs = dir.path().join(format!("theirs-{format}"));
        let ours = dir.path().join(format!("ours-{format}"));
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&ours).unwrap();
        run(
            "tar",
            &["-C", text(&theirs), "-xpf", text(&tar), "--numeric-owner"],
        );
        let bytes = fs::read(&tar).unwrap();
        unpack(&bytes, &ours, &ExtractOptions::default()).unwrap();
        assert_same(&describe(&ours), &describe(&theirs), format);
    }
}
