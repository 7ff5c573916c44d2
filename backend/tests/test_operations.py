"""Health, servers that go away, and the fault switch."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from sqlalchemy.engine import make_url

from app.core import database
from app.settings import ApiSettings
from tests.proxy import Proxy, proxy
from tests.support import DEAD_PORT_URL, Api, Person, eventually, running_api

TASKS = "/api/v1/tasks"
BODY = {"prompt": "write", "output_type": "docs"}


@pytest.fixture
def far_postgres(settings: ApiSettings) -> Iterator[tuple[Proxy, ApiSettings]]:
    """PostgreSQL behind a proxy, and the settings that say so."""
    url = make_url(settings.database_url)
    with proxy(url.host or "127.0.0.1", url.port or 5432) as running:
        there = url.set(host="127.0.0.1", port=running.port)
        text = there.render_as_string(hide_password=False)
        yield running, settings.model_copy(update={"database_url": text})


def test_alive(api: Api) -> None:
    """The process answers."""
    response = api.call("GET", "/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_healthy(api: Api) -> None:
    """Both servers answer: 200."""
    response = api.call("GET", "/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "postgres": "ok", "redis": "ok"}


def test_redis_away(runner: asyncio.Runner, settings: ApiSettings, person: Person) -> None:
    """Health says so, and soon; it is no reason to send nobody here, since everything works."""
    with running_api(runner, settings.model_copy(update={"redis_url": DEAD_PORT_URL})) as api:
        started_s = time.monotonic()
        response = api.call("GET", "/healthz")
        assert time.monotonic() - started_s < 1
        assert response.status_code == 200
        assert response.json() == {
            "status": "degraded",
            "postgres": "ok",
            "redis": "ConnectionError",
        }
        task_id = api.create_task(person)
        assert api.call("GET", TASKS, person.access).json()["tasks"][0]["id"] == str(task_id)
        assert api.call("DELETE", f"{TASKS}/{task_id}", person.access).status_code == 204
        assert api.call("GET", TASKS, person.access).json()["tasks"][0]["status"] == "cancelled"
        assert api.call("POST", "/api/v1/auth/logout", person.access).status_code == 204
        assert api.call("GET", TASKS, person.access).status_code == 401


def test_postgres_away(runner: asyncio.Runner, settings: ApiSettings, person: Person) -> None:
    """503 says that it is PostgreSQL; so does every endpoint that needs it, and when to retry."""
    url = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
    with running_api(runner, settings.model_copy(update={"database_url": url})) as api:
        health = api.call("GET", "/healthz")
        assert health.status_code == 503
        assert health.json()["redis"] == "ok"
        assert health.json()["postgres"] != "ok"
        assert api.call("GET", "/livez").status_code == 200
        login = {"device_id": "d", "name": "n"}
        for method, path, more in (
            ("POST", "/api/v1/auth/guest", {"json": login}),
            ("GET", "/api/v1/auth/me", {}),
            ("POST", "/api/v1/auth/refresh", {"json": {"refresh_token": person.refresh}}),
            ("POST", "/api/v1/auth/logout", {}),
            ("GET", TASKS, {}),
            ("POST", TASKS, {"json": BODY}),
            ("POST", TASKS, {"json": BODY, "headers": {"Idempotency-Key": "k"}}),
            ("GET", f"{TASKS}/{person.id}", {}),
            ("DELETE", f"{TASKS}/{person.id}", {}),
        ):
            response = api.call(method, path, person.access, **more)
            assert (response.status_code, response.json()) == (
                503,
                {"detail": "database not available"},
            )
            assert response.headers["Retry-After"] == "1"


def test_postgres_returns(
    runner: asyncio.Runner, far_postgres: tuple[Proxy, ApiSettings], person: Person
) -> None:
    """After an outage the pool makes new connections, without a restart."""
    away, settings = far_postgres
    with running_api(runner, settings) as api:
        assert api.call("POST", TASKS, person.access, json=BODY).status_code == 201
        away.cut()
        for _ in range(settings.db_pool_size + 1):
            assert api.call("POST", TASKS, person.access, json=BODY).status_code == 503
        away.restore()
        assert api.call("POST", TASKS, person.access, json=BODY).status_code == 201
        assert api.call("GET", TASKS, person.access).json()["total"] == 2


@pytest.mark.parametrize("pooled", [True, False], ids=["pool", "no pool"])
def test_a_postgres_that_says_nothing(
    runner: asyncio.Runner,
    far_postgres: tuple[Proxy, ApiSettings],
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    pooled: bool,
) -> None:
    """A statement has its time, and so has the wait for a connection: 503, then all is well."""
    away, settings = far_postgres
    monkeypatch.setattr(database, "COMMAND_TIMEOUT_S", 0.5)
    monkeypatch.setattr(database, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(database, "POOL_TIMEOUT_S", 0.5)
    two = settings.model_copy(update={"db_pool_size": 2, "db_pool": pooled, "cache": False})
    with running_api(runner, two) as api:
        assert api.call("GET", TASKS, person.access).status_code == 200
        away.freeze()
        started_s = time.monotonic()
        calls: list[tuple[str, str, str | None, dict[str, Any]]]
        calls = [("GET", TASKS, person.access, {})] * 10
        assert {one.status_code for one in api.together(calls)} == {503}
        assert time.monotonic() - started_s < 5
        away.thaw()
        eventually(lambda: api.call("GET", TASKS, person.access).status_code == 200, "a list")
        assert {one.status_code for one in api.together(calls)} == {200}


def test_cut_connections_are_replaced(api: Api, person: Person, db: Connection[Any]) -> None:
    """After PostgreSQL has dropped the pool's connections the next request works."""
    path = f"{TASKS}/{api.create_task(person)}"
    cut = db.execute(
        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'agenthq-api' AND datname = current_database()"
    ).fetchall()
    # PostgreSQL forgets a connection before its process ends, and with that the connection.
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid, _ in cut), "they are cut")
    api.call("GET", "/livez")  # the event loop runs all the time in earnest, so it hears of it
    assert api.call("GET", path, person.access).status_code == 200


