"""What the nights measured: a file of JSON lines a suite, appended to and never changed, one line a run."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from loadtests.errors import RunError
from loadtests.store.measured import Measured, differences
from loadtests.store.records import LineWriter, disk_error, encode

VERSION = 1
Side = Literal["candidate", "baseline"]


@dataclass(frozen=True)
class Entry:
    """One run of one night."""

    night: str
    suite: str
    part: str
    """Its name in the suite."""
    side: Side
    round: int
    """From 1; both sides of a round were run one after the other."""
    measured: Measured

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        head = {"version": VERSION, "night": self.night, "suite": self.suite}
        return {**head, "part": self.part, "side": self.side, "round": self.round, "measured": self.measured.to_json()}

    @classmethod
    def from_json(cls, data: Any) -> "Entry":
        """What `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        if data["version"] != VERSION:
            raise ValueError(f"is of version {data['version']}, this harness reads version {VERSION}")
        measured = Measured.from_json(data["measured"])
        return cls(data["night"], data["suite"], data["part"], data["side"], data["round"], measured)


@dataclass(frozen=True)
class History:
    """What a file says."""

    entries: Sequence[Entry]
    notes: Sequence[str] = ()
    """What was left out, and why."""

    def like(self, run: Measured) -> "History":
        """The entries whose runs compare with this one: of the same scenario under the same conditions."""
        return History([entry for entry in self.entries if not differences(entry.measured, run)], self.notes)

    def groups(self) -> list[list[Measured]]:
        """Runs of the same build in the same night, in the order of their rounds: what lies between them is noise."""

        def key(entry: Entry) -> tuple[str, str, str]:
            return entry.night, entry.side, entry.measured.commit or ""

        ordered = sorted(self.entries, key=lambda entry: (key(entry), entry.round))
        return [[entry.measured for entry in group] for _, group in groupby(ordered, key)]


def history_file(results: Path, suite: str) -> Path:
    """Where the history of a suite stands under a folder of results."""
    return results / "history" / f"{suite}.jsonl"


def append_history(path: Path, entries: Iterable[Entry]) -> None:
    """Append entries by one write, which also ends a torn last line of a crash, so that it spoils no other.

    Raises RunError when the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and not _whole(path)
    except OSError as error:
        raise disk_error(path, error) from error
    lines = "".join(encode(entry.to_json()) + "\n" for entry in entries).encode()
    with closing(LineWriter(path)) as writer:
        writer.write(b"\n" + lines if torn else lines)


def read_history(path: Path) -> History:
    """The entries of a file, none when it is missing. Lines that are no entries are told and left out."""
    if not path.exists():
        return History(())
    entries: list[Entry] = []
    notes: list[str] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if line:
            try:
                entries.append(Entry.from_json(json.loads(line)))
            except (KeyError, TypeError, ValueError) as error:
                notes.append(f"{path}:{number}: left out: {_reason(error, last=number == len(lines))}")
    return History(entries, notes)


def nights(entries: Iterable[Entry], side: Side = "candidate") -> Iterator[tuple[str, list[Measured]]]:
    """The runs of each night on one side, by night in order."""
    ordered = sorted((entry for entry in entries if entry.side == side), key=lambda entry: (entry.night, entry.round))
    for night, group in groupby(ordered, lambda entry: entry.night):
        yield night, [entry.measured for entry in group]


def _whole(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if not size:
            return True
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _reason(error: Exception, last: bool) -> str:
    if isinstance(error, json.JSONDecodeError):
        return "a torn last line" if last else "no JSON"
    return f"no key {error}" if isinstance(error, KeyError) else str(error)
