"""Indexes, made without locking out writers."""

from migrations.concurrently import create_indexes, drop_indexes

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
    create_indexes(INDEXES)


def downgrade() -> None:
    drop_indexes(INDEXES)
