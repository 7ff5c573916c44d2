"""What comes back of a run, written into its folder: windows as they are sealed, and the tasks that were accepted."""

from collections.abc import Callable, Iterable

from loadtests.measure.snapshot import Snapshot
from loadtests.measure.window import Window, WindowMerger
from loadtests.store.accepted import MASTER, AcceptedWriter
from loadtests.store.folder import RunFolder
from loadtests.store.windows import WindowWriter


class Record:
    """Of one run. `sealed` is told of each window that was written. Raises RunError when the folder cannot be written."""

    def __init__(self, folder: RunFolder, workers: int, sealed: Callable[[Window], None]) -> None:
        self._windows = WindowWriter(folder.file("windows.jsonl"))
        self._accepted = AcceptedWriter(folder, MASTER)
        self._merger = WindowMerger(workers)
        self._sealed = sealed

    def take(self, snapshot: Snapshot) -> None:
        """A worker's next report."""
        self._accepted.append(snapshot.accepted)
        self._write(self._merger.add(snapshot))

    def release(self, worker: int) -> None:
        """A worker reports nothing any more: its seconds wait for the others alone."""
        self._write(self._merger.forget(worker))

    def close(self) -> None:
        """Nobody reports anything any more."""
        self._write(self._merger.close())

    def _write(self, windows: Iterable[Window]) -> None:
        written = list(windows)
        self._windows.append(*written)
        for window in written:
            self._sealed(window)
