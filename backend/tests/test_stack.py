"""The processes of the stack, as they are started in earnest."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import Connection
from sqlalchemy.engine import make_url

from tests.proxy import proxy
from tests.support import WORKER_COMMAND, Api, Person, eventually, free_port, process, served

FAST = {"TASK_DURATION_MEAN_S": "0.02"}


@contextmanager
def workers(tmp_path: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A relay and a worker, both ready; yields the worker."""
    with ExitStack() as stack:
        children = []
        for name, command in (("relay", ["app.workers.relay"]), ("worker", WORKER_COMMAND)):
            ready = tmp_path / f"{name} ready"
            log = tmp_path / f"{name}.log"
            child = stack.enter_context(process(command, log, READY_FILE=str(ready), **environment))
            children.append((child, ready))
        for _, ready in children:
            eventually(ready.exists, f"{ready.name}")
        yield children[1][0]


def test_tasks_are_worked_to_their_end(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """Every accepted task completes, in one attempt, and leaves the outbox at once."""
    with workers(tmp_path, WORKER_POOL_SIZE="3", **FAST):
        for _ in range(30):
            api.create_task(person)
        params = {"status": "completed"}
        eventually(lambda: _total(api, person, params) == 30, "30 tasks are completed")
        assert _count(db, "SELECT count(*) FROM outbox") == 0
        connections = _count(
            db,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'agenthq-worker'"
            " AND datname = current_database()",
        )
    assert 1 <= connections <= 3
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


def test_attempts_that_fail_are_repeated(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """With half of all attempts coming to nothing, tasks complete or become dead letters."""
    trouble = {"TASK_TRANSIENT_RATIO": "0.5", "TASK_MAX_ATTEMPTS": "3", "TASK_RETRY_DELAY_S": "0.1"}
    with workers(tmp_path, **trouble, **FAST):
        for _ in range(40):
            api.create_task(person)
        eventually(lambda: _count(db, "SELECT count(*) FROM outbox") == 0, "all have ended")
    totals = {one: _total(api, person, {"status": one}) for one in ("completed", "failed")}
    letters = "SELECT count(*) FROM dead_letters JOIN tasks t ON t.id = task_id WHERE user_id = %s"
    assert totals["completed"] + totals["failed"] == 40
    assert totals["completed"] > totals["failed"] == _count(db, letters, person.id)
    assert _count(db, "SELECT max(attempt) FROM tasks WHERE user_id = %s", person.id) in (2, 3)


def test_a_killed_worker_loses_nothing(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """Tasks of a worker that was killed are completed by another one after the lease."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with workers(tmp_path / "first", TASK_DURATION_MEAN_S="100", TASK_LEASE_S="2") as victim:
        ids = [api.create_task(person) for _ in range(3)]
        eventually(lambda: _total(api, person, {"status": "processing"}) == 3, "all are begun")
        victim.kill()
    with workers(tmp_path / "second", TASK_LEASE_S="1", **FAST):
        eventually(lambda: _total(api, person, {"status": "completed"}) == 3, "all are completed")
    for one in ids:
        assert _count(db, "SELECT attempt FROM tasks WHERE id = %s", one) == 2


def test_a_full_worker_that_is_stopped_gives_its_tasks_back(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """Soon, though messages wait for room in it; another one has them before the lease is over."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    endless = {
        "TASK_DURATION_MEAN_S": "100",
        "TASK_TIME_LIMIT_S": "1000",
        "WORKER_GRACE_S": "0.2",
        "WORKER_CAPACITY": "2",
        "TASK_BATCH": "1",
    }
    with workers(tmp_path / "first", **endless) as worker:
        for _ in range(12):
            api.create_task(person)
        eventually(lambda: _total(api, person, {"status": "processing"}) == 2, "it is full")
        eventually(
            lambda: _count(db, "SELECT count(*) FROM outbox WHERE enqueued_at IS NULL") == 0,
            "all are published",
        )
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(8) == 0
        assert _total(api, person, {"status": "processing"}) == 0
    with workers(tmp_path / "second", **FAST):
        # The lease is 10 s long.
        eventually(lambda: _total(api, person, {"status": "completed"}) == 12, "all completed", 6)


# With room for 4 tasks the worker is full when the broker goes; with 40 it is waiting for more.
@pytest.mark.parametrize("capacity", ["4", "40"])
def test_the_broker_goes_away_and_returns(
    api: Api, person: Person, db: Connection[Any], tmp_path: Path, capacity: str
) -> None:
    """Tasks are accepted meanwhile, those at work finish, and all complete when it is back."""
    url = make_url(os.environ["CELERY_BROKER_URL"])
    environment = {"TASK_DURATION_MEAN_S": "0.3", "TASK_LEASE_S": "4", "TASK_BATCH": "2"}
    environment["WORKER_CAPACITY"] = capacity
    with proxy(url.host or "127.0.0.1", url.port or 6379) as broker:
        environment["CELERY_BROKER_URL"] = url.set(
            host="127.0.0.1", port=broker.port
        ).render_as_string(hide_password=False)
        with workers(tmp_path, **environment):
            for _ in range(12):
                api.create_task(person)
            eventually(lambda: _total(api, person, {"status": "processing"}) >= 3, "all are busy")
            broker.cut()
            for _ in range(4):
                api.create_task(person)
            time.sleep(1)  # long enough for running tasks to end without a broker
            broker.restore()
            done = {"status": "completed"}
            eventually(lambda: _total(api, person, done) == 16, "all are completed", 30)


@dataclass(frozen=True)
class Server:
    """Two API processes behind one port, and the folder in which their metrics meet."""

    url: str
    metrics: Path

    def sample(self, name: str, **labels: str) -> float:
        """A metric, as whichever process was asked tells it."""
        text = httpx.get(f"{self.url}/metrics").text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return 0.0


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Server]:
    """The API as it is served in earnest."""
    multiproc = tmp_path / "metrics"
    multiproc.mkdir()
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(multiproc), "DB_POOL_SIZE": "2"}
    with served(tmp_path / "api.log", workers=2, **environment) as url:
        yield Server(url, multiproc)


