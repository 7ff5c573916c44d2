"""What tests of the HTTP client share, and those that start processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.orchestrate.processes import ProcessManager
from tests.http_lab import Lab, running_lab
from tests.identity import Identity, make_identity


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One process with the client under test, for all scenarios."""
    with running_lab(tmp_path_factory.mktemp("lab") / "errors") as lab:
        yield lab


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """A TLS certificate that nobody trusts."""
    return make_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[ProcessManager]:
    """A manager whose processes end with the test."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with ProcessManager(logs) as manager:
        yield manager
