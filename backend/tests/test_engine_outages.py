"""The engine while PostgreSQL is away: for a moment, and for good."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from sqlalchemy.engine import make_url

from app.core.database import Unavailable
from app.workers import engine as engines
from tests.engine_support import ATTEMPT, Bench, Gate
from tests.engine_support import bench as bench
from tests.engine_support import look as look
from tests.proxy import proxy
from tests.support import metric, statements, until


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
