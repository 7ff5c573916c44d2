"""The engine: a task is worked, tried again later each time, and given up."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from redis import Redis

from app.repositories.work import Claim, Ending
from app.workers import engine as engines
from app.workers.celery_config import celery_app
from app.workers.relay import Relay
from app.workers.work import TransientError, perform
from tests.engine_support import ATTEMPT, ENTRY, Bench, for_ever, succeed
from tests.engine_support import bench as bench
from tests.engine_support import look as look
from tests.support import metric

LETTER = "SELECT attempts, error FROM dead_letters WHERE task_id = %s"


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
