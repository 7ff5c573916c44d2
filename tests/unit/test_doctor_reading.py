"""How the facts of a machine are read: from planted files, and without a traceback where there are none."""

import os
import time
from pathlib import Path

import pytest

from loadtests.orchestrate.doctor.facts import Network
from loadtests.orchestrate.doctor.installed import ask_engine, differing, locked, read_programs
from loadtests.orchestrate.doctor.reading import (
    cpu_times,
    read_clock,
    read_disk,
    read_hardware,
    read_memory,
    read_network,
    shares,
)

FILES = {
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    "proc/sys/net/ipv4/tcp_tw_reuse": "2\n",
    "proc/sys/net/ipv4/tcp_max_syn_backlog": "2048\n",
    "proc/sys/net/core/somaxconn": "4096\n",
    "proc/sys/net/netfilter/nf_conntrack_count": "17\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
    "proc/meminfo": "MemTotal:       2000000 kB\nMemFree:         100 kB\nMemAvailable:    1000000 kB\n",
    "proc/stat": "cpu  100 10 40 800 20 5 5 20 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "kvm-clock\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine's files."""
    for name, text in FILES.items():
        plant(tmp_path, name, text)
    return tmp_path


def plant(root: Path, name: str, text: str) -> None:
    """Write one of them."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_limits_of_the_kernel(root: Path) -> None:
    """Each from its file."""
    found = read_network(root)
    assert (found.ports, found.tw_reuse, found.somaxconn) == ((32_768, 60_999), 2, 4096)
    assert (found.syn_backlog, found.conntrack) == (2048, (17, 262_144))
    assert found.descriptors is not None and found.descriptors > 0


def test_hardware(root: Path) -> None:
    """Governors, memory, clock source, and the share of half a second that others were busy."""

    def later(seconds: float) -> None:
        assert seconds == 0.5
        plant(root, "proc/stat", "cpu  120 20 50 820 30 5 5 40 0 0\n")

    (root / "dev/shm").mkdir(parents=True)
    found = read_hardware(root / "results", root, later, {"LOADTEST_STATE_DIR": str(root)})
    assert found.governors == frozenset({"powersave", "performance"})
    assert found.memory == (1_024_000_000, 2_048_000_000)
    assert found.clock_source == "kvm-clock"
    assert found.steal == pytest.approx(20 / 90)
    assert found.busy == pytest.approx(40 / 90)
    assert found.cores >= 1
    assert found.disks["results"][1] > 0
    assert found.disks["state"][0] == str(root)
    assert found.disks["shm"].where == str(root / "dev/shm")


def test_machine_without_these_files(tmp_path: Path) -> None:
    """A Mac has none of them, a container not all: unknown, not a traceback."""
    found = read_hardware(tmp_path, tmp_path, lambda _: None, {})
    assert (found.governors, found.steal, found.busy, found.memory, found.clock_source) == (None,) * 5
    assert "shm" not in found.disks
    assert read_network(tmp_path) == Network(descriptors=read_network(tmp_path).descriptors)


@pytest.mark.parametrize("text", ["", "what?\n", "cpu a b c\n", "cpu 1 2 3\n", "cpu  1 2 3 4 5 6 7 x\n", "1 2\n", "-\n\0"])
def test_files_that_say_something_else(text: str, root: Path) -> None:
    """Are as good as none."""
    for name in FILES:
        plant(root, name, text)
    assert cpu_times(root) is None
    assert read_memory(root) is None
    assert read_network(root).somaxconn is None


def test_no_time_between_two_looks() -> None:
    """No share can be told; and what the kernel takes back of a counter is nothing, not less."""
    assert shares((1, 1, 10), (1, 1, 10)) == (None, None)
    assert shares((5, 5, 10), (4, 4, 20)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("files", "memory"),
    [
        pytest.param({"memory.max": "max\n", "memory.current": "5\n"}, (1_024_000_000, 2_048_000_000), id="no limit"),
        pytest.param({"memory.max": "500000000\n", "memory.current": "200000000\n"}, (300_000_000, 500_000_000), id="a limit"),
        pytest.param({"memory.max": "500000000\n", "memory.current": "600000000\n"}, (0, 500_000_000), id="above it"),
        pytest.param(
            {"memory.max": "1800000000\n", "memory.current": "0\n"}, (1_024_000_000, 1_800_000_000), id="machine full"
        ),
        pytest.param(
            {"memory/memory.limit_in_bytes": "400000000\n", "memory/memory.usage_in_bytes": "1\n"},
            (399_999_999, 400_000_000),
            id="version 1",
        ),
        pytest.param(
            {"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": "1\n"},
            (1_024_000_000, 2_048_000_000),
            id="version 1 without a limit",
        ),
    ],
)
def test_memory_of_a_container(files: dict[str, str], memory: tuple[int, int], root: Path) -> None:
    """What the control group leaves, when that is less than the machine has."""
    for name, text in files.items():
        plant(root, f"sys/fs/cgroup/{name}", text)
    assert read_memory(root) == memory


def test_clock_says_something_or_nothing() -> None:
    """Its error is known only of a clock that somebody keeps."""
    synchronised, error_s = read_clock()
    assert synchronised in (True, False, None)
    assert (error_s is not None) == bool(synchronised)


def test_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    """Its disk is that of the nearest folder that exists."""
    found = read_disk(tmp_path / "a" / "b")
    assert found is not None
    assert found[0] == str(tmp_path / "a" / "b")
    assert found[1] > 0
    assert found.inodes is None or found.inodes > 0


def test_file_system_that_counts_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 of 0 is no limit; 0 of some is none left."""
    real = list(os.statvfs(tmp_path))
    for files, free, inodes in ((0, 0, None), (100, 0, 0)):
        made = os.statvfs_result([*real[:5], files, free, free, *real[8:]])
        monkeypatch.setattr(os, "statvfs", lambda _, made=made: made)
        found = read_disk(tmp_path)
        assert found is not None
        assert found.inodes == inodes


LOCK = """\
# comment
gone==1.0 ; python_full_version < '3.0' \\
    --hash=sha256:00
psycopg[binary]==3.3.1 \\
    --hash=sha256:00 \\
    --hash=sha256:11
    # via -r requirements.in
six==1.17.0 \\
    --hash=sha256:22
"""


def test_lock_is_compared_with_what_is_installed(tmp_path: Path) -> None:
    """Other versions and missing distributions are named; what is meant for other machines is not asked for."""
    assert list(locked(LOCK)) == [("psycopg", "3.3.1"), ("six", "1.17.0")]
    file = tmp_path / "requirements.lock"
    file.write_text(LOCK)
    assert differing(file, {"psycopg": "3.3.1", "six": "1.17.0"}.get) == ()
    assert differing(file, {"psycopg": "3.2"}.get) == ("psycopg 3.2 (lock: 3.3.1)", "six missing (lock: 1.17.0)")
    assert differing(tmp_path / "none.lock") is None
    for other in (b"<html>\n", b"\xff\n"):
        file.write_bytes(other)
        assert differing(file) is None


def engine(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a `docker` into a path of its own."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("script", "answer", "trouble", "compose"),
    [
        pytest.param('[ "$1" = compose ] && echo 2.29 || echo 27.3', "27.3", "", "2.29", id="with compose"),
        pytest.param('[ "$1" = compose ] && exit 1 || echo 27.3', "27.3", "", None, id="without"),
        pytest.param("echo Cannot connect >&2; exit 1", None, "Cannot connect", None, id="no daemon"),
        pytest.param("exit 3", None, "exit code 3", None, id="no words"),
        pytest.param(r"printf '\377no' >&2; exit 1", None, "\ufffdno", None, id="words that are no text"),
    ],
)
def test_engine_that_answers_or_not(
    script: str, answer: str | None, trouble: str, compose: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what its program says."""
    engine(tmp_path, script, monkeypatch)
    found = ask_engine("docker")
    assert (found.answer, found.trouble, found.compose) == (answer, trouble, compose)


@pytest.mark.parametrize(("said", "known"), [("$STORAGE", True), ("/not/here", False), ("what?", False)])
def test_where_an_engine_keeps_what_it_has(said: str, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known when it names a folder of this machine: its daemon may be on another."""
    monkeypatch.setenv("STORAGE", str(tmp_path))
    engine(tmp_path, f'[ "$1" = info ] && echo "{said}" || echo 27.3', monkeypatch)
    storage = ask_engine("docker").storage
    assert (storage is not None and storage.where == str(tmp_path)) == known
    assert known or storage is None


def test_only_the_engine_that_is_asked_for_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `loadtest run` does."""
    engine(tmp_path, "echo 27.3", monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    for asked, names in (("", ["docker"]), ("docker", ["docker"]), ("podman", []), ("none", [])):
        found = read_programs("wheels", environ={"LOADTEST_ENGINE": asked})
        assert ([one.name for one in found.engines], found.engine_asked) == (names, asked)


def test_engine_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is not waited for, nor is what it has started."""
    started = time.monotonic()
    engine(tmp_path, "sleep 30", monkeypatch)  # a child of the shell, which keeps its pipes
    monkeypatch.setattr("loadtests.orchestrate.doctor.installed.TIMEOUT_S", 0.2)
    assert ask_engine("docker").trouble == "docker version: no answer within 0.2 s"
    assert time.monotonic() - started < 25