def test_metrics_are_summed_over_processes(
    server: Server, api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """Whichever process is asked, it tells of all requests, and of relay and workers."""
    tasks = f"{server.url}/api/v1/tasks"
    refused = {"endpoint": "/api/v1/tasks", "method": "GET", "status": "401"}
    for _ in range(20):
        httpx.get(tasks)  # each on a new connection, so to either process
    assert {server.sample("http_requests_total", **refused) for _ in range(6)} == {20}
    assert server.sample("agenthq_db_pool_size") <= 4
    with workers(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(server.metrics), **FAST):
        headers = {"Authorization": f"Bearer {person.access}"}
        for _ in range(10):
            body = {"prompt": "write", "output_type": "docs"}
            assert httpx.post(tasks, json=body, headers=headers).status_code == 201
        eventually(
            lambda: server.sample("agenthq_tasks_ended_total", outcome="completed") == 10,
            "ten have ended",
        )
        assert server.sample("agenthq_task_wait_seconds_count") == 10
        assert server.sample("agenthq_task_run_seconds_bucket", le="30.0") == 10
        eventually(lambda: server.sample("agenthq_tasks_published_total") == 10, "published")
        for gauge in ("outbox_depth", "outbox_age_seconds", "queue_depth", "tasks_in_progress"):
            eventually(lambda name=f"agenthq_{gauge}": server.sample(name) == 0, gauge)  # type: ignore[misc]


def test_relay_and_worker_have_their_own_metrics(
    database_url: str, api: Api, person: Person, db: Connection[Any], tmp_path: Path
) -> None:
    """On a port each, where there is no folder to share."""
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        for port, command in zip(ports, (["app.workers.relay"], WORKER_COMMAND), strict=True):
            ready = tmp_path / f"{port} ready"
            stack.enter_context(
                process(
                    command,
                    tmp_path / f"{port}.log",
                    READY_FILE=str(ready),
                    METRICS_PORT=str(port),
                    **FAST,
                )
            )
            eventually(ready.exists, "ready")
        api.create_task(person)
        relay, worker = (Server(f"http://127.0.0.1:{port}", tmp_path) for port in ports)
        eventually(
            lambda: worker.sample("agenthq_tasks_ended_total", outcome="completed") == 1, "ended"
        )
        assert relay.sample("agenthq_tasks_published_total", reason="new") == 1


def _total(api: Api, person: Person, params: dict[str, str]) -> int:
    return int(api.call("GET", "/api/v1/tasks", person.access, params=params).json()["total"])


def _count(db: Connection[Any], query: str, *values: UUID) -> int:
    row = db.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])
