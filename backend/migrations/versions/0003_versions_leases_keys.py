"""Token versions, leases, idempotency keys, an outbox that retries, dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "users", sa.Column("token_version", sa.Integer, nullable=False, server_default="0")
    )
    # Who has logged out once refuses the tokens from before, which carry no version.
    op.execute("UPDATE users SET token_version = 1 WHERE tokens_valid_from IS NOT NULL")
    op.drop_column("users", "tokens_valid_from")
    op.add_column("tasks", sa.Column("lease_until", _MOMENT))
    op.execute("UPDATE tasks SET lease_until = now() WHERE status = 'processing'")
    _remake_outbox()
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("task_id", sa.Uuid, nullable=False),
        _now("created_at"),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency_keys"),
        _of_task("idempotency_keys"),
    )
    op.create_table(
        "dead_letters",
        sa.Column("task_id", sa.Uuid, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        _now("created_at"),
        sa.PrimaryKeyConstraint("task_id", name="pk_dead_letters"),
        _of_task("dead_letters"),
    )


def downgrade() -> None:
    op.drop_table("dead_letters")
    op.drop_table("idempotency_keys")
    op.drop_constraint("pk_outbox", "outbox")
    op.drop_column("outbox", "available_at")
    op.alter_column("outbox", "seq", new_column_name="id")
    op.create_primary_key("pk_outbox", "outbox", ["id"])
    op.drop_column("tasks", "lease_until")
    op.add_column("users", sa.Column("tokens_valid_from", _MOMENT))
    op.execute("UPDATE users SET tokens_valid_from = now() WHERE token_version > 0")
    op.drop_column("users", "token_version")


def _remake_outbox() -> None:
    """A task has one entry, found by its id when it ends; the number only orders them."""
    op.execute("DELETE FROM outbox a USING outbox b WHERE a.task_id = b.task_id AND a.id < b.id")
    op.drop_constraint("pk_outbox", "outbox")
    op.alter_column("outbox", "id", new_column_name="seq")
    op.create_primary_key("pk_outbox", "outbox", ["task_id"])
    op.add_column("outbox", _now("available_at"))


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, _MOMENT, nullable=False, server_default=sa.func.now())


def _of_task(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["task_id"], ["tasks.id"], name=f"fk_{table}_task_id", ondelete="CASCADE"
    )
