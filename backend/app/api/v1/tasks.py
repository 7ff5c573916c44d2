"""Tasks of the current user; those of others do not exist here."""

import hashlib
import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Query, Response, status

from app.api.v1 import API_PREFIX
from app.api.v1.dependencies import (
    AWAY,
    REFUSED,
    CallerDep,
    Responses,
    json_response,
    unauthorized,
)
from app.core.security import Claims
from app.core.state import AppState
from app.models import TaskStatus
from app.repositories import tasks
from app.repositories.tasks import NewTask
from app.schemas.cursor import read_cursor, write_cursor
from app.schemas.errors import Problem, invalid
from app.schemas.tasks import TaskCreate, TaskOut, TaskPage

# Numbered pages read and drop everything before them; further down there are cursors.
MAX_OFFSET = 10_000
MAX_KEY_LENGTH = 255

router = APIRouter(prefix=f"{API_PREFIX}/tasks", tags=["tasks"], responses={**REFUSED, **AWAY})

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=MAX_KEY_LENGTH, pattern=r"^[\x21-\x7e]+$"),
]
NO_SUCH_TASK: Responses = {404: {"model": Problem, "description": "The user has no such task."}}


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=TaskOut,
    responses={409: {"model": Problem, "description": "The Idempotency-Key was used otherwise."}},
)
async def create_task(
    body: TaskCreate, caller: CallerDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Accept a task; the relay carries it to a worker once it is committed.

    With an Idempotency-Key, asking again gives the task that there is.
    """
    metadata = json.dumps(body.metadata, ensure_ascii=False)
    task = NewTask(caller.claims, body.prompt, body.output_type.value, metadata)
    if idempotency_key is not None:
        return await _create_once(caller.state, task, idempotency_key)
    made = await caller.state.creates.call(task)
    if made is None:
        raise unauthorized()
    await _changed(caller.state, caller.claims)
    return json_response(made, status.HTTP_201_CREATED)


@router.get("", response_model=TaskPage)
async def list_tasks(
    caller: CallerDep,
    page: Annotated[int, Query(ge=1, le=MAX_OFFSET)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
    status: TaskStatus | None = None,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """One page of the user's tasks, newest first.

    `next_cursor` of an answer is the `cursor` of the page behind it. Such a page has no number and
    no `total`; it costs the same however far down it is.
    """
    database, claims = caller.state.database, caller.claims
    if cursor is not None:
        after = read_cursor(cursor)
        found = await tasks.page_after(database, claims, status, page_size, after)
    else:
        offset = (page - 1) * page_size
        if offset > MAX_OFFSET:
            message = f"the page is beyond {MAX_OFFSET} tasks; follow next_cursor instead"
            raise invalid(("query", "page"), message)
        found = await tasks.page(database, claims, status, page_size, offset)
    if found is None:
        raise unauthorized()
    numbers = {
        "total": found.total,
        "page": None if cursor is not None else page,
        "page_size": page_size,
        "next_cursor": None if found.next is None else write_cursor(found.next),
    }
    return json_response(f'{{"tasks":[{found.tasks}],{json.dumps(numbers)[1:]}')


@router.get("/{task_id}", response_model=TaskOut, responses=NO_SUCH_TASK)
async def get_task(task_id: UUID, caller: CallerDep) -> Response:
    """One task; 404 if the user has no such task."""
    row = await tasks.find(caller.state.database, caller.claims, task_id)
    if row is None:
        raise unauthorized()
    if row["task"] is None:
        raise _not_found()
    return json_response(row["task"])


@router.delete(
    "/{task_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={**NO_SUCH_TASK, 409: {"model": Problem, "description": "It has ended already."}},
)
async def cancel_task(task_id: UUID, caller: CallerDep) -> None:
    """Cancel a pending or processing task.

    204 means that the task will never complete, so it is also the answer for a task that is
    cancelled already; 409 that it has completed or failed; 404 that the user has no such task.
    """
    row = await tasks.cancel(caller.state.database, caller.claims, task_id)
    if row is None:
        raise unauthorized()
    if row["status"] is None:
        raise _not_found()
    if row["status"] != TaskStatus.CANCELLED:
        raise HTTPException(status.HTTP_409_CONFLICT, f"the task is {row['status']} already")
    await _changed(caller.state, caller.claims)


async def _create_once(state: AppState, task: NewTask, key: str) -> Response:
    asked = f"{task.output_type}\0{task.metadata}\0{task.prompt}"
    fingerprint = hashlib.blake2b(asked.encode(), digest_size=16).digest()
    made = await tasks.create_once(state.database, task, key, fingerprint)
    if made is not None:
        await _changed(state, task.owner)
        return json_response(made, status.HTTP_201_CREATED)
    known = await tasks.find_by_key(state.database, task.owner, key)
    if known is None:
        raise unauthorized()
    if known[0] != fingerprint:
        raise HTTPException(
            status.HTTP_409_CONFLICT, "this Idempotency-Key was used for another task"
        )
    # Its first request may have died between the commit and this, which every answer comes after.
    await _changed(state, task.owner)
    return json_response(known[1], status.HTTP_201_CREATED, **{"Idempotent-Replayed": "true"})


async def _changed(state: AppState, claims: Claims) -> None:
    if state.cache is not None:
        await state.cache.changed([claims.user_id])


def _not_found() -> HTTPException:
    return HTTPException(status.HTTP_404_NOT_FOUND, "no such task")
