"""A numbered, mergeable state of one worker: what happened since the one before.

A worker keeps each snapshot until the master acknowledged its number, so a lost report heals with the next one, and a gap
in the numbers that does not close is seen by everybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series


@dataclass
class Counts:
    """Turns and requests of one interval; every field adds up over snapshots and workers.

    A turn is `scheduled` when its moment has come, then either `started` (and later `finished`) or `dropped`, never sent at
    all. Requests are counted apart from them, by the client: `sent` when the request goes out.
    """

    scheduled: int = 0
    started: int = 0
    finished: int = 0
    dropped: int = 0
    waiting: int = 0
    """Dropped turns whose user still waited for the target when they were due; of the others the generator was late."""
    waiting_users: int = 0
    """Users with such a turn."""
    sent: int = 0
    unplanned: int = 0
    """Requests that no turn asked for: logins and token refreshes."""
    connections: int = 0
    """Connections that were opened; a user that keeps its own opens one."""
    journey_errors: int = 0
    """Turns whose journey raised an exception of its own."""

    def add(self, other: "Counts") -> None:
        """Add the other's numbers to these."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def to_json(self) -> dict[str, int]:
        """By field name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class Accepted(NamedTuple):
    """One task that the target took on: who asked, when it was due and when it was accepted (s since the start)."""

    task_id: str
    user: int
    due_s: float
    accepted_s: float
    request: str = ""
    """Name of the request that was answered with it."""


@dataclass(frozen=True)
class Gauges:
    """The worker itself, at the end of the interval."""

    users: int = 0
    in_flight: int = 0
    cpu: float = 0.0
    """Cores used during the interval."""
    loop_lag_us: int = 0
    """Longest time the event loop overslept during the interval."""
    sockets: int = 0
    """Open connections."""
    rss_bytes: int = 0

    def to_json(self) -> dict[str, float]:
        """By field name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass
class Snapshot:
    """What one worker did between two reports."""

    worker: int
    number: int
    """Counts up from 0 without gaps."""
    window: int
    """The second of the run it belongs to; seconds are counted from the start of the load."""
    counts: Counts = field(default_factory=Counts)
    gauges: Gauges = field(default_factory=Gauges)
    lateness: Histogram = field(default_factory=Histogram)
    """How late the generator itself was with turns whose user was free."""
    series: dict[str, Series] = field(default_factory=dict)
    accepted: list[Accepted] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The message a worker sends; series without requests are left out."""
        return {
            "worker": self.worker,
            "number": self.number,
            "window": self.window,
            "counts": self.counts.to_json(),
            "gauges": self.gauges.to_json(),
            "lateness": self.lateness.to_json(),
            "series": {name: one.to_json() for name, one in self.series.items() if one.requests},
            "accepted": [list(task) for task in self.accepted],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Snapshot":
        """The snapshot that `to_json` wrote."""
        return cls(
            worker=data["worker"],
            number=data["number"],
            window=data["window"],
            counts=Counts(**data["counts"]),
            gauges=Gauges(**data["gauges"]),
            lateness=Histogram.from_json(data["lateness"]),
            series={name: Series.from_json(one) for name, one in data["series"].items()},
            accepted=[Accepted(*task) for task in data["accepted"]],
        )
