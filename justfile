# Recipes; `just` lists them.

_default:
    @just --list

# what CI runs
check:
    .ci/run

# tests; with names only the stories that contain them
test *NAMES:
    ./test {{NAMES}}

# a throwaway engine in a temporary root, beside any other
daemon:
    #!/bin/sh
    set -eu
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    echo "export ESTIVA_HOST=unix://$root/d.sock DOCKER_HOST=unix://$root/d.sock"
    cargo run -q -p estiva -- daemon --debug --data-root "$root/data" --exec-root "$root/exec" -H "unix://$root/d.sock" --pidfile "$root/pid" --cgroup-parent /estiva-just

# measure beside the peers on this machine
bench *LINES:
    cargo build --release -p estiva
    cargo run --release -p bench -- {{LINES}}

# the stories in a machine with cgroup v2 alone
vm *NAMES:
    tests/vm/run {{NAMES}}
