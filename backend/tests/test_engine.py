"""The engine: many tasks at once, leases, limits, retries, and servers that go away."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from redis import Redis
from sqlalchemy.engine import make_url

from app.core.database import Database, Unavailable
from app.core.security import Claims
from app.repositories import tasks, work
from app.repositories.tasks import NewTask
from app.repositories.work import Claim, Ending, Fate
from app.settings import WorkerSettings
from app.workers import engine as engines
from app.workers.celery_config import celery_app
from app.workers.engine import Engine, Stopping
from app.workers.relay import Relay
from app.workers.work import TransientError, perform
from tests.proxy import proxy
from tests.support import Api, Person, metric, statements, until

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
LETTER = "SELECT attempts, error FROM dead_letters WHERE task_id = %s"
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


def test_a_task_is_worked(bench: Bench, look: Callable[[str, UUID], Any]) -> None:
    """Claimed under the message's name, completed, and gone from the outbox."""

    async def scenario() -> None:
        (task_id,) = await bench.make()
        waits = metric("agenthq_task_wait_seconds_count")
        runs = metric("agenthq_task_run_seconds_count")
        ended = metric("agenthq_tasks_ended_total", outcome="completed")
        async with bench.engine(succeed) as engine:
            assert await engine.take([task_id], "message") == 1
            task = await bench.has_status(task_id, "completed")
            assert await engine.take([task_id], "again") == 0
        assert (task["result"], task["celery_task_id"]) == ("done", "message")
        assert look(ENTRY, task_id) is None
        assert metric("agenthq_task_wait_seconds_count") == waits + 1
        assert metric("agenthq_task_run_seconds_count") == runs + 1
        assert metric("agenthq_tasks_ended_total", outcome="completed") == ended + 1

    bench.run(scenario())


def test_a_task_that_takes_too_long_is_tried_again_and_given_up(
    bench: Bench, look: Callable[[str, UUID], Any]
) -> None:
    """After the last attempt it is failed and a dead letter; nothing publishes it any more."""

    async def scenario() -> None:
        (task_id,) = await bench.make()
        limits = {"task_time_limit_s": 0.02, "task_max_attempts": 3, "task_retry_delay_s": 0.0}
        async with bench.engine(for_ever, **limits) as engine:
            for attempt in (1, 2):
                assert await engine.take([task_id], "message") == 1
                await bench.has_status(task_id, "pending")
                task = await bench.task(task_id)
                assert task["error_message"] == "longer than 0.02 s"
                assert look(ATTEMPT, task_id) == (attempt,)
                assert look(LETTER, task_id) is None
                assert look(ENTRY, task_id)[0] is True
            assert await engine.take([task_id], "message") == 1
            task = await bench.has_status(task_id, "failed")
        said = "given up after 3 attempts: longer than 0.02 s"
        assert task["error_message"] == said
        assert look(LETTER, task_id) == (3, said)
        assert look(ENTRY, task_id) is None

    bench.run(scenario())


def test_each_further_attempt_waits_longer(
    bench: Bench, look: Callable[[str, UUID], Any], db: Connection[Any]
) -> None:
    """Twice as long each time, up to an hour; the relay publishes it then and not before."""

    async def stumble(_: Claim) -> Ending:
        raise TransientError("no ink")

    async def scenario() -> None:
        (task_id,) = await bench.make()
        async with bench.engine(stumble, task_retry_delay_s=10.0, task_max_attempts=100) as engine:
            for attempt, delay_s in ((1, 10), (2, 20), (3, 40), (80, 3600)):
                db.execute("UPDATE tasks SET attempt = %s WHERE id = %s", [attempt - 1, task_id])
                db.execute("UPDATE outbox SET enqueued_at = now()")
                assert await engine.take([task_id], "message") == 1
                task = await bench.has_status(task_id, "pending")
                assert task["error_message"] == "TransientError: no ink"
                is_new, left_s = look(ENTRY, task_id)
                assert is_new
                assert delay_s - 2 < left_s <= delay_s

    bench.run(scenario())
    relay = Relay(bench.settings, celery_app, threading.Event())
    with relay.connect() as (connection, producer):
        assert relay.publish_new(connection, producer) == 0
        db.execute("UPDATE outbox SET available_at = now()")
        assert relay.publish_new(connection, producer) == 1
    with Redis.from_url(bench.settings.celery_broker_url) as broker:
        broker.delete(bench.settings.celery_queue)


