"""Indexes for what the relay sweeps, made without locking out writers."""

from migrations.concurrently import create_indexes, drop_indexes

revision = "0004"
down_revision = "0003"

INDEXES = {
    "ix_tasks_pending": "tasks (id) WHERE status = 'pending'",
    "ix_outbox_enqueued": "outbox (enqueued_at) WHERE enqueued_at IS NOT NULL",
    "ix_idempotency_keys_created": "idempotency_keys (created_at)",
    "ix_idempotency_keys_task": "idempotency_keys (task_id)",
}


def upgrade() -> None:
    create_indexes(INDEXES)


def downgrade() -> None:
    drop_indexes(INDEXES)
