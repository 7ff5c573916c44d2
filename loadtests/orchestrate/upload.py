"""Metrics on their way out of a run's folder: beside a run, in a process of its own, or afterwards by `loadtest upload`."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from loadtests.errors import NotReadyError
from loadtests.orchestrate.processes import Managed, ProcessManager
from loadtests.sinks.address import Address
from loadtests.sinks.progress import Progress, read_progress
from loadtests.store.folder import RunFolder
from loadtests.store.records import LineTail

NAME = "upload"
LAST_CALL_S = 5.0
"""How long after the verdict a server in trouble is waited for."""
END_WITHIN_S = 8.0
"""How long after the verdict the process may still run: a server that hangs is not waited for."""


def upload(folder: RunFolder, address: Address, follow: bool, within_s: float, again: bool) -> str:
    """Deliver a run's folder; what was delivered, in words.

    Raises NotReadyError when some of it was not, RunError for a damaged file, InputError when somebody else is at it.
    """
    # A second of imports, for nobody else to wait for.
    from loadtests.sinks.delivery import Delivery, Undelivered  # noqa: PLC0415
    from loadtests.sinks.spool import Spool, alone  # noqa: PLC0415

    with alone(folder):
        spool = Spool(folder, address.name)
        if again:
            spool.forget()
        try:
            Delivery(spool, address, follow, within_s).run()
        except Undelivered as error:
            raise NotReadyError(_left(folder, address, spool.progress, str(error))) from None
        if spool.progress.dead:
            raise NotReadyError(_dead(folder, address, spool.progress))
    return _done(address, spool.progress)


class Uploader:
    """The process that delivers beside a run. It makes way for the load, and the run does not depend on it."""

    def __init__(self, processes: ProcessManager, folder: RunFolder, address: Address) -> None:
        self._processes, self._folder, self._address = processes, folder, address
        self._managed: Managed | None = None
        self._tail, self._windows = LineTail(folder.file("windows.jsonl")), 0

    def start(self, env: Mapping[str, str]) -> None:
        """Begin. Raises NotReadyError when Python cannot be executed."""
        where = ["--influx", self._address.url, "--influx-database", self._address.database]
        command = [sys.executable, "-m", "loadtests", "upload", str(self._folder.path), "--follow", *where]
        within = ["--within", f"{LAST_CALL_S:g}s"]
        self._managed = self._processes.start(NAME, ["nice", "-n", "10", *command, *within], env=env, grace_s=1.0)

    def waiting(self) -> int:
        """Windows that are written and not delivered."""
        self._windows += len(self._tail.lines())
        progress = read_progress(self._folder, self._address.name) or Progress()
        return max(0, self._windows - progress.files["windows"].records)

    def finish(self, hurry: bool) -> str:
        """Wait for the last of it, not for long, or not at all; what was delivered and what was not, in words."""
        if self._managed is not None:
            with suppress(subprocess.TimeoutExpired):
                self._managed.process.wait(0 if hurry else END_WITHIN_S)
            self._processes.stop(self._managed)
        progress = read_progress(self._folder, self._address.name) or Progress()
        if not progress.verdict:
            said = self._managed.log_lines() if self._managed else []
            return _left(self._folder, self._address, progress, progress.trouble or (said or ["it did not answer in time"])[-1])
        return _dead(self._folder, self._address, progress) if progress.dead else _done(self._address, progress)


def _done(address: Address, progress: Progress) -> str:
    windows = progress.files["windows"].records
    return f"metrics: {windows:,} windows ({progress.points:,} points) delivered to {address.url}, database {address.database}"


def _dead(folder: RunFolder, address: Address, progress: Progress) -> str:
    return f"{_done(address, progress)}; {progress.dead:,} points were refused: {folder.path}/dead_letters.jsonl says why"


def _left(folder: RunFolder, address: Address, progress: Progress, why: str) -> str:
    windows = len(LineTail(folder.file("windows.jsonl")).lines())
    left = windows - progress.files["windows"].records
    return (
        f"metrics: {left:,} of {windows:,} windows are not delivered to {address.url} ({why}); they are kept: "
        f"loadtest upload {folder.path}"
    )
