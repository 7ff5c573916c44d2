"""One second of the run, merged over workers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series, merge_all
from loadtests.measure.snapshot import Counts, Gauges, Snapshot
from loadtests.measure.traffic import Traffic


@dataclass
class Window:
    """The run's second `number`: [number, number + 1) seconds after the start of the load."""

    number: int
    counts: Counts = field(default_factory=Counts)
    lateness: Histogram = field(default_factory=Histogram)
    series: dict[str, Series] = field(default_factory=dict)
    workers: dict[int, Gauges] = field(default_factory=dict)
    traffic: dict[int, dict[str, Traffic]] = field(default_factory=dict)
    """What each worker did, by request name."""

    def add(self, snapshot: Snapshot) -> None:
        """Merge one worker's snapshot; the order does not matter."""
        self.counts.add(snapshot.counts)
        self.lateness.merge(snapshot.lateness)
        merge_all(snapshot.series, self.series)
        self.workers[snapshot.worker] = snapshot.gauges
        own = self.traffic.setdefault(snapshot.worker, {})
        for name, series in snapshot.series.items():
            own.setdefault(name, Traffic()).add(Traffic.of(series))

    @property
    def users(self) -> int:
        """Users at work at the end of the second."""
        return sum(gauges.users for gauges in self.workers.values())

    @property
    def sockets(self) -> int:
        """Open connections at the end of the second."""
        return sum(gauges.sockets for gauges in self.workers.values())

    def total(self, without: Collection[str] = ()) -> Series:
        """All series in one, but for those named in `without`."""
        whole = Series()
        for name, series in self.series.items():
            if name not in without:
                whole.merge(series)
        return whole

    def to_json(self) -> dict[str, Any]:
        """One line of `windows.jsonl`."""
        return {
            "window": self.number,
            "counts": self.counts.to_json(),
            "lateness": self.lateness.to_json(),
            "series": {name: one.to_json() for name, one in sorted(self.series.items())},
            "workers": {str(worker): gauges.to_json() for worker, gauges in sorted(self.workers.items())},
            "traffic": {
                str(worker): {name: one.to_json() for name, one in sorted(by_name.items())}
                for worker, by_name in sorted(self.traffic.items())
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Window":
        """The window that `to_json` wrote."""
        return cls(
            number=data["window"],
            counts=Counts(**data["counts"]),
            lateness=Histogram.from_json(data["lateness"]),
            series={name: Series.from_json(one) for name, one in data["series"].items()},
            workers={int(worker): Gauges(**gauges) for worker, gauges in data["workers"].items()},
            traffic={
                int(worker): {name: Traffic.from_json(one) for name, one in by_name.items()}
                for worker, by_name in data["traffic"].items()
            },
        )


class WindowMerger:
    """Seals a window when every worker has got past it, so that no report can come too late to be in it.

    Raises ValueError for a snapshot of a second that is sealed already (a worker whose numbers ran backwards).
    """

    def __init__(self, workers: int) -> None:
        self._seen = dict.fromkeys(range(workers), -1)
        self._next = 0
        self._open: dict[int, Window] = {}

    def add(self, snapshot: Snapshot) -> list[Window]:
        """Merge one snapshot; the windows that this seals, in order."""
        if snapshot.window < self._next:
            raise ValueError(f"window {snapshot.window} is sealed already; worker {snapshot.worker} came back to it")
        self._open.setdefault(snapshot.window, Window(snapshot.window)).add(snapshot)
        if snapshot.worker in self._seen:
            self._seen[snapshot.worker] = max(self._seen[snapshot.worker], snapshot.window)
        return self._seal(min(self._seen.values(), default=-1))

    def forget(self, worker: int) -> list[Window]:
        """A worker that will not report any more holds nothing back; the windows that this seals."""
        self._seen.pop(worker, None)
        return self._seal(min(self._seen.values())) if self._seen else self.close()

    def close(self) -> list[Window]:
        """Everything that is still open, at the end."""
        return self._seal(max(self._open, default=-1))

    def _seal(self, upto: int) -> list[Window]:
        sealed = [self._open.pop(number) for number in sorted(self._open) if number <= upto]
        self._next = max(self._next, upto + 1)
        return sealed
