"""The relay: what it publishes, when, and what it survives."""

import json
import signal
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from kombu import Producer
from kombu.exceptions import KombuError
from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError

from app.repositories import outbox
from app.settings import WorkerSettings
from app.workers.celery_config import celery_app
from app.workers.relay import Relay
from tests.support import DEAD_PORT_URL, Api, Person, eventually, metric, process

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


class Queue:
    """The messages that wait for a worker."""

    def __init__(self, broker: Redis, name: str) -> None:
        self._broker, self._name = broker, name

    def messages(self) -> list[list[UUID]]:
        """The tasks of each message, the oldest first."""
        found = []
        for raw in self._broker.lrange(self._name, 0, -1)[::-1]:
            (ids,), _, _ = json.loads(b64decode(json.loads(raw)["body"]))
            found.append([UUID(one) for one in ids])
        return found

    def timestamps(self) -> list[object]:
        """AMQP's property `timestamp` of each message, the oldest first."""
        raw = self._broker.lrange(self._name, 0, -1)[::-1]
        return [json.loads(one)["properties"].get("timestamp") for one in raw]

    def clear(self) -> None:
        """Lose all messages."""
        self._broker.delete(self._name)


@pytest.fixture
def queue(broker: Redis, worker_settings: WorkerSettings) -> Queue:
    """The queue, empty."""
    return Queue(broker, worker_settings.celery_queue)


def test_new_entries_are_published_once(
    api: Api,
    person: Person,
    db: Connection[Any],
    relay: Relay,
    producer: Producer,
    queue: Queue,
) -> None:
    """All in one message, the oldest first, and marked."""
    ids = [api.create_task(person) for _ in range(3)]
    before = metric("agenthq_tasks_published_total", reason="new")
    assert relay.publish_new(db, producer) == 3
    assert relay.publish_new(db, producer) == 0
    assert queue.messages() == [ids]
    assert _marks(db) == [True, True, True]
    assert metric("agenthq_tasks_published_total", reason="new") == before + 3


def test_a_message_has_its_limit(
    api: Api,
    person: Person,
    db: Connection[Any],
    worker_settings: WorkerSettings,
    producer: Producer,
    queue: Queue,
) -> None:
    """TASK_BATCH tasks at the most; more make more messages."""
    ids = [api.create_task(person) for _ in range(7)]
    small = worker_settings.model_copy(update={"task_batch": 3})
    assert Relay(small, celery_app, threading.Event()).publish_new(db, producer) == 7
    assert queue.messages() == [ids[:3], ids[3:6], ids[6:]]


def test_a_message_says_when_it_was_published(
    api: Api,
    person: Person,
    db: Connection[Any],
    relay: Relay,
    producer: Producer,
    queue: Queue,
) -> None:
    """In AMQP's property `timestamp`, in seconds: who watches the queue knows its age."""
    before = int(time.time())
    api.create_task(person)
    relay.publish_new(db, producer)
    (told,) = queue.timestamps()
    assert isinstance(told, int)
    assert before <= told <= time.time()


def test_an_attempt_is_not_published_before_its_time(
    api: Api, person: Person, db: Connection[Any], relay: Relay, producer: Producer, queue: Queue
) -> None:
    """What is to be repeated later waits, and holds up nothing behind it."""
    later, now = api.create_task(person), api.create_task(person)
    postpone = "UPDATE outbox SET available_at = now() + interval '{} s' WHERE task_id = %s"
    db.execute(postpone.format(60).encode(), [later])
    assert relay.publish_new(db, producer) == 1
    relay.sweep(db, producer)
    assert queue.messages() == [[now]]
    db.execute(postpone.format(-1).encode(), [later])
    assert relay.publish_new(db, producer) == 1
    assert queue.messages() == [[now], [later]]


def test_two_relays_do_not_publish_the_same(
    api: Api,
    person: Person,
    db: Connection[Any],
    relay: Relay,
    producer: Producer,
    queue: Queue,
    database_url: str,
) -> None:
    """What one has claimed and not committed yet, the other passes over."""
    ids = [api.create_task(person) for _ in range(3)]
    with psycopg.connect(database_url) as other:
        assert outbox.claim_new(other, 2) == ids[:2]
        assert relay.publish_new(db, producer) == 1
        other.rollback()
    assert relay.publish_new(db, producer) == 2
    assert queue.messages() == [ids[2:], ids[:2]]


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


def test_entries_of_tasks_ended_by_hand_are_deleted(
    api: Api, person: Person, db: Connection[Any], relay: Relay, producer: Producer
) -> None:
    """Whoever ends a task deletes its entry, except for people with an SQL prompt."""
    ended, _open = api.create_task(person), api.create_task(person)
    relay.publish_new(db, producer)
    _age(db, ended, "completed")
    relay.sweep(db, producer)
    assert _entries(db) == [_open]


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_a_lost_message_is_published_again(
    api: Api,
    person: Person,
    db: Connection[Any],
    relay: Relay,
    producer: Producer,
    queue: Queue,
    status: str,
) -> None:
    """A task that nobody works on after the lease is published again, and not twice."""
    task_id = api.create_task(person)
    relay.publish_new(db, producer)
    queue.clear()
    _age(db, task_id, status)
    relay.sweep(db, producer)
    assert queue.messages() == [[task_id]]
    queue.clear()
    relay.sweep(db, producer)
    assert queue.messages() == []


