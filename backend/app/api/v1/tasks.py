"""Tasks of the current user; those of others do not exist here."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, status

from app.api.v1 import API_PREFIX
from app.api.v1.dependencies import CurrentUser
from app.core.database import SessionDep
from app.models import TaskStatus
from app.repositories import tasks
from app.schemas.tasks import TaskCreate, TaskOut, TaskPage

# An OFFSET beyond this reads and drops millions of rows; nobody pages that far by hand.
MAX_PAGE = 100_000

router = APIRouter(prefix=f"{API_PREFIX}/tasks", tags=["tasks"])


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_task(body: TaskCreate, user: CurrentUser, session: SessionDep) -> TaskOut:
    """Accept a task; the relay carries it to a worker once it is committed."""
    row = await tasks.create(session, user.id, body.prompt, body.output_type, body.metadata)
    return TaskOut.model_validate(row)


@router.get("")
async def list_tasks(
    user: CurrentUser,
    session: SessionDep,
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
    status: TaskStatus | None = None,
) -> TaskPage:
    """One page of the user's tasks, newest first."""
    rows, total = await tasks.page(session, user.id, status, page_size, (page - 1) * page_size)
    shown = [TaskOut.model_validate(row) for row in rows]
    return TaskPage(tasks=shown, total=total, page=page, page_size=page_size)


@router.get("/{task_id}")
async def get_task(task_id: UUID, user: CurrentUser, session: SessionDep) -> TaskOut:
    """One task; 404 if the user has no such task."""
    row = await tasks.find(session, user.id, task_id)
    if row is None:
        raise _not_found()
    return TaskOut.model_validate(row)


@router.delete("/{task_id}", status_code=status.HTTP_204_NO_CONTENT)
async def cancel_task(task_id: UUID, user: CurrentUser, session: SessionDep) -> None:
    """Cancel a pending or processing task.

    204 means that the task will never complete, so it is also the answer for a task that is
    cancelled already; 409 that it has completed or failed; 404 that the user has no such task.
    """
    after = await tasks.cancel(session, user.id, task_id)
    if after is None:
        raise _not_found()
    if after is not TaskStatus.CANCELLED:
        raise HTTPException(status.HTTP_409_CONFLICT, f"the task is {after.value} already")


def _not_found() -> HTTPException:
    return HTTPException(status.HTTP_404_NOT_FOUND, "no such task")
