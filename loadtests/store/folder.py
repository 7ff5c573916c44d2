"""The folder of one run, under `results/`. Everything that happened stands in it; nothing is known from elsewhere."""

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.errors import InputError
from loadtests.store.records import LineWriter, read_lines

LATEST = "latest"
LEAST_FREE_BYTES = 50_000_000
PARTS = ("logs", "hdr", "accepted")
"""Folders in that of a run."""
ABORTED = "aborted by an objective"
"""Reason of a `halt` for which an event `abort` says more: an end that is a result, not an accident."""


@dataclass(frozen=True)
class RunFolder:
    """Names of a run's files. The id is the folder's name."""

    path: Path

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.path.name

    def file(self, name: str) -> Path:
        """A file of the contract: manifest.json, windows.jsonl, probes.jsonl, events.jsonl, ledger.json ..."""
        return self.path / name

    @property
    def logs(self) -> Path:
        """One log per process of the run."""
        return self.path / "logs"

    @property
    def accepted(self) -> Path:
        """Accepted tasks, a file for each writer."""
        return self.path / "accepted"

    @property
    def recording(self) -> Path:
        """A copy of the recording that the load followed, if it followed one."""
        return self.path / "recording.moments"

    @property
    def hdr(self) -> Path:
        """Histogram logs."""
        return self.path / "hdr"

    def event(self, kind: str, at_s: float | None, /, **details: Any) -> None:
        """Note what happened: `at_s` in seconds since the start of the load, None before it."""
        writer = LineWriter(self.file("events.jsonl"))
        try:
            writer.append({"event": kind, "at_s": at_s, "time": datetime.now(UTC).isoformat(), **details})
        finally:
            writer.close()


def start_of(folder: RunFolder) -> float | None:
    """The start of the load on the epoch; None before it."""
    starts = (event["epoch"] for event in read_lines(folder.file("events.jsonl")) if event["event"] == "start")
    return next(starts, None)


def create_folder(results: Path, scenario: str, now: datetime | None = None, parts: Sequence[str] = PARTS) -> RunFolder:
    """A new folder `<time>-<scenario>-<random>` with empty `parts`.

    Raises InputError when it cannot be written or the disk is full.
    """
    now = now or datetime.now(UTC)
    path = results / f"{now:%Y%m%dT%H%M%S}-{scenario}-{secrets.token_hex(2)}"
    try:
        results.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(results).free
        if free < LEAST_FREE_BYTES:
            raise InputError(f"results folder {results}: the disk is full ({free / 1e6:.0f} MB free; a run needs 50 MB)")
        latest = results / LATEST
        if latest.exists() and not latest.is_symlink():
            raise InputError(f"results folder {results}: {latest} is in the way of the link to the newest run; move it")
        path.mkdir()
        for part in parts:
            (path / part).mkdir()
    except OSError as error:
        raise InputError(f"results folder {results}: cannot be written: {error.strerror}") from error
    return RunFolder(path)


def point_latest(folder: RunFolder) -> None:
    """Let `results/latest` point to this run."""
    point_to(folder.path, LATEST)


def point_to(path: Path, name: str) -> None:
    """Let the link `name` beside a folder point to it, in one step."""
    draft = path.parent / f".{name}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(path.name)
    draft.replace(path.parent / name)


def open_folder(path: Path) -> RunFolder:
    """An existing run. Raises InputError when there is none."""
    if not (path / "manifest.json").is_file():
        raise InputError(f"{path}: no run's folder (it has no manifest.json)")
    return RunFolder(path.resolve())
