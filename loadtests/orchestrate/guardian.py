"""Ends what a killed run left behind.

The run starts one guardian and tells it, over the guardian's standard input, which process groups and folders are its own. When
that pipe closes, for whatever reason (`kill -9` of the run included), the guardian ends the groups and removes the folders. It
is a process of its own in a session of its own, so what ends the run does not end it.

    lines of its input:   +PGID   -PGID   rm PATH
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE_S = 3.0


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

    def watch(self, group: int) -> None:
        """End this process group when the run is gone."""
        self._tell(f"+{group}")

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


def end_groups(groups: set[int]) -> None:
    """SIGTERM, a grace time, SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        deadline = time.monotonic() + GRACE_S
        while groups and time.monotonic() < deadline:
            groups = {group for group in groups if _alive(group)}
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
    groups: set[int] = set()
    folders: list[str] = []
    for line in sys.stdin:
        text = line.rstrip("\n")
        if text.startswith("+"):
            groups.add(int(text[1:]))
        elif text.startswith("-"):
            groups.discard(int(text[1:]))
        elif text.startswith("rm "):
            folders.append(text[3:])
    end_groups(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