@pytest.mark.parametrize("ratios", [(1.0, 0.0), (0.0, 1.0)], ids=["transient", "for good"])
def test_simulated_failures(
    bench: Bench, look: Callable[[str, UUID], Any], ratios: tuple[float, float]
) -> None:
    """One kind is tried again, the other is not."""
    transient, for_good = ratios
    settings = bench.settings.model_copy(
        update={
            "task_duration_mean_s": 0.001,
            "task_transient_ratio": transient,
            "task_failure_ratio": for_good,
        }
    )

    async def scenario() -> None:
        (task_id,) = await bench.make()
        async with bench.engine(lambda claim: perform(settings, claim)) as engine:
            assert await engine.take([task_id], "message") == 1
            if transient:
                task = await bench.has_status(task_id, "pending")
                assert task["error_message"] == "TransientError: simulated trouble"
                assert look(ENTRY, task_id)[0] is True
            else:
                task = await bench.has_status(task_id, "failed")
                assert task["error_message"] == "simulated failure"
                assert look(ENTRY, task_id) is None
        assert look(ATTEMPT, task_id) == (1,)
        assert look(LETTER, task_id) is None

    bench.run(scenario())


def test_an_error_that_cannot_be_stored_hurts_nobody_else(bench: Bench) -> None:
    """What PostgreSQL's text has no place for is left out; ends are written together."""

    async def odd(claim: Claim) -> Ending:
        if claim.task_id == first:
            raise ValueError("nul \x00 and \ud800" + "x" * 100_000)
        return await succeed(claim)

    first: UUID

    async def scenario() -> None:
        nonlocal first
        ids = await bench.make(5)
        first = ids[0]
        async with bench.engine(odd) as engine:
            assert await engine.take(ids, "message") == 5
            for one in ids[1:]:
                await bench.has_status(one, "completed")
            task = await bench.has_status(first, "pending")
        assert task["error_message"].startswith("ValueError: nul ")
        assert len(task["error_message"]) <= engines.MAX_ERROR_LENGTH

    bench.run(scenario())


def test_a_renewed_lease_keeps_a_long_task(bench: Bench, look: Callable[[str, UUID], Any]) -> None:
    """It works for three times its lease, and nobody else gets it meanwhile."""

    async def long(claim: Claim) -> Ending:
        await asyncio.sleep(1.5)
        return await succeed(claim)

    async def scenario() -> None:
        (task_id,) = await bench.make()
        async with bench.engine(long, task_lease_s=0.5) as engine, bench.engine(succeed) as rival:
            assert await engine.take([task_id], "message") == 1
            while (await bench.task(task_id))["status"] == "processing":
                assert await rival.take([task_id], "rival") == 0
                await asyncio.sleep(0.02)
        assert (await bench.task(task_id))["celery_task_id"] == "message"
        assert look(ATTEMPT, task_id) == (1,)

    bench.run(scenario())


def test_a_renewal_that_is_refused_is_not_the_last(
    bench: Bench, db: Connection[Any], look: Callable[[str, UUID], Any]
) -> None:
    """PostgreSQL refuses to renew for a moment: the task keeps its worker, and completes."""

    async def long(claim: Claim) -> Ending:
        await asyncio.sleep(4.0)
        return await succeed(claim)

    async def scenario() -> None:
        (task_id,) = await bench.make()
        async with bench.engine(long, task_lease_s=2.0) as engine, bench.engine(succeed) as rival:
            assert await engine.take([task_id], "message") == 1
            db.execute("ALTER TABLE tasks RENAME COLUMN lease_until TO hidden")
            try:
                await asyncio.sleep(1.2)  # the renewal after 1.0 s comes to nothing
            finally:
                db.execute("ALTER TABLE tasks RENAME COLUMN hidden TO lease_until")
            while (await bench.task(task_id))["status"] == "processing":
                assert await rival.take([task_id], "rival") == 0
                await asyncio.sleep(0.02)
        assert look(ATTEMPT, task_id) == (1,)

    bench.run(scenario())


