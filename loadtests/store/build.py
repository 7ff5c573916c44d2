"""What is installed here, so that two machines can tell whether they run the same."""

import platform
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import loadtests

PACKAGES = (
    "locust",
    "gevent",
    "greenlet",
    "pyzmq",
    "msgpack",
    "httptools",
    "brotli",
    "hdrhistogram",
    "pydantic",
    "pyjwt",
    "faker",
)
"""Installed distributions that decide what is sent, when, and what is measured of it."""
Build = Mapping[str, str]
"""What it is that has a version, and which."""


def this_build(package: Path = Path(loadtests.__file__).parent) -> dict[str, str]:
    """The harness's version, Python's without its patch level, those of PACKAGES, and a digest of the harness's own sources.

    It looks at what is there rather than at `requirements.lock`, which an image need not have and which says what should be
    installed, not what is. The sources are in it because a version stays the same from one commit to the next.
    """
    found = {"harness": loadtests.__version__, "python": ".".join(platform.python_version_tuple()[:2])}
    return {**found, **{name: _installed(name) for name in PACKAGES}, "source": _digest(package)}


def difference(here: Build, there: Build) -> str | None:
    """The first thing in which two builds differ, in words; None for equal ones."""
    for name in dict.fromkeys([*here, *there]):
        mine, other = here.get(name, "none"), there.get(name, "none")
        if mine != other:
            return f"{name} {mine} here, {other} there"
    return None


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _digest(package: Path) -> str:
    whole = sha256()
    for path in sorted(package.rglob("*.py")):
        whole.update(path.relative_to(package).as_posix().encode() + b"\0")
        whole.update(sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:12]
