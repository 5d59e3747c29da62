#!/usr/bin/env python3
"""Writes the names of the functions that the OCI runtime's commands run, in the order in which they first run.

bin/estiva/build.rs has the linker put them side by side (bin/estiva/hot.order), so that the commands touch few pages. Run
after larger changes, as root, on a machine without other work:

    ESTIVA_LINK_MAP=/tmp/estiva.map cargo build --release -p estiva
    bench/hot/trace.py /tmp/estiva.map target/x86_64-unknown-linux-gnu/release/estiva > bin/estiva/hot.order

A list that is out of date costs memory and time, nothing else: names that the linker does not find it leaves out.
Every instruction of the commands is stepped through (ptrace(2)), which takes a minute.
"""

import bisect
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile

TRACEME, PEEKUSER, CONT, SINGLESTEP, SETOPTIONS, DETACH = 0, 3, 7, 9, 0x4200, 17
FORK, VFORK, CLONE, EXEC = 1, 2, 3, 4
OPTIONS = 1 << FORK | 1 << VFORK | 1 << CLONE | 1 << EXEC
RIP = 16 * 8
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def symbols(path):
    """Begins and names of the functions, and the end of the last, from lld's map."""
    found = []
    for line in open(path, errors="replace"):
        fields = line.split(None, 4)
        if len(fields) < 5 or not line.startswith(" "):
            continue
        name = fields[4].strip()
        try:
            begin, size = int(fields[0], 16), int(fields[2], 16)
        except ValueError:
            continue
        # Lines of sections name a file; those of symbols have no alignment of their own.
        if size and ":(" not in name and not name.startswith(".") and fields[3] == "1":
            found.append((begin, begin + size, name))
    found.sort()
    return [each[0] for each in found], found


def commands(program, home):
    bundle, root = home + "/bundle", home + "/state"
    shutil.copytree("/bin", bundle + "/rootfs/bin", symlinks=True, ignore=lambda _, names: [
        name for name in names if name != "busybox"])
    for name in ("true", "sleep"):
        os.symlink("busybox", f"{bundle}/rootfs/bin/{name}")
    run = ["estiva-runtime", "--root", root]
    subprocess.run([*run, "spec", "--bundle", bundle], executable=program, check=True)
    config = json.load(open(bundle + "/config.json"))
    config["process"]["terminal"] = False
    for args in (["sleep", "600"], ["true"]):
        config["process"]["args"] = args
        json.dump(config, open(bundle + "/config.json", "w"))
        identity = f"estiva-hot-{os.getpid()}-{args[0]}"
        yield [*run, "create", "--bundle", bundle, "--pid-file", home + "/pid", identity]
        yield [*run, "start", identity]
        if args[0] == "sleep":
            yield [*run, "state", identity]
            yield [*run, "exec", identity, "true"]
            yield [*run, "exec", "--detach", "--pid-file", home + "/pid2", identity, "true"]
            yield [*run, "kill", identity, "KILL"]
        yield [*run, "delete", identity]


def launch(program, words):
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        libc.ptrace(TRACEME, 0, None, None)
        os.execv(program, words)
    return pid


def follow(program, begins, found, todo):
    names, own = {}, os.stat(program).st_ino
    where, waiting = {}, todo
    current = launch(program, next(waiting))
    while True:
        try:
            pid, status = os.waitpid(-1, WALL)
        except ChildProcessError:
            return names
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if pid == current:
                words = next(waiting, None)
                if words is None:
                    return names
                current = launch(program, words)
            continue
        signal = os.WSTOPSIG(status)
        event = status >> 16
        if pid not in where:
            where[pid] = (0, 0)
            libc.ptrace(SETOPTIONS, pid, None, OPTIONS)
            signal = 0
        if event == EXEC and os.stat(f"/proc/{pid}/exe").st_ino != own:
            libc.ptrace(DETACH, pid, None, None)
            continue
        if signal == 5 or event:
            signal = 0
        address = libc.ptrace(PEEKUSER, pid, RIP, None)
        begin, end = where[pid]
        if not begin <= address < end:
            at = bisect.bisect_right(begins, address) - 1
            if at >= 0 and address < found[at][1]:
                where[pid] = found[at][:2]
                names.setdefault(found[at][2], None)
        libc.ptrace(SINGLESTEP, pid, None, signal)


def main():
    begins, found = symbols(sys.argv[1])
    program = os.path.abspath(sys.argv[2])
    home = tempfile.mkdtemp(prefix="estiva-hot-", dir="/dev/shm")
    libc.prctl(36, 1, 0, 0, 0)
    try:
        names = follow(program, begins, found, commands(program, home))
    finally:
        shutil.rmtree(home)
    print("\n".join(names))


main()
