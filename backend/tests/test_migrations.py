"""Migrations against models, and indexes that were left half built."""

from typing import Any

import psycopg
import pytest
from psycopg import Connection

from tests.conftest import migrate


def test_models_and_migrations_agree(database_url: str) -> None:
    """Alembic finds nothing to add to the migrated database."""
    assert "No new upgrade operations" in _output("check")


def test_an_index_left_invalid_is_built_again(db: Connection[Any]) -> None:
    """IF NOT EXISTS alone would keep the wreck of an interrupted build."""
    migrate("downgrade", "0001")
    db.execute(
        "INSERT INTO teams (id, name) SELECT gen_random_uuid(), 'team' FROM (VALUES (1), (2)) x"
    )
    try:
        with pytest.raises(psycopg.errors.UniqueViolation):
            db.execute("CREATE UNIQUE INDEX CONCURRENTLY ix_tasks_user_created ON teams (name)")
    finally:
        migrate("upgrade", "head")
    rows = db.execute(
        "SELECT indexrelid::regclass::text FROM pg_index"
        " WHERE indexrelid::regclass::text LIKE 'ix_%' AND indisvalid"
    ).fetchall()
    assert sorted(row[0] for row in rows) == [
        "ix_activity_logs_team_created",
        "ix_outbox_new",
        "ix_tasks_user_created",
        "ix_tasks_user_status_created",
    ]
    assert "No new upgrade operations" in _output("check")


def _output(*arguments: str) -> str:
    done = migrate(*arguments)
    return done.stdout + done.stderr
