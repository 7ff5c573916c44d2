"""What of a run's folder is still to be delivered to one place: a position in each file, kept in `upload.json`.

The position moves only past what was delivered, and what is delivered twice is the same points; so a crash at any moment costs
nothing but a repetition.
"""

import fcntl
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from loadtests.errors import InputError
from loadtests.scenario.plan import Plan
from loadtests.sinks.points import PointMaker
from loadtests.sinks.progress import FILES, Position, Progress, read_progress, write_progress
from loadtests.store.folder import RunFolder
from loadtests.store.manifest import read_manifest
from loadtests.store.records import LineTail, append_lines, read_json
from loadtests.store.windows import window_of

DEAD_LETTERS = "dead_letters.jsonl"
RECORDS_AT_ONCE = 25
"""Lines of a file that are taken together: a bound for memory."""


@dataclass(frozen=True)
class Parcel:
    """Lines to deliver together, and where their file's position is afterwards; no file: the verdict."""

    lines: list[str]
    file: str | None = None
    position: Position = field(default_factory=Position)


class Spool:
    """A run's folder, as one place has seen it."""

    def __init__(self, folder: RunFolder, place: str) -> None:
        self.folder, self._place = folder, place
        self._plan = Plan.from_json(read_manifest(folder)["plan"])
        self._maker: PointMaker | None = None
        self.progress = read_progress(folder, place) or Progress()

    @property
    def patience_s(self) -> float:
        """How long nothing may come, before the run's end is taken for granted."""
        scenario = self._plan.scenario
        return 60.0 + scenario.load.drain + (scenario.tasks.deadline if scenario.tasks else 0.0)

    @property
    def ended(self) -> bool:
        """Whether the run was judged: nothing is added any more."""
        return self.folder.file("verdict.json").exists()

    def forget(self) -> None:
        """Deliver everything again."""
        self.progress = Progress()

    def next(self) -> Parcel | None:
        """What is to be delivered next; None when all that is there has been. Raises RunError for a damaged file."""
        for name in FILES:
            if (parcel := self._next_of(name)) is not None:
                return parcel
        if self._maker is not None and self.ended and not self.progress.verdict:
            verdict, summary = (read_json(self.folder.file(name)) for name in ("verdict.json", "summary.json"))
            return Parcel(_lines(self._maker.verdict(verdict, summary, read_manifest(self.folder))))
        return None

    def delivered(self, parcel: Parcel) -> None:
        """The parcel is where it should be; remember that."""
        if parcel.file is None:
            self.progress.verdict = True
        else:
            self.progress.files[parcel.file] = parcel.position
        self.save()

    def bury(self, lines: Iterable[str], status: int, reason: str) -> None:
        """Keep lines that the place will never take."""
        letters = [{"place": self._place, "status": status, "reason": reason, "line": line} for line in lines]
        append_lines(self.folder.file(DEAD_LETTERS), letters)
        self.progress.dead += len(letters)

    def save(self) -> None:
        """Write `upload.json`."""
        write_progress(self.folder, self._place, self.progress)

    def _next_of(self, name: str) -> Parcel | None:
        path, at = self.folder.file(f"{name}.jsonl"), self.progress.files[name]
        tail = LineTail(path, at.offset)
        found = tail.lines(RECORDS_AT_ONCE)
        if not found:
            return None
        if self._maker is None and not self._start():
            return None  # points have the time of the load, which has not begun
        lines: list[str] = []
        for number, line in enumerate(found, start=at.records):
            lines += self._points(name, line, number)
        return Parcel(lines, name, Position(tail.offset, at.records + len(found)))

    def _points(self, name: str, line: bytes, number: int) -> list[str]:
        assert self._maker is not None
        if name == "windows":
            return _lines(self._maker.window(window_of(line, number, self.folder.file("windows.jsonl"))))
        record = json.loads(line)
        if name == "probes":
            return _lines(self._maker.probe(record))
        found = _lines(self._maker.event(record, number))
        return found + (_lines(self._maker.stages(self._plan)) if record["event"] == "start" else [])

    def _start(self) -> bool:
        for line in LineTail(self.folder.file("events.jsonl")).lines():
            record = json.loads(line)
            if record["event"] == "start":
                self._maker = PointMaker(self.folder.run_id, self._plan.scenario.name, record["epoch"])
                return True
        return False


@contextmanager
def alone(folder: RunFolder) -> Iterator[None]:
    """Within it nobody else delivers the folder. Raises InputError when somebody does."""
    with folder.file(".upload.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{folder.path}: is being uploaded by another process; wait for it to end") from None
        yield


def _lines(points: Iterable[Any]) -> list[str]:
    return [point.to_line_protocol() for point in points]
