"""The engine's leases: renewed while a task is at work; work that loses its own is stopped."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection

from app.repositories import work
from app.repositories.work import Claim, Ending, Fate
from tests.engine_support import ATTEMPT, Bench, for_ever, succeed
from tests.engine_support import bench as bench
from tests.engine_support import look as look
from tests.support import metric, until


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
