"""What `loadtest doctor` makes of the facts of a machine."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.doctor.examine import examine, exit_code, tally
from loadtests.orchestrate.doctor.facts import Disk, Engine, Facts, Hardware, Influx, Need, Network, Programs, need_of
from loadtests.orchestrate.doctor.rows import Row
from tests.unit.texts import changed, plan_of

NEED = Need(users=10_000, workers=2, rate=10_000.0, turns=550_000.0, ramp_s=10.0, stack="embedded")
READY = Facts(
    Network(20_000, (1024, 65_535), 1, 4096, 4096, (100, 262_144)),
    Hardware(
        cores=16,
        governors=frozenset({"performance"}),
        steal=0.0,
        busy=0.01,
        memory=(16_000_000_000, 32_000_000_000),
        clock_synchronised=True,
        clock_error_s=0.001,
        clock_source="tsc",
        disks={name: Disk(name, 10**12, 10**6) for name in ("results", "state", "shm")},
    ),
    Programs(
        (Engine("docker", "27.3", compose="2.29"),), "/usr/sbin/nginx", "3.11.7", {"PostgreSQL": "/pg"}, "0.1.0", "2.47.0", ()
    ),
)
"""A machine that lacks nothing."""


def row(what: str, facts: Facts, need: Need = NEED) -> Row:
    """The only row of that name."""
    (found,) = [one for one in examine(need, facts) if one.what == what]
    return found


def network(**changes: Any) -> Facts:
    """The good machine with other limits of its kernel."""
    return replace(READY, network=replace(READY.network, **changes))


def hardware(**changes: Any) -> Facts:
    """The good machine with other hardware."""
    return replace(READY, hardware=replace(READY.hardware, **changes))


def disks(name: str, free: int, inodes: int | None) -> Facts:
    """The good machine with another file system."""
    return hardware(disks={**READY.hardware.disks, name: Disk(name, free, inodes)})


def programs(**changes: Any) -> Facts:
    """The good machine with other programs."""
    return replace(READY, programs=replace(READY.programs, **changes))


def test_machine_that_lacks_nothing() -> None:
    """Every row is ok, none names a remedy, and the exit code is 0."""
    rows = examine(NEED, READY)
    assert [one for one in rows if one.status != "ok" or one.mend] == []
    assert exit_code(rows) == ExitCode.PASS
    assert tally(rows) == f"{len(rows)} ok"


def test_unknown_machine_is_unknown() -> None:
    """Nothing can be read: no row fails for that, so nobody is kept from trying."""
    rows = examine(NEED, Facts(hardware=Hardware(cores=16), programs=Programs(locust="2.47.0")))
    assert {one.what for one in rows if one.status == "fail"} == set()
    unknown = {one.what for one in rows if one.status == "unknown"}
    assert {
        "ports to one address",
        "somaxconn",
        "memory",
        "clock",
        "steal",
        "CPU governor",
        "disk, state",
        "packages",
    } <= unknown
    assert exit_code(rows) == ExitCode.PASS


@pytest.mark.parametrize(
    ("what", "facts", "status", "needed", "mend"),
    [
        pytest.param(
            "open files, a worker",
            network(descriptors=5_199),
            "fail",
            "5,200",
            "--nofile=5200:5200",
            id="half of the users each",
        ),
        pytest.param("open files, the API", network(descriptors=10_199), "fail", "10,200", "--nofile=10200", id="all users"),
        pytest.param("open files, the API", network(descriptors=math.inf), "ok", "10,200", "", id="no limit"),
        pytest.param(
            "ports to one address", network(ports=(32_768, 42_766)), "fail", "11,000", 'range="1024 65535"', id="9,999 ports"
        ),
        pytest.param("ports to one address", network(ports=(32_768, 42_767)), "warn", "11,000", "sysctl", id="10,000 ports"),
        pytest.param("ports to one address", network(ports=(32_768, 43_767)), "ok", "11,000", "", id="11,000 ports"),
        pytest.param("tcp_tw_reuse", network(tw_reuse=0), "warn", "1 or 2", "net.ipv4.tcp_tw_reuse=1", id="ports rest"),
        pytest.param("tcp_tw_reuse", network(tw_reuse=2), "ok", "1 or 2", "", id="loopback's do not"),
        pytest.param("somaxconn", network(somaxconn=128), "warn", "1,000", "net.core.somaxconn=4096", id="a short queue"),
        pytest.param("tcp_max_syn_backlog", network(syn_backlog=999), "warn", "1,000", "syn_backlog=4096", id="of handshakes"),
        pytest.param("conntrack", network(conntrack=None), "ok", "-", "", id="nothing tracks"),
        pytest.param(
            "conntrack", network(conntrack=(0, 10_999)), "fail", "22,000 free", "conntrack_max=22000", id="a small table"
        ),
        pytest.param("conntrack", network(conntrack=(9, 20_000)), "warn", "22,000 free", "conntrack_max=22009", id="tight"),
        pytest.param("cores", hardware(cores=2), "warn", "11 (6.4 busy)", "about 3,150/s", id="generator and stack"),
        pytest.param(
            "CPU governor", hardware(governors=frozenset({"powersave"})), "warn", "performance", "cpupower", id="saves"
        ),
        pytest.param("steal", hardware(steal=0.021), "warn", "at most 2 %", "another machine", id="stolen"),
        pytest.param("load of others", hardware(busy=0.5), "warn", "at most 10 %", "end what", id="not alone"),
        pytest.param("memory", hardware(memory=(1_400_000_000, 2_000_000_000)), "fail", "1.41 GB", "--users", id="no memory"),
        pytest.param(
            "memory", hardware(memory=(1_500_000_000, 2_000_000_000)), "warn", "1.41 GB", "--users", id="little memory"
        ),
        pytest.param("clock", hardware(clock_synchronised=False), "warn", "synchronised", "timedatectl", id="nobody keeps it"),
        pytest.param("clock source", hardware(clock_source="hpet"), "warn", "a fast one", "tsc", id="slow clock"),
        pytest.param(
            "disk, results", hardware(disks={"results": Disk("r", 104_000_000)}), "fail", "105 MB", "--out", id="full disk"
        ),
        pytest.param("inodes, results", disks("results", 10**12, 999), "fail", "1,000", "--out", id="no file more"),
        pytest.param("inodes, results", disks("results", 10**12, 1_999), "warn", "1,000", "--out", id="few files"),
        pytest.param("inodes, state", disks("state", 10**12, 9_999), "fail", "10,000", "LOADTEST_STATE_DIR", id="of servers"),
        pytest.param("inodes, state", disks("state", 10**12, None), "ok", "10,000", "", id="files without a limit"),
        pytest.param("/dev/shm", disks("shm", 64 * 2**20, 9), "warn", "100 MB", "--shm-size 512m", id="a container's"),
        pytest.param("/dev/shm", disks("shm", 4096, 9), "fail", "100 MB", "--shm-size 512m", id="PostgreSQL cannot start"),
        pytest.param(
            "nginx", programs(nginx=None), "warn", "for several instances", "apt-get install nginx-light", id="no nginx"
        ),
        pytest.param(
            "PostgreSQL", programs(servers={"PostgreSQL": None}), "fail", "from the wheels", "make setup", id="no server"
        ),
        pytest.param(
            "packages", programs(differing=("six 1 (lock: 2)",)), "warn", "as in the lock", "--require-hashes", id="six"
        ),
    ],
)
def test_what_is_missing(what: str, facts: Facts, status: str, needed: str, mend: str) -> None:
    """10,000 users at 10,000/s on two workers: what each row asks for, and how it is mended."""
    found = row(what, facts)
    assert (found.status, found.needed) == (status, needed)
    assert mend in found.mend
    assert bool(found.mend) == (status != "ok")


@pytest.mark.parametrize(
    ("workers", "cores", "status"),
    [
        pytest.param(1, 1, "ok", id="one gets 10,000/s out"),
        pytest.param(2, 1, "warn", id="two on one core"),
        pytest.param(0, 1, "ok", id="all are elsewhere"),
    ],
)
def test_workers_at_ten_thousand_a_second(workers: int, cores: int, status: str) -> None:
    """One worker was measured at 42 % of a core with it."""
    assert row("workers", hardware(cores=cores), replace(NEED, workers=workers)).status == status


def test_workers_that_cannot_get_the_load_out() -> None:
    """100,000/s are 4.2 cores of workers: seven of them; three would be the bottleneck, four cores are too few."""
    need = replace(NEED, users=100_000, rate=100_000.0, workers=3)
    few = row("workers", READY, need)
    assert (few.status, few.mend) == ("fail", "--workers 7")
    assert row("workers", READY, replace(need, workers=5)).status == "warn"
    assert "other machines" in row("workers", hardware(cores=4), replace(need, workers=7)).mend
    assert "more addresses" in row("ports to one address", READY, need).mend


def test_target_elsewhere() -> None:
    """Queues and the stack's servers are its machine's; the ports of loopback are not reused for it."""
    need = replace(NEED, stack="none")
    asked = {one.what for one in examine(need, READY)}
    assert asked.isdisjoint(
        {"somaxconn", "tcp_max_syn_backlog", "open files, the API", "nginx", "PostgreSQL", "disk, state", "/dev/shm"}
    )
    assert row("tcp_tw_reuse", network(tw_reuse=2), need).status == "warn"
    assert row("cores", hardware(cores=1), need).status == "ok"


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        pytest.param(None, "none is installed", id="none"),
        pytest.param(Engine("docker", None, "not within 2 s"), "docker does not answer (not within 2 s)", id="silent"),
        pytest.param(Engine("podman", "4.3"), "podman 4.3, no compose", id="without compose"),
    ],
)
def test_engine_is_asked_for_by_a_stack_of_containers_alone(engine: Engine | None, said: str) -> None:
    """It must answer and compose; the embedded stack needs none."""
    facts = programs(engines=() if engine is None else (engine,))
    assert row("container engine", facts).status == "ok"
    found = row("container engine", facts, replace(NEED, stack="compose"))
    assert (found.status, found.found) == ("fail", said)
    assert row("container engine", READY, replace(NEED, stack="compose")).status == "ok"


@pytest.mark.parametrize(
    ("storage", "status"),
    [
        pytest.param(Disk("/var/lib/docker", 13 * 10**9), "ok", id="room"),
        pytest.param(Disk("/var/lib/docker", 7 * 10**9), "warn", id="little"),
        pytest.param(Disk("/var/lib/docker", 5 * 10**9), "fail", id="none"),
        pytest.param(None, "unknown", id="does not say"),
    ],
)
def test_disk_of_the_engine_that_will_be_taken(storage: Disk | None, status: str) -> None:
    """The first one that can compose; the embedded stack puts nothing there."""
    silent, other = Engine("docker", "27", storage=Disk("/d", 1)), Engine("podman", "4.3", compose="1", storage=storage)
    facts = programs(engines=(silent, other))
    assert row("disk, engine", facts, replace(NEED, stack="compose")).status == status
    assert "disk, engine" not in {one.what for one in examine(NEED, facts)}


def test_limits_of_this_machine_are_not_those_of_containers() -> None:
    """Too few descriptors and ports here keep no container from starting; the table of connections sees all of them."""
    small = network(descriptors=100, ports=(1, 2), somaxconn=1, conntrack=(0, 1))
    failing = [one.what for one in examine(replace(NEED, stack="compose"), small) if one.status != "ok"]
    assert failing == ["conntrack", "disk, engine"]


def test_engine_that_may_not_be_taken() -> None:
    """Is not taken for missing: the line says who forbids it."""
    found = row("container engine", programs(engines=(), engine_asked="none"), replace(NEED, stack="compose"))
    assert (found.status, found.found) == ("fail", "none is installed (LOADTEST_ENGINE=none)")


def test_metrics_that_cannot_be_sent_keep_nobody() -> None:
    """They stay in the run's folder."""
    silent = replace(READY, influx=Influx("http://h:1", None, "refused"))
    found = row("InfluxDB", silent)
    assert (found.status, found.found) == ("warn", "http://h:1: does not answer (refused)")
    assert "loadtest upload" in found.mend
    assert row("InfluxDB", replace(READY, influx=Influx("http://h:1", "InfluxDB 1.8"))).status == "ok"
    assert "InfluxDB" not in {one.what for one in examine(NEED, READY)}


