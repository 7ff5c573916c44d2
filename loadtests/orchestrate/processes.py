"""Processes of a run: started in order, waited for by their health, ended in reverse order whatever happens."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loadtests.errors import InterruptedRun, NotReadyError
from loadtests.orchestrate.guardian import Guardian
from loadtests.orchestrate.ports import Ports

POLL_S = 0.05
TAIL_LINES = 8


@dataclass
class Managed:
    """One started process, alone in its process group."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals
    grace_s: float
    spawn: Callable[[], subprocess.Popen[bytes]]
    """Starts the same process anew."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def fate(self) -> str:
        """How it ended, in words."""
        code = self.process.poll()
        if code is None:
            return "is running"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def log_lines(self) -> list[str]:
        """What it said so far."""
        with suppress(OSError):
            return self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return []

    def tail(self) -> str:
        """The last lines of its log, as an error message shows them."""
        return "\n".join(f"  {self.name}: {line}" for line in self.log_lines()[-TAIL_LINES:])


class ProcessManager:
    """All processes of one run. A context manager: leaving it ends them all."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._managed: list[Managed] = []
        self._guardian = Guardian()
        self.ports = Ports()
        self.interrupted: signal.Signals | None = None
        """The signal that asked the run to stop; waits raise InterruptedRun once it is set."""

    def __enter__(self) -> "ProcessManager":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()
        self._guardian.dismiss()
        self.ports.release()

    @property
    def guardian(self) -> Guardian:
        """Who cleans up if this process cannot."""
        return self._guardian

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace_s: float = 10.0,
    ) -> Managed:
        """Start a process with its own log. Raises NotReadyError when it cannot be executed."""
        log = self._logs / f"{name}.log"

        def spawn() -> subprocess.Popen[bytes]:
            try:
                with log.open("ab") as output:
                    return subprocess.Popen(
                        list(command),
                        env=dict(env),
                        cwd=cwd,
                        user=user,
                        group=None if user is None else _primary_group(user),
                        extra_groups=None if user is None else [],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,  # Ctrl-C reaches the run alone, which then ends the others in order
                    )
            except OSError as error:
                raise NotReadyError(f"{name}: {command[0]} cannot be started: {error.strerror}") from error

        process = spawn()
        self._guardian.watch(process.pid, stop_signal)
        managed = Managed(name, process, log, stop_signal, grace_s, spawn)
        self._managed.append(managed)
        return managed

    def named(self, name: str) -> Managed:
        """The process of that name. Raises KeyError when none is managed."""
        for managed in self._managed:
            if managed.name == name:
                return managed
        raise KeyError(name)

    def ask_to_end(self, managed: Managed) -> None:
        """Send the whole group its stop signal, and wait for nothing."""
        _signal_group(managed.process.pid, managed.stop_signal)

    def end(self, managed: Managed, how: signal.Signals) -> None:
        """Send the signal to the whole group and wait for the process's end; it stays managed, for `restart`."""
        _signal_group(managed.process.pid, how)
        managed.process.wait()
        _signal_group(managed.process.pid, signal.SIGKILL)
        self._guardian.release(managed.process.pid)

    def restart(self, managed: Managed) -> None:
        """Start a process that has ended, as it was started before. Raises NotReadyError when it cannot be executed."""
        managed.process = managed.spawn()
        self._guardian.watch(managed.process.pid, managed.stop_signal)

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start a process and wait for its end. Raises NotReadyError unless it ends with 0."""
        managed = self.start(name, command, env=env, cwd=cwd, user=user, stop_signal=stop_signal)
        while managed.alive:
            self.pause()
        self._forget(managed)
        if managed.process.returncode != 0:
            raise NotReadyError(f"{name} {managed.fate()} (log: {managed.log})\n{managed.tail()}")

    def wait_ready(self, managed: Managed, ready: Callable[[], bool], within_s: float, what: str) -> None:
        """Poll `ready` until it holds. Raises NotReadyError when the process ends first or the time is over."""
        deadline = time.monotonic() + within_s
        while not ready():
            if not managed.alive:
                raise NotReadyError(f"{managed.name} {managed.fate()} before {what} (log: {managed.log})\n{managed.tail()}")
            if time.monotonic() > deadline:
                message = f"{managed.name}: not ready after {within_s:.0f} s: {what} (log: {managed.log})"
                raise NotReadyError(f"{message}\n{managed.tail()}")
            self.pause()

    def pause(self, seconds: float = POLL_S) -> None:
        """Sleep a little. Raises InterruptedRun when a signal has asked the run to stop."""
        time.sleep(seconds)
        if self.interrupted is not None:
            raise InterruptedRun("interrupted before the load started; everything was stopped")

    def attend(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None) -> int:
        """Run a command on this terminal, to its end; its exit code, as a shell would give it.

        Signals that should end this process are passed on to the command. Raises NotReadyError when it cannot be executed.
        """
        try:
            process = subprocess.Popen(list(command), env=dict(env), cwd=cwd, process_group=0, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise NotReadyError(f"{command[0]}: cannot be started: {error.strerror}") from error
        self._guardian.watch(process.pid)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: _signal_group(process.pid, signal.Signals(number)))
        try:
            code = process.wait()
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
            self._guardian.release(process.pid)
        return 128 - code if code < 0 else code

    def dead(self) -> list[Managed]:
        """Processes that were started, not stopped, and do not run any more."""
        return [managed for managed in self._managed if not managed.alive]

    def stop(self, managed: Managed) -> None:
        """End one process group: its stop signal, its grace time, SIGKILL."""
        if managed.alive:
            _signal_group(managed.process.pid, managed.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                managed.process.wait(managed.grace_s)
        _signal_group(managed.process.pid, signal.SIGKILL)  # children that outlived their leader
        managed.process.wait()
        self._forget(managed)

    def stop_all(self) -> None:
        """End everything, the last started first."""
        for managed in reversed(list(self._managed)):
            self.stop(managed)

    def _forget(self, managed: Managed) -> None:
        self._guardian.release(managed.process.pid)
        self._managed.remove(managed)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _primary_group(user: str) -> int:
    import pwd  # noqa: PLC0415  # not on every platform, and only needed as root

    return pwd.getpwnam(user).pw_gid
