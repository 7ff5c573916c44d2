"""Counters and the two histograms of one request name."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from loadtests.measure.histogram import Histogram

MAX_KINDS = 32
"""Distinct kinds of failure that a series keeps apart as it records; later ones are counted as `other`."""


class Series:
    """What happened to the requests of one name.

    Response time runs from the moment the request was due, service time from its send; failed requests are in both, for
    the person waited for them too.
    """

    __slots__ = ("bytes_received", "failures", "ok", "response_time", "service_time")

    def __init__(self) -> None:
        self.ok = 0
        self.bytes_received = 0
        self.failures: Counter[str] = Counter()
        self.response_time = Histogram()
        self.service_time = Histogram()

    @property
    def failed(self) -> int:
        """Failed requests of every kind."""
        return self.failures.total()

    @property
    def requests(self) -> int:
        """All finished requests."""
        return self.ok + self.failed

    def record(self, response_us: int, service_us: int, received: int = 0, failure: str | None = None) -> None:
        """Add one finished request; `failure` is its kind, or None when it is ok."""
        if failure is None:
            self.ok += 1
        else:
            self.failures[failure if failure in self.failures or len(self.failures) < MAX_KINDS else "other"] += 1
        self.bytes_received += received
        self.response_time.record(response_us)
        self.service_time.record(service_us)

    def merge(self, other: "Series") -> None:
        """Add all of `other`'s requests."""
        self.ok += other.ok
        self.bytes_received += other.bytes_received
        self.failures.update(other.failures)
        self.response_time.merge(other.response_time)
        self.service_time.merge(other.service_time)

    def clear(self) -> None:
        """Forget everything, in place."""
        self.ok = self.bytes_received = 0
        self.failures.clear()
        self.response_time.clear()
        self.service_time.clear()

    def to_json(self) -> dict[str, Any]:
        """The series as one line of `windows.jsonl` has it."""
        return {
            "ok": self.ok,
            "failures": dict(self.failures),
            "bytes": self.bytes_received,
            "response_time": self.response_time.to_json(),
            "service_time": self.service_time.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Series":
        """The series that `to_json` wrote."""
        made = cls()
        made.ok, made.bytes_received = data["ok"], data["bytes"]
        made.failures.update(data["failures"])
        made.response_time = Histogram.from_json(data["response_time"])
        made.service_time = Histogram.from_json(data["service_time"])
        return made


def merge_all(parts: Mapping[str, Series], into: dict[str, Series]) -> None:
    """Merge series by name into `into`, which keeps its own objects."""
    for name, series in parts.items():
        into.setdefault(name, Series()).merge(series)
