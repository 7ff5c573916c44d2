"""Claims, leases and fences: who may write the end of a task."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection

from app.core.database import Database
from app.repositories import work
from app.repositories.work import Claim, Ending, Fate
from tests.support import Api, Person

LEASE_S = 60.0


class Worker:
    """The statements of a worker, on the application's event loop and connections."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @property
    def database(self) -> Database:
        """Where they run."""
        return self._api.state.database

    def claim(self, *task_ids: UUID) -> list[Claim]:
        """Claim the tasks under the usual lease."""
        return self._api.run(work.claim(self.database, task_ids, "celery-id", LEASE_S))

    def claim_one(self, task_id: UUID) -> Claim:
        """Claim a task that is to be had."""
        (claimed,) = self.claim(task_id)
        return claimed

    def renew(self, *claims: Claim) -> set[UUID]:
        """Renew the leases."""
        return self._api.run(work.renew(self.database, claims, LEASE_S))

    def end(self, *endings: Ending) -> list[bool]:
        """Write the ends."""
        return self._api.run(work.end(self.database, endings))


@pytest.fixture
def worker(api: Api) -> Worker:
    """A worker's statements."""
    return Worker(api)


def done(claimed: Claim, result: str = "done") -> Ending:
    """A success."""
    return Ending(claimed, Fate.COMPLETED, result, "https://document")


def task_of(api: Api, person: Person, task_id: UUID) -> Any:
    """The task as its owner sees it."""
    return api.call("GET", f"/api/v1/tasks/{task_id}", person.access).json()


def test_a_claim_is_exclusive(api: Api, person: Person, worker: Worker) -> None:
    """Whoever comes second gets nothing, so a message delivered twice works once."""
    task_id = api.create_task(person, "write")
    held = worker.claim_one(task_id)
    assert (held.task_id, held.user_id) == (task_id, person.id)
    assert (held.output_type, held.prompt_length, held.attempt) == ("docs", 5, 1)
    assert 0 < held.waited_s < 60
    assert worker.claim(task_id) == []
    task = task_of(api, person, task_id)
    assert (task["status"], task["celery_task_id"]) == ("processing", "celery-id")
    assert task["started_at"] >= task["created_at"]


def test_of_a_message_s_tasks_those_are_claimed_that_are_to_be_had(
    api: Api, person: Person, worker: Worker, db: Connection[Any]
) -> None:
    """One is new, one taken, one cancelled, one ended, one abandoned, one unknown."""
    new, taken, cancelled, ended, abandoned = (api.create_task(person) for _ in range(5))
    worker.claim(taken, ended, abandoned)
    api.call("DELETE", f"/api/v1/tasks/{cancelled}", person.access)
    db.execute("UPDATE tasks SET status = 'completed' WHERE id = %s", [ended])
    expire(db, abandoned)
    unknown = UUID(int=0)
    claimed = worker.claim(new, taken, cancelled, ended, abandoned, unknown)
    assert {one.task_id: one.attempt for one in claimed} == {new: 1, abandoned: 2}


def test_simultaneous_claims_of_the_same_tasks(api: Api, person: Person, worker: Worker) -> None:
    """In whatever order: no deadlock, and each task is claimed once."""
    ids = [api.create_task(person) for _ in range(50)]

    async def race() -> list[list[Claim]]:
        orders = [ids, ids[::-1], ids[25:] + ids[:25], sorted(ids)]
        calls = (work.claim(worker.database, order, "id", LEASE_S) for order in orders)
        return await asyncio.gather(*calls)

    claimed = [one.task_id for claims in api.run(race()) for one in claims]
    assert sorted(claimed) == sorted(ids)


def test_completion_is_written_once(
    api: Api, person: Person, worker: Worker, db: Connection[Any]
) -> None:
    """The end of a task is final, shows result, document and time, and empties the outbox."""
    held = worker.claim_one(api.create_task(person))
    assert worker.end(done(held)) == [True]
    assert worker.end(Ending(held, Fate.FAILED, error="too late")) == [False]
    task = task_of(api, person, held.task_id)
    assert (task["status"], task["result"]) == ("completed", "done")
    assert task["document_url"] == "https://document"
    assert task["error_message"] is None
    assert task["completed_at"] >= task["started_at"]
    assert db.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_failure_tells_why(api: Api, person: Person, worker: Worker, db: Connection[Any]) -> None:
    """A failed task carries the message; it is no dead letter."""
    held = worker.claim_one(api.create_task(person))
    assert worker.end(Ending(held, Fate.FAILED, error="no paper")) == [True]
    task = task_of(api, person, held.task_id)
    assert (task["status"], task["error_message"]) == ("failed", "no paper")
    assert dead_letters(db, held.task_id) == []


def test_the_last_attempt_leaves_a_dead_letter(
    api: Api, person: Person, worker: Worker, db: Connection[Any]
) -> None:
    """Written with the end, once, and only under the claim that counts."""
    held = worker.claim_one(api.create_task(person))
    assert worker.end(Ending(held, Fate.FAILED, error="given up", dead=True)) == [True]
    assert worker.end(Ending(held, Fate.FAILED, error="again", dead=True)) == [False]
    assert dead_letters(db, held.task_id) == [(1, "given up")]