@pytest.mark.parametrize("how", ["taken over", "cancelled"])
def test_work_whose_lease_is_lost_is_stopped(bench: Bench, db: Connection[Any], how: str) -> None:
    """At the next renewal; it writes nothing over what its successor or the user did."""
    stopped = asyncio.Event()

    async def watched(claim: Claim) -> Ending:
        try:
            return await for_ever(claim)
        finally:
            stopped.set()

    async def scenario() -> None:
        (task_id,) = await bench.make()
        lost = metric("agenthq_tasks_ended_total", outcome="lost")
        async with bench.engine(watched, task_lease_s=1.0) as engine:
            assert await engine.take([task_id], "message") == 1
            if how == "taken over":
                db.execute("UPDATE tasks SET lease_until = now() - interval '1 s'")
                (heir,) = await work.claim(bench.api.state.database, [task_id], "heir", 60.0)
                assert heir.attempt == 2
            else:
                path = f"/api/v1/tasks/{task_id}"
                assert (await bench.api.send("DELETE", path, bench.person)).status_code == 204
            async with asyncio.timeout(1.5):
                await stopped.wait()
            await until(
                lambda: metric("agenthq_tasks_ended_total", outcome="lost") == lost + 1, "counted"
            )
        expected = "processing" if how == "taken over" else "cancelled"
        assert (await bench.task(task_id))["status"] == expected
        if how == "taken over":
            ending = Ending(heir, Fate.COMPLETED, "done by the heir")
            assert await work.end(bench.api.state.database, [ending]) == [True]

    bench.run(scenario())


def test_an_end_that_comes_too_late_is_not_written(bench: Bench) -> None:
    """Cancelled, then done before the next renewal: cancelled it stays, and counts as lost."""
    work_on = asyncio.Event()

    async def gated(claim: Claim) -> Ending:
        await work_on.wait()
        return await succeed(claim)

    async def scenario() -> None:
        (task_id,) = await bench.make()
        lost = metric("agenthq_tasks_ended_total", outcome="lost")
        async with bench.engine(gated) as engine:
            assert await engine.take([task_id], "message") == 1
            await bench.api.send("DELETE", f"/api/v1/tasks/{task_id}", bench.person)
            work_on.set()
            await until(
                lambda: metric("agenthq_tasks_ended_total", outcome="lost") == lost + 1, "counted"
            )
        assert (await bench.task(task_id))["status"] == "cancelled"

    bench.run(scenario())


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


def test_capacity_bounds_what_is_in_progress(bench: Bench) -> None:
    """No message is taken while that many tasks are in progress; what waits follows."""
    size, capacity = 3, 5
    gate = Gate()

    async def scenario() -> None:
        ids = await bench.make(12)
        async with bench.engine(gate.work, worker_capacity=capacity) as engine:
            takes = [
                asyncio.create_task(engine.take(ids[n : n + size], f"message {n}"))
                for n in range(0, len(ids), size)
            ]
            await until(lambda: gate.inside == 2 * size, "two messages are at work")
            await bench.task(ids[0])  # a round trip, in which a third one would have come
            assert [take.done() for take in takes].count(True) == 2
            gate.opened.set()
            assert await asyncio.gather(*takes) == [size] * 4
            for one in ids:
                await bench.has_status(one, "completed")
        assert gate.most < capacity + size

    bench.run(scenario())


def test_a_message_of_tasks_that_are_taken_leaves_its_room_to_others(
    bench: Bench, database_url: str
) -> None:
    """Who waits for room goes on also when nothing that was begun frees it."""

    async def scenario() -> None:
        mine, other = await bench.make(2)
        with psycopg.connect(database_url) as holder:
            holder.execute("UPDATE tasks SET status = 'cancelled' WHERE id = %s", [other])
            async with bench.engine(succeed, worker_capacity=1) as engine:
                first = asyncio.create_task(engine.take([other], "first"))
                await until(lambda: engine._claiming == 1, "the first one claims")
                second = asyncio.create_task(engine.take([mine], "second"))
                await asyncio.sleep(0)
                holder.commit()
                async with asyncio.timeout(5):
                    assert list(await asyncio.gather(first, second)) == [0, 1]
                await bench.has_status(mine, "completed")

    bench.run(scenario())


