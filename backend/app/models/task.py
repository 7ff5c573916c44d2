"""Tasks, and the outbox that carries them to the workers."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Sequence, String, Text, text
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
        # What waits, for the relay to count: as small as the queue is.
        Index("ix_tasks_pending", "id", postgresql_where=text("status = 'pending'")),
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
    # While processing: a worker that has not renewed it by then has lost the task.
    lease_until: Mapped[datetime | None]


class OutboxEntry(Base):
    """A task still to be carried to its end; written in the transaction that writes the task.

    The relay sets `enqueued_at` when it publishes; who writes the task's end deletes the row. An
    attempt that is to be repeated makes it new again, from `available_at` on.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        # What is to be published: tiny, since published entries leave it.
        Index("ix_outbox_new", "seq", postgresql_where=text("enqueued_at IS NULL")),
        # What may have got lost on the way.
        Index(
            "ix_outbox_enqueued", "enqueued_at", postgresql_where=text("enqueued_at IS NOT NULL")
        ),
    )

    task_id: Mapped[UUID] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(BigInteger, Sequence("outbox_id_seq"))
    created_at: Mapped[CreatedAt]
    available_at: Mapped[CreatedAt]
    enqueued_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """A key that a client gave with a task, so that asking again makes no second one."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_created", "created_at"),
        Index("ix_idempotency_keys_task", "task_id"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    # What was asked, so that the key cannot be used for something else.
    fingerprint: Mapped[bytes]
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    created_at: Mapped[CreatedAt]


class DeadLetter(Base):
    """A task that was given up after its last attempt, kept for whoever looks into it."""

    __tablename__ = "dead_letters"

    task_id: Mapped[UUID] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True
    )
    attempts: Mapped[int]
    error: Mapped[str] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
