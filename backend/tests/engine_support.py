"""Engines on the application's event loop, tasks for them, and work that tests can watch."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from app.core.database import Database
from app.core.security import Claims
from app.repositories import tasks
from app.repositories.tasks import NewTask
from app.repositories.work import Claim, Ending, Fate
from app.settings import WorkerSettings
from app.workers.engine import Engine
from tests.support import Api, Person

Work = Callable[[Claim], Awaitable[Ending]]


class Bench:
    """Engines on the application's event loop, and tasks for them."""

    def __init__(self, api: Api, settings: WorkerSettings, person: Person) -> None:
        self.api, self.settings, self.person = api, settings, person

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        """Run a scenario."""
        self.api.run(scenario)

    async def make(self, count: int = 1) -> list[UUID]:
        """New tasks, the oldest first."""
        order = NewTask(Claims(self.person.id, 0, "access", 0), "write", "docs", "{}")
        made = await tasks.create_many(self.api.state.database, [order] * count)
        return [UUID(json.loads(task or "")["id"]) for task in made]

    @contextlib.asynccontextmanager
    async def engine(self, work_on: Work, **changes: object) -> AsyncIterator[Engine]:
        """A running engine with settings of its own; it has no grace when it is stopped."""
        settings = self.settings.model_copy(update={"worker_grace_s": 0.0, **changes})
        database = Database(settings.libpq_url, "agenthq-worker", settings.worker_pool_size)
        running = Engine(settings, database, None, lambda _, claim: work_on(claim))
        await running.start()
        try:
            yield running
        finally:
            await running.stop()

    async def task(self, task_id: UUID) -> Any:
        """The task as its owner sees it."""
        answer = await self.api.send("GET", f"/api/v1/tasks/{task_id}", self.person)
        return answer.json()

    async def has_status(self, task_id: UUID, status: str, timeout_s: float = 10.0) -> Any:
        """Wait until the task has the status; it then."""
        async with asyncio.timeout(timeout_s):
            # There is no event for it: what counts is what the API says.
            while (task := await self.task(task_id))["status"] != status:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return task


@pytest.fixture
def bench(api: Api, worker_settings: WorkerSettings, person: Person, db: Connection[Any]) -> Bench:
    """Engines and tasks; the outbox is empty."""
    return Bench(api, worker_settings, person)


@pytest.fixture
def look(database_url: str) -> Iterator[Callable[[str, UUID], Any]]:
    """A function that asks the database about a task; gives the only row."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield lambda query, task_id: connection.execute(query.encode(), [task_id]).fetchone()


ATTEMPT = "SELECT attempt FROM tasks WHERE id = %s"
ENTRY = (
    "SELECT enqueued_at IS NULL, extract(epoch FROM available_at - now())::float8"
    " FROM outbox WHERE task_id = %s"
)


async def succeed(claim: Claim) -> Ending:
    """Work that is done at once."""
    return Ending(claim, Fate.COMPLETED, "done")


async def for_ever(_: Claim) -> Ending:
    """Work that never ends."""
    await asyncio.Event().wait()
    raise AssertionError


class Gate:
    """Work that waits for the gate to open; knows who is in it, and who came how often."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.inside = self.most = 0
        self.came: dict[UUID, int] = {}

    async def work(self, claim: Claim) -> Ending:
        """Work one task."""
        self.came[claim.task_id] = self.came.get(claim.task_id, 0) + 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.opened.wait()
        finally:
            self.inside -= 1
        return await succeed(claim)
