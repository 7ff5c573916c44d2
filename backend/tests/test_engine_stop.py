"""An engine that is stopped: tasks end within its grace, or are given back at once."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.repositories.work import Claim, Ending
from app.workers.engine import Stopping
from tests.engine_support import ATTEMPT, ENTRY, Bench, for_ever, succeed
from tests.engine_support import bench as bench
from tests.engine_support import look as look
from tests.support import until


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
