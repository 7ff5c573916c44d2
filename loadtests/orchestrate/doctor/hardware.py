"""Cores, memory, clock and disks, judged against what the generator and the stack were measured to take."""

import math
from collections.abc import Iterator, Mapping

from loadtests.orchestrate.doctor.facts import Disk, Hardware, Need
from loadtests.orchestrate.doctor.rows import Row, graded, row, unknown, unless
from loadtests.units import format_duration, format_size, percent

# benchmarks/README.md: 41.98 us of CPU a request with 10,000 users; 81 MB with 100 users, 226 MB with 10,000.
WORKER_S, WORKER_BYTES, USER_BYTES = 42e-6, 80e6, 15e3
MASTER_BYTES = 100e6
# docs/capacity.md, "What a request costs": API, Celery worker, relay, nginx, Valkey and PostgreSQL together.
STACK_S = 593e-6
STACK_BYTES = 1e9
"""256 MB of PostgreSQL's shared buffers, and the processes of the stack."""
MOST_OF_A_CORE = 0.6
"""How busy a core may be for its queue to stay short; far below the health check `cpu`."""
TURN_BYTES = 100.0
"""What a turn leaves in the run's folder: 57 bytes were measured, a quarter of the turns creating a task."""
RESULTS_BYTES, STATE_BYTES = 50e6, 1.5e9
"""At the least; PostgreSQL's write-ahead log alone may grow to 1 GB (max_wal_size)."""
RESULTS_FILES, STATE_FILES = 1_000, 10_000
"""Far more than a run's folder has, and ten times the 1,000 of a new PostgreSQL; a database more has 300."""
SHM_BYTES, LEAST_SHM_BYTES = 100e6, 1e6
"""PostgreSQL's shared buffers are not in /dev/shm; what parallel queries share is: each 4 MB (work_mem) x 2 for hashes x 3
processes, and the eight parallel workers are enough for four of them. Without the least it does not start."""
MOST_STEAL, MOST_BUSY = 0.02, 0.1
SLOW_SOURCES = {"hpet", "acpi_pm", "jiffies"}
"""Clocks that are read through the kernel and a slow device: a microsecond or more at every look."""


def hardware_rows(need: Need, hardware: Hardware) -> Iterator[Row]:
    """All of them, in order."""
    yield _workers(need, hardware.cores)
    yield _cores(need, hardware.cores)
    yield _governor(hardware.governors)
    yield _share("steal", hardware.steal, MOST_STEAL, "another machine or another hour: others share its cores")
    yield _share("load of others", hardware.busy, MOST_BUSY, "end what else runs here (top shows it)")
    yield _memory(need, hardware.memory)
    yield _clock(hardware)
    yield _clock_source(hardware.clock_source)
    yield from _disks(need, hardware.disks)


def _workers(need: Need, cores: int) -> Row:
    """Whether the workers get the load out: each is one process of one core."""
    what = "workers"
    if not need.workers:
        return Row(what, "0 here", "-", "ok")
    found = f"{need.workers} on {cores} core(s)"
    if need.rate is None:
        return row(what, found, "a core each", unless(need.workers <= cores), f"--workers {cores}")
    busy = need.rate * WORKER_S
    wanted = max(1, _whole(busy / MOST_OF_A_CORE))
    asked = f"{wanted} (together {busy:.2g} core(s) at {need.rate:,.0f}/s)"
    if cores < busy:
        return row(what, found, asked, "fail", "workers on other machines, or fewer --users")
    if need.workers < wanted:
        return row(what, found, asked, graded(need.workers, wanted, busy), f"--workers {wanted}")
    return row(what, found, asked, unless(need.workers <= cores), f"--workers {cores}: one a core")


def _cores(need: Need, cores: int) -> Row:
    """Whether generator and stack find room beside each other. A run that lacks it is carried out, and fails by it."""
    what = "cores"
    if need.rate is None:
        return Row(what, str(cores), "as many as the target takes", "ok")
    each = (WORKER_S if need.workers else 0.0) + (STACK_S if need.here else 0.0)
    busy = need.rate * each
    reach = f"{cores / each:,.0f}/s" if each else "any rate"
    mend = f"more cores: these are used up at about {reach}"
    if need.here:
        mend += "; or the stack on another machine (--host)"
    wanted = f"{_whole(busy / MOST_OF_A_CORE)} ({busy:.2g} busy)"
    return row(what, str(cores), wanted, unless(busy <= cores * MOST_OF_A_CORE), mend)


