"""The engine: many tasks at once, each of them once, and no more than there is room for."""

import asyncio

import psycopg

from tests.engine_support import Bench, Gate, succeed
from tests.engine_support import bench as bench
from tests.support import metric, statements, until


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
