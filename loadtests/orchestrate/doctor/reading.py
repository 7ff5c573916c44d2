"""Reads the facts of the kernel and the hardware. What this system does not have, or does not let be read, is None."""

import ctypes
import ctypes.util
import math
import os
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from loadtests import settings
from loadtests.orchestrate.doctor.facts import Disk, Hardware, Network
from loadtests.orchestrate.preflight import usable_cores

LOOK_S = 0.5
"""How long the machine is watched for the load of others."""
NO_LIMIT = 2**60
"""A control group without a limit says `max`, or, in its first version, a number like this."""
UNSYNCHRONISED = 5
"""What adjtimex(2) returns when nobody keeps the clock (TIME_ERROR)."""


def read_network(root: Path = Path("/")) -> Network:
    """The kernel's limits, from the files below `root`."""
    sys = root / "proc/sys/net"
    ports = _numbers(sys / "ipv4/ip_local_port_range")
    used, most = _number(sys / "netfilter/nf_conntrack_count"), _number(sys / "netfilter/nf_conntrack_max")
    return Network(
        descriptors=_hard_limit(),
        ports=(ports[0], ports[1]) if len(ports) == 2 else None,
        tw_reuse=_number(sys / "ipv4/tcp_tw_reuse"),
        somaxconn=_number(sys / "core/somaxconn"),
        syn_backlog=_number(sys / "ipv4/tcp_max_syn_backlog"),
        conntrack=None if used is None or most is None else (used, most),
    )


def read_hardware(
    results: Path, root: Path = Path("/"), pause: Callable[[float], None] = time.sleep, environ: Mapping[str, str] = os.environ
) -> Hardware:
    """Cores, memory, clock and disks, from the files below `root`. Watches the machine for `LOOK_S`."""
    cpus, before = root / "sys/devices/system/cpu", cpu_times(root)
    pause(LOOK_S)
    steal, busy = shares(before, cpu_times(root))
    governors = frozenset(filter(None, map(_text, cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"))))
    synchronised, error_s = read_clock()
    folders = {"results": results, "state": Path(environ.get(settings.STATE_DIR) or tempfile.gettempdir())}
    if (memory := root / "dev/shm").is_dir():
        folders["shm"] = memory
    return Hardware(
        cores=usable_cores(root / "sys/fs/cgroup/cpu.max"),
        governors=governors or None,
        steal=steal,
        busy=busy,
        memory=read_memory(root),
        clock_synchronised=synchronised,
        clock_error_s=error_s,
        clock_source=_text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        disks={name: disk for name, path in folders.items() if (disk := read_disk(path))},
    )


def cpu_times(root: Path = Path("/")) -> tuple[int, int, int] | None:
    """Busy, stolen and all ticks of all cores together since the machine was started."""
    first = (_text(root / "proc/stat") or "").partition("\n")[0].split()
    if len(first) < 9 or first[0] != "cpu" or not all(tick.isdecimal() for tick in first[1:]):
        return None
    user, nice, system, idle, waiting, hard, soft, stolen = map(int, first[1:9])
    busy = user + nice + system + hard + soft
    return busy, stolen, busy + stolen + idle + waiting


def shares(before: tuple[int, int, int] | None, after: tuple[int, int, int] | None) -> tuple[float | None, float | None]:
    """Shares of all cores' time that were stolen and busy between two looks; unknown when no tick has passed."""
    if before is None or after is None or after[2] <= before[2]:
        return None, None
    busy, stolen, total = (late - early for early, late in zip(before, after, strict=True))
    return max(stolen, 0) / total, max(busy, 0) / total


def read_memory(root: Path = Path("/")) -> tuple[int, int] | None:
    """Bytes that can be had, and the limit: the machine's, or that of the control group when it is smaller."""
    lines = dict(line.split(":", 1) for line in (_text(root / "proc/meminfo") or "").splitlines() if ":" in line)
    try:
        free, total = (int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    except (KeyError, ValueError, IndexError):
        return None
    group = root / "sys/fs/cgroup"
    for limit, used in ((group / "memory.max", group / "memory.current"), _first_version(group / "memory")):
        most, taken = _number(limit), _number(used)
        if most is not None and taken is not None and most < min(NO_LIMIT, total):
            return min(free, max(0, most - taken)), most
    return free, total


def _first_version(group: Path) -> tuple[Path, Path]:
    return group / "memory.limit_in_bytes", group / "memory.usage_in_bytes"


def read_disk(path: Path) -> Disk | None:
    """The file system where a folder is, or will be made."""
    with suppress(OSError):
        existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
        found = os.statvfs(existing)
        # Without inodes of a fixed number (btrfs) there are 0 of 0.
        return Disk(str(path), found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)
    return None


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` (adjtimex(2)); the rest is room for what the kernel writes behind it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 512),
    )


def read_clock() -> tuple[bool | None, float | None]:
    """Whether the kernel's clock is kept by somebody, and its largest error in seconds; None where nothing says so."""
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError, TypeError):  # not Linux
        return None, None
    asked = _Timex()  # modes = 0: only asks
    state = ask(ctypes.byref(asked))
    if state < 0:
        return None, None
    synchronised = state != UNSYNCHRONISED
    return synchronised, asked.maxerror / 1e6 if synchronised else None


def _hard_limit() -> float:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return math.inf if hard == resource.RLIM_INFINITY else hard


def _text(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8").strip()
    return None


def _numbers(path: Path) -> list[int]:
    with suppress(ValueError):
        return [int(part) for part in (_text(path) or "").split()]
    return []


def _number(path: Path) -> int | None:
    found = _numbers(path)
    return found[0] if len(found) == 1 else None
