"""What PyPI's `docker` does with an engine: python docker_py.py ROOT.tar [API-VERSION]; DOCKER_HOST names the engine.

ROOT.tar is a root file system with busybox. Prints one line a story; exits 1 when one fails.
"""

import io
import os
import sys
import tarfile
import threading
import time
import traceback

import docker

ROOT = sys.argv[1]
VERSION = sys.argv[2] if len(sys.argv) > 2 else "auto"
client = docker.DockerClient.from_env(version=VERSION, timeout=30)
api = client.api
IMAGE = "estiva-clients-py:1"
STORIES = []


def story(function):
    STORIES.append(function)
    return function


def since(minor):
    return int(api._version.split(".")[1]) >= minor


def run(command, **options):
    return client.containers.run(IMAGE, command, network_mode="none", **options)


class Running:
    """A container for one story, removed after it."""

    def __init__(self, command, **options):
        self.container = run(command, detach=True, **options)

    def __enter__(self):
        return self.container

    def __exit__(self, *_):
        self.container.remove(force=True, v=True)


def tar_of(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def expect(found, wanted):
    assert found == wanted, f"found {found!r}, wanted {wanted!r}"


def refused(call, kind):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"not refused with {kind.__name__}")


@story
def ping_version_info():
    assert client.ping()
    version = client.version()
    for key in ("Version", "ApiVersion", "MinAPIVersion", "Os", "Arch", "KernelVersion"):
        assert version[key], key
    info = client.info()
    for key in ("ID", "NCPU", "MemTotal", "Driver", "DockerRootDir", "ServerVersion", "Containers", "Images"):
        assert key in info, key


@story
def run_and_logs():
    expect(run(["echo", "hello"], remove=True), b"hello\n")
    both = run("sh -c 'echo out; echo err >&2'", remove=True, stdout=True, stderr=True)
    expect(sorted(both.split()), [b"err", b"out"])
    error = refused(lambda: run("sh -c 'echo bad >&2; exit 7'", remove=True), docker.errors.ContainerError)
    expect((error.exit_status, error.stderr), (7, b"bad\n"))
    refused(lambda: run(["nosuchprogram"], remove=True), docker.errors.APIError)
    with Running("sh -c 'for i in 1 2 3; do echo $i; done'") as one:
        expect(one.wait()["StatusCode"], 0)
        expect(one.logs(), b"1\n2\n3\n")
        expect(one.logs(tail=1), b"3\n")
        expect(b"".join(one.logs(stream=True, follow=True)), b"1\n2\n3\n")
        line = one.logs(timestamps=True, tail=1).decode()
        assert line.endswith("Z 3\n") and line[4] == "-", line
        expect(one.logs(since=int(time.time()) + 100), b"")


@story
def a_missing_image():
    refused(lambda: client.containers.create("estiva-nosuch:1", "true"), docker.errors.ImageNotFound)
    refused(lambda: client.images.get("estiva-nosuch:1"), docker.errors.ImageNotFound)
    refused(lambda: client.containers.get("estiva-nosuch"), docker.errors.NotFound)
    refused(lambda: client.volumes.get("estiva-nosuch"), docker.errors.NotFound)


@story
def life():
    with Running("sleep 1000", name="estiva-py-life", labels={"a": "b"}, environment={"X": "1"}) as one:
        expect(one.status, "created")
        one.reload()
        expect((one.status, one.name, one.labels["a"]), ("running", "estiva-py-life", "b"))
        assert one in client.containers.list(filters={"label": "a=b"})
        one.pause()
        one.reload()
        expect(one.status, "paused")
        one.unpause()
        one.rename("estiva-py-life2")
        expect(client.containers.get("estiva-py-life2").id, one.id)
        error = refused(lambda: run("true", name="estiva-py-life2"), docker.errors.APIError)
        expect(error.status_code, 409)
        one.update(mem_limit="64m", memswap_limit="64m")
        one.reload()
        expect(one.attrs["HostConfig"]["Memory"], 64 << 20)
        one.restart(timeout=0)
        one.kill("SIGKILL")
        expect(one.wait()["StatusCode"], 137)
        one.start()
        one.stop(timeout=0)
        one.reload()
        expect(one.status, "exited")
        one.stop()


