//! Archives that are small on their way and large when they are unpacked, or have more in them than anybody could list.

use testkit::image::{Image, through};
use testkit::tar::Archive;
use testkit::{Engine, Options};

/// Loads an archive that an engine without limits would take, and must be refused for its size.
#[track_caller]
fn check_refused(archive: &[u8], why: &str) {
    if Engine::is_peer() {
        return testkit::skip("the peer has no such limits");
    }
    let engine = Engine::start(&Options {
        bare: true,
        ..Options::default()
    });
    let output = engine.cli("load").with_input(archive);
    assert_ne!(output.code, 0, "{}", output.text());
    assert!(output.error().contains(why), "{}", output.error());
    assert_eq!(engine.ok("images -aq"), "");
}

/// An image that can be loaded, with more files in its archive than it needs.
fn with(extra: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let files = Image::new("bomb:1").oci_files("", <[u8]>::to_vec);
    let all = files.into_iter().chain(extra);
    let archive = all.fold(Archive::new(), |archive, (path, content)| {
        archive.file(&path, &content)
    });
    archive.finish()
}

#[test]
fn what_swells_when_it_is_unpacked_is_refused() {
    let zeros = Archive::new().file("zeros", &vec![0; 300 << 20]).finish();
    let image = Image::empty("bomb:1").layer(zeros).docker_archive();
    let bomb = through("zstd", &["-3"], &image);
    assert!(bomb.len() < 64 << 10, "{} bytes", bomb.len());
    check_refused(&bomb, "times its size");
}

#[test]
fn documents_that_would_fill_the_daemon_are_refused() {
    let mut document = vec![b' '; (8 << 20) - 16];
    document[0] = b'{';
    let extra = (0..9).map(|at| (format!("document-{at}"), document.clone()));
    check_refused(&with(extra), "the size of all documents");
}

#[test]
fn an_archive_of_countless_members_is_refused() {
    let extra = (0..100_001).map(|at| (format!("member-{at}"), Vec::new()));
    check_refused(&with(extra), "the number of files");
}
