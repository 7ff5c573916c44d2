"""What tests of the HTTP client share, those that start processes, and those that need a PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.servers import make_state_folder, start_postgres
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


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """DSN and process id of a running PostgreSQL with a table of tasks."""
    with ProcessManager(tmp_path_factory.mktemp("logs")) as processes:
        servers = start_postgres(processes, make_state_folder(processes), "wheels", "jobs")
        with psycopg.connect(servers.dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE jobs (id text PRIMARY KEY, status text, ended float8)")
        yield servers.dsn, processes._managed[-1].process.pid
