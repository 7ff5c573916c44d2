"""`windows.jsonl`, the spool: one line a second, written by the master as windows are sealed, read by everybody else.

Lines are numbered (`seq`) and each ends with the CRC-32 of what stands before it, so that a reader knows that it has all, as
they were written. They survive the death of every process of the run; a line that was being written then is left out.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from loadtests.errors import RunError
from loadtests.measure.histogram import Histogram
from loadtests.measure.series import Series, merge_all
from loadtests.measure.snapshot import Counts, Gauges
from loadtests.measure.window import Window
from loadtests.store.records import LineWriter, disk_error, encode

_MARK = b',"crc32":"'
_TAIL = len(_MARK) + 8 + len(b'"}')


class WindowWriter:
    """Appends windows. Opening it repairs the end of a file whose writer died."""

    def __init__(self, path: Path) -> None:
        self._next = _repair(path)
        self._writer = LineWriter(path)

    def append(self, *windows: Window) -> None:
        """Write the windows; afterwards they are with the operating system. Raises RunError when the disk refuses."""
        lines = [_seal({"seq": self._next + number, **window.to_json()}) for number, window in enumerate(windows)]
        self._writer.write(b"".join(lines))
        self._next += len(windows)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def read_windows(path: Path) -> Iterator[Window]:
    """The sealed windows in order; none when the file is missing. A torn last line is left out.

    Raises RunError for a line that is damaged, or that is not the next one.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                return
            yield window_of(line[:-1], number, path)


def window_of(line: bytes, number: int, path: Path) -> Window:
    """The window of a whole line without its end. Raises RunError when it is damaged or not the line of that number."""
    try:
        return Window.from_json(_unseal(line, number))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path}:{number + 1}: damaged: {error}") from error


def _seal(record: dict[str, Any]) -> bytes:
    body = encode(record).encode()[:-1]
    return body + _MARK + b'%08x"}\n' % crc32(body)


def _unseal(line: bytes, number: int) -> dict[str, Any]:
    body, end = line[:-_TAIL], line[-_TAIL:]
    if end != _MARK + b'%08x"}' % crc32(body):
        raise ValueError("its checksum is not that of its content")
    record: dict[str, Any] = json.loads(body + b"}")
    if record["seq"] != number:
        raise ValueError(f"it has the number {record['seq']}, and {number} was to come")
    return record


def _repair(path: Path) -> int:
    """Cut off what is not a whole line at the end; how many lines there are."""
    if not path.exists():
        return 0
    try:
        with path.open("r+b") as file:
            count = whole = 0
            for line in file:
                if line.endswith(b"\n"):
                    count, whole = count + 1, whole + len(line)
            file.truncate(whole)
    except OSError as error:
        raise disk_error(path, error) from error
    return count


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
