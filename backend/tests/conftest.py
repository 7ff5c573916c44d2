"""A database of its own for the whole run, and the fixtures that all tests share."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection, sql
from sqlalchemy.engine import make_url

from app.settings import ApiSettings, WorkerSettings
from tests.support import BACKEND, Api, Person, running_api

_REQUIRED = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")
_DATABASE = f"agenthq_test_{os.getpid()}"


def pytest_configure() -> None:
    """Point everything, child processes included, at a new database and queue."""
    missing = [name for name in _REQUIRED if not os.environ.get(name)]
    if missing:
        raise pytest.UsageError(f"the tests need real servers: set {', '.join(missing)}")
    url = make_url(os.environ["DATABASE_URL"])
    os.environ["TEST_SERVER_URL"] = _libpq(url.render_as_string(hide_password=False))
    os.environ["DATABASE_URL"] = url.set(database=_DATABASE).render_as_string(hide_password=False)
    os.environ["CELERY_QUEUE"] = _DATABASE
    os.environ["JWT_SECRET"] = secrets.token_hex(32)
    os.environ["ENVIRONMENT"] = "test"
    # Every test logs somebody in, all from one address.
    os.environ["LOGIN_LIMIT_PER_MINUTE"] = "0"


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A migrated database; its libpq URL."""
    with new_database(_DATABASE) as url:
        migrate("upgrade", "head")
        yield url


@contextmanager
def new_database(name: str) -> Iterator[str]:
    """An empty database, dropped afterwards; its libpq URL."""
    with psycopg.connect(os.environ["TEST_SERVER_URL"], autocommit=True) as server:
        quoted = sql.Identifier(name)
        server.execute(sql.SQL("CREATE DATABASE {}").format(quoted))
        try:
            url = make_url(os.environ["TEST_SERVER_URL"]).set(database=name)
            yield url.render_as_string(hide_password=False)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(quoted))


def migrate(*arguments: str, url: str | None = None) -> str:
    """Run Alembic on the tests' database, or on that of the libpq URL; what it says."""
    environment = dict(os.environ)
    if url is not None:
        environment["DATABASE_URL"] = url.replace("://", "+asyncpg://", 1)
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=BACKEND,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.fixture
def db(database_url: str) -> Iterator[Connection[Any]]:
    """A connection to the tests' database, in autocommit; no task is open, the outbox is empty."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM outbox")
        connection.execute(
            "UPDATE tasks SET status = 'cancelled' WHERE status IN ('pending', 'processing')"
        )
        yield connection


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all: the pool's connections belong to it."""
    with asyncio.Runner() as loop:
        yield loop


@pytest.fixture(scope="session")
def settings(database_url: str) -> ApiSettings:
    """Settings of the API, from the environment."""
    assert database_url
    return ApiSettings()  # type: ignore[call-arg] # the environment gives the arguments


@pytest.fixture(scope="session")
def worker_settings(database_url: str) -> WorkerSettings:
    """Settings of relay and worker, from the environment."""
    assert database_url
    return WorkerSettings()  # type: ignore[call-arg] # the environment gives the arguments


@pytest.fixture(scope="session")
def api(runner: asyncio.Runner, settings: ApiSettings) -> Iterator[Api]:
    """The application in this process."""
    with running_api(runner, settings) as running:
        yield running


@pytest.fixture
def person(api: Api) -> Person:
    """A guest whom no other test knows."""
    return api.login(f"device-{uuid4()}")


@pytest.fixture
def stranger(api: Api) -> Person:
    """Another such guest."""
    return api.login(f"device-{uuid4()}")


def _libpq(url: str) -> str:
    return url.replace("+asyncpg", "", 1)
