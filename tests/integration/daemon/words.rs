//! Refusals and mistakes: our command line and docker's, on the same engine, say the same and end with the same code.

use std::fs;

use testkit::Engine;

/// Lines that must fail, each with its code, in the words of docker 28.
const WRONG: &[(i32, &str)] = &[
    (1, "images -f nonsense=1"),
    (1, "images -f dangling=maybe"),
    (1, "images -f before=nobody"),
    (1, "history nobody"),
    (1, "tag nobody x"),
    (1, "tag busybox 'Bad Name'"),
    (1, "tag busybox UPPER"),
    (1, "inspect nobody"),
    (1, "inspect --type nonsense busybox"),
    (1, "inspect -f '{{.Nope}}' busybox"),
    (64, "inspect -f '{{.Id' busybox"),
    (1, "image inspect nobody"),
    (1, "volume inspect nobody"),
    (125, "run UPPER true"),
    (125, "run --nonsense busybox true"),
    (1, "run"),
    (127, "run --rm busybox nobody"),
    (127, "run --rm busybox /no/body"),
    (126, "run --rm busybox /etc/passwd"),
    (126, "run --rm busybox /etc"),
    (125, "run --rm -w relative busybox true"),
    (125, "run --rm --env-file nobody busybox true"),
    (125, "run --rm --env-file {bad} busybox true"),
    (125, "run --rm --env-file {worse} busybox true"),
    (125, "run --rm --restart always busybox true"),
    (125, "run --restart sometimes busybox true"),
    (125, "run --restart on-failure:x busybox true"),
    (125, "run --rm -m 1m busybox true"),
    (125, "run --rm -m 6m --memory-swap 5m busybox true"),
    (125, "run --rm --memory-swap 50m busybox true"),
    (125, "run --rm -m nonsense busybox true"),
    (125, "run --rm -m 20m --memory-reservation 30m busybox true"),
    (125, "run --rm --cpus 1000 busybox true"),
    (125, "run --rm --cpus x busybox true"),
    (125, "run --rm --cpuset-cpus 77 busybox true"),
    (127, "run --rm --device /dev/nobody busybox true"),
    (125, "run --rm --ulimit nofile=10:5 busybox true"),
    (125, "run --rm --cap-add NONSENSE busybox true"),
    (125, "run --rm --security-opt nonsense busybox true"),
    (125, "run --rm --security-opt seccomp=/no/body busybox true"),
    (125, "run --rm --pid container:nobody busybox true"),
    (125, "run --rm --network nobody busybox true"),
    (125, "run --rm --network none --expose x busybox true"),
    (125, "run --rm --network none --expose 70000 busybox true"),
    (125, "run --rm -p 8:80/nonsense busybox true"),
    (125, "run --rm --stop-signal NONSENSE busybox true"),
    (125, "run --rm --log-driver nonsense busybox true"),
    (125, "run --rm --log-opt max-size=x busybox true"),
    (125, "run --rm --tmpfs relative busybox true"),
    (125, "run --rm --name 'bad name' busybox true"),
    (125, "run --rm --name taken busybox true"),
    (125, "run --rm --platform a/b/c/d busybox true"),
    (125, "run --rm --health-cmd x --no-healthcheck busybox true"),
    (125, "run --rm --health-interval 1ns busybox true"),
    (125, "run --rm -v name:relative busybox true"),
    (125, "run --rm -v /a:/b:nonsense busybox true"),
    (125, "run --rm -v /a:/b:/c:/d busybox true"),
    (125, "run --rm -v /tmp:/ busybox true"),
    (125, "run --rm -v one:/x -v two:/x busybox true"),
    (
        125,
        "run --rm --mount type=bind,src=/no/body,dst=/x busybox true",
    ),
    (125, "run --rm --mount type=nonsense,dst=/x busybox true"),
    (
        125,
        "run --rm --mount type=volume,dst=relative busybox true",
    ),
    (125, "run --rm --mount src=v,nonsense=1,dst=/x busybox true"),
    (125, "run --rm --volumes-from nobody busybox true"),
    (125, "run --rm --volumes-from nobody:nonsense busybox true"),
    (1, "run -it busybox true"),
    (1, "create UPPER"),
    (1, "rename taken taken"),
    (1, "rename taken 'bad name'"),
    (1, "start nobody"),
    (1, "kill nobody"),
    (1, "kill idle"),
    (1, "kill -s NONSENSE taken"),
    (1, "pause idle"),
    (1, "unpause taken"),
    (1, "exec idle true"),
    (127, "exec taken nobody"),
    (126, "exec taken /etc/passwd"),
    (127, "exec -w /no/body taken true"),
    (1, "exec -d taken nobody"),
    (1, "exec --env-file nobody taken true"),
    (1, "top idle"),
    (1, "attach idle"),
    (1, "rm taken"),
    (1, "rm nobody"),
    (1, "rmi busybox"),
    (1, "rmi nobody"),
    (1, "cp nobody:/x ."),
    (1, "cp taken:/no/body ."),
    (1, "cp {bad} taken:/no/body/"),
    (1, "cp taken:/tmp /dev/null"),
    (1, "cp taken:/a taken:/b"),
    (1, "export -o /no/body/x taken"),
    (1, "export -o /tmp taken"),
    (1, "save -o /no/body/x busybox"),
    (1, "save nobody"),
    (1, "commit nobody"),
    (1, "commit taken 'Bad Name'"),
    (1, "commit -c NONSENSE taken x"),
    (1, "import nobody"),
    (1, "load -i nobody"),
    (1, "update -m 1m taken"),
    (1, "update --restart nonsense taken"),
    (1, "port taken 80"),
    (1, "port taken nonsense"),
    (1, "logs --tail 1 --since nonsense taken"),
    (1, "wait nobody"),
    (1, "stats --no-stream nobody"),
    (125, "stop -t nonsense taken"),
    (1, "ps -f status=nonsense"),
    (1, "ps -f is-task=maybe"),
    (1, "ps extra"),
    (125, "ps --nonsense"),
    (1, "volume create 'bad name'"),
    (1, "volume create -d nonsense v"),
    (1, "volume create -o nonsense=1 v"),
    (1, "volume rm nobody"),
    (1, "volume ls -f nonsense=1"),
    (1, "volume prune -f --filter nonsense=1"),
    (1, "system prune -f --filter nonsense=1"),
    (1, "events --until nonsense"),
    (1, "version -f '{{.Nope}}'"),
    (1, "context use nobody"),
];

