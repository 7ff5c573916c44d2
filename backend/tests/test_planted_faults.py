"""The fault switches: each does what it says, and nothing else."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection
from sqlalchemy.engine import make_url

from app.core import leak
from app.core.chance import is_dropped
from app.core.security import Claims
from app.repositories.tasks import NewTask, create_many
from app.repositories.work import Claim, Fate
from app.settings import ApiSettings, WorkerSettings
from app.workers.duration import duration_s
from app.workers.work import perform
from tests.support import Api, Person, running_api, until

TASKS = "/api/v1/tasks"
BODY = {"prompt": "write", "output_type": "docs"}
IDS = [UUID(int=number) for number in range(20_000)]


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.5, 1.0])
def test_the_given_share_is_dropped(ratio: float) -> None:
    """None and all are exact."""
    share = sum(is_dropped(task_id, ratio) for task_id in IDS) / len(IDS)
    assert share == pytest.approx(ratio, abs=0.0 if ratio in (0.0, 1.0) else 0.01)


@pytest.mark.parametrize("hot", [True, False], ids=["hot route", "route"])
@pytest.mark.parametrize("keyed", [False, True], ids=["batched", "with a key"])
def test_dropped_tasks_are_accepted_and_not_handed_on(
    runner: asyncio.Runner,
    settings: ApiSettings,
    person: Person,
    db: Connection[Any],
    hot: bool,
    keyed: bool,
) -> None:
    """201 and stored, all of them; those whose id says so have no entry in the outbox."""
    dropping = settings.model_copy(update={"fault_drop_ratio": 0.5, "hot_routes": hot})
    keys = [{"Idempotency-Key": str(number)} if keyed else {} for number in range(40)]
    with running_api(runner, dropping) as api:
        call = ("POST", TASKS, person.access)
        answers = api.together([(*call, {"json": BODY, "headers": key}) for key in keys])
        assert {one.status_code for one in answers} == {201}
        made = {UUID(one.json()["id"]) for one in answers}
        assert _total(api, person) == len(made) == 40
    assert _entries(db) == {one for one in made if not is_dropped(one, 0.5)}
    assert 0 < len(_entries(db)) < 40


def test_of_a_dropped_task_s_key_there_is_one_task(
    runner: asyncio.Runner, settings: ApiSettings, person: Person, db: Connection[Any]
) -> None:
    """Asking again gives the same task, and still no entry."""
    asked = {"json": BODY, "headers": {"Idempotency-Key": "again"}}
    with running_api(runner, settings.model_copy(update={"fault_drop_ratio": 1.0})) as api:
        ids = {api.call("POST", TASKS, person.access, **asked).json()["id"] for _ in range(3)}
    assert len(ids) == 1
    assert _entries(db) == set()


def test_without_the_switch_nothing_is_dropped(
    api: Api, person: Person, db: Connection[Any]
) -> None:
    """Every task has its entry."""
    order = NewTask(Claims(person.id, 0, "access", 0), "write", "docs", "{}")
    api.run(create_many(api.state.database, [order] * 100))
    assert len(_entries(db)) == 100


def test_connections_leak_up_to_the_limit(
    runner: asyncio.Runner,
    settings: ApiSettings,
    person: Person,
    db: Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each process leaks its share of the limit, and works; its end closes what it leaked."""
    monkeypatch.setattr(leak, "LIMIT", 8)
    before = _connections(db)
    leaking = {"fault_leak_per_s": 100.0, "api_instances": 2, "db_pool_size": 1, "cache": False}
    with running_api(runner, settings.model_copy(update=leaking)) as api:

        async def leaked() -> int:
            await until(lambda: _connections(db) - before >= 4, "four connections")
            await asyncio.sleep(0.1)
            return _connections(db) - before

        assert api.run(leaked()) == 4
        assert api.call("GET", TASKS, person.access).status_code == 200
        assert _connections(db) - before == 5, "one is the pool's"

    async def closed() -> None:
        await until(lambda: _connections(db) == before, "all are closed")

    runner.run(closed())


def test_a_server_without_room_is_no_trouble(
    runner: asyncio.Runner, settings: ApiSettings, db: Connection[Any]
) -> None:
    """What is refused is not leaked; as soon as there is room again, it is."""
    role = f"leaker_{uuid4().hex}"
    url = make_url(settings.database_url).set(username=role, password=role)
    changes = {
        "database_url": url.render_as_string(hide_password=False),
        "fault_leak_per_s": 100.0,
    }

    def held() -> int:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
        return int((db.execute(counted, [role]).fetchone() or (0,))[0])

    async def scenario() -> None:
        leaking = asyncio.create_task(leak.leak(settings.model_copy(update=changes)))
        await until(lambda: held() == 2, "all that there is room for")
        await asyncio.sleep(0.1)
        assert held() == 2
        db.execute(f"ALTER ROLE {role} CONNECTION LIMIT 4".encode())
        await until(lambda: held() == 4, "the new room")
        leaking.cancel()
        await asyncio.gather(leaking, return_exceptions=True)
        await until(lambda: held() == 0, "all are closed")

    db.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}' CONNECTION LIMIT 2".encode())
    try:
        runner.run(scenario())
    finally:
        db.execute(f"DROP ROLE {role}".encode())


@pytest.mark.parametrize("number", [1, 2])
def test_one_instance_fails_a_share_of_its_requests(
    runner: asyncio.Runner, settings: ApiSettings, api: Api, person: Person, number: int
) -> None:
    """Some before the work and some after it; other instances, health and metrics do not."""
    failing = {"fault_error_ratio": 0.5, "fault_error_instance": 2, "api_instance_number": number}
    with running_api(runner, settings.model_copy(update=failing)) as chosen:
        call = ("POST", TASKS, person.access)
        codes = [chosen.call(*call, json=BODY).status_code for _ in range(200)]
        for path in ("/healthz", "/livez", "/metrics"):
            assert {chosen.call("GET", path).status_code for _ in range(20)} == {200}
    accepted, stored = codes.count(201), _total(api, person)
    if number == 1:
        assert accepted == stored == 200
    else:
        assert set(codes) == {201, 500}
        assert 50 < accepted < 150
        assert accepted < stored < 200


def test_a_slow_worker_takes_longer(
    runner: asyncio.Runner, worker_settings: WorkerSettings
) -> None:
    """The same work takes that many times as long, at least."""
    changes = {"fault_slow_worker": 5.0, "task_duration_mean_s": 0.05}
    settings = worker_settings.model_copy(update=changes)
    claim = Claim(UUID(int=1), UUID(int=2), "docs", 5, 1, 0.0)

    async def took_s() -> float:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        assert (await perform(settings, claim)).fate is Fate.COMPLETED
        return loop.time() - began_s

    alone_s = duration_s(settings.task_duration_seed, claim.task_id, 0.05)
    # A loop may wake up a tick of its clock early.
    assert runner.run(took_s()) >= 5 * alone_s - 0.002


def _total(api: Api, person: Person) -> int:
    return int(api.call("GET", TASKS, person.access).json()["total"])


def _entries(db: Connection[Any]) -> set[UUID]:
    return {row[0] for row in db.execute("SELECT task_id FROM outbox")}


def _connections(db: Connection[Any]) -> int:
    counted = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'agenthq-api'"
        " AND datname = current_database()"
    )
    return int((db.execute(counted).fetchone() or (0,))[0])
