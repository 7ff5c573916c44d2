"""What is installed is pinned to its bytes."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.e2e.command import ROOT

LOCKS = sorted([*ROOT.glob("*.lock"), *ROOT.glob("backend/*.lock")])
SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def requirements(text: str) -> list[str]:
    """The logical lines of a requirements file, without comments and options."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def named(line: str) -> Requirement:
    """The requirement of a line."""
    return Requirement(line.partition(" --hash")[0].strip())


def test_all_locks_are_looked_at() -> None:
    """The harness's, the backend's, what their checks need, and the audit's."""
    assert {str(lock.relative_to(ROOT)) for lock in LOCKS} >= {
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-audit.lock",
        "backend/requirements.lock",
        "backend/requirements-dev.lock",
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_requirement_has_one_version_and_hashes(lock: Path) -> None:
    """So nobody can put other bytes in its place, neither on a mirror nor on the way."""
    for line in requirements(lock.read_text()):
        assert [one.operator for one in named(line).specifier] == ["=="], line
        assert SHA256.search(line), f"{lock}: {line}: no hash"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_dependency_is_in_its_lock(lock: Path) -> None:
    """At a version that the .in file allows."""
    pinned = {canonicalize_name(one.name): one for one in map(named, requirements(lock.read_text()))}
    for line in requirements(lock.with_suffix(".in").read_text()):
        wanted = Requirement(line)
        found = pinned.get(canonicalize_name(wanted.name))
        assert found is not None, f"{line} is not in {lock}"
        (version,) = [one.version for one in found.specifier]
        assert wanted.specifier.contains(version, prereleases=True), f"{line}: {lock} has {version}"


def test_line_without_a_hash_is_found() -> None:
    """The looks above would see one."""
    first, second = requirements(f"one==1 \\\n    --hash=sha256:{'0' * 64}\n    # via two\ntwo==2 ; os_name == 'nt'  # words\n")
    assert SHA256.search(first)
    assert not SHA256.search(second)
    assert named(second).name == "two"