@story
def attached_output_comes_live():
    one = client.containers.create(IMAGE, "sh -c 'echo a; echo b >&2'", network_mode="none")
    try:
        stream = one.attach(stream=True, demux=True)
        one.start()
        out, err = b"", b""
        for a, b in stream:
            out, err = out + (a or b""), err + (b or b"")
        expect((out, err), (b"a\n", b"b\n"))
    finally:
        one.remove(force=True)


@story
def a_raw_socket_gives_input():
    one = client.containers.create(IMAGE, "cat", stdin_open=True, network_mode="none")
    try:
        socket = one.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        one.start()
        raw = getattr(socket, "_sock", socket)
        raw.settimeout(10)
        raw.sendall(b"through\n")
        expect(raw.recv(100), b"\x01\0\0\0\0\0\0\x08through\n")
        socket.close()
    finally:
        one.remove(force=True)


@story
def execs():
    with Running("sleep 1000") as one:
        expect(one.exec_run("sh -c 'exit 3'").exit_code, 3)
        expect(one.exec_run("echo hi").output, b"hi\n")
        expect(one.exec_run("sh -c 'echo o; echo e >&2'", demux=True).output, (b"o\n", b"e\n"))
        expect(b"".join(one.exec_run("echo s", stream=True).output), b"s\n")
        expect(one.exec_run("tty", tty=True).output, b"/dev/pts/0\r\n")
        expect(one.exec_run("id -u", user="5").output, b"5\n")
        if since(25):
            expect(one.exec_run("sh -c 'echo $X'", environment=["X=y"]).output, b"y\n")
        if since(35):
            expect(one.exec_run("pwd", workdir="/etc").output, b"/etc\n")
        assert one.exec_run("nosuchprogram").exit_code in (126, 127)
        _, socket = one.exec_run("cat", stdin=True, socket=True)
        raw = getattr(socket, "_sock", socket)
        raw.settimeout(10)
        raw.sendall(b"x\n")
        expect(raw.recv(100), b"\x01\0\0\0\0\0\0\x02x\n")
        socket.close()
        made = api.exec_create(one.id, "true")
        expect(api.exec_inspect(made["Id"])["Running"], False)
        api.exec_start(made["Id"], detach=True)


@story
def stats_and_top():
    with Running("sleep 1000") as one:
        stats = one.stats(stream=False)
        assert stats["memory_stats"]["usage"] > 0 and "cpu_stats" in stats and "precpu_stats" in stats
        first = next(one.stats(decode=True))
        assert first["read"], first
        top = one.top()
        assert "CMD" in top["Titles"] and "sleep 1000" in top["Processes"][0][-1], top
        expect(one.top(ps_args="-o pid,comm")["Titles"], ["PID", "COMMAND"])


@story
def archives():
    with Running("sleep 1000") as one:
        assert one.put_archive("/tmp", tar_of(a="alpha"))
        chunks, stat = one.get_archive("/tmp/a")
        expect((stat["name"], stat["size"]), ("a", 5))
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            expect(archive.extractfile("a").read(), b"alpha")
        refused(lambda: one.get_archive("/nosuch"), docker.errors.NotFound)
        refused(lambda: one.put_archive("/nosuch", tar_of(a="x")), docker.errors.NotFound)
        assert {"Path": "/tmp/a", "Kind": 1} in one.diff()
        with tarfile.open(fileobj=io.BytesIO(b"".join(one.export()))) as archive:
            assert any(name.lstrip("./") == "tmp/a" for name in archive.getnames())


@story
def images():
    image = client.images.get(IMAGE)
    assert IMAGE in image.tags and image.id.startswith("sha256:")
    assert image.history()[0]["Size"] > 0
    assert image.tag("estiva-clients-py", "2")
    image.reload()
    saved = b"".join(image.save(named="estiva-clients-py:2"))
    client.images.remove("estiva-clients-py:2")
    loaded = client.images.load(saved)
    expect((loaded[0].id, "estiva-clients-py:2" in loaded[0].tags), (image.id, True))
    assert [i.id for i in client.images.list("estiva-clients-py:2")] == [image.id]
    client.images.remove("estiva-clients-py:2")
    expect(client.images.list("estiva-clients-py:2"), [])
    if since(25):
        assert client.images.prune()["SpaceReclaimed"] >= 0


