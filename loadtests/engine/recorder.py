"""Where a worker's numbers go: O(1), no I/O, never raises. Once a second what was recorded becomes a snapshot."""

from typing import Any

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series
from loadtests.measure.snapshot import Accepted, Counts, Gauges, Snapshot


class Recorder:
    """Counters and series since the last snapshot, and totals since the start, which are kept apart from them."""

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._next_number = 0
        self._series: dict[str, Series] = {}
        self._lateness = Histogram()
        self._accepted: list[Accepted] = []
        self.counts = Counts()
        """Since the last snapshot; users count their turns here."""
        self.total_counts = Counts()
        """Of all snapshots taken."""
        self.total_ok = self.total_failed = self.total_accepted = 0
        self.in_flight = 0

    @property
    def snapshots(self) -> int:
        """Snapshots taken so far."""
        return self._next_number

    def sent(self, planned: bool = True) -> None:
        """A request goes out; `planned` unless no turn asked for it."""
        self.counts.sent += 1
        self.counts.unplanned += not planned
        self.in_flight += 1

    def done(self, name: str, response_us: int, service_us: int, received: int, failure: str | None) -> None:
        """A request that was `sent` has ended."""
        self.in_flight -= 1
        if failure is None:
            self.total_ok += 1
        else:
            self.total_failed += 1
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = Series()
        series.record(response_us, service_us, received, failure)

    def late(self, lateness_us: int) -> None:
        """How late the generator began a turn whose user was free."""
        self._lateness.record(lateness_us)

    def accepted(self, task: Accepted) -> None:
        """The target took on a task."""
        self.total_accepted += 1
        self._accepted.append(task)

    def take(self, window: int, gauges: Gauges) -> dict[str, Any]:
        """Everything since the last call as a snapshot's message; the recorder starts anew with the same histograms."""
        message = Snapshot(
            worker=self._worker,
            number=self._next_number,
            window=window,
            counts=self.counts,
            gauges=gauges,
            lateness=self._lateness,
            series=self._series,
            accepted=self._accepted,
        ).to_json()
        self._next_number += 1
        self.total_counts.add(self.counts)
        self.counts, self._accepted = Counts(), []
        self._lateness.clear()
        for series in self._series.values():
            series.clear()
        return message
