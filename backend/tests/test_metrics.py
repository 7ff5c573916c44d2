"""What /metrics tells of requests, the pool and the cache."""

import asyncio
import re
from typing import Any

import pytest
from psycopg import Connection

from app.core import metrics
from app.settings import ApiSettings
from tests.support import Api, Person, metric, running_api, until

TASKS = "/api/v1/tasks"
BODY = {"prompt": "write", "output_type": "docs"}


def requests(method: str, endpoint: str, status: int) -> float:
    """How many requests of that kind were counted, each of which was timed as well."""
    found = metric("http_requests_total", method=method, endpoint=endpoint, status=str(status))
    name = "http_request_duration_seconds_count"
    assert metric(name, method=method, endpoint=endpoint) >= found
    return found


@pytest.mark.parametrize("hot", [True, False], ids=["hot", "FastAPI"])
@pytest.mark.parametrize("cache", [True, False], ids=["cached", "not cached"])
def test_requests_are_labelled_by_route(
    runner: asyncio.Runner, settings: ApiSettings, person: Person, hot: bool, cache: bool
) -> None:
    """The template with its whole prefix, never the path; also where no route was asked."""
    with running_api(
        runner, settings.model_copy(update={"hot_routes": hot, "cache": cache})
    ) as api:
        task = f"{TASKS}/{api.create_task(person)}"
        for method, path, token, endpoint, status in (
            ("POST", TASKS, person.access, TASKS, 422),
            ("GET", TASKS, person.access, TASKS, 200),
            ("GET", TASKS, person.access, TASKS, 200),  # the cached one, if it is cached
            ("HEAD", TASKS, person.access, TASKS, 200),
            ("GET", f"{TASKS}?page=0", person.access, TASKS, 422),
            ("GET", TASKS, None, TASKS, 401),
            ("POST", TASKS, None, TASKS, 401),
            ("GET", task, person.access, f"{TASKS}/{{task_id}}", 200),
            ("DELETE", task, person.access, f"{TASKS}/{{task_id}}", 204),
            ("GET", f"{task}x", person.access, f"{TASKS}/{{task_id}}", 422),
            ("GET", "/wp-login.php", None, "unmatched", 404),
            ("GET", f"{TASKS}/", person.access, "unmatched", 404),
        ):
            before = requests(method, endpoint, status)
            body: dict[str, str] | None = {} if method == "POST" else None
            assert api.call(method, path, token, json=body).status_code == status
            assert requests(method, endpoint, status) == before + 1, (method, path)
        assert str(task) not in api.call("GET", "/metrics").text


def test_a_created_task_and_a_304_are_counted(api: Api, person: Person) -> None:
    """Each under its own status."""
    created, unchanged = requests("POST", TASKS, 201), requests("GET", TASKS, 304)
    api.create_task(person)
    tag = api.call("GET", TASKS, person.access).headers["ETag"]
    api.call("GET", TASKS, person.access, headers={"If-None-Match": tag})
    assert requests("POST", TASKS, 201) == created + 1
    assert requests("GET", TASKS, 304) == unchanged + 1


def test_a_method_is_one_of_few(api: Api) -> None:
    """Whatever a client calls its method, the number of series is bounded."""
    before = requests("OTHER", "unmatched", 404)
    api.call("BREW", "/coffee")
    api.call("BREW", "/healthz")
    text = api.call("GET", "/metrics").text
    assert "BREW" not in text
    assert requests("OTHER", "unmatched", 404) > before


