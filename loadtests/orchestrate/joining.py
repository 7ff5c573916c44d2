"""Workers that this machine brings to a run of another: started together, ended together."""

import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from signal import Signals

from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.gathering import MASTER_PORT
from loadtests.orchestrate.guardian import Guardian
from loadtests.orchestrate.locusts import locust, locust_env
from loadtests.orchestrate.signals import handled

WORKER_NAME = "LOADTEST_WORKER_NAME"
POLL_S = 0.1
GRACE_S = 10.0
WORST_FIRST = (ExitCode.BAD_INPUT, ExitCode.INVALID)


class Joining:
    """`processes` workers for one run. They write to this process's terminal."""

    def __init__(self, host: str, port: int, processes: int, wait_s: float, environ: Mapping[str, str]) -> None:
        """Raises InputError for what cannot work."""
        if processes < 1:
            raise InputError(f"--processes: must be at least 1 (got {processes})")
        if not wait_s > 0:
            raise InputError(f"--wait: must be more than 0 s (got {wait_s:g})")
        address = ["--master-host", host, "--master-port", str(port), "--master-wait", str(wait_s)]
        self._command = [*locust(), "--worker", "--loglevel", "WARNING", *address]
        self._names = worker_names(environ.get(WORKER_NAME) or socket.gethostname(), processes)
        self._env = locust_env(environ)
        self._signals = 0

    def execute(self) -> ExitCode:
        """Bring them, and wait for the run's end."""
        guardian, started = Guardian(), list[subprocess.Popen[bytes]]()

        def on_signal(_: Signals) -> None:  # the second means less patience than the first
            self._signals += 1
            for process in started:
                process.terminate() if self._signals == 1 else process.kill()

        with handled(on_signal):
            try:
                for name in self._names:
                    env = {**self._env, WORKER_NAME: name}
                    process = subprocess.Popen(self._command, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
                    started.append(process)
                    guardian.watch(process.pid)
                    if self._signals:
                        break
                while any(process.poll() is None for process in started):
                    time.sleep(POLL_S)
            finally:
                _end(started)
                guardian.dismiss()
        return ExitCode.INTERRUPTED if self._signals else worst([process.returncode for process in started])


def address_of(text: str) -> tuple[str, int]:
    """Host and port of `HOST[:PORT]`. Raises InputError."""
    if text.count(":") > 1:
        raise InputError(f"--master: must be a name or an IPv4 address, with or without a port (got {text!r})")
    host, colon, port = text.partition(":")
    if not host or not host.isprintable() or " " in host or (colon and not (port.isascii() and port.isdigit())):
        raise InputError(f"--master: must be HOST or HOST:PORT (got {text!r})")
    number = int(port) if colon else MASTER_PORT
    if not 0 < number < 2**16:
        raise InputError(f"--master: the port must be from 1 to 65535 (got {number})")
    try:
        socket.getaddrinfo(host, number, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise InputError(f"--master: {host} is not known here: {error.strerror or error}") from error
    return host, number


def worker_names(name: str, processes: int) -> list[str]:
    """What the workers are called in the run's record."""
    return [name] if processes == 1 else [f"{name}-{number}" for number in range(1, processes + 1)]


def worst(codes: list[int]) -> ExitCode:
    """One exit code for all workers: that of a refusal, of an end before the run's, or of none."""
    for code in WORST_FIRST:
        if code in codes:
            return code
    return ExitCode.INVALID if any(codes) else ExitCode.PASS


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    for process in started:
        if process.poll() is None:
            process.terminate()
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        process.kill()
        process.wait()