def test_a_task_whose_lease_is_renewed_is_not_published_again(
    api: Api, person: Person, db: Connection[Any], relay: Relay, producer: Producer, queue: Queue
) -> None:
    """However long ago it was published: somebody works on it."""
    task_id = api.create_task(person)
    relay.publish_new(db, producer)
    queue.clear()
    _age(db, task_id, "processing")
    db.execute("UPDATE tasks SET lease_until = now() + interval '5 s' WHERE id = %s", [task_id])
    relay.sweep(db, producer)
    assert queue.messages() == []


def test_a_waiting_message_is_not_published_again(
    api: Api,
    person: Person,
    db: Connection[Any],
    relay: Relay,
    producer: Producer,
    queue: Queue,
) -> None:
    """A long queue is not a loss, and the relay does not make it longer."""
    task_id = api.create_task(person)
    relay.publish_new(db, producer)
    _age(db, task_id, "pending")
    relay.sweep(db, producer)
    assert queue.messages() == [[task_id]]


def test_a_task_that_kills_its_workers_is_given_up(
    api: Api, person: Person, db: Connection[Any], relay: Relay, producer: Producer
) -> None:
    """After five attempts that came to nothing it is failed, a dead letter, and listed so."""
    task_id = api.create_task(person)
    relay.publish_new(db, producer)
    _age(db, task_id, "processing")
    db.execute("UPDATE tasks SET attempt = 5 WHERE id = %s", [task_id])
    listed = api.call("GET", "/api/v1/tasks?status=failed", person.access).json()
    assert listed["total"] == 0
    relay.sweep(db, producer)
    (task,) = api.call("GET", "/api/v1/tasks?status=failed", person.access).json()["tasks"]
    said = "given up after 5 attempts: its workers were lost"
    assert (task["id"], task["error_message"]) == (str(task_id), said)
    assert _entries(db) == []
    letters = db.execute(
        "SELECT attempts, error FROM dead_letters WHERE task_id = %s", [task_id]
    ).fetchall()
    assert letters == [(5, said)]


def test_giving_up_does_not_need_redis(
    api: Api,
    person: Person,
    db: Connection[Any],
    worker_settings: WorkerSettings,
    producer: Producer,
) -> None:
    """A cache that is away costs fresh lists, not the task's end."""
    task_id = api.create_task(person)
    _age(db, task_id, "processing")
    db.execute("UPDATE tasks SET attempt = 5 WHERE id = %s", [task_id])
    away = worker_settings.model_copy(update={"redis_url": DEAD_PORT_URL})
    Relay(away, celery_app, threading.Event()).sweep(db, producer)
    assert api.status_of(person, task_id) == "failed"


def test_keys_are_forgotten_after_a_day(
    api: Api, person: Person, db: Connection[Any], relay: Relay, producer: Producer
) -> None:
    """An Idempotency-Key may then be used for another task; its first task stays."""
    ids = {}
    for key in ("old", "new"):
        body = {"prompt": key, "output_type": "docs"}
        headers = {"Idempotency-Key": key}
        made = api.call("POST", "/api/v1/tasks", person.access, json=body, headers=headers)
        ids[key] = made.json()["id"]
    db.execute(
        "UPDATE idempotency_keys SET created_at = now() - interval '25 h'"
        " WHERE user_id = %s AND key = 'old'",
        [person.id],
    )
    relay.sweep(db, producer)
    left = db.execute("SELECT key FROM idempotency_keys WHERE user_id = %s", [person.id])
    assert left.fetchall() == [("new",)]
    assert api.status_of(person, UUID(ids["old"])) == "pending"


def test_it_tells_how_much_waits(
    api: Api, person: Person, db: Connection[Any], relay: Relay, producer: Producer
) -> None:
    """Not published, how old the oldest is, and accepted but not begun."""
    ids = [api.create_task(person) for _ in range(4)]
    relay.observe(db)
    assert metric("agenthq_outbox_depth") == 4
    db.execute("UPDATE outbox SET created_at = now() - interval '9 s' WHERE task_id = %s", [ids[3]])
    relay.observe(db)
    assert 9 <= metric("agenthq_outbox_age_seconds") < 60
    relay.publish_new(db, producer)
    db.execute("UPDATE tasks SET status = 'processing' WHERE id = %s", [ids[0]])
    relay.observe(db)
    assert metric("agenthq_outbox_depth") == metric("agenthq_outbox_age_seconds") == 0
    assert metric("agenthq_queue_depth") == 3


def test_it_survives_losing_postgres(
    api: Api,
    person: Person,
    db: Connection[Any],
    queue: Queue,
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
        task_id = api.create_task(person)
        eventually(lambda: queue.messages() == [[task_id]], "the task is published")
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
    rows = db.execute("SELECT enqueued_at IS NOT NULL FROM outbox ORDER BY seq").fetchall()
    return [row[0] for row in rows]


def _entries(db: Connection[Any]) -> list[UUID]:
    return [row[0] for row in db.execute("SELECT task_id FROM outbox ORDER BY seq").fetchall()]


def _age(db: Connection[Any], task_id: UUID, status: str) -> None:
    """Let the task be published, and perhaps claimed, longer ago than the lease."""
    db.execute("UPDATE outbox SET enqueued_at = now() - interval '61 s'")
    db.execute(
        "UPDATE tasks SET status = %s, lease_until = now() - interval '1 s' WHERE id = %s",
        [status, task_id],
    )
