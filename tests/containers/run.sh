#!/usr/bin/env bash
# The images and docker-compose.yml with real containers: `make test-containers`. Needs root on Debian, and nothing that is pulled:
# the base image is made here by debootstrap, PostgreSQL, Redis and InfluxDB are Debian's. Podman keeps all it has in one folder,
# which is removed in the end; images, containers and networks that this machine has are neither seen nor touched.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/containers
lab=$(mktemp -d /var/tmp/loadtest-containers-XXXXXX)
checkout=$lab/checkout
export COMPOSE_PROJECT_NAME=loadtest-test COMPOSE_FILE=docker-compose.yml:tests/containers/compose.debian.yml
export LOADTEST_ENGINE=podman LC_ALL=C.UTF-8
# In a sandbox a build gets no namespaces of its own; a chroot is enough for what we build.
export BUILDAH_ISOLATION=chroot
export CONTAINERS_CONF=$lab/containers.conf CONTAINERS_STORAGE_CONF=$lab/storage.conf
export BASE=localhost/loadtest-test/base:debian

say() { echo "test-containers: $*"; }
die() { say "FAILED: $*" >&2; exit 1; }

clean() {
    code=$?
    trap '' INT TERM
    [ -z "${sampler:-}" ] || kill "$sampler" 2>/dev/null || true
    # Never another storage than ours.
    if command -v podman >/dev/null && [ "$(podman info --format '{{.Store.GraphRoot}}' 2>/dev/null)" = "$lab/storage" ]; then
        podman rm --all --force --time 0 >/dev/null 2>&1 || true
        podman volume prune --force >/dev/null 2>&1 || true
        podman network prune --force >/dev/null 2>&1 || true
        [ -n "${KEEP:-}" ] || podman rmi --all --force >/dev/null 2>&1 || true
    fi
    grep -o " $lab[^ ]*" /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
    [ -n "${KEEP:-}" ] && say "kept: $lab" || rm -rf "$lab"
    exit $code
}
trap clean EXIT
trap 'exit 130' INT TERM

