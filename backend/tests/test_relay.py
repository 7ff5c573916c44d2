"""The relay: what it publishes, when, and what it survives."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kombu import Producer
from kombu.exceptions import KombuError
from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError

from app.settings import WorkerSettings
from app.workers.celery_config import celery_app
from app.workers.relay import Relay
from tests.support import DEAD_PORT_URL, Api, Person, eventually, process

RELAY = ["app.workers.relay"]


@pytest.fixture
def broker(worker_settings: WorkerSettings) -> Iterator[Redis]:
    """The broker, with an empty queue before and after."""
    with Redis.from_url(worker_settings.celery_broker_url) as client:
        client.delete(worker_settings.celery_queue)
        yield client
        client.delete(worker_settings.celery_queue)


@pytest.fixture
def relay(worker_settings: WorkerSettings) -> Relay:
    """A relay that is not running."""
    return Relay(worker_settings, celery_app, threading.Event())


@pytest.fixture
def producer(relay: Relay, broker: Redis) -> Iterator[Producer]:
    """A producer on the broker."""
    assert broker.ping()
    with relay.connect() as (_, connected):
        yield connected


@pytest.fixture
def length(broker: Redis, worker_settings: WorkerSettings) -> Callable[[], int]:
    """A function that counts the messages in the queue."""
    return lambda: int(broker.llen(worker_settings.celery_queue))


def test_new_entries_are_published_once(
    api: Api,
    person: Person,
    db: Connection[Any],
    relay: Relay,
    producer: Producer,
    length: Callable[[], int],
) -> None:
    """Each new entry gives one message, and is marked."""
    for _ in range(3):
        api.create_task(person)
    assert relay.publish_new(db, producer) == 3
    assert relay.publish_new(db, producer) == 0
    assert length() == 3
    assert _marks(db) == [True, True, True]


def test_an_entry_stays_new_if_the_broker_is_away(
    api: Api, person: Person, db: Connection[Any], relay: Relay
) -> None:
    """What could not be published is not marked."""
    api.create_task(person)
    with celery_app.connection_for_write(url=DEAD_PORT_URL) as connection:
        producer = celery_app.amqp.Producer(connection, auto_declare=False)
        with pytest.raises((RedisError, KombuError, OSError)):
            relay.publish_new(db, producer)
    assert _marks(db) == [False]


def test_entries_of_ended_tasks_are_deleted(
    api: Api, person: Person, db: Connection[Any], relay: Relay, producer: Producer
) -> None:
    """A published entry is kept until its task ends, and no longer."""
    ended, _open = api.create_task(person), api.create_task(person)
    relay.publish_new(db, producer)
    api.call("DELETE", f"/api/v1/tasks/{ended}", person.access)
    relay.sweep(db, producer)
    assert _entries(db) == [_open]


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_a_lost_message_is_published_again(
    api: Api,
    person: Person,
    db: Connection[Any],
    relay: Relay,
    producer: Producer,
    broker: Redis,
    length: Callable[[], int],
    worker_settings: WorkerSettings,
    status: str,
) -> None:
    """A task that nobody works on after the lease is published again, and not twice."""
    task_id = api.create_task(person)
    relay.publish_new(db, producer)
    broker.delete(worker_settings.celery_queue)
    _age(db, task_id, status)
    relay.sweep(db, producer)
    assert length() == 1
    broker.delete(worker_settings.celery_queue)
    relay.sweep(db, producer)
    assert length() == 0


def test_a_waiting_message_is_not_published_again(
    api: Api,
    person: Person,
    db: Connection[Any],
    relay: Relay,
    producer: Producer,
    length: Callable[[], int],
) -> None:
    """A long queue is not a loss, and the relay does not make it longer."""
    task_id = api.create_task(person)
    relay.publish_new(db, producer)
    _age(db, task_id, "pending")
    relay.sweep(db, producer)
    assert length() == 1


def test_a_task_that_kills_its_workers_is_given_up(
    api: Api, person: Person, db: Connection[Any], relay: Relay, producer: Producer
) -> None:
    """After five attempts that came to nothing the task is failed."""
    task_id = api.create_task(person)
    relay.publish_new(db, producer)
    _age(db, task_id, "processing")
    db.execute("UPDATE tasks SET attempt = 5 WHERE id = %s", [task_id])
    relay.sweep(db, producer)
    task = api.call("GET", f"/api/v1/tasks/{task_id}", person.access).json()
    assert (task["status"], task["error_message"]) == ("failed", "given up after 5 attempts")
    assert _entries(db) == []


def test_it_survives_losing_postgres(
    api: Api,
    person: Person,
    db: Connection[Any],
    broker: Redis,
    length: Callable[[], int],
    tmp_path: Path,
) -> None:
    """The process reconnects after its connection was cut, and ends cleanly on SIGTERM."""
    ready = tmp_path / "relay ready"
    with process(RELAY, tmp_path / "log", READY_FILE=str(ready)) as child:
        eventually(ready.exists, "the relay is ready")
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'agenthq-relay' AND datname = current_database()"
        )
        api.create_task(person)
        eventually(lambda: length() == 1, "the task is published")
        child.send_signal(signal.SIGTERM)
        assert child.wait(5) == 0
    assert not ready.exists()


def test_it_waits_for_a_broker_that_is_away(database_url: str, tmp_path: Path) -> None:
    """Without a broker it says so, is not ready, and still ends cleanly on SIGTERM."""
    ready, log = tmp_path / "ready", tmp_path / "log"
    ready.write_text("left by an earlier process")
    with process(RELAY, log, READY_FILE=str(ready), CELERY_BROKER_URL=DEAD_PORT_URL) as child:
        eventually(lambda: log.read_text().count("away, next try") >= 2, "two tries")
        assert not ready.exists()
        child.send_signal(signal.SIGTERM)
        assert child.wait(5) == 0


def _marks(db: Connection[Any]) -> list[bool]:
    rows = db.execute("SELECT enqueued_at IS NOT NULL FROM outbox ORDER BY id").fetchall()
    return [row[0] for row in rows]


def _entries(db: Connection[Any]) -> list[UUID]:
    return [row[0] for row in db.execute("SELECT task_id FROM outbox ORDER BY id").fetchall()]


def _age(db: Connection[Any], task_id: UUID, status: str) -> None:
    """Let the task be published, and perhaps claimed, longer ago than the lease."""
    db.execute("UPDATE outbox SET enqueued_at = now() - interval '61 s'")
    db.execute(
        "UPDATE tasks SET status = %s, started_at = now() - interval '61 s' WHERE id = %s",
        [status, task_id],
    )
