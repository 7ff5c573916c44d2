"""Cached lists over the whole application: fresh, whoever changed something."""

import asyncio
from uuid import UUID, uuid4

import pytest

from app.core.cache import Cache
from app.core.database import Database
from app.repositories.work import Claim, Ending, Fate
from app.settings import WorkerSettings
from app.workers.engine import Engine
from tests.asgi import ask
from tests.response_cache_support import JSON, ORDER, TASKS, ids_of
from tests.response_cache_support import other as other
from tests.support import Api, Person, metric


@pytest.mark.parametrize("step", ["create", "create once", "cancel", "logout"])
def test_a_change_is_seen_at_once(api: Api, other: Api, step: str) -> None:
    """By whichever instance, however warm its cache is."""
    device_id = f"device-{uuid4()}"
    person = api.login(device_id)
    task_id = api.create_task(person)
    path = f"{TASKS}?status=pending"
    for instance in (api, other):
        assert ids_of(instance.ask("GET", path, person.access)) == [task_id]
    match step:
        case "create":
            expected = [api.create_task(person), task_id]
        case "create once":
            headers = [*JSON, ("idempotency-key", "k")]
            made = api.ask("POST", TASKS, person.access, headers=headers, body=ORDER % b"write")
            expected = [UUID(made.json()["id"]), task_id]
        case "cancel":
            assert api.ask("DELETE", f"{TASKS}/{task_id}", person.access).status == 204
            expected = []
        case _:
            assert api.ask("POST", "/api/v1/auth/logout", person.access).status == 204
            for instance in (api, other):
                assert instance.ask("GET", path, person.access).status == 401
            person, expected = api.login(device_id), [task_id]
    for instance in (api, other):
        assert ids_of(instance.ask("GET", path, person.access)) == expected


def test_a_worker_s_steps_are_seen_at_once(
    api: Api, other: Api, person: Person, worker_settings: WorkerSettings
) -> None:
    """Its claim, and its end."""
    work_on = asyncio.Event()

    async def perform(_: WorkerSettings, claim: Claim) -> Ending:
        await work_on.wait()
        return Ending(claim, Fate.COMPLETED, "done")

    async def statuses() -> list[str]:
        answers = [await ask(one.app, "GET", TASKS, person.access) for one in (api, other)]
        return [answer.json()["tasks"][0]["status"] for answer in answers]

    async def scenario() -> None:
        assert await statuses() == ["pending", "pending"]
        database = Database(worker_settings.libpq_url, "agenthq-worker", 2)
        cache = Cache(worker_settings.redis_url, 1.0)
        engine = Engine(worker_settings, database, cache, perform)
        await engine.start()
        try:
            assert await engine.take([task_id], "message") == 1
            assert await statuses() == ["processing", "processing"]
        finally:
            work_on.set()
            await engine.stop()
        assert await statuses() == ["completed", "completed"]

    task_id = api.create_task(person)
    api.run(scenario())


def test_create_here_list_there(api: Api, other: Api, person: Person) -> None:
    """Three hundred times, in turn, both caches warm: the new task is always there."""

    async def scenario() -> None:
        instances = [api, other]
        made: list[UUID] = []
        for turn in range(300):
            writer, reader = instances[turn % 2], instances[(turn // 2) % 2]
            for one in instances:
                assert (
                    ids_of(await ask(one.app, "GET", f"{TASKS}?page_size=3", person.access))
                    == made[:-4:-1]
                )
            created = await ask(
                writer.app, "POST", TASKS, person.access, headers=JSON, body=ORDER % b"%d" % turn
            )
            made.append(UUID(created.json()["id"]))
            listed = await ask(reader.app, "GET", f"{TASKS}?page_size=3", person.access)
            assert ids_of(listed) == made[:-4:-1]

    hits = metric("agenthq_cache_total", outcome="hit")
    api.run(scenario())
    assert metric("agenthq_cache_total", outcome="hit") >= hits + 300
