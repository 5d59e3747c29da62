//! tmpfs mounts.

#[test]
fn a_tmpfs_has_the_size_and_mode_asked_for() {
    let engine = testkit::engine();
    let text = engine.ok("run --rm --tmpfs /fast:size=4m,mode=1700,uid=1000 busybox sh -c 'stat -c \"%a %u\" /fast; df -k /fast | tail -1; grep \" /fast \" /proc/self/mountinfo'");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "1700 1000");
    assert_eq!(lines[1].split_whitespace().nth(1), Some("4096"));
    assert!(
        lines[2].contains("nosuid") && lines[2].contains("nodev") && lines[2].contains("noexec"),
        "{}",
        lines[2]
    );
    let full = engine.fails(
        1,
        "run --rm --tmpfs /fast:size=1m busybox dd if=/dev/zero of=/fast/f bs=1M count=2",
    );
    assert!(full.contains("No space left on device"), "{full}");
    let text = engine.ok("run --rm --mount type=tmpfs,dst=/fast,tmpfs-size=2097152,tmpfs-mode=0711 busybox sh -c 'stat -c %a /fast; df -k /fast | tail -1'");
    assert!(
        text.starts_with("711\n") && text.contains(" 2048 "),
        "{text}"
    );
}

#[test]
fn what_is_written_there_is_gone_with_the_container() {
    let engine = testkit::engine();
    engine.ok("run --name maker --tmpfs /fast busybox touch /fast/f");
    engine.ok("commit maker after");
    assert_eq!(engine.ok("run --rm after ls -A /fast"), "");
}