def test_one_failure_is_not_ready() -> None:
    """Warnings keep nobody; a failure does."""
    assert exit_code(examine(NEED, hardware(steal=0.5))) == ExitCode.PASS
    assert exit_code(examine(NEED, network(descriptors=1_000))) == ExitCode.NOT_READY


STAGED = 'stages = [{ duration = "10s", to = 3 }, { duration = "10s", at = 0.5 }]'


@pytest.mark.parametrize(
    ("load", "rate"),
    [
        pytest.param('duration = "10s"', 10.0, id="one a second each"),
        pytest.param('duration = "10s"\nrate_per_user = 2.5', 25.0, id="more"),
        pytest.param(STAGED, 30.0, id="the highest stage"),
        pytest.param('model = "closed"\nduration = "10s"\nthink_time = ["1s", "3s"]', 5.0, id="as if answers took no time"),
        pytest.param('model = "closed"\nduration = "10s"\nthink_time = ["0s", "0s"]', None, id="as the target answers"),
    ],
)
def test_rate_of_a_plan(load: str, rate: float | None, tmp_path: Path) -> None:
    """Ten users: the highest rate that they will reach."""
    plan = plan_of(tmp_path, changed('duration = "10s"', load))
    need = need_of(plan, 1, "embedded", "wheels")
    assert need.rate == rate
    assert need.users_per_worker == 10
    assert all(one.status for one in examine(need, READY))