install_programs() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "needs root on Debian"
    local missing=()
    for program in podman runc debootstrap iptables; do command -v $program >/dev/null || missing+=($program); done
    # What podman's networks, and names in them, are made of.
    for program in netavark aardvark-dns; do [ -e /usr/lib/podman/$program ] || missing+=($program); done
    if [ ${#missing[@]} -gt 0 ]; then
        say "installing ${missing[*]}"
        apt-get update -q >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >"$lab/apt.log" 2>&1 ||
            die "apt-get: $(tail -3 "$lab/apt.log")"
    fi
    python3 -m venv "$lab/compose"
    "$lab/compose/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$here/requirements.lock"
    export PATH=$lab/compose/bin:$PATH
}

configure_podman() {
    local files procs
    files=$(ulimit -Hn)
    [ "$files" = unlimited ] || [ "$files" -gt 65536 ] && files=65536
    procs=$(ulimit -Hu)
    [ "$procs" = unlimited ] || [ "$procs" -gt 65536 ] && procs=65536
    export NOFILE=$((files * 9 / 10)) NPROC=$((procs / 3))
    # crun, which Debian's podman prefers, refuses machines with both kinds of control groups.
    cat >"$CONTAINERS_CONF" <<END
[containers]
default_ulimits = ["nofile=$NOFILE:$NOFILE", "nproc=$NPROC:$NPROC"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
events_logger = "file"
[network]
network_config_dir = "$lab/networks"
END
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$lab/storage" "$lab/run" >"$CONTAINERS_STORAGE_CONF"
    podman info >/dev/null 2>"$lab/podman.log" || die "podman: $(tail -1 "$lab/podman.log")"
}

# A Debian with Python, in the place of python:3.11-slim-bookworm; with this machine's certificates and settings of pip.
make_base() {
    local suite mirror variable
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(awk '/^URIs:/ {print $2; exit} /^deb / {print $2; exit}' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null)
    say "making the base image: Debian $suite"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$lab/base" "${mirror:-http://deb.debian.org/debian}" \
        >"$lab/debootstrap.log" 2>&1 || die "debootstrap: $(tail -3 "$lab/debootstrap.log")"
    cp -a /etc/apt/sources.list.d/. "$lab/base/etc/apt/sources.list.d/"
    [ ! -e /etc/apt/sources.list.d/debian.sources ] || : >"$lab/base/etc/apt/sources.list"
    grep -lsE '^ *Acquire' /etc/apt/apt.conf.d/* | xargs -r cp -t "$lab/base/etc/apt/apt.conf.d"  # of mirrors and proxies
    cp -L /etc/ssl/certs/ca-certificates.crt "$lab/base/etc/ssl/certs/ca-certificates.crt"
    ln -sf python3 "$lab/base/usr/bin/python"
    rm -rf "$lab/base"/var/cache/apt/archives/*.deb "$lab/base"/var/lib/apt/lists/*
    local changes=(--change "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt")
    for variable in PIP_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
        [ -z "${!variable:-}" ] || changes+=(--change "ENV $variable=${!variable}")
    done
    tar -C "$lab/base" -c . | podman import -q "${changes[@]}" - $BASE >/dev/null
    rm -rf "$lab/base"
}

make_servers() {
    local server
    for server in postgres redis influxdb; do
        say "making the image of Debian's $server"
        podman build -q --target $server --build-arg BASE=$BASE -t localhost/loadtest-test/$server:debian "$here/servers" >"$lab/build.log" 2>&1 ||
            die "$server: $(tail -5 "$lab/build.log")"
    done
}

# The run uses a copy of what git knows, so that .env and results/ of this checkout stay what they are.
copy_checkout() {
    mkdir "$checkout"
    git -C "$root" ls-files -z | (cd "$root" && xargs -0 -n 1000 sh -c 'for f; do [ -e "$f" ] && printf "%s\0" "$f"; done' sh |
        tar --null -T - -c) | tar -C "$checkout" -x
    LOADTEST_COMMIT=$(git -C "$root" describe --always --dirty --abbrev=12)
    export LOADTEST_COMMIT
}

loadtest() { (cd "$checkout" && "$root/.venv/bin/python" -m loadtests "$@"); }
check() { (cd "$checkout" && PYTHONPATH=. "$root/.venv/bin/python" tests/containers/check.py "$@"); }
compose() { (cd "$checkout" && podman-compose --profile stack --profile load --profile metrics "$@"); }

sample_listeners() {
    while :; do ss -Hltnup >>"$lab/listeners"; sleep 1; done
}

install_programs
configure_podman
make_base
copy_checkout
make_servers
loadtest compose env
ss -Hltnup >"$lab/before"
sample_listeners &
sampler=$!

say "InfluxDB, alone of the metrics"
compose up --detach --no-build --no-deps influxdb >"$lab/influxdb.log" 2>&1 || die "influxdb: $(tail -5 "$lab/influxdb.log")"

say "a smoke load with two workers"
loadtest run smoke --stack compose --workers 2 | tee "$lab/smoke.txt" || die "the smoke run ended with ${PIPESTATUS[0]}"
check run results/latest --workers 2 --listeners "$lab/before" "$lab/listeners" --says "$lab/smoke.txt"

say "Ctrl-C while a load runs"
(cd "$checkout" && exec "$root/.venv/bin/python" -m loadtests run smoke --stack compose --workers 2 --duration 60s \
    --out results/interrupted >"$lab/interrupted.txt" 2>&1) &
command=$!
for _ in $(seq 600); do
    [ -n "$(podman ps --quiet --filter label=com.docker.compose.service=locust-worker)" ] && break
    sleep 0.5
done
sleep 12
kill -INT $command
code=0; wait $command || code=$?
[ "$code" = 130 ] || { cat "$lab/interrupted.txt"; die "an interrupted run ended with $code, not 130"; }
check interrupted results/interrupted

kill $sampler && sampler=
check left
loadtest compose down --volumes
[ -z "$(podman ps --all --quiet)" ] || die "containers are left: $(podman ps --all)"
[ -z "$(podman volume ls --quiet)" ] || die "volumes are left: $(podman volume ls)"
[ "$(podman network ls --format '{{.Name}}')" = podman ] || die "networks are left: $(podman network ls)"
check secrets

cat <<'END'
test-containers: PASS
  replaced: the base image (debootstrap for python:3.11-slim-bookworm); postgres, redis, influxdb (Debian's packages)
  not proved here: Docker itself and its compose; the official images, their entry points under these restrictions; Grafana;
  `condition: service_healthy` and `restart:`, which the engine here does not obey; the limits' effect
END