@story
def commits():
    with Running("sh -c 'echo made > /made'") as one:
        one.wait()
        image = one.commit("estiva-clients-py", "c", message="note", author="me", changes="ENV A=b")
    expect((image.attrs["Comment"], image.attrs["Author"]), ("note", "me"))
    assert "A=b" in image.attrs["Config"]["Env"]
    expect(client.containers.run(image.id, "cat /made", network_mode="none", remove=True), b"made\n")
    client.images.remove(image.id, force=True)


@story
def volumes():
    volume = client.volumes.create("estiva-py-v", labels={"k": "v"})
    expect((volume.name, volume.attrs["Labels"], volume.attrs["Driver"]), ("estiva-py-v", {"k": "v"}, "local"))
    mount = {"estiva-py-v": {"bind": "/data", "mode": "rw"}}
    run("sh -c 'echo kept > /data/x'", remove=True, volumes=mount)
    expect(run("cat /data/x", remove=True, volumes=mount), b"kept\n")
    assert [v.name for v in client.volumes.list(filters={"name": "estiva-py-v"})] == ["estiva-py-v"]
    with Running("sleep 1000", volumes=mount):
        expect(refused(volume.remove, docker.errors.APIError).status_code, 409)
    volume.remove()
    if since(25):
        assert "SpaceReclaimed" in client.volumes.prune()


@story
def mounts_and_limits():
    mounts = [docker.types.Mount("/t", None, type="tmpfs", tmpfs_size=1 << 20)]
    options = dict(mem_limit="32m", pids_limit=20, read_only=True,
                   cap_drop=["ALL"], security_opt=["no-new-privileges"], tmpfs={"/u": "size=1m", "/t": "size=1m"},
                   ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)])
    if since(25):
        options.update(init=True, nano_cpus=500_000_000)
    if since(30):
        options.update(mounts=mounts, tmpfs={"/u": "size=1m"})
    with Running("sh -c 'ulimit -n; grep CapEff /proc/self/status; touch /t/a /u/a; touch /x'", **options) as one:
        one.wait()
        expect(one.logs(stderr=False), b"100\nCapEff:\t0000000000000000\n")
        assert b"Read-only file system" in one.logs(stdout=False)
        host = one.attrs["HostConfig"]
        expect((host["Memory"], host["NanoCpus"], host["PidsLimit"]), (32 << 20, options.get("nano_cpus", 0), 20))


@story
def events():
    begin = time.time() - 1
    run("true", remove=True, labels={"story": "events"})
    found = client.events(since=int(begin), until=int(time.time()) + 1, decode=True,
                          filters={"label": "story=events"})
    actions = [event["Action"] for event in found]
    wanted = ["create", "start", "die", "destroy"]
    expect([action for action in actions if action in wanted], wanted)
    live = client.events(decode=True, filters={"type": "volume"})
    maker = threading.Timer(0.3, lambda: client.volumes.create("estiva-py-e").remove())
    maker.start()
    expect(next(live)["Action"], "create")
    maker.join()
    live.close()


@story
def disk_usage_networks_prune():
    for key in ("LayersSize", "Images", "Containers", "Volumes") if since(25) else ():
        assert key in client.df(), key
    assert {"none", "host"} <= {network.name for network in client.networks.list()}
    expect(client.networks.get("none").attrs["Driver"], "null")
    if since(25):
        assert "SpaceReclaimed" in client.containers.prune()


@story
def health_and_restart():
    check = {"test": ["CMD", "true"], "interval": 200_000_000, "retries": 1}
    with Running("sleep 1000", healthcheck=check) as one:
        wait_until(lambda: one.reload() or one.attrs["State"]["Health"]["Status"] == "healthy")
    with Running("sh -c 'exit 1'", restart_policy={"Name": "on-failure", "MaximumRetryCount": 1}) as one:
        wait_until(lambda: one.reload() or one.attrs["RestartCount"] == 1)


def wait_until(holds):
    end = time.time() + 15
    while not holds():
        assert time.time() < end, "not in 15 s"
        time.sleep(0.1)


def main():
    with open(ROOT, "rb") as root:
        api.import_image_from_data(root.read(), repository="estiva-clients-py", tag="1")
    failed = 0
    for one in STORIES:
        try:
            one()
            print(f"ok   docker-py {api._version} {one.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL docker-py {api._version} {one.__name__}\n{traceback.format_exc()}", flush=True)
    client.images.remove(IMAGE, force=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    os.environ.pop("DOCKER_API_VERSION", None)
    main()
