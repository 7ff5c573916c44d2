"""Tasks of the current user; those of others do not exist here."""

import hashlib
import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Query, Response, status

from app.api.v1 import API_PREFIX
from app.api.v1.dependencies import (
    AWAY,
    MALFORMED,
    REFUSED,
    Caller,
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
from app.schemas.errors import Problem
from app.schemas.tasks import PageQuery, TaskCreate, TaskOut, TaskPage

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
    responses={
        **MALFORMED,
        409: {"model": Problem, "description": "The Idempotency-Key was used otherwise."},
    },
)
async def create_task(
    body: TaskCreate, caller: CallerDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Accept a task; the relay carries it to a worker once it is committed.

    With an Idempotency-Key, asking again gives the task that there is.
    """
    if idempotency_key is not None:
        return await _create_once(caller, body, idempotency_key)
    made = await create(caller.state, caller.claims, body)
    if made is None:
        raise unauthorized()
    return json_response(made, status.HTTP_201_CREATED)


@router.get(
    "",
    response_model=TaskPage,
    responses={304: {"description": "It is what If-None-Match names."}},
)
async def list_tasks(caller: CallerDep, query: Annotated[PageQuery, Query()]) -> Response:
    """One page of the user's tasks, newest first.

    `next_cursor` of an answer is the `cursor` of the page behind it. Such a page has no number and
    no `total`; it costs the same however far down it is.
    """
    shown = await show_page(caller.state, caller.claims, query)
    if shown is None:
        raise unauthorized()
    return json_response(shown)


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


async def create(state: AppState, claims: Claims, body: TaskCreate) -> str | None:
    """Store the task; it as JSON, or None if the token does not count."""
    made = await state.creates.call(_new_task(claims, body))
    if made is not None:
        await _changed(state, claims)
    return made


async def show_page(state: AppState, claims: Claims, query: PageQuery) -> str | None:
    """The page as JSON, or None if the token does not count."""
    status, size = query.status, query.page_size
    if query.cursor is not None:
        after = read_cursor(query.cursor)
        found = await tasks.page_after(state.database, claims, status, size, after)
    else:
        found = await tasks.page(state.database, claims, status, size, query.offset)
    if found is None:
        return None
    numbers = {
        "total": found.total,
        "page": None if query.cursor is not None else query.page,
        "page_size": size,
        "next_cursor": None if found.next is None else write_cursor(found.next),
    }
    return f'{{"tasks":[{found.tasks}],{json.dumps(numbers)[1:]}'


async def _create_once(caller: Caller, body: TaskCreate, key: str) -> Response:
    database, claims = caller.state.database, caller.claims
    task = _new_task(claims, body)
    asked = f"{task.output_type}\0{task.metadata}\0{task.prompt}"
    fingerprint = hashlib.blake2b(asked.encode(), digest_size=16).digest()
    drop_ratio = caller.state.settings.fault_drop_ratio
    made = await tasks.create_once(database, task, key, fingerprint, drop_ratio)
    headers = {}
    if made is None:
        known = await tasks.find_by_key(database, claims, key)
        if known is None:
            raise unauthorized()
        if known[0] != fingerprint:
            raise HTTPException(
                status.HTTP_409_CONFLICT, "this Idempotency-Key was used for another task"
            )
        made, headers = known[1], {"Idempotent-Replayed": "true"}
    # Also for a task that was there: its first request may have died between the commit and this.
    await _changed(caller.state, claims)
    return json_response(made, status.HTTP_201_CREATED, **headers)


def _new_task(claims: Claims, body: TaskCreate) -> NewTask:
    metadata = json.dumps(body.metadata, ensure_ascii=False)
    return NewTask(claims, body.prompt, body.output_type.value, metadata)


async def _changed(state: AppState, claims: Claims) -> None:
    if state.cache is not None:
        await state.cache.changed([claims.user_id])


def _not_found() -> HTTPException:
    return HTTPException(status.HTTP_404_NOT_FOUND, "no such task")