def test_two_engines_work_each_task_once(bench: Bench) -> None:
    """Both are told of all tasks, in different orders, at the same time."""
    gate = Gate()
    gate.opened.set()

    async def scenario() -> None:
        ids = await bench.make(100)
        async with bench.engine(gate.work) as one, bench.engine(gate.work) as other:
            takes = [one.take(ids[n : n + 20], "one") for n in range(0, 100, 20)]
            takes += [other.take(ids[n : n + 25][::-1], "other") for n in (75, 50, 25, 0)]
            assert sum(await asyncio.gather(*takes)) == 100
            for task_id in ids:
                await bench.has_status(task_id, "completed")
        assert set(gate.came) == set(ids)
        assert set(gate.came.values()) == {1}

    bench.run(scenario())


def test_a_thousand_tasks_at_once(bench: Bench) -> None:
    """In one engine, with four connections and far fewer statements than tasks."""
    gate = Gate()
    count, size = 1200, 100

    async def scenario() -> None:
        ids = await bench.make(count)
        claims, ends = statements("claim_tasks"), statements("end_tasks")
        async with bench.engine(gate.work, worker_pool_size=4) as engine:
            takes = [engine.take(ids[n : n + size], f"{n}") for n in range(0, count, size)]
            assert sum(await asyncio.gather(*takes)) == count
            await until(lambda: gate.inside == count, "all are at work at once")
            await until(lambda: metric("agenthq_tasks_in_progress") == count, "the gauge says so")
            gate.opened.set()
            params = {"status": "completed", "page_size": 1}

            async def completed() -> int:
                listed = await bench.api.send("GET", "/api/v1/tasks", bench.person, params=params)
                return int(listed.json()["total"])

            async with asyncio.timeout(20):
                while await completed() < count:
                    # The engine has no cache to tell, so the list would stay as it was.
                    await bench.api.state.redis.delete(b"v:" + bench.person.id.bytes)
                    await asyncio.sleep(0.05)
        assert statements("claim_tasks") - claims == count / size
        assert statements("end_tasks") - ends <= 30

    bench.run(scenario())


def test_a_stopped_engine_gives_its_tasks_back_at_once(
    bench: Bench, look: Callable[[str, UUID], Any]
) -> None:
    """They are new in the outbox, without waiting for the lease, and another engine has them."""

    async def scenario() -> None:
        ids = await bench.make(3)
        async with bench.engine(for_ever, task_retry_delay_s=60.0) as engine:
            assert await engine.take(ids, "message") == 3
        for one in ids:
            task = await bench.task(one)
            assert (task["status"], task["error_message"]) == ("pending", "its worker was stopped")
            is_new, left_s = look(ENTRY, one)
            assert is_new
            assert left_s <= 0
        async with bench.engine(succeed) as heir:
            assert await heir.take(ids, "heir") == 3
            for one in ids:
                await bench.has_status(one, "completed")
                assert look(ATTEMPT, one) == (2,)

    bench.run(scenario())


def test_a_stopped_engine_lets_tasks_end(bench: Bench) -> None:
    """Within its grace; it takes no more meanwhile, and who waited for room is told."""

    async def short(claim: Claim) -> Ending:
        await asyncio.sleep(0.1)
        return await succeed(claim)

    async def scenario() -> None:
        first, second, third = await bench.make(3)
        async with bench.engine(short, worker_grace_s=10.0, worker_capacity=1) as engine:
            assert await engine.take([first], "message") == 1
            waiting = asyncio.create_task(engine.take([second], "waits"))
            await asyncio.sleep(0)
            stopping = asyncio.create_task(engine.stop())
            for call in (waiting, engine.take([third], "late")):
                with pytest.raises(Stopping):
                    await call
            await stopping
        statuses = [(await bench.task(one))["status"] for one in (first, second, third)]
        assert statuses == ["completed", "pending", "pending"]

    bench.run(scenario())


