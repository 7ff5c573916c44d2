"""SQL about tasks, on the API's side; every statement names the owner."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import OutboxEntry, OutputType, TaskStatus, tasks_table

OPEN_STATUSES = (TaskStatus.PENDING, TaskStatus.PROCESSING)

# Core columns, named as in the answer: no ORM object is built for a row that is only shown.
_SHOWN = tuple(
    tasks_table.c[name]
    for name in (
        "id",
        "user_id",
        "prompt",
        "output_type",
        "status",
        "result",
        "error_message",
        "document_url",
        "celery_task_id",
        "metadata",
        "created_at",
        "started_at",
        "completed_at",
    )
)


async def create(
    session: AsyncSession,
    user_id: UUID,
    prompt: str,
    output_type: OutputType,
    metadata: dict[str, Any],
) -> RowMapping:
    """Insert a pending task and its outbox entry; both are stored or neither is."""
    task_id = uuid4()
    values = {
        "id": task_id,
        "user_id": user_id,
        "prompt": prompt,
        "output_type": output_type.value,
        "metadata": metadata,
    }
    result = await session.execute(insert(tasks_table).values(values).returning(*_SHOWN))
    row = result.mappings().one()
    await session.execute(insert(OutboxEntry).values(task_id=task_id))
    return row


async def page(
    session: AsyncSession, user_id: UUID, status: TaskStatus | None, limit: int, offset: int
) -> tuple[Sequence[RowMapping], int]:
    """The user's tasks, newest first, and how many there are in all (two statements)."""
    own = [tasks_table.c.user_id == user_id]
    if status is not None:
        own.append(tasks_table.c.status == status.value)
    newest_first = (tasks_table.c.created_at.desc(), tasks_table.c.id.desc())
    rows = await session.execute(
        select(*_SHOWN).where(*own).order_by(*newest_first).limit(limit).offset(offset)
    )
    total = await session.scalar(select(func.count()).select_from(tasks_table).where(*own))
    return rows.mappings().all(), total or 0


async def find(session: AsyncSession, user_id: UUID, task_id: UUID) -> RowMapping | None:
    """The task if the user owns it, else None."""
    statement = select(*_SHOWN).where(tasks_table.c.id == task_id, tasks_table.c.user_id == user_id)
    return (await session.execute(statement)).mappings().one_or_none()


async def cancel(session: AsyncSession, user_id: UUID, task_id: UUID) -> TaskStatus | None:
    """Cancel the task if it is open; returns its status afterwards, None if it is not the user's.

    The update re-reads the row under its lock, so of a worker and a canceller only one wins.
    """
    own = (tasks_table.c.id == task_id, tasks_table.c.user_id == user_id)
    statement = (
        update(tasks_table)
        .where(*own, tasks_table.c.status.in_(OPEN_STATUSES))
        .values(status=TaskStatus.CANCELLED.value, completed_at=func.now())
        .returning(tasks_table.c.status)
    )
    status = await session.scalar(statement)
    if status is None:
        status = await session.scalar(select(tasks_table.c.status).where(*own))
    return None if status is None else TaskStatus(status)
