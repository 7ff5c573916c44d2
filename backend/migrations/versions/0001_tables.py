"""Tables and keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INET, JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "users",
        _id(),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("full_name", sa.String(255), nullable=False),
        sa.Column("device_id", sa.String(255)),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("is_admin", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("tokens_valid_from", sa.DateTime(timezone=True)),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.UniqueConstraint("device_id", name="uq_users_device_id"),
    )
    _create_teams()
    _create_tasks()


def downgrade() -> None:
    for table in ("outbox", "tasks", "activity_logs", "team_members", "teams", "users"):
        op.drop_table(table)


def _create_teams() -> None:
    op.create_table(
        "teams",
        _id(),
        sa.Column("name", sa.String(255), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_teams"),
    )
    op.create_table(
        "team_members",
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.String(32), nullable=False, server_default="member"),
        _created_at(),
        sa.PrimaryKeyConstraint("team_id", "user_id", name="pk_team_members"),
        _reference("team_members", "team_id", "teams", "CASCADE"),
        _reference("team_members", "user_id", "users", "CASCADE"),
    )
    op.create_table(
        "activity_logs",
        _id(),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("resource_type", sa.String(64), nullable=False),
        sa.Column("resource_id", sa.String(64)),
        _metadata(),
        sa.Column("ip_address", INET),
        sa.Column("user_agent", sa.String(512)),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_activity_logs"),
        _reference("activity_logs", "team_id", "teams", "CASCADE"),
        _reference("activity_logs", "user_id", "users", "SET NULL"),
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        _id(),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("output_type", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False, server_default="pending"),
        sa.Column("result", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("document_url", sa.Text),
        sa.Column("celery_task_id", sa.String(64)),
        _metadata(),
        _created_at(),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        _reference("tasks", "user_id", "users", "CASCADE"),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')",
            name="ck_tasks_status",
        ),
        sa.CheckConstraint(
            "output_type IN ('docs', 'sheets', 'slides', 'research')", name="ck_tasks_output_type"
        ),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=True),
        sa.Column("task_id", sa.Uuid, nullable=False),
        _created_at(),
        sa.Column("enqueued_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        _reference("outbox", "task_id", "tasks", "CASCADE"),
    )


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.Uuid, nullable=False)


def _created_at() -> sa.Column[object]:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
    )


def _metadata() -> sa.Column[object]:
    return sa.Column("metadata", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb"))


def _reference(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete=ondelete)