def test_another_attempt_waits_for_its_time(
    api: Api, person: Person, worker: Worker, db: Connection[Any]
) -> None:
    """The task is pending again, and its outbox entry new, but not before the delay is over."""
    held = worker.claim_one(api.create_task(person))
    db.execute("UPDATE outbox SET enqueued_at = now()")
    assert worker.end(Ending(held, Fate.AGAIN, error="no ink", delay_s=30.0)) == [True]
    task = task_of(api, person, held.task_id)
    assert (task["status"], task["completed_at"]) == ("pending", None)
    entry = db.execute(
        "SELECT enqueued_at, extract(epoch FROM available_at - now()) FROM outbox"
    ).fetchone()
    assert entry is not None
    assert entry[0] is None
    assert 25 < entry[1] <= 30
    again = worker.claim_one(held.task_id)
    assert again.attempt == 2
    assert worker.end(done(again)) == [True]
    assert task_of(api, person, held.task_id)["error_message"] is None


def test_ends_that_are_written_together(
    api: Api, person: Person, worker: Worker, db: Connection[Any]
) -> None:
    """Each answer belongs to its ending: two are written, one was cancelled, one is not held."""
    held = worker.claim(*(api.create_task(person) for _ in range(4)))
    api.call("DELETE", f"/api/v1/tasks/{held[1].task_id}", person.access)
    expire(db, held[2].task_id)
    worker.claim(held[2].task_id)
    endings = [done(held[0]), done(held[1]), done(held[2]), Ending(held[3], Fate.AGAIN)]
    assert worker.end(*endings) == [True, False, False, True]
    statuses = [api.status_of(person, one.task_id) for one in held]
    assert statuses == ["completed", "cancelled", "processing", "pending"]


def test_a_cancelled_task_is_not_claimed(api: Api, person: Person, worker: Worker) -> None:
    """Cancelled before a worker came: nobody works it."""
    task_id = api.create_task(person)
    api.call("DELETE", f"/api/v1/tasks/{task_id}", person.access)
    assert worker.claim(task_id) == []


@pytest.mark.parametrize("fate", list(Fate))
def test_cancelled_is_not_overwritten(
    api: Api, person: Person, worker: Worker, db: Connection[Any], fate: Fate
) -> None:
    """Cancelled while a worker had it: neither its end nor another attempt is written."""
    held = worker.claim_one(api.create_task(person))
    path = f"/api/v1/tasks/{held.task_id}"
    assert api.call("DELETE", path, person.access).status_code == 204
    assert worker.renew(held) == set()
    assert worker.end(Ending(held, fate, error="too late", dead=True)) == [False]
    assert api.status_of(person, held.task_id) == "cancelled"
    assert dead_letters(db, held.task_id) == []


def test_a_dead_worker_s_task_is_claimed_again(
    api: Api, person: Person, worker: Worker, db: Connection[Any]
) -> None:
    """After the lease another worker takes over, and the first can write nothing any more."""
    first = worker.claim_one(api.create_task(person))
    expire(db, first.task_id)
    second = worker.claim_one(first.task_id)
    assert second.attempt == 2
    assert worker.renew(first) == set()
    assert worker.end(done(first, "from the dead")) == [False]
    assert worker.end(done(second, "from the living")) == [True]
    assert task_of(api, person, first.task_id)["result"] == "from the living"


def test_a_renewed_lease_holds(
    api: Api, person: Person, worker: Worker, db: Connection[Any]
) -> None:
    """Also one that was over, if nobody has taken the task meanwhile."""
    held = worker.claim_one(api.create_task(person))
    expire(db, held.task_id)
    assert worker.renew(held) == {held.task_id}
    assert worker.claim(held.task_id) == []


def test_of_cancel_and_completion_one_wins(api: Api, person: Person, worker: Worker) -> None:
    """Raced against each other: 204 exactly where the worker's end was not written."""
    held = worker.claim(*(api.create_task(person) for _ in range(40)))

    async def race() -> list[tuple[bool, int]]:
        async def complete(one: Claim) -> bool:
            (written,) = await work.end(worker.database, [done(one)])
            return written

        async def cancel(one: Claim) -> int:
            return (await api.send("DELETE", f"/api/v1/tasks/{one.task_id}", person)).status_code

        # From both ends, so that they meet somewhere.
        completed, cancelled = await asyncio.gather(
            asyncio.gather(*map(complete, held)), asyncio.gather(*map(cancel, held[::-1]))
        )
        return list(zip(completed, cancelled[::-1], strict=True))

    outcomes = api.run(race())
    for one, outcome in zip(held, outcomes, strict=True):
        assert outcome in [(True, 409), (False, 204)]
        expected = "completed" if outcome[0] else "cancelled"
        assert api.status_of(person, one.task_id) == expected


def expire(db: Connection[Any], task_id: UUID) -> None:
    """Let the task's lease have ended."""
    db.execute("UPDATE tasks SET lease_until = now() - interval '1 s' WHERE id = %s", [task_id])


def dead_letters(db: Connection[Any], task_id: UUID) -> list[tuple[int, str]]:
    """Attempts and error of the task's dead letters."""
    query = "SELECT attempts, error FROM dead_letters WHERE task_id = %s"
    return db.execute(query, [task_id]).fetchall()
