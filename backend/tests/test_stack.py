"""The processes of the stack, as they are started in earnest."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from psycopg import Connection
from sqlalchemy.engine import make_url

from tests.proxy import proxy
from tests.support import WORKER_COMMAND, Api, Person, eventually, process

FAST = {"TASK_DURATION_MEAN_S": "0.02", "CELERY_CONCURRENCY": "8"}


@contextmanager
def workers(tmp_path: Path, **environment: str) -> Iterator[int]:
    """A relay and a worker, both ready; yields the worker's process id."""
    with ExitStack() as stack:
        pids = []
        for name, command in (("relay", ["app.workers.relay"]), ("worker", WORKER_COMMAND)):
            ready = tmp_path / f"{name} ready"
            log = tmp_path / f"{name}.log"
            child = stack.enter_context(process(command, log, READY_FILE=str(ready), **environment))
            pids.append((child.pid, ready))
        for _, ready in pids:
            eventually(ready.exists, f"{ready.name}")
        yield pids[1][0]


def test_tasks_are_worked_to_their_end(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """Every accepted task completes, in one attempt, and leaves the outbox."""
    with workers(tmp_path, TASK_LEASE_S="1", **FAST):
        for _ in range(30):
            api.create_task(person)
        params = {"status": "completed"}
        eventually(
            lambda: _total(api, person, params) == 30,
            "30 tasks are completed",
        )
        eventually(lambda: _count(db, "SELECT count(*) FROM outbox") == 0, "the outbox is empty")
        connections = _count(
            db,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'agenthq-worker'"
            " AND datname = current_database()",
        )
    assert connections <= 10
    attempts = "SELECT max(attempt) FROM tasks WHERE user_id = %s"
    assert _count(db, attempts, person.id) == 1


def test_failures_and_cancellations(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """Cancelled while worked on stays cancelled; the others fail as the ratio says."""
    slow = {"TASK_DURATION_MEAN_S": "2", "TASK_FAILURE_RATIO": "1"}
    with workers(tmp_path, **slow):
        ids = [api.create_task(person) for _ in range(4)]
        eventually(lambda: _total(api, person, {"status": "pending"}) == 0, "all are begun")
        open_ids = [one for one in ids if api.status_of(person, one) == "processing"]
        cancelled = {
            one
            for one in open_ids[:2]
            if api.call("DELETE", f"/api/v1/tasks/{one}", person.access).status_code == 204
        }
        eventually(lambda: _total(api, person, {"status": "processing"}) == 0, "all have ended", 25)
    assert cancelled
    for one in ids:
        assert api.status_of(person, one) == ("cancelled" if one in cancelled else "failed")


def test_a_killed_worker_loses_nothing(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """Tasks of a worker that was killed are completed by another one after the lease."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with workers(tmp_path / "first", TASK_DURATION_MEAN_S="100", TASK_LEASE_S="1001") as victim:
        ids = [api.create_task(person) for _ in range(3)]
        eventually(lambda: _total(api, person, {"status": "processing"}) == 3, "all are begun")
        os.kill(victim, signal.SIGKILL)
    with workers(tmp_path / "second", TASK_LEASE_S="1", **FAST):
        eventually(lambda: _total(api, person, {"status": "completed"}) == 3, "all are completed")
    for one in ids:
        assert _count(db, "SELECT attempt FROM tasks WHERE id = %s", one) == 2


# With 4 threads the worker is full when the broker goes; with 40 it is waiting for more.
@pytest.mark.parametrize("concurrency", ["4", "40"])
def test_the_broker_goes_away_and_returns(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path, concurrency: str
) -> None:
    """Tasks are accepted meanwhile, those at work finish, and all complete when it is back."""
    url = make_url(os.environ["CELERY_BROKER_URL"])
    environment = {"TASK_DURATION_MEAN_S": "0.3", "TASK_LEASE_S": "4"}
    environment["CELERY_CONCURRENCY"] = concurrency
    with proxy(url.host or "127.0.0.1", url.port or 6379) as broker:
        environment["CELERY_BROKER_URL"] = url.set(
            host="127.0.0.1", port=broker.port
        ).render_as_string(hide_password=False)
        with workers(tmp_path, **environment):
            for _ in range(12):
                api.create_task(person)
            eventually(lambda: _total(api, person, {"status": "processing"}) >= 4, "all are busy")
            broker.cut()
            for _ in range(4):
                api.create_task(person)
            time.sleep(1)  # long enough for running tasks to end without a broker
            broker.restore()
            done = {"status": "completed"}
            eventually(lambda: _total(api, person, done) == 16, "all are completed", 30)


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[str]:
    """Two API processes behind one port; yields the URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiproc = tmp_path / "metrics"
    multiproc.mkdir()
    command = ["granian", "--interface", "asgi", "--factory", "app.main:create_app"]
    flags = ["--port", str(port), "--workers", "2", "--log-config", "granian-log.json"]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(multiproc), "DB_POOL_SIZE": "2"}
    with process([*command, *flags], tmp_path / "api.log", **environment):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(f"{url}/healthz"), "the API is healthy")
        yield url


def test_metrics_are_summed_over_processes(server: str) -> None:
    """Whichever process is asked, it tells of all requests."""
    before = _requests(server)
    for _ in range(20):
        httpx.get(f"{server}/api/v1/tasks")  # each on a new connection, so to either process
    assert _requests(server) == before + 20


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def _requests(server: str) -> int:
    text = httpx.get(f"{server}/metrics").text
    found = re.search(r'^http_requests_total{endpoint="/api/v1/tasks".*} (\S+)$', text, re.M)
    return int(float(found.group(1))) if found else 0


def _total(api: Api, person: Person, params: dict[str, str]) -> int:
    return int(api.call("GET", "/api/v1/tasks", person.access, params=params).json()["total"])


def _count(db: Connection[Any], query: str, *values: UUID) -> int:
    row = db.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])