@pytest.mark.parametrize("pooled", [True, False], ids=["pool", "no pool"])
def test_connections_have_a_limit(
    runner: asyncio.Runner,
    settings: ApiSettings,
    person: Person,
    db: Connection[Any],
    pooled: bool,
) -> None:
    """However many requests there are, pooled or not: the budget counts on it."""
    limit, others = 3, _connections(db)
    few = settings.model_copy(
        update={"db_pool_size": limit, "db_pool": pooled, "cache": False, "create_batch": 1}
    )
    with running_api(runner, few) as api:

        async def most() -> int:
            lists = [api.send("GET", TASKS, person) for _ in range(30)]
            creates = [api.send("POST", TASKS, person, json=BODY) for _ in range(30)]
            done = asyncio.gather(*lists, *creates)
            seen = 0
            while not done.done():
                seen = max(seen, _connections(db) - others)
                await asyncio.sleep(0)
            assert {one.status_code for one in await done} == {200, 201}
            return seen

        assert 1 <= api.run(most()) <= limit
    eventually(lambda: _connections(db) == others, "all are closed")


def test_the_fault_switch_slows_the_list_only(
    runner: asyncio.Runner, settings: ApiSettings, person: Person
) -> None:
    """GET /tasks waits, nothing else does."""
    slow = settings.model_copy(update={"fault_list_delay_ms": 300.0})
    with running_api(runner, slow) as api:
        api.call("GET", "/healthz")
        took_s = {}
        for path in (TASKS, "/api/v1/auth/me"):
            started_s = time.monotonic()
            assert api.call("GET", path, person.access).status_code == 200
            took_s[path] = time.monotonic() - started_s
    assert took_s[TASKS] >= 0.3
    assert took_s["/api/v1/auth/me"] < 0.2


def _connections(db: Connection[Any]) -> int:
    row = db.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'agenthq-api'"
        " AND datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])
