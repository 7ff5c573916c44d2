"""`upload.json`: how far a run has been delivered, to each place."""

from dataclasses import dataclass, field
from typing import Any

from loadtests.store.folder import RunFolder
from loadtests.store.records import read_json, write_json

VERSION = 1
STATE = "upload.json"
FILES = ("events", "windows", "probes")


@dataclass
class Position:
    """How far a file has been delivered."""

    offset: int = 0
    records: int = 0


@dataclass
class Progress:
    """How far a run has been delivered to one place, as `upload.json` has it."""

    files: dict[str, Position] = field(default_factory=lambda: {name: Position() for name in FILES})
    verdict: bool = False
    points: int = 0
    """Points that were delivered, repetitions included."""
    dead: int = 0
    """Points that the place refused for what they are; they stand in `dead_letters.jsonl`."""
    trouble: str | None = None
    """Why nothing gets there at the moment."""

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        files = {name: [at.offset, at.records] for name, at in self.files.items()}
        return {"files": files, "verdict": self.verdict, "points": self.points, "dead": self.dead, "trouble": self.trouble}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Progress":
        """What `to_json` wrote."""
        files = {name: Position(*data["files"].get(name, (0, 0))) for name in FILES}
        return cls(files, data["verdict"], data["points"], data["dead"], data["trouble"])


def read_progress(folder: RunFolder, place: str) -> Progress | None:
    """How far it is; None before anything was tried. Raises RunError when the file is damaged."""
    known = _places(folder).get(place)
    return Progress.from_json(known) if known else None


def write_progress(folder: RunFolder, place: str, progress: Progress) -> None:
    """Write how far it is; progress at other places stays."""
    places = {**_places(folder), place: progress.to_json()}
    write_json(folder.file(STATE), {"version": VERSION, "places": places})


def _places(folder: RunFolder) -> dict[str, Any]:
    path = folder.file(STATE)
    places: dict[str, Any] = read_json(path)["places"] if path.exists() else {}
    return places
