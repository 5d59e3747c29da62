//! One image's life: load, names, remove, commit, prune, and what is left on disk.

mod support;

use image::{Commit, Error, Import, PruneFilter, RemoveOptions, Use};
use support::{Home, config, docker_archive, read_at, tar};

fn base() -> Vec<u8> {
    tar(&[("etc/", b""), ("etc/name", b"base"), ("etc/gone", b"x")])
}

fn top() -> Vec<u8> {
    tar(&[("etc/.wh.gone", b""), ("etc/name", b"top")])
}

fn two_layers(tags: &[&str]) -> Vec<u8> {
    let (base, top) = (base(), top());
    let layers: [&[u8]; 2] = [&base, &top];
    docker_archive(tags, &config(&layers), &layers)
}

#[test]
fn a_docker_archive_becomes_an_image_and_leaves_without_trace() {
    let mut home = Home::new();
    let lines = home.load_told(&two_layers(&["app:1", "me/app:latest"]));
    assert_eq!(
        lines,
        ["Loaded image: app:1", "Loaded image: me/app:latest"]
    );
    let image = home.images().resolve("app:1").unwrap();
    assert_eq!(image.repo_tags(), ["app:1", "me/app:latest"]);
    assert_eq!(image.diff_ids().len(), 2);
    assert_eq!(image.size(), 4 + 1 + 3);
    assert_eq!(image.chain_id(), image.config.chain_id().as_ref());
    let view = home.view(&image.id);
    assert_eq!(read_at(&view, "etc/name").unwrap(), "top");
    assert!(read_at(&view, "etc/gone").is_err(), "the whiteout hides it");
    drop(view);

    for name in [
        "me/app",
        image.id.as_str(),
        image.id.short(),
        &image.id.as_str()[..20],
        "docker.io/library/app:1",
    ] {
        assert_eq!(home.images().resolve(name).unwrap().id, image.id, "{name}");
    }
    home.reopen();
    assert_eq!(
        home.images().resolve("app:1").unwrap().as_ref(),
        image.as_ref(),
        "the same after a restart"
    );

    assert_eq!(home.remove("app:1").unwrap(), ["Untagged: app:1"]);
    let removed = home.remove("me/app").unwrap();
    assert_eq!(removed.len(), 4);
    assert_eq!(removed[0], "Untagged: me/app:latest");
    assert_eq!(removed[1], format!("Deleted: {}", image.id));
    assert_eq!(home.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn unknown_names_are_told_as_docker_tells_them() {
    let home = Home::new();
    let text = |name| home.images().resolve(name).unwrap_err().to_string();
    assert_eq!(text("nothing"), "No such image: nothing:latest");
    assert_eq!(text("a/b:c"), "No such image: a/b:c");
    assert_eq!(text("deadbeef"), "No such image: deadbeef:latest");
    assert_eq!(text("UPPER"), "No such image: UPPER");
}

#[test]
fn a_name_moves_to_what_is_loaded_under_it() {
    let home = Home::new();
    home.load(&two_layers(&["app:1"])).unwrap();
    let old = home.images().resolve("app:1").unwrap();
    let other = tar(&[("a", b"b")]);
    let lines = home.load_told(&docker_archive(&["app:1"], &config(&[&other]), &[&other]));
    let told = format!(
        "The image app:1 already exists, renaming the old one with ID {} to empty string",
        old.id
    );
    assert_eq!(lines, [told.as_str(), "Loaded image: app:1"]);
    assert!(home.images().get(&old.id).unwrap().is_dangling());
    let pruned = home
        .images()
        .prune(&PruneFilter::default(), &|_| Vec::new())
        .unwrap();
    assert_eq!(
        pruned.removed[0].to_string(),
        format!("Deleted: {}", old.id)
    );
    assert_eq!(pruned.reclaimed, old.size());
    assert_eq!(home.images().list().len(), 1);
}

#[test]
fn layers_are_shared_and_go_with_their_last_image() {
    let home = Home::new();
    let (base, top) = (base(), top());
    home.load(&docker_archive(&["one"], &config(&[&base]), &[&base]))
        .unwrap();
    home.load(&two_layers(&["two"])).unwrap();
    let usage = home.images().usage().unwrap();
    assert_eq!(usage.layers, 5 + 3, "the base counts once");
    let of = |name: &str| {
        let id = home.images().resolve(name).unwrap().id.clone();
        let usage = usage
            .images
            .iter()
            .find(|usage| usage.image.id == id)
            .unwrap();
        (usage.shared, usage.unique)
    };
    assert_eq!((of("one"), of("two")), ((5, 0), (5, 3)));
    assert_eq!(home.remove("one").unwrap().len(), 2, "no layer goes");
    assert_eq!(home.remove("two").unwrap().len(), 4, "both layers go");
    assert_eq!(home.leftovers().len(), 0);
    drop(top);
}

#[test]
fn removal_follows_dockers_rules() {
    let home = Home::new();
    home.load(&two_layers(&["app:1", "app:2"])).unwrap();
    let id = home.images().resolve("app:1").unwrap().id.clone();
    let options = RemoveOptions::default();
    let forced = RemoveOptions {
        force: true,
        ..options
    };
    let used = |is_running| {
        move |_: &image::ImageId| {
            vec![Use {
                container: "0123456789ab".to_owned(),
                is_running,
            }]
        }
    };
    let text = |result: image::Result<Vec<image::Removed>>| result.unwrap_err().to_string();
    let by_id = home.images().remove(id.as_str(), options, &|_| Vec::new());
    let short = id.short();
    assert_eq!(
        text(by_id),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    home.remove("app:2").unwrap();
    assert_eq!(
        text(home.images().remove("app:1", options, &used(false))),
        format!(
            "conflict: unable to remove repository reference \"app:1\" (must force) - container 0123456789ab is using its referenced image {short}"
        )
    );
    assert_eq!(
        text(home.images().remove(short, options, &used(false))),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container 0123456789ab"
        )
    );
    assert_eq!(
        text(home.images().remove(short, forced, &used(true))),
        format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running container 0123456789ab"
        )
    );
    let untagged = home.images().remove("app:1", forced, &used(true)).unwrap();
    assert_eq!(
        untagged.len(),
        1,
        "the name goes, the image of a running container stays"
    );
    assert!(home.images().get(&id).is_some());
    home.images().remove(short, forced, &used(false)).unwrap();
    assert_eq!(home.leftovers().len(), 0);
}

#[test]
fn an_image_is_made_of_a_tar_and_of_a_container() {
    let mut home = Home::new();
    let import = Import {
        changes: vec![
            "CMD [\"/bin/x\"]".parse().unwrap(),
            "ENV A=b".parse().unwrap(),
        ],
        message: "Imported from -".to_owned(),
        reference: Some("mine".parse().unwrap()),
        platform: None,
    };
    let id = home.images().import(&base()[..], &import).unwrap();
    let image = home.images().resolve("mine:latest").unwrap();
    assert_eq!(image.id, id);
    assert_eq!(image.config.config.env, ["A=b"]);
    assert_eq!(image.comment(), "Imported from -");
    assert!(image.created().is_some());

    let commit = Commit {
        parent: Some(id.clone()),
        execution: image.config.config.clone(),
        changes: vec!["USER nobody".parse().unwrap()],
        author: "me".to_owned(),
        comment: "a change".to_owned(),
        created_by: "/bin/x".to_owned(),
        reference: Some("mine:2".parse().unwrap()),
    };
    let second = home
        .images()
        .commit(&commit, &mut |to| to.write_all(&top()))
        .unwrap();
    home.reopen();
    let image = home.images().get(&second).unwrap();
    assert_eq!(image.config.config.user, "nobody");
    assert_eq!(image.config.config.cmd.as_deref().unwrap(), ["/bin/x"]);
    assert_eq!(image.parent(), Some(&id));
    let view = home.view(&second);
    assert_eq!(read_at(&view, "etc/name").unwrap(), "top");
    drop(view);
    let history = home.images().history(&image);
    let shown: Vec<_> = history
        .iter()
        .map(|h| {
            (
                h.id.as_ref(),
                h.created_by.as_str(),
                h.comment.as_str(),
                h.size,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (Some(&second), "/bin/x", "a change", 3),
            (Some(&id), "", "Imported from -", 5)
        ]
    );

    let nothing = home
        .images()
        .commit(
            &Commit {
                reference: None,
                ..commit
            },
            &mut |to| to.write_all(&[0; 1024]),
        )
        .unwrap();
    let nothing = home.images().get(&nothing).unwrap();
    assert_eq!(nothing.diff_ids().len(), 1, "no change, no layer");
    assert!(nothing.config.history[1].empty_layer);

    let error = home.remove("mine:latest").unwrap();
    assert_eq!(error, ["Untagged: mine:latest"], "its children keep it");
    let conflict = home.images().remove(
        id.short(),
        RemoveOptions {
            force: true,
            no_prune: false,
        },
        &|_| Vec::new(),
    );
    assert!(
        conflict
            .unwrap_err()
            .to_string()
            .ends_with("(cannot be forced) - image has dependent child images")
    );
    home.remove(nothing.id.as_str()).unwrap();
    let gone = home.remove("mine:2").unwrap();
    assert_eq!(
        gone.iter()
            .filter(|line| line.contains(id.as_str()))
            .count(),
        1,
        "the nameless parent goes along"
    );
    assert_eq!(home.leftovers().len(), 0);
}

#[test]
fn bad_input_leaves_nothing() {
    let home = Home::new();
    let import = Import::default();
    assert!(matches!(
        home.images().import(&b"this is no tar"[..], &import),
        Err(Error::Unpack { .. })
    ));
    let escape = tar(&[("../../evil", b"x")]);
    assert!(matches!(
        home.images().import(&escape[..], &import),
        Err(Error::Unpack { .. })
    ));
    let commit = Commit::default();
    let broken = home.images().commit(&commit, &mut |to| {
        to.write_all(&base()[..100])?;
        Err(std::io::Error::other("the container went away"))
    });
    assert!(matches!(broken, Err(Error::Input { .. })));
    assert_eq!(home.leftovers().len(), 0);
}

#[test]
fn prune_keeps_what_is_used_or_filtered_out() {
    let home = Home::new();
    home.load(&two_layers(&["app:1"])).unwrap();
    let mut filter = PruneFilter {
        dangling_only: false,
        ..PruneFilter::default()
    };
    let used = |_: &image::ImageId| {
        vec![Use {
            container: "c".to_owned(),
            is_running: false,
        }]
    };
    assert_eq!(home.images().prune(&filter, &used).unwrap().removed, []);
    filter.until = Some("2020-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(
        home.images()
            .prune(&filter, &|_| Vec::new())
            .unwrap()
            .removed,
        []
    );
    filter.until = None;
    filter.labels = vec![image::LabelFilter {
        key: "tier".to_owned(),
        value: Some("test".to_owned()),
        is_negated: true,
    }];
    assert_eq!(
        home.images()
            .prune(&filter, &|_| Vec::new())
            .unwrap()
            .removed,
        []
    );
    filter.labels[0].is_negated = false;
    let pruned = home.images().prune(&filter, &|_| Vec::new()).unwrap();
    assert_eq!(pruned.reclaimed, 8);
    assert_eq!(home.leftovers().len(), 0);
}

#[test]
fn hello_is_there_when_it_is_run_and_not_before() {
    let home = Home::new();
    assert!(home.images().resolve("hello").is_err());
    let hello = home.images().obtain("hello").unwrap();
    assert_eq!(hello.repo_tags(), ["hello:latest"]);
    assert_eq!(home.images().obtain("hello").unwrap().id, hello.id);
    assert_eq!(
        home.images().obtain("hello-world:latest").unwrap().id,
        hello.id,
        "the same image by its other name"
    );
    assert!(home.images().obtain("hello:2").is_err());
    let view = home.view(&hello.id);
    let path = format!(
        "/proc/self/fd/{}/hello",
        std::os::fd::AsRawFd::as_raw_fd(&view)
    );
    let program = std::fs::read(path).unwrap();
    assert_eq!(program.len() as u64, hello.size());
    assert!(String::from_utf8_lossy(&program).contains("Hello from estiva!"));
    drop(view);
    home.remove_everything();
    assert_eq!(home.leftovers().len(), 0);
}

#[test]
fn what_a_crash_left_is_gone_after_opening() {
    let mut home = Home::new();
    home.load(&two_layers(&["app:1"])).unwrap();
    let before = home.leftovers().len();
    // A daemon killed between storing content and naming it.
    let content = content::Store::open(&home.dir).unwrap();
    content.put(b"nobody refers to this").unwrap();
    let chain = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    home.images()
        .snapshots()
        .begin_layer(None)
        .unwrap()
        .commit(chain, 1)
        .unwrap();
    std::fs::create_dir(home.dir.join("snapshots/draft-99")).unwrap();
    assert_eq!(home.leftovers().len(), before + 3);
    home.reopen();
    assert_eq!(home.leftovers().len(), before);
    assert!(home.images().resolve("app:1").is_ok());
}

#[test]
fn an_image_that_lost_its_blob_is_dropped_and_one_that_lost_its_layer_is_mended() {
    let mut home = Home::new();
    home.load(&two_layers(&["app:1"])).unwrap();
    let image = home.images().resolve("app:1").unwrap();
    let top = image.record.layers[1].clone();
    home.images()
        .snapshots()
        .remove_layer(top.chain_id.0.as_str())
        .unwrap();
    home.reopen();
    assert_eq!(read_at(&home.view(&image.id), "etc/name").unwrap(), "top");
    let blob = home
        .dir
        .join("blobs/sha256")
        .join(&top.blob.digest.hex()[..2])
        .join(top.blob.digest.hex());
    std::fs::OpenOptions::new()
        .write(true)
        .open(blob)
        .unwrap()
        .set_len(10)
        .unwrap();
    home.reopen();
    assert!(home.images().resolve("app:1").is_err());
    assert_eq!(home.leftovers().len(), 0);
}
