"""Tasks, and the outbox that carries them to the workers."""

from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Table, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, UuidKey, metadata_column


class OutputType(StrEnum):
    """What a task produces."""

    DOCS = "docs"
    SHEETS = "sheets"
    SLIDES = "slides"
    RESEARCH = "research"


class TaskStatus(StrEnum):
    """pending -> processing -> completed | failed; cancelled from either of the first two."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def _one_of(column: str, values: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


class Task(Base):
    """One order of one user; `attempt` counts how often a worker took it."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint(_one_of("status", TaskStatus), name="status"),
        CheckConstraint(_one_of("output_type", OutputType), name="output_type"),
        # The two orders of GET /tasks, without and with a status.
        Index("ix_tasks_user_created", "user_id", text("created_at DESC"), text("id DESC")),
        Index(
            "ix_tasks_user_status_created",
            "user_id",
            "status",
            text("created_at DESC"),
            text("id DESC"),
        ),
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    prompt: Mapped[str] = mapped_column(Text)
    output_type: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), server_default=TaskStatus.PENDING.value)
    result: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    document_url: Mapped[str | None] = mapped_column(Text)
    celery_task_id: Mapped[str | None] = mapped_column(String(64))
    metadata_: Mapped[dict[str, Any]] = metadata_column()
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(server_default=text("0"))


# The same table for Core statements, which build no objects.
tasks_table = cast(Table, Task.__table__)


class OutboxEntry(Base):
    """A task still to be carried to its end; written in the transaction that writes the task.

    The relay sets `enqueued_at` when it publishes and deletes the row once the task has ended.
    """

    __tablename__ = "outbox"
    # What is to be published: tiny, since published entries leave it.
    __table_args__ = (Index("ix_outbox_new", "id", postgresql_where=text("enqueued_at IS NULL")),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    created_at: Mapped[CreatedAt]
    enqueued_at: Mapped[datetime | None]
