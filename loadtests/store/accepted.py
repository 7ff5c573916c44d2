"""`accepted/`: the tasks that the target took on, a file a writer: each worker, and the master for workers elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from loadtests.errors import RunError
from loadtests.measure.snapshot import Accepted
from loadtests.store.folder import RunFolder
from loadtests.store.manifest import read_manifest
from loadtests.store.records import LineWriter, read_lines

MASTER = "master"
CHUNK_BYTES = 1 << 20


class AcceptedWriter:
    """Appends to one file, which is made with the first task. Raises RunError when the disk refuses."""

    def __init__(self, folder: RunFolder, writer: str) -> None:
        self._path = folder.accepted / f"{writer}.jsonl"
        self._lines: LineWriter | None = None

    def append(self, tasks: Sequence[Accepted]) -> None:
        """Write the tasks, one a line, by one write."""
        if not tasks:
            return
        if self._lines is None:
            self._lines = LineWriter(self._path)
        self._lines.append(*map(_record, tasks))

    def close(self) -> None:
        """Give the file back."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None


def folder_here(path: str, run_id: str) -> RunFolder | None:
    """The run's folder, where this process sees it; None on another machine, whatever is there under the same path."""
    with suppress(RunError):
        folder = RunFolder(Path(path))
        if read_manifest(folder)["run_id"] == run_id:
            return folder
    return None


def accepted_files(folder: RunFolder) -> list[Path]:
    """The files that there are, in order."""
    return sorted(folder.accepted.glob("*.jsonl"))


def read_accepted(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """`id`, `user`, `due_s`, `accepted_s`, `request` of every task, writer by writer. Raises RunError for a damaged line."""
    for path in accepted_files(folder):
        yield from read_lines(path)


def count_accepted(folder: RunFolder) -> int:
    """How many tasks the files hold."""
    return sum(_lines_of(path) for path in accepted_files(folder))


def _lines_of(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found += chunk.count(b"\n")
    return found


def _record(task: Accepted) -> dict[str, Any]:
    due_s, accepted_s = round(task.due_s, 6), round(task.accepted_s, 6)
    return {"id": task.task_id, "user": task.user, "due_s": due_s, "accepted_s": accepted_s, "request": task.request}
