"""What the connections make of errors: of those that pass, and of our own."""

import asyncio

import asyncpg
import pytest

from app.core.database import Database, Unavailable
from app.core.statement import Statement
from app.settings import WorkerSettings
from tests.support import free_port


def ask(url: str, statement: str, *values: object) -> None:
    """One statement over a pool of its own."""

    async def scenario() -> None:
        database = Database(url, "agenthq-test", 1)
        await database.open()
        try:
            await database.row(Statement("asked", statement), *values)
        finally:
            await database.close()

    asyncio.run(scenario())


def test_a_value_of_the_wrong_kind_is_no_outage(worker_settings: WorkerSettings) -> None:
    """It is an error of the program, which no client should wait for."""
    with pytest.raises(asyncpg.DataError, match="invalid input for query argument"):
        ask(worker_settings.libpq_url, "SELECT $1::int", "text")


def test_a_refused_statement_is_no_outage(worker_settings: WorkerSettings) -> None:
    """The server is there, and says no."""
    with pytest.raises(asyncpg.PostgresError, match="division by zero"):
        ask(worker_settings.libpq_url, "SELECT 1 / 0")


def test_a_server_that_is_not_there_is_an_outage() -> None:
    """Nothing listens: the request may be repeated."""
    with pytest.raises(Unavailable):
        ask(f"postgresql://nobody@127.0.0.1:{free_port()}/none", "SELECT 1")