def test_what_is_claimed_while_it_stops_is_given_back(bench: Bench, database_url: str) -> None:
    """Nothing is left to its lease because it came a moment too late."""

    async def scenario() -> None:
        (task_id,) = await bench.make()
        with psycopg.connect(database_url) as holder:
            holder.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", [task_id])
            async with bench.engine(for_ever) as engine:
                taking = asyncio.create_task(engine.take([task_id], "message"))
                await until(lambda: engine._claiming == 1, "it claims")
                stopping = asyncio.create_task(engine.stop())
                await asyncio.sleep(0)
                holder.rollback()
                await asyncio.gather(taking, stopping)
        assert (await bench.task(task_id))["status"] == "pending"

    bench.run(scenario())


@pytest.fixture
def far(bench: Bench) -> Iterator[tuple[Any, dict[str, object]]]:
    """PostgreSQL behind a proxy, and the settings of an engine that says so."""
    url = make_url(bench.settings.database_url)
    with proxy(url.host or "127.0.0.1", url.port or 5432) as running:
        there = url.set(host="127.0.0.1", port=running.port)
        yield running, {"database_url": there.render_as_string(hide_password=False)}


def test_an_end_waits_for_postgres(
    bench: Bench, far: tuple[Any, dict[str, object]], look: Callable[[str, UUID], Any]
) -> None:
    """Away for a moment: the end is written when it is back, in the same attempt."""
    away, changes = far
    gate = Gate()

    async def scenario() -> None:
        ids = await bench.make(5)
        async with bench.engine(gate.work, **changes) as engine:
            assert await engine.take(ids, "message") == 5
            await until(lambda: gate.inside == 5, "all are at work")
            away.cut()
            ends = statements("end_tasks")
            gate.opened.set()
            await until(lambda: not gate.inside, "all are done")
            await asyncio.sleep(engines.LINGER_S * 2)  # the first try fails
            away.restore()
            for one in ids:
                await bench.has_status(one, "completed")
                assert look(ATTEMPT, one) == (1,)
            assert statements("end_tasks") > ends

    bench.run(scenario())


def test_an_end_that_cannot_be_written_is_left_to_the_lease(
    bench: Bench,
    far: tuple[Any, dict[str, object]],
    db: Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Away for good: the engine lives on, and another attempt follows."""
    away, changes = far
    monkeypatch.setattr(engines, "RETRY_DELAYS_S", (0.01, 0.01))
    gate = Gate()

    async def scenario() -> None:
        (task_id,) = await bench.make()
        lost = metric("agenthq_tasks_ended_total", outcome="lost")
        async with bench.engine(gate.work, **changes) as engine:
            assert await engine.take([task_id], "message") == 1
            await until(lambda: gate.inside == 1, "it is at work")
            away.cut()
            gate.opened.set()
            await until(
                lambda: metric("agenthq_tasks_ended_total", outcome="lost") == lost + 1, "given up"
            )
            with pytest.raises(Unavailable):
                await engine.take([task_id], "message")
            away.restore()
            db.execute("UPDATE tasks SET lease_until = now() - interval '1 s'")
            assert await engine.take([task_id], "message") == 1
            await bench.has_status(task_id, "completed")
        assert gate.came[task_id] == 2

    bench.run(scenario())


def test_work_goes_on_while_leases_cannot_be_renewed(
    bench: Bench, far: tuple[Any, dict[str, object]], look: Callable[[str, UUID], Any]
) -> None:
    """A database that is away is no reason to stop; the lease may even run out meanwhile."""
    away, changes = far
    gate = Gate()

    async def scenario() -> None:
        (task_id,) = await bench.make()
        async with bench.engine(gate.work, task_lease_s=0.5, **changes) as engine:
            assert await engine.take([task_id], "message") == 1
            away.cut()
            await asyncio.sleep(0.7)
            away.restore()
            await asyncio.sleep(0.3)
            assert gate.inside == 1
            gate.opened.set()
            await bench.has_status(task_id, "completed")
        assert look(ATTEMPT, task_id) == (1,)

    bench.run(scenario())