def _governor(governors: frozenset[str] | None) -> Row:
    """A core that sleeps between requests answers late."""
    if not governors:
        return unknown("CPU governor", "performance", "none is shown (usual in a virtual machine)")
    found, good = ", ".join(sorted(governors)), governors == {"performance"}
    return row("CPU governor", found, "performance", unless(good), "cpupower frequency-set -g performance")


def _share(what: str, value: float | None, most: float, mend: str) -> Row:
    if value is None:
        return unknown(what, f"at most {percent(most)}")
    return row(what, percent(value), f"at most {percent(most)}", unless(value <= most), mend)


def needed_memory(need: Need) -> float:
    """Bytes of workers, master, users and stack."""
    generator = MASTER_BYTES + need.workers * WORKER_BYTES + (need.users * USER_BYTES if need.workers else 0.0)
    return generator + (STACK_BYTES if need.here else 0.0)


def _memory(need: Need, memory: tuple[int, int] | None) -> Row:
    wanted = needed_memory(need)
    if memory is None:
        return unknown("memory", format_size(wanted))
    free, limit = memory
    mend = "end what else runs here, take fewer --users, or raise the container's limit"
    found, status = f"{format_size(free)} of {format_size(limit)} free", graded(free, 1.5 * wanted, wanted)
    return row("memory", found, format_size(wanted), status, mend)


def _clock(hardware: Hardware) -> Row:
    """Workers' clocks are measured and taken out; a date that is far off spoils tokens and the order of runs."""
    if hardware.clock_synchronised is None:
        return unknown("clock", "synchronised")
    error = "" if hardware.clock_error_s is None else f", off by {format_duration(hardware.clock_error_s)} at the most"
    if hardware.clock_synchronised:
        return Row("clock", f"synchronised{error}", "synchronised", "ok")
    mend = "timedatectl set-ntp true (in a virtual machine its host may keep the clock: then this is harmless)"
    return Row("clock", "not synchronised, says the kernel", "synchronised", "warn", mend)


def _clock_source(source: str | None) -> Row:
    if source is None:
        return unknown("clock source", "a fast one")
    mend = "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource (as root, if it is available)"
    return row("clock source", source, "a fast one", unless(source not in SLOW_SOURCES), mend)


def _disks(need: Need, disks: Mapping[str, Disk]) -> Iterator[Row]:
    wanted = {"results": (RESULTS_BYTES + TURN_BYTES * (need.turns or 0.0), RESULTS_FILES)}
    if need.stack == "embedded":
        wanted["state"] = STATE_BYTES, STATE_FILES
    mends = {"results": "--out on a larger disk", "state": "LOADTEST_STATE_DIR on a larger disk"}
    for name, (size, files) in wanted.items():
        disk, mend = disks.get(name), mends[name]
        yield disk_row(f"disk, {name}", disk, size, mend)
        yield _inodes(f"inodes, {name}", disk, files, mend)
    if need.stack == "embedded":
        yield _shared_memory(disks.get("shm"))


def disk_row(what: str, disk: Disk | None, size: float, mend: str) -> Row:
    """Free bytes of a file system: twice what is needed is comfortable."""
    if disk is None:
        return unknown(what, format_size(size))
    found = f"{format_size(disk.free)} free ({disk.where})"
    return row(what, found, format_size(size), graded(disk.free, 2 * size, size), mend)


def _inodes(what: str, disk: Disk | None, files: int, mend: str) -> Row:
    """A disk with free bytes and no inode takes no new file."""
    if disk is None:
        return unknown(what, f"{files:,}")
    if disk.inodes is None:
        return Row(what, f"no limit ({disk.where})", f"{files:,}", "ok")
    status = graded(disk.inodes, 2 * files, files)
    return row(what, f"{disk.inodes:,} free ({disk.where})", f"{files:,}", status, mend)


def _shared_memory(disk: Disk | None) -> Row:
    """A container has 64 MB unless it is told otherwise: a parallel query then may end with `No space left on device`."""
    what, needed = "/dev/shm", format_size(SHM_BYTES)  # noqa: S108  # is looked at, and not written to
    mend = "mount -o remount,size=512m /dev/shm; of a container: --shm-size 512m"
    if disk is None:
        return unknown(what, needed)
    status = graded(disk.free, SHM_BYTES, LEAST_SHM_BYTES)
    return row(what, f"{format_size(disk.free)} free", needed, status, mend)


def _whole(value: float) -> int:
    return math.ceil(round(value, 6))  # 4.2 / 0.6 is seven, and not a little more
