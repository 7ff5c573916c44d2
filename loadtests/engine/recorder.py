"""Where a worker's numbers go: O(1), no I/O, never raises. Once a second what was recorded becomes a snapshot."""

from collections import Counter
from typing import Any

from loadtests.engine.http.failures import Failure
from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series
from loadtests.measure.snapshot import Accepted, Counts, Gauges, Snapshot


class Recorder:
    """Counters and series since the last snapshot, and totals since the start, which are kept apart from them."""

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._next_number = 0
        self.series: dict[str, Series] = {}
        """Since the last snapshot, by request name."""
        self._lateness = Histogram()
        self._accepted: list[Accepted] = []
        self.methods: dict[str, str] = {}
        """HTTP method of the first request of each name."""
        self.counts = Counts()
        """Since the last snapshot; users count their turns here."""
        self.total_counts = Counts()
        """Of all snapshots taken."""
        self.total_ok = self.total_accepted = 0
        self.total_failures: Counter[str] = Counter()
        """Failed requests since the start, by kind."""
        self.in_flight = 0

    @property
    def snapshots(self) -> int:
        """Snapshots taken so far."""
        return self._next_number

    def sent(self, planned: bool) -> None:
        """A request goes out; `planned` unless no turn asked for it."""
        self.counts.sent += 1
        if not planned:
            self.counts.unplanned += 1
        self.in_flight += 1

    def done(self, method: str, name: str, response_us: int, service_us: int, received: int, failed: Failure | None) -> None:
        """A request that was `sent` has ended."""
        self.in_flight -= 1
        series = self.series.get(name)
        if series is None:
            series = self.series[name] = Series()
            self.methods[name] = method
        if failed is None:
            self.total_ok += 1
            series.record(response_us, service_us, received)
        else:
            self.total_failures[failed.kind] += 1
            series.record(response_us, service_us, received, failed.kind)

    def late(self, lateness_us: int) -> None:
        """How late the generator began a turn whose user was free."""
        self._lateness.record(lateness_us)

    def accepted(self, task: Accepted) -> None:
        """The target took on a task."""
        self.total_accepted += 1
        self._accepted.append(task)

    def take_accepted(self) -> list[Accepted]:
        """The tasks since the last call or snapshot, which then does not carry them."""
        taken, self._accepted = self._accepted, []
        return taken

    def take(self, window: int, gauges: Gauges) -> dict[str, Any]:
        """Everything since the last call as a snapshot's message; the recorder starts anew with the same histograms."""
        message = Snapshot(
            worker=self._worker,
            number=self._next_number,
            window=window,
            counts=self.counts,
            gauges=gauges,
            lateness=self._lateness,
            series=self.series,
            accepted=self._accepted,
        ).to_json()
        self._next_number += 1
        self.total_counts.add(self.counts)
        self.counts, self._accepted = Counts(), []
        self._lateness.clear()
        for series in self.series.values():
            series.clear()
        return message
