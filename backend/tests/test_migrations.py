"""Migrations: against the models, with data in the tables, after builds that were interrupted."""

import os
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from app.models import Base
from tests.conftest import migrate, new_database

ANN, BOB = UUID(int=1), UUID(int=2)
PENDING, PROCESSING, COMPLETED = UUID(int=11), UUID(int=12), UUID(int=13)
INDEXES = sorted(
    str(index.name) for table in Base.metadata.tables.values() for index in table.indexes
)


@pytest.fixture
def url() -> Iterator[str]:
    """An empty database."""
    with new_database(f"agenthq_migrations_{os.getpid()}") as fresh:
        yield fresh


@pytest.fixture
def old(url: str) -> Iterator[Connection[Any]]:
    """A database of the second revision, in use."""
    migrate("upgrade", "0002", url=url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO users (id, email, full_name, device_id, tokens_valid_from) VALUES"
            " (%s, 'ann@x.test', 'Ann', 'a', NULL), (%s, 'bob@x.test', 'Bob', 'b', now())",
            [ANN, BOB],
        )
        tasks = [
            (PENDING, "pending", 0),
            (PROCESSING, "processing", 1),
            (COMPLETED, "completed", 1),
        ]
        for task_id, status, attempt in tasks:
            connection.execute(
                "INSERT INTO tasks (id, user_id, prompt, output_type, status, attempt, started_at)"
                " VALUES (%s, %s, 'write', 'docs', %s, %s, now())",
                [task_id, ANN, status, attempt],
            )
        # One task was published, one was not, one has two entries: nothing forbade that.
        connection.execute(
            "INSERT INTO outbox (task_id, enqueued_at) VALUES"
            " (%(new)s, NULL), (%(sent)s, now() - interval '2 min'), (%(sent)s, now())",
            {"new": PENDING, "sent": PROCESSING},
        )
        yield connection


def test_models_and_migrations_agree(database_url: str) -> None:
    """Alembic finds nothing to add to the migrated database."""
    assert database_url
    assert "No new upgrade operations" in migrate("check")


def test_an_upgrade_keeps_the_meaning_of_what_is_there(old: Connection[Any], url: str) -> None:
    """Tokens stay refused, work at hand goes on, the outbox says the same in new words."""
    migrate("upgrade", "head", url=url)
    # Bob's tokens from before his logout carry no version, which counts as 0.
    assert _rows(old, "SELECT id, token_version FROM users ORDER BY id") == [(ANN, 0), (BOB, 1)]
    # The old worker is gone or will be; its task is to be had now.
    leases = _rows(old, "SELECT id, lease_until <= now() FROM tasks ORDER BY id")
    assert leases == [(PENDING, None), (PROCESSING, True), (COMPLETED, None)]
    entries = _rows(
        old,
        "SELECT task_id, enqueued_at > now() - interval '1 min', available_at <= now() FROM outbox"
        " ORDER BY seq",
    )
    assert entries == [(PENDING, None, True), (PROCESSING, True, True)]
    old.execute("INSERT INTO outbox (task_id) VALUES (%s)", [COMPLETED])
    assert _rows(old, "SELECT task_id FROM outbox ORDER BY seq")[-1] == (COMPLETED,)


def test_a_downgrade_keeps_it_too(old: Connection[Any], url: str) -> None:
    """Whoever logged out stays so, entries stay, and the way up is open again."""
    migrate("upgrade", "head", url=url)
    migrate("downgrade", "0002", url=url)
    users = _rows(old, "SELECT id, tokens_valid_from <= now() FROM users ORDER BY id")
    assert users == [(ANN, None), (BOB, True)]
    entries = _rows(old, "SELECT task_id, enqueued_at IS NULL FROM outbox ORDER BY id")
    assert entries == [(PENDING, True), (PROCESSING, False)]
    assert _rows(old, "SELECT count(*) FROM tasks") == [(3,)]
    migrate("upgrade", "head", url=url)
    assert _rows(old, "SELECT id, token_version FROM users ORDER BY id") == [(ANN, 0), (BOB, 1)]
    assert "No new upgrade operations" in migrate("check", url=url)


def test_all_the_way_down(url: str) -> None:
    """Nothing is left behind."""
    migrate("upgrade", "head", url=url)
    migrate("downgrade", "base", url=url)
    with psycopg.connect(url) as connection:
        query = (
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relname NOT LIKE 'alembic%'"
        )
        assert _rows(connection, query) == []


@pytest.mark.parametrize(
    ("revision", "index"), [("0001", "ix_tasks_user_created"), ("0003", "ix_outbox_enqueued")]
)
def test_an_index_left_invalid_is_built_again(url: str, revision: str, index: str) -> None:
    """IF NOT EXISTS alone would keep the wreck of an interrupted build."""
    migrate("upgrade", revision, url=url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO teams (id, name) SELECT gen_random_uuid(), 'team' FROM (VALUES (1), (2)) x"
        )
        wreck = f"CREATE UNIQUE INDEX CONCURRENTLY {index} ON teams (name)"
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(wreck.encode())
        migrate("upgrade", "head", url=url)
        indexes = _rows(
            connection,
            "SELECT indexrelid::regclass::text FROM pg_index"
            " WHERE indexrelid::regclass::text LIKE 'ix_%' AND indisvalid ORDER BY 1",
        )
    assert [name for (name,) in indexes] == INDEXES
    assert "No new upgrade operations" in migrate("check", url=url)


def _rows(connection: Connection[Any], query: str) -> list[Any]:
    return connection.execute(query.encode()).fetchall()
