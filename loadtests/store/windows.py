"""`windows.jsonl`: one line a second, written by the master as windows are sealed, read by everybody else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series, merge_all
from loadtests.measure.snapshot import Counts, Gauges
from loadtests.measure.window import Window
from loadtests.store.records import read_lines


def read_windows(path: Path) -> Iterator[Window]:
    """The sealed windows in order; none when the file is missing."""
    return map(Window.from_json, read_lines(path))


@dataclass
class Use:
    """What one worker used of its machine."""

    seconds: int = 0
    cpu_s: float = 0.0
    most_rss_bytes: int = 0

    def add(self, gauges: Gauges) -> None:
        """Take one more second."""
        self.seconds += 1
        self.cpu_s += gauges.cpu
        self.most_rss_bytes = max(self.most_rss_bytes, gauges.rss_bytes)

    @property
    def cpu(self) -> float:
        """Cores, on average."""
        return self.cpu_s / self.seconds if self.seconds else 0.0


@dataclass
class Totals:
    """All windows of a run added up, exactly: histograms merge."""

    counts: Counts = field(default_factory=Counts)
    lateness: Histogram = field(default_factory=Histogram)
    series: dict[str, Series] = field(default_factory=dict)
    ok_by_second: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    users: list[float] = field(default_factory=list)
    use: dict[int, "Use"] = field(default_factory=dict)
    """What each worker used."""
    loop_lag: Histogram = field(default_factory=Histogram)
    """Longest time that an event loop overslept, of each worker and second."""
    most_sockets: int = 0
    """Most connections that all workers together had open."""
    last: dict[int, tuple[int, Gauges]] = field(default_factory=dict)
    """The last second that each worker reported, and what it said of itself then."""

    def add(self, window: Window) -> None:
        """Take one more window."""
        self.counts.add(window.counts)
        self.lateness.merge(window.lateness)
        merge_all(window.series, self.series)
        self.ok_by_second.append((window.number, {name: one.ok for name, one in window.series.items()}))
        self.users.append(float(window.users))
        self.most_sockets = max(self.most_sockets, window.sockets)
        for worker, gauges in window.workers.items():
            self.use.setdefault(worker, Use()).add(gauges)
            self.loop_lag.record(gauges.loop_lag_us)
        self.last.update({worker: (window.number, gauges) for worker, gauges in window.workers.items()})


def total_of(path: Path) -> Totals:
    """The totals of a file of windows."""
    totals = Totals()
    for window in read_windows(path):
        totals.add(window)
    return totals
