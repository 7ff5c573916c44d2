"""What one worker did under one request name in one second: numbers that add up exactly, without a histogram."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.measure.series import Series

BOUNDS_MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10_000, 30_000)
"""Upper bounds of the cumulative counts of response times; 200 and 500 are Phase 5's objectives."""
_BOUNDS_US = [bound * 1000 for bound in BOUNDS_MS]


@dataclass
class Traffic:
    """Finished requests of one worker and name; every field adds up over seconds, names and workers."""

    ok: int = 0
    bytes_received: int = 0
    response_sum_us: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    at_most: list[int] = field(default_factory=lambda: [0] * len(BOUNDS_MS))
    """Requests whose response time is at most each of `BOUNDS_MS`, as `Histogram.at_most` counts."""

    @property
    def failed(self) -> int:
        """Failed requests of every kind."""
        return self.failures.total()

    @property
    def requests(self) -> int:
        """All finished requests: the count below an infinite bound."""
        return self.ok + self.failed

    @classmethod
    def of(cls, series: Series) -> "Traffic":
        """The numbers of a series."""
        response = series.response_time
        counts = response.at_most(_BOUNDS_US)
        return cls(series.ok, series.bytes_received, response.sum_us, Counter(series.failures), counts)

    def add(self, other: "Traffic") -> None:
        """Add the other's requests."""
        self.ok += other.ok
        self.bytes_received += other.bytes_received
        self.response_sum_us += other.response_sum_us
        self.failures.update(other.failures)
        self.at_most = [mine + theirs for mine, theirs in zip(self.at_most, other.at_most, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """As a line of `windows.jsonl` has it."""
        return {
            "ok": self.ok,
            "bytes": self.bytes_received,
            "response_sum_us": self.response_sum_us,
            "failures": dict(self.failures),
            "at_most": self.at_most,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Traffic":
        """What `to_json` wrote."""
        return cls(data["ok"], data["bytes"], data["response_sum_us"], Counter(data["failures"]), list(data["at_most"]))
