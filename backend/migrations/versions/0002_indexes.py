"""Indexes, made without locking out writers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Name: what it is on; the models say what each is for.
INDEXES = {
    "ix_tasks_user_created": "tasks (user_id, created_at DESC, id DESC)",
    "ix_tasks_user_status_created": "tasks (user_id, status, created_at DESC, id DESC)",
    "ix_activity_logs_team_created": "activity_logs (team_id, created_at DESC)",
    "ix_outbox_new": "outbox (id) WHERE enqueued_at IS NULL",
}


def upgrade() -> None:
    # CREATE INDEX CONCURRENTLY refuses to run inside a transaction.
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            _create(name, definition)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in INDEXES:
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
