"""Runs the real command as its user does, and knows what it must not leave behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from loadtests.store.records import read_lines

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0
STARTED: list["Command"] = []
"""Commands of the current test."""


@dataclass
class Finished:
    """What a command said and did."""

    code: int
    output: str
    errors: str
    out: Path

    @property
    def folder(self) -> Path:
        """The run's folder; there must be exactly one."""
        (folder,) = [path for path in self.out.iterdir() if path.is_dir() and not path.is_symlink()]
        return folder

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run's folder."""
        data: dict[str, Any] = json.loads((self.folder / name).read_text())
        return data

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The run's events of one kind."""
        return [event for event in read_lines(self.folder / "events.jsonl") if event["event"] == kind]


@dataclass
class Command:
    """One `loadtest` command; `marker` is in the environment of every process that it starts."""

    out: Path
    arguments: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    """Called in the child before it becomes the command, to set limits."""
    cwd: Path = ROOT
    """Whose `loadtests` it is."""

    def __post_init__(self) -> None:
        self.marker = uuid.uuid4().hex
        # Not under pytest's folders: PostgreSQL runs as nobody when the tests run as root, and must get there.
        self.state = Path(tempfile.mkdtemp(prefix="lt-e2e-"))
        self.state.chmod(0o755)
        self.process: subprocess.Popen[str]

    def start(self) -> "Command":
        """Start it in a group of its own, as a shell does."""
        STARTED.append(self)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LOADTEST_", "LOCUST_"))}
        # With processes of this machine, whether it has a container engine or not.
        own = {"LOADTEST_STATE_DIR": str(self.state), "LOADTEST_ENGINE": "none", "E2E_MARKER": self.marker}
        env = {**inherited, **own, **self.env}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loadtests", *self.arguments],
            cwd=self.cwd,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            preexec_fn=self.before,  # noqa: PLW1509  # no threads before exec here
        )
        return self

    def finish(self, timeout_s: float = PATIENCE_S) -> Finished:
        """Wait for its end."""
        try:
            output, errors = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            output, errors = self.process.communicate()
            raise AssertionError(f"not over after {timeout_s} s:\n{output}\n{errors}") from None
        return Finished(self.process.returncode, output, errors, self.out)

    def clean_up(self) -> None:
        """End what a failed test left running."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.communicate(timeout=30)
        self.process.kill()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait()
        shutil.rmtree(self.state, ignore_errors=True)

    def left_behind(self, within_s: float = 0.0) -> list[int]:
        """Process ids of what is still there of it after `within_s`."""
        deadline = time.monotonic() + within_s
        while (found := [one.pid for one in self.processes()]) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def processes(self, containing: str = "") -> list[psutil.Process]:
        """Its processes, itself left out, whose command line contains a text."""
        found = []
        for process in psutil.process_iter():
            try:
                line = " ".join(process.cmdline())
                marked = process.environ().get("E2E_MARKER") == self.marker
                mine = marked or str(self.state) in line or process.cwd().startswith(str(self.state))
                if mine and process.pid != self.process.pid and containing in line and process.status() != "zombie":
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def wait_for_process(self, containing: str, timeout_s: float = PATIENCE_S) -> list[psutil.Process]:
        """Block until it has processes whose command line contains a text."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if found := self.processes(containing):
                return found
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError(f"no process {containing!r} within {timeout_s} s; there are {self.processes()}")

    def wait_for_window(self, number: int, timeout_s: float = 60.0) -> None:
        """Block until the run has written its window `number`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for file in self.out.glob("*/windows.jsonl"):
                if file.read_bytes().count(b"\n") > number:
                    return
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError(f"window {number} was not written within {timeout_s} s")

    def wait_for_event(self, kind: str, timeout_s: float = 60.0) -> None:
        """Block until the run has recorded an event of this kind."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if any(f'"event":"{kind}"' in file.read_text() for file in self.out.glob("*/events.jsonl")):
                return
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError(f"no event {kind!r} within {timeout_s} s")


def loadtest(*arguments: str, out: Path, **more: Any) -> Finished:
    """Run a command that takes no results folder, to its end."""
    return Command(out, arguments, **more).start().finish()


def run(*arguments: str, out: Path, **more: Any) -> Command:
    """Start `loadtest run` with its results in `out`."""
    return Command(out, ("run", *arguments, "--out", str(out)), **more).start()


def free_port() -> int:
    """A port where nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