#[test]
fn our_command_line_says_what_dockers_says() {
    if Engine::is_peer() {
        return testkit::skip("the peer of this age has other words");
    }
    let engine = testkit::engine();
    let [bad, worse] = [("bad", "a b=1\n"), ("worse", "A=1\n=x\n")].map(|(name, text)| {
        let file = engine.root().join(name);
        fs::write(&file, text).expect("a file of ours");
        file.display().to_string()
    });
    let _running = engine.run("--name taken busybox sleep 600");
    engine.ok("create --name idle busybox true");
    let mut wrong = Vec::new();
    for (code, line) in WRONG {
        let line = line.replace("{bad}", &bad).replace("{worse}", &worse);
        let (ours, theirs) = (engine.cli(&line).run(), engine.docker(&line).run());
        let said = |output: &testkit::Output| {
            let (error, text) = (output.error(), output.text());
            // Docker's client logs what it did after the refusal.
            let error: Vec<_> = error.lines().filter(|l| !l.starts_with("time=")).collect();
            format!("{}|{text}", error.join("\n")).replace("estiva", "docker")
        };
        if (ours.code, theirs.code) != (*code, *code) || said(&ours) != said(&theirs) {
            wrong.push(format!(
                "{line}\n  ours:   {} {}\n  docker: {} {}",
                ours.code,
                said(&ours),
                theirs.code,
                said(&theirs)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
