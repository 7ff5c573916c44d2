"""Health, metrics, and the fault switch."""

import asyncio
import re
import time
from typing import Any

from psycopg import Connection

from app.settings import ApiSettings
from tests.support import DEAD_PORT_URL, Api, Person, running_api


def test_healthy(api: Api) -> None:
    """Both servers answer: 200."""
    response = api.call("GET", "/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "postgres": "ok", "redis": "ok"}


def test_redis_away(runner: asyncio.Runner, settings: ApiSettings) -> None:
    """503 says that it is Redis, and it says so soon."""
    with running_api(runner, settings.model_copy(update={"redis_url": DEAD_PORT_URL})) as api:
        started_s = time.monotonic()
        response = api.call("GET", "/healthz")
    assert time.monotonic() - started_s < 1
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "postgres": "ok",
        "redis": "ConnectionError",
    }


def test_postgres_away(runner: asyncio.Runner, settings: ApiSettings) -> None:
    """503 says that it is PostgreSQL; so does any endpoint that needs it."""
    url = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
    with running_api(runner, settings.model_copy(update={"database_url": url})) as api:
        health = api.call("GET", "/healthz")
        login = api.call("POST", "/api/v1/auth/guest", json={"device_id": "d", "name": "n"})
    assert health.status_code == 503
    assert health.json()["redis"] == "ok"
    assert health.json()["postgres"] != "ok"
    assert login.status_code == 503


def test_cut_connections_are_replaced(api: Api, person: Person, db: Connection[Any]) -> None:
    """After PostgreSQL has dropped the pool's connections the next request works."""
    db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'agenthq-api' AND datname = current_database()"
    )
    assert api.call("GET", "/api/v1/tasks", person.access).status_code == 200


def test_metrics_are_labelled_by_route(api: Api, person: Person) -> None:
    """The template with its whole prefix, never the path that was asked for."""
    task_id = api.create_task(person)
    api.call("GET", f"/api/v1/tasks/{task_id}", person.access)
    api.call("GET", "/api/v1/tasks", person.access)
    api.call("GET", "/wp-login.php")
    api.call("BREW", "/healthz")
    text = api.call("GET", "/metrics").text
    endpoints = set(re.findall(r'http_requests_total{endpoint="([^"]*)"', text))
    methods = set(re.findall(r'http_requests_total{.*method="([^"]*)"', text))
    assert {"/api/v1/tasks", "/api/v1/tasks/{task_id}", "/healthz", "unmatched"} <= endpoints
    assert str(task_id) not in text
    assert "BREW" not in methods
    assert "OTHER" in methods


def test_every_route_has_its_own_label(api: Api) -> None:
    """No route's label lacks the prefix under which it is served."""
    paths = api.call("GET", "/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method in methods:
            api.call(method.upper(), path.replace("{task_id}", "x"))
    text = api.call("GET", "/metrics").text
    assert set(paths) <= set(re.findall(r'http_requests_total{endpoint="([^"]*)"', text))


def test_failed_requests_are_counted(api: Api, person: Person, db: Connection[Any]) -> None:
    """A 500 is counted and timed, and is not in flight for ever."""
    db.execute("ALTER TABLE outbox ADD CONSTRAINT broken CHECK (id < 0) NOT VALID")
    try:
        body = {"prompt": "write", "output_type": "docs"}
        api.call("POST", "/api/v1/tasks", person.access, json=body)
    finally:
        db.execute("ALTER TABLE outbox DROP CONSTRAINT broken")
    text = api.call("GET", "/metrics").text
    assert re.search(r'requests_total{endpoint="/api/v1/tasks",method="POST",status="500"}', text)
    assert "http_requests_active 1.0" in text  # the one that asks


def test_objectives_are_bucket_edges(api: Api) -> None:
    """200 ms and 500 ms can be decided exactly."""
    api.call("GET", "/healthz")
    text = api.call("GET", "/metrics").text
    for edge in ("0.2", "0.5"):
        assert f'endpoint="/healthz",le="{edge}"' in text


def test_the_fault_switch_slows_the_list_only(
    runner: asyncio.Runner, settings: ApiSettings, person: Person
) -> None:
    """GET /tasks waits, nothing else does."""
    slow = settings.model_copy(update={"fault_list_delay_ms": 300.0})
    with running_api(runner, slow) as api:
        api.call("GET", "/healthz")
        took_s = {}
        for path in ("/api/v1/tasks", "/api/v1/auth/me"):
            started_s = time.monotonic()
            assert api.call("GET", path, person.access).status_code == 200
            took_s[path] = time.monotonic() - started_s
    assert took_s["/api/v1/tasks"] >= 0.3
    assert took_s["/api/v1/auth/me"] < 0.2