def test_every_route_has_its_own_label(api: Api) -> None:
    """No route's label lacks the prefix under which it is served."""
    paths = api.call("GET", "/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method in methods:
            api.call(method.upper(), path.replace("{task_id}", "x"))
    text = api.call("GET", "/metrics").text
    assert set(paths) <= set(re.findall(r'http_requests_total{endpoint="([^"]*)"', text))


def test_a_request_that_fails_is_counted(api: Api, person: Person, db: Connection[Any]) -> None:
    """A 500 is counted and timed, and is not in flight for ever."""
    before = requests("POST", TASKS, 500)
    db.execute("ALTER TABLE outbox ADD CONSTRAINT broken CHECK (seq < 0) NOT VALID")
    try:
        api.call("POST", TASKS, person.access, json=BODY)
    finally:
        db.execute("ALTER TABLE outbox DROP CONSTRAINT broken")
    assert requests("POST", TASKS, 500) == before + 1
    assert metrics.in_flight.count == 0


def test_requests_in_flight(api: Api, person: Person, db: Connection[Any]) -> None:
    """The gauge follows within a second or so, up and down."""

    async def scenario() -> None:
        # A row that is locked holds its canceller up.
        path = f"{TASKS}/{task_id}"
        asking = asyncio.create_task(api.send("DELETE", path, person))
        await until(lambda: metric("http_requests_active") == 1, "one is in flight")
        await until(lambda: metric("agenthq_db_pool_used") == 1, "one connection is used")
        assert metric("agenthq_db_pool_size") >= 1
        assert metric("agenthq_db_pool_waiting") == 0
        db.rollback()
        assert (await asking).status_code == 204
        await until(lambda: metric("http_requests_active") == 0, "none is in flight")
        await until(lambda: metric("agenthq_db_pool_used") == 0, "all connections are free")

    task_id = api.create_task(person)
    db.autocommit = False
    db.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", [task_id])
    api.run(scenario())


def test_requests_that_wait_for_a_connection(
    runner: asyncio.Runner, settings: ApiSettings, person: Person, db: Connection[Any]
) -> None:
    """Are told apart from those that have one."""
    with running_api(runner, settings.model_copy(update={"db_pool_size": 1})) as api:

        async def scenario() -> None:
            calls = [api.send("DELETE", f"{TASKS}/{task_id}", person) for _ in range(3)]
            asking = asyncio.gather(*calls)
            await until(lambda: metric("agenthq_db_pool_waiting") == 2, "two wait")
            assert metric("agenthq_db_pool_used") == metric("agenthq_db_pool_size") == 1
            db.rollback()
            assert {one.status_code for one in await asking} == {204}
            await until(lambda: metric("agenthq_db_pool_waiting") == 0, "nobody waits")

        task_id = api.create_task(person)
        db.autocommit = False
        db.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", [task_id])
        runner.run(scenario())


def test_objectives_are_bucket_edges(api: Api) -> None:
    """200 ms and 500 ms can be decided exactly, and 30 s for tasks."""
    api.call("GET", "/healthz")
    text = api.call("GET", "/metrics").text
    for edge in ("0.2", "0.5"):
        assert f'endpoint="/healthz",le="{edge}"' in text
    for name in ("agenthq_task_wait_seconds", "agenthq_task_run_seconds"):
        assert f'{name}_bucket{{le="30.0"}}' in text


def test_the_cache_s_outcomes(api: Api, person: Person) -> None:
    """Hit, miss and what was not looked up, each counted once a request."""

    def outcomes() -> dict[str, float]:
        names = ("hit", "miss", "bypass", "shared", "off")
        return {name: metric("agenthq_cache_total", outcome=name) for name in names}

    long_query = "&".join(["page=1"] * 40)
    for path, token, outcome in (
        (TASKS, person.access, "miss"),
        (TASKS, person.access, "hit"),
        (f"{TASKS}?page=2", person.access, "miss"),
        (f"{TASKS}?{long_query}", person.access, "bypass"),
        (TASKS, None, "bypass"),
    ):
        before = outcomes()
        api.call("GET", path, token)
        after = outcomes()
        assert {name for name in after if after[name] != before[name]} == {outcome}
        assert after[outcome] == before[outcome] + 1


def test_everything_that_a_dashboard_asks_for_is_there(api: Api) -> None:
    """Also before anything has happened."""
    families = set(re.findall(r"^# TYPE (\S+)", api.call("GET", "/metrics").text, re.M))
    assert families >= {
        "http_requests_total",
        "http_request_duration_seconds",
        "http_requests_active",
        "agenthq_cache_total",
        "agenthq_cache_errors_total",
        "agenthq_cache_open",
        "agenthq_tokens_verified_total",
        "agenthq_logins_limited_total",
        "agenthq_db_statements_total",
        "agenthq_db_pool_size",
        "agenthq_db_pool_used",
        "agenthq_db_pool_waiting",
        "agenthq_outbox_depth",
        "agenthq_outbox_age_seconds",
        "agenthq_queue_depth",
        "agenthq_tasks_published_total",
        "agenthq_tasks_in_progress",
        "agenthq_task_wait_seconds",
        "agenthq_task_run_seconds",
        "agenthq_tasks_ended_total",
    }
