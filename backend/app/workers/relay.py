"""The relay: carries tasks from the outbox to Celery. Run it as `python -m app.workers.relay`.

A request that creates a task writes an outbox entry in the same transaction and never talks to
the broker. The relay claims entries, publishes them and marks them in one transaction of its own:
if it dies in between, the mark is gone and they are published again. So a task is published at
least once, and the worker's claim makes that exactly one effect. Any number of relays may run.

It polls: NOTIFY would take a database-wide lock at every commit of a create.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from celery import Celery
from kombu import Producer
from kombu.exceptions import ChannelError, KombuError
from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError

from app.core import metrics
from app.core.cache import new_version
from app.core.database import LOOKUPS
from app.repositories import outbox
from app.settings import WorkerSettings
from app.workers import ready
from app.workers.celery_config import RUN_TASKS, celery_app, settings

BATCH = 1000
IDLE_POLL_S = 0.05
MAX_SWEEP_INTERVAL_S = 5.0
OBSERVE_INTERVAL_S = 1.0
FIRST_BACKOFF_S = 0.2
MAX_BACKOFF_S = 5.0
REDIS_TIMEOUT_S = 1.0
# Who has not asked again after a day has given up.
KEY_AGE_S = 24 * 3600.0

_AWAY = (psycopg.Error, RedisError, KombuError, OSError)

_log = logging.getLogger("agenthq.relay")


class Relay:
    """Publishes what the outbox holds, until `stop` is set."""

    def __init__(
        self, settings: WorkerSettings, celery: Celery[Any], stop: threading.Event
    ) -> None:
        self._settings = settings
        self._celery = celery
        self._stop = stop

    def run(self) -> None:
        """Serve until stopped; PostgreSQL or the broker being away is waited out."""
        backoff_s = FIRST_BACKOFF_S
        while not self._stop.is_set():
            try:
                with self.connect() as (connection, producer):
                    ready.announce(self._settings.ready_file)
                    _log.info("connected")
                    backoff_s = FIRST_BACKOFF_S
                    self._serve(connection, producer)
            except _AWAY as error:
                _log.warning("away, next try in %s s: %s", backoff_s, error)
                self._stop.wait(backoff_s)
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    @contextmanager
    def connect(self) -> Iterator[tuple[Connection[Any], Producer]]:
        """Yield connections to PostgreSQL and to the broker, both of which have answered."""
        with (
            psycopg.connect(
                self._settings.libpq_url,
                autocommit=True,
                connect_timeout=5,
                application_name="agenthq-relay",
                options=" ".join(f"-c {name}={value}" for name, value in LOOKUPS.items()),
            ) as connection,
            self._celery.connection_for_write() as broker,
            self._celery.amqp.Producer(broker) as producer,
        ):
            self._queue_length(producer)  # the first command: fails here if the broker is away
            yield connection, producer

    def publish_new(self, connection: Connection[Any], producer: Producer) -> int:
        """Publish up to a batch of new entries; returns how many."""
        with connection.transaction():
            task_ids = outbox.claim_new(connection, BATCH)
            self._publish(producer, task_ids)
        metrics.PUBLISHED.labels("new").inc(len(task_ids))
        return len(task_ids)

    def sweep(self, connection: Connection[Any], producer: Producer) -> None:
        """Give up and forget what has ended; publish again what got lost on the way."""
        lease_s = self._settings.task_lease_s
        given_up = outbox.give_up(connection, self._settings.task_max_attempts, lease_s)
        if given_up:
            _log.warning("gave up %d tasks", len(given_up))
            self._tell(given_up)
        outbox.delete_ended(connection, lease_s)
        outbox.forget_keys(connection, KEY_AGE_S)
        # A long queue delays messages beyond the lease without losing any. Publishing them again
        # would make it longer still, so what is stale is decided only when nothing waits.
        if self._queue_length(producer) > 0:
            return
        with connection.transaction():
            task_ids = outbox.claim_stale(connection, BATCH, lease_s)
            self._publish(producer, task_ids)
        if task_ids:
            _log.warning("published %d lost tasks again", len(task_ids))
            metrics.PUBLISHED.labels("lost").inc(len(task_ids))

    def observe(self, connection: Connection[Any]) -> None:
        """Tell the metrics how much waits."""
        depth = outbox.depth(connection)
        metrics.OUTBOX_DEPTH.set(depth.new)
        metrics.OUTBOX_AGE.set(depth.oldest_s)
        metrics.QUEUE_DEPTH.set(depth.unclaimed)

    def _serve(self, connection: Connection[Any], producer: Producer) -> None:
        sweep = _Every(min(MAX_SWEEP_INTERVAL_S, self._settings.task_lease_s / 2))
        observe = _Every(OBSERVE_INTERVAL_S)
        while not self._stop.is_set():
            published = self.publish_new(connection, producer)
            if observe.is_due():
                self.observe(connection)
            if sweep.is_due():
                self.sweep(connection, producer)
            if published < BATCH:
                self._stop.wait(IDLE_POLL_S)

    def _publish(self, producer: Producer, task_ids: list[UUID]) -> None:
        size = self._settings.task_batch
        # Celery sets none of its own. With it one can see how long the oldest message waits.
        now = int(time.time())
        for start in range(0, len(task_ids), size):
            batch = [str(one) for one in task_ids[start : start + size]]
            self._celery.send_task(
                RUN_TASKS, args=[batch], producer=producer, retry=False, timestamp=now
            )

    def _tell(self, user_ids: list[UUID]) -> None:
        """Lists of these users changed. Without Redis they may be old until their time is over."""
        if not self._settings.cache:
            return
        try:
            with Redis.from_url(self._settings.redis_url, socket_timeout=REDIS_TIMEOUT_S) as redis:
                for user_id in user_ids:
                    redis.execute_command(*new_version(user_id))
        except (RedisError, OSError) as error:
            _log.warning("lists of %d users may be old: %s", len(user_ids), error)

    def _queue_length(self, producer: Producer) -> int:
        channel: Any = producer.channel
        try:
            queue = channel.queue_declare(self._settings.celery_queue, passive=True)
        except ChannelError:
            return 0  # Redis keeps no empty lists: an empty queue does not exist
        return int(queue.message_count)


class _Every:
    """Says when something is due again."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next_s = time.monotonic()

    def is_due(self) -> bool:
        if time.monotonic() < self._next_s:
            return False
        self._next_s = time.monotonic() + self._interval_s
        return True


def main() -> int:
    """Entry point; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ready.withdraw(settings.ready_file)
    metrics.serve(settings.metrics_port)
    Relay(settings, celery_app, stop).run()
    ready.withdraw(settings.ready_file)
    _log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
