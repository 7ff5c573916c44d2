"""The folder of one night of a suite, and the baseline that nights are compared with."""

import json
import re
import secrets
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loadtests.errors import InputError
from loadtests.store.folder import point_to
from loadtests.store.history import Entry
from loadtests.store.records import disk_error, encode, write_text

LATEST = "latest-night"


@dataclass(frozen=True)
class NightFolder:
    """Names of a night's files. The id is the folder's name."""

    path: Path

    @property
    def night(self) -> str:
        """Name of the night; names sort by time."""
        return self.path.name

    @property
    def runs(self) -> Path:
        """Where the folders of its runs are."""
        return self.path / "runs"

    def file(self, name: str) -> Path:
        """`night.json`, `night.md`."""
        return self.path / name


def create_night(results: Path, suite: str, now: datetime | None = None) -> NightFolder:
    """A new, empty folder `<time>-<suite>-<random>`. Raises InputError when it cannot be written."""
    now = now or datetime.now(UTC)
    path = results / f"{now:%Y%m%dT%H%M%S}-{suite}-{secrets.token_hex(2)}"
    try:
        path.mkdir(parents=True)
        point_to(path, LATEST)
    except OSError as error:
        raise InputError(f"results folder {results}: cannot be written: {error.strerror}") from error
    return NightFolder(path)


def remove_old_runs(results: Path, suite: str, keep: int, but: Collection[str] = ()) -> None:
    """Remove the folders of runs of all nights of a suite except the newest `keep`, and those of `but`.

    Summaries stay, and history and baseline need no runs. Raises InputError when they cannot be removed.
    """
    mine = re.compile(rf"\d{{8}}T\d{{6}}-{re.escape(suite)}-[0-9a-f]{{4}}")
    nights = sorted((path for path in results.glob("*/") if mine.fullmatch(path.name) and not path.is_symlink()), reverse=True)
    with_runs = [night for night in map(NightFolder, nights) if night.runs.is_dir()]
    for night in with_runs[keep:]:
        if night.night not in but:
            try:
                shutil.rmtree(night.runs)
            except OSError as error:
                raise InputError(f"{night.runs}: the runs of an old night cannot be removed: {error.strerror}") from error


def baseline_file(results: Path, suite: str) -> Path:
    """Where the baseline of a suite stands: a file to keep, and to commit where nights run on one machine."""
    return results / "baseline" / f"{suite}.jsonl"


def read_baseline(path: Path) -> list[Entry]:
    """The runs of the night that was accepted; none when no night was. Raises InputError for a file that is none."""
    if not path.exists():
        return []
    try:
        return [Entry.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no baseline of this version: {error} (remove it, or accept a night anew)") from error


def write_baseline(path: Path, entries: Sequence[Entry]) -> None:
    """Let these runs be what later nights are compared with. Raises RunError when the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(path, error) from error
    write_text(path, "".join(encode(entry.to_json()) + "\n" for entry in entries))
