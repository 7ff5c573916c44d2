"""Engines, programs and versions, judged against what brings the stack up."""

from collections.abc import Iterator

from loadtests import settings
from loadtests.orchestrate.doctor.facts import Engine, Need, Programs
from loadtests.orchestrate.doctor.hardware import disk_row
from loadtests.orchestrate.doctor.rows import Row, row, unless

ENGINE_BYTES = 6e9
"""Estimated: five servers' images and the two of this project, built, with PostgreSQL's write-ahead log."""
NAMED = 5
"""Differing distributions on a line."""


def program_rows(need: Need, programs: Programs) -> Iterator[Row]:
    """All of them, in order."""
    yield _engine(need, programs)
    if need.stack == "compose":
        yield _storage(programs.engines)
    if need.stack == "embedded":
        mend = "apt-get install nginx-light; without it one API process answers everybody (docs/stack.md)"
        yield row("nginx", programs.nginx or "missing", "for several instances", unless(programs.nginx is not None), mend)
        source = "the wheels" if need.servers == "wheels" else "the system"
        install = "make setup" if need.servers == "wheels" else "apt-get install postgresql redis-server"
        for name, place in programs.servers.items():
            yield row(name, place or "missing", f"from {source}", unless(place is not None, "fail"), install)
    yield Row("Python", programs.python, "3.11 or newer", "ok")
    yield row("Locust", programs.locust or "missing", "2.47", unless(programs.locust is not None, "fail"), "make setup")
    yield _packages(programs)


def _engine(need: Need, programs: Programs) -> Row:
    """Only a stack of containers needs one that answers and has a compose."""
    what, needed = "container engine", "one, with compose" if need.stack == "compose" else "none"
    found = "; ".join(_said(engine) for engine in programs.engines) or "none is installed"
    if programs.engine_asked:  # then the others were not looked at
        found += f" ({settings.ENGINE}={programs.engine_asked})"
    usable = any(_usable(engine) for engine in programs.engines)
    mend = "install and start docker with its compose plugin, or podman with podman-compose"
    return row(what, found, needed, unless(usable or need.stack != "compose", "fail"), mend)


def _storage(engines: tuple[Engine, ...]) -> Row:
    """Of the engine that will be taken: the first that can."""
    taken = next(filter(_usable, engines), None)
    mend = "the engine's prune command (docker system prune, podman system prune), or its storage on a larger disk"
    return disk_row("disk, engine", taken.storage if taken else None, ENGINE_BYTES, mend)


def _usable(engine: Engine) -> bool:
    return bool(engine.answer and engine.compose)


def _said(engine: Engine) -> str:
    if engine.answer is None:
        return f"{engine.name} does not answer" + (f" ({engine.trouble})" if engine.trouble else "")
    return f"{engine.name} {engine.answer}, " + (f"compose {engine.compose}" if engine.compose else "no compose")


def _packages(programs: Programs) -> Row:
    """Another version of a library is another generator: its figures are not those of the others."""
    what, found = "packages", f"loadtest {programs.harness}"
    if programs.differing is None:
        return Row(what, f"{found}; no requirements.lock here to compare with", "as in the lock", "unknown")
    if not programs.differing:
        return Row(what, f"{found}, all as in requirements.lock", "as in the lock", "ok")
    more = len(programs.differing) - NAMED
    names = ", ".join(programs.differing[:NAMED]) + (f" and {more} more" if more > 0 else "")
    mend = ".venv/bin/python -m pip install --require-hashes -r requirements.lock"
    return Row(what, f"{found}; {names}", "as in the lock", "warn", mend)
