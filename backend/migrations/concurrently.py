"""Indexes made and dropped without locking out writers."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from alembic import op


def create_indexes(indexes: Mapping[str, str]) -> None:
    """Make each index (name: what it is on) that is not there, one after the other.

    Raises:
        RuntimeError: PostgreSQL could not finish one.
    """
    # CREATE INDEX CONCURRENTLY refuses to run inside a transaction.
    with op.get_context().autocommit_block():
        for name, definition in indexes.items():
            _create(name, definition)


def drop_indexes(names: Iterable[str]) -> None:
    """Drop those of the indexes that are there."""
    with op.get_context().autocommit_block():
        for name in names:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def _create(name: str, definition: str) -> None:
    # A build that was interrupted leaves an index that is maintained and never used, and that
    # IF NOT EXISTS would accept.
    if _is_valid(name) is False:
        op.execute(f"DROP INDEX CONCURRENTLY {name}")
    op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}")
    if not _is_valid(name):
        raise RuntimeError(f"index {name} is not valid; run the migration again")


def _is_valid(name: str) -> bool | None:
    """Whether the index can be used; None if there is none of that name."""
    statement = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    valid: bool | None = op.get_bind().scalar(statement, {"name": name})
    return valid
