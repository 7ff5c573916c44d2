"""What is known of a machine before a load: facts, each of which may be unknown (None), and what a load asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from loadtests.pacing.stream import ClosedLoad, OpenLoad
from loadtests.scenario.plan import Plan

Stack = Literal["embedded", "compose", "none"]


@dataclass(frozen=True)
class Need:
    """What a plan asks of this machine."""

    users: int
    workers: int
    """Worker processes of this machine; 0 when all are elsewhere."""
    rate: float | None
    """Highest rate of turns per second; None when the target's answers alone decide it."""
    turns: float | None
    """Turns of the whole load."""
    ramp_s: float
    """In this time all users come."""
    stack: Stack
    servers: Literal["wheels", "system"] = "wheels"
    proxied: bool = False
    """A fault's proxy stands between users and target."""

    @property
    def users_per_worker(self) -> int:
        """Users, and so connections, of the fullest worker."""
        return -(-self.users // self.workers) if self.workers else 0

    @property
    def here(self) -> bool:
        """Whether the target's end of the connections is on this machine as well."""
        return self.stack != "none"


def need_of(plan: Plan, workers: int, stack: Stack, servers: Literal["wheels", "system"], proxied: bool = False) -> Need:
    """The need of a plan. Raises InputError when its recording cannot be read."""
    load = plan.scenario.load
    rate, total_s = _highest_rate(plan), load.total_s
    turns = None if rate is None else rate * total_s
    return Need(load.users, workers, rate, turns, load.ramp_up, stack, servers, proxied)


def _highest_rate(plan: Plan) -> float | None:
    users = plan.scenario.load.users
    if isinstance(plan.load, OpenLoad):
        return users * max(rate for _, rate in plan.load.profile.knots)
    if isinstance(plan.load, ClosedLoad):
        thinking_s = (plan.load.think_min_s + plan.load.think_max_s) / 2
        return users / thinking_s if thinking_s else None  # at the most: as if every answer came at once
    return plan.offered_rate


@dataclass(frozen=True)
class Network:
    """Limits of the kernel that connections meet; None where they cannot be read."""

    descriptors: float | None = None
    """Hard limit of open files of a process; infinite when there is none."""
    ports: tuple[int, int] | None = None
    """First and last port that outgoing connections are given."""
    tw_reuse: int | None = None
    somaxconn: int | None = None
    syn_backlog: int | None = None
    conntrack: tuple[int, int] | None = None
    """Connections that are tracked, and how many may be; None when none are."""


class Disk(NamedTuple):
    """The file system of a folder."""

    where: str
    """The folder, which may be yet to be made."""
    free: int
    """Bytes that this user may take."""
    inodes: int | None = None
    """Files that may be made; None when the file system does not count them."""


@dataclass(frozen=True)
class Hardware:
    """Cores, memory, clock; None where it cannot be read."""

    cores: int = 1
    governors: frozenset[str] | None = None
    steal: float | None = None
    """Share of all cores' time that the hypervisor gave to others."""
    busy: float | None = None
    """Share of all cores' time that is used by what runs already."""
    memory: tuple[int, int] | None = None
    """Bytes that can be had, and the limit of the control group or the machine."""
    clock_synchronised: bool | None = None
    clock_error_s: float | None = None
    """The kernel's estimate of how far its clock is off at the most."""
    clock_source: str | None = None
    disks: Mapping[str, Disk] = field(default_factory=dict)
    """`results`, `state`, `shm`; those that can be read."""


@dataclass(frozen=True)
class Engine:
    """A container engine that is installed."""

    name: str
    answer: str | None
    """Its version; None when it did not answer in time."""
    trouble: str = ""
    compose: str | None = None
    """Version of its compose; None when it has none."""
    storage: Disk | None = None
    """Where it keeps images and containers; None when it does not say, or on a machine of its own."""


@dataclass(frozen=True)
class Programs:
    """What is installed."""

    engines: tuple[Engine, ...] = ()
    nginx: str | None = None
    python: str = ""
    servers: Mapping[str, str | None] = field(default_factory=dict)
    """What PostgreSQL and Redis are, or where; None when they are missing."""
    harness: str = ""
    locust: str | None = None
    differing: tuple[str, ...] | None = None
    """Distributions that are not as the lock says; None when there is no lock to compare with."""
    engine_asked: str = ""
    """The only engine that may be taken, or `none`, as LOADTEST_ENGINE says."""


@dataclass(frozen=True)
class Influx:
    """The server that metrics are to be sent to."""

    url: str
    answer: str | None
    """What it is; None when it did not answer as an InfluxDB."""
    trouble: str = ""


@dataclass(frozen=True)
class Facts:
    """All of it."""

    network: Network = Network()
    hardware: Hardware = Hardware()
    programs: Programs = Programs()
    influx: Influx | None = None
    """None when metrics go nowhere."""
