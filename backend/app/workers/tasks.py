"""The Celery worker's side: hands the tasks of a message to the engine, which works them."""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

import uvloop
from celery import Task
from celery.exceptions import Reject
from celery.signals import worker_init, worker_ready, worker_shutdown, worker_shutting_down

from app.core import metrics
from app.core.cache import Cache
from app.core.collector import settle
from app.core.database import LOOKUPS, Database, Unavailable
from app.core.statement import Statement
from app.settings import WorkerSettings
from app.workers import ready
from app.workers.celery_config import RUN_TASKS, celery_app, settings
from app.workers.engine import Engine, Stopping
from app.workers.work import perform

READY = Statement("ready", "SELECT 1")
READY_PAUSE_S = 1.0

_log = logging.getLogger("agenthq.worker")
_T = TypeVar("_T")


class EngineThread:
    """An engine on an event loop in a thread of its own."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._database: Database
        self._engine: Engine

    def start(self) -> None:
        """Begin; does not wait for PostgreSQL."""
        self._thread.start()
        self._run(self._start())

    def take(self, task_ids: list[UUID], message_id: str) -> int:
        """As the engine's; waits for it."""
        return self._run(self._engine.take(task_ids, message_id))

    def is_connected(self) -> bool:
        """Whether PostgreSQL answers."""
        try:
            self._run(self._database.row(READY))
        except Unavailable as error:
            _log.warning("not ready: PostgreSQL is away: %s", error)
            return False
        return True

    def refuse(self) -> None:
        """As the engine's; does not wait for it."""
        self._loop.call_soon_threadsafe(self._engine.refuse)

    def stop(self) -> None:
        """End the tasks, then the thread."""
        self._run(self._engine.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _start(self) -> None:
        settings = self._settings
        self._database = Database(
            settings.libpq_url, "agenthq-worker", settings.worker_pool_size, planner=LOOKUPS
        )
        # The workers read nothing from it: they say what has changed.
        cache = Cache(settings.redis_url, 1.0) if settings.cache else None
        self._engine = Engine(settings, self._database, cache, perform)
        await self._engine.start()

    def _run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


_engine = EngineThread(settings)


@celery_app.task(name=RUN_TASKS, bind=True)
def run_tasks(self: Task[Any, Any], task_ids: list[str]) -> None:
    """Begin the tasks, unless somebody else has them or they are over.

    The message is acknowledged when they are claimed: from then on their leases stand for them.
    """
    try:
        _engine.take([UUID(one) for one in task_ids], str(self.request.id))
    except Stopping:
        raise Reject("stopping", requeue=True) from None


@worker_init.connect
def _start(**_: object) -> None:
    ready.withdraw(settings.ready_file)
    metrics.serve(settings.metrics_port)
    _engine.start()
    settle()


@worker_ready.connect
def _consuming(**_: object) -> None:
    # In a thread, because this signal holds up the consumer.
    threading.Thread(target=_announce_when_connected, name="announce", daemon=True).start()


@worker_shutting_down.connect
def _refuse(**_: object) -> None:
    # Celery waits for its messages before it says `worker_shutdown`; those that wait for room in a
    # worker that is full would hold it up until tasks end.
    _engine.refuse()


@worker_shutdown.connect
def _stop(**_: object) -> None:
    ready.withdraw(settings.ready_file)
    _engine.stop()


def _announce_when_connected() -> None:
    pause = threading.Event()
    while not _engine.is_connected():
        pause.wait(READY_PAUSE_S)
    ready.announce(settings.ready_file)
    _log.info("ready")
