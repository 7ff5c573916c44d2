"""Which container engine answers on this machine, and how compose is called with it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from loadtests import settings
from loadtests.errors import InputError, NotReadyError

ANSWER_S = 15.0
"""Longest time for an engine to answer a question."""
WORK_S = 600.0
"""Longest time for it to do something: to end containers, to copy gigabytes."""
KNOWN = {
    "docker": (("docker", "compose"),),
    "podman": (("podman-compose",), ("podman", "compose")),
}
"""Ways to call compose, by engine, in the order in which they are tried."""

VERSION = {
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("info", "--format", "{{.Version.Version}}"),
}
"""What only an engine that answers can say."""


@dataclass(frozen=True)
class Engine:
    """A container engine that answers."""

    program: str
    """`docker` or `podman`."""
    compose: tuple[str, ...]
    """The command that reads docker-compose.yml."""

    def say(self, *arguments: str, within_s: float = ANSWER_S) -> str:
        """Ask the engine; what it says. Raises EngineRefusal when it refuses, EngineError when it hangs."""
        done = ask([self.program, *arguments], within_s)
        if done.returncode:
            raise EngineRefusal(f"{self.program} {arguments[0]}: {last_line(done.stderr or done.stdout)}")
        return done.stdout.strip()


class EngineError(NotReadyError):
    """The engine refused, in its own words, or did not answer."""


class EngineRefusal(EngineError):
    """It answered, and would not: there is no such container, say."""


def find_engine(environ: Mapping[str, str]) -> Engine:
    """The first engine that answers and has compose. Raises InputError, in one line, when none does."""
    wanted = wanted_engine(environ)
    if wanted == "none":
        raise InputError(f"{settings.ENGINE}=none")
    troubles = []
    for program in [wanted] if wanted else KNOWN:
        try:
            return _engine(program)
        except EngineError as error:
            troubles.append(str(error))
    raise InputError(f"no container engine answers: {'; '.join(troubles)}")


def wanted_engine(environ: Mapping[str, str]) -> str:
    """The only engine that may be taken; empty for any, `none` for none. Raises InputError for one that is not known."""
    wanted = environ.get(settings.ENGINE, "")
    if wanted and wanted not in (*KNOWN, "none"):
        raise InputError(f"{settings.ENGINE}: must be one of {', '.join(KNOWN)}, none (got {wanted!r})")
    return wanted


def ask(command: Sequence[str], within_s: float = ANSWER_S) -> "subprocess.CompletedProcess[str]":
    """Run a short command to its end, out of reach of the terminal's Ctrl-C. Raises EngineError when it hangs."""
    try:
        started = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
    except OSError as error:
        raise EngineError(f"{command[0]}: {error.strerror}") from error
    with started:
        try:
            out, err = started.communicate(timeout=within_s)
        except BaseException as error:
            # All of them: what a wrapper has started keeps the pipes open, and would be waited for.
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise EngineError(f"{' '.join(command[:2])}: no answer within {within_s:g} s") from None
            raise
    return subprocess.CompletedProcess(list(command), started.returncode, out, err)


def last_line(text: str) -> str:
    """The last line of a message, which tells the most."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _engine(program: str) -> Engine:
    if shutil.which(program) is None:
        raise EngineError(f"{program}: not installed")
    done = ask([program, *VERSION[program]])
    if done.returncode:
        raise EngineError(f"{program}: {last_line(done.stderr)}")
    for compose in KNOWN[program]:
        if shutil.which(compose[0]) and ask([*compose, "version"]).returncode == 0:
            return Engine(program, compose)
    raise EngineError(f"{program}: has no compose ({' or '.join(' '.join(compose) for compose in KNOWN[program])})")
