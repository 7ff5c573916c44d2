"""Claims, leases and fences: who may write the end of a task."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection

from app.repositories import work
from tests.support import Api, Person

LEASE_S = 60.0


def claim(db: Connection[Any], task_id: UUID) -> work.Claim | None:
    """Claim the task under the usual lease."""
    return work.claim(db, task_id, "celery-id", LEASE_S)


def test_a_claim_is_exclusive(api: Api, person: Person, db: Connection[Any]) -> None:
    """Whoever comes second gets nothing, so a message delivered twice works once."""
    task_id = api.create_task(person, "write")
    held = claim(db, task_id)
    assert held == work.Claim(task_id, "docs", "write", 1)
    assert claim(db, task_id) is None
    task = api.call("GET", f"/api/v1/tasks/{task_id}", person.access).json()
    assert (task["status"], task["celery_task_id"]) == ("processing", "celery-id")
    assert task["started_at"] >= task["created_at"]


def test_completion_is_written_once(api: Api, person: Person, db: Connection[Any]) -> None:
    """The end of a task is final, and shows result, document and time."""
    held = claim(db, api.create_task(person))
    assert held is not None
    assert work.complete(db, held, "done", "https://document") is True
    assert work.fail(db, held, "too late") is False
    task = api.call("GET", f"/api/v1/tasks/{held.task_id}", person.access).json()
    assert (task["status"], task["result"]) == ("completed", "done")
    assert task["document_url"] == "https://document"
    assert task["error_message"] is None
    assert task["completed_at"] >= task["started_at"]


def test_failure_tells_why(api: Api, person: Person, db: Connection[Any]) -> None:
    """A failed task carries the message."""
    held = claim(db, api.create_task(person))
    assert held is not None
    assert work.fail(db, held, "no paper") is True
    task = api.call("GET", f"/api/v1/tasks/{held.task_id}", person.access).json()
    assert (task["status"], task["error_message"]) == ("failed", "no paper")


def test_a_cancelled_task_is_not_claimed(api: Api, person: Person, db: Connection[Any]) -> None:
    """Cancelled before a worker came: nobody works it."""
    task_id = api.create_task(person)
    api.call("DELETE", f"/api/v1/tasks/{task_id}", person.access)
    assert claim(db, task_id) is None


def test_cancelled_is_not_overwritten(api: Api, person: Person, db: Connection[Any]) -> None:
    """Cancelled while a worker had it: the worker's end is not written."""
    held = claim(db, api.create_task(person))
    assert held is not None
    path = f"/api/v1/tasks/{held.task_id}"
    assert api.call("DELETE", path, person.access).status_code == 204
    assert work.complete(db, held, "done", "") is False
    assert api.status_of(person, held.task_id) == "cancelled"


def test_a_dead_worker_s_task_is_claimed_again(
    api: Api, person: Person, db: Connection[Any]
) -> None:
    """After the lease another worker takes over, and the first can write nothing any more."""
    task_id = api.create_task(person)
    first = claim(db, task_id)
    db.execute("UPDATE tasks SET started_at = now() - interval '61 s' WHERE id = %s", [task_id])
    second = claim(db, task_id)
    assert first is not None
    assert second is not None
    assert second.attempt == 2
    assert work.complete(db, first, "from the dead", "") is False
    assert work.complete(db, second, "from the living", "") is True


def test_of_cancel_and_completion_one_wins(
    api: Api, person: Person, db: Connection[Any], database_url: str
) -> None:
    """Raced against each other: 204 exactly where the worker's end was not written."""
    held = [claim(db, api.create_task(person)) for _ in range(20)]
    claims = [one for one in held if one is not None]

    def complete_all() -> list[bool]:
        with psycopg.connect(database_url, autocommit=True) as connection:
            return [work.complete(connection, one, "done", "") for one in claims]

    with ThreadPoolExecutor(1) as pool:
        completing = pool.submit(complete_all)
        # From the other end, so that both meet somewhere.
        cancelled = [
            api.call("DELETE", f"/api/v1/tasks/{one.task_id}", person.access).status_code
            for one in reversed(claims)
        ][::-1]
    for one, completed, status in zip(claims, completing.result(), cancelled, strict=True):
        assert (completed, status) in [(True, 409), (False, 204)]
        expected = "completed" if completed else "cancelled"
        assert api.status_of(person, one.task_id) == expected
