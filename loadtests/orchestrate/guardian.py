"""Ends what a killed run left behind.

The run starts one guardian and tells it, over the guardian's standard input, which process groups and folders are its own. When
that pipe closes, for whatever reason (`kill -9` of the run included), the guardian ends the groups and removes the folders. It
is a process of its own in a session of its own, so what ends the run does not end it.

    lines of its input:   +PGID SIGNAL   -PGID   rm PATH
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from loadtests.orchestrate.family import family, send

GRACE_S = 8.0


class Guardian:
    """The run's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.orchestrate.guardian"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        )

    def watch(self, group: int, stop_signal: int = signal.SIGTERM) -> None:
        """End this process group, first by this signal, when the run is gone."""
        self._tell(f"+{group} {int(stop_signal)}")

    def release(self, group: int) -> None:
        """The group has ended; its number may be somebody else's soon."""
        self._tell(f"-{group}")

    def remove(self, folder: Path) -> None:
        """Remove this folder when the run is gone."""
        self._tell(f"rm {folder}")

    def dismiss(self) -> None:
        """Close the pipe and wait: what is still watched is ended now."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # somebody ended the guardian; the run still cleans up by itself
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def end_groups(groups: dict[int, int]) -> None:
    """Each group's own stop signal, a grace time, SIGKILL.

    The signals are their own because a database that does not stop in time, and is killed, leaves its shared memory behind.
    What a fault has frozen is continued first: a stopped process ends by no signal but SIGKILL.
    """
    for group in groups:
        send(family(group), signal.SIGCONT)
    for killing in (False, True):
        for group, stop_signal in groups.items():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL if killing else stop_signal)
        deadline = time.monotonic() + GRACE_S
        while groups and time.monotonic() < deadline:
            groups = {group: number for group, number in groups.items() if _alive(group)}
            time.sleep(0.05)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Listen until the pipe closes, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        text = line.rstrip("\n")
        if text.startswith("+"):
            group, stop_signal = text[1:].split()
            groups[int(group)] = int(stop_signal)
        elif text.startswith("-"):
            groups.pop(int(text[1:]), None)
        elif text.startswith("rm "):
            folders.append(text[3:])
    end_groups(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
