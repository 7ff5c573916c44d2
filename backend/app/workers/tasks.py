"""The Celery worker's side: claim a task, do its (simulated) work, write its end."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from celery import Task
from celery.signals import worker_init, worker_ready, worker_shutdown
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout

from app.repositories import work
from app.repositories.work import Claim
from app.settings import WorkerSettings
from app.workers import ready
from app.workers.celery_config import RUN_TASK, celery_app, settings
from app.workers.duration import duration_s, fails

# A thread needs a connection for two short statements a task, so few serve many threads.
POOL_SIZE = 10
# Waits between tries while PostgreSQL is away; after the last the relay's sweep takes over.
RETRY_DELAYS_S = (0.2, 1.0, 3.0)

_log = logging.getLogger("agenthq.worker")
_T = TypeVar("_T")
_Pool = ConnectionPool[Connection[Any]]

_pool: _Pool = ConnectionPool(
    settings.psycopg_url,
    min_size=1,
    max_size=POOL_SIZE,
    timeout=10,
    kwargs={"autocommit": True, "connect_timeout": 5, "application_name": "agenthq-worker"},
    open=False,
    name="worker",
)


@celery_app.task(name=RUN_TASK, bind=True)
def run_task(self: Task[Any, Any], task_id: str) -> None:
    """Work one task, unless somebody else has it or it is over."""
    work_task(_pool, settings, UUID(task_id), str(self.request.id))


def work_task(
    pool: _Pool,
    settings: WorkerSettings,
    task_id: UUID,
    celery_task_id: str,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Claim the task, work as long as its id says, write its end.

    Returns:
        Whether this call ended the task; False if it was not to be had, or was cancelled (or its
        lease ended) meanwhile.

    Raises:
        psycopg.Error: PostgreSQL stayed away; the relay publishes the task again after the lease.
    """
    held = _retrying(
        lambda: _with(pool, lambda c: work.claim(c, task_id, celery_task_id, settings.task_lease_s))
    )
    if held is None:
        return False
    sleep(duration_s(settings.task_duration_seed, task_id, settings.task_duration_mean_s))
    return _retrying(lambda: _with(pool, lambda c: _finish(c, settings, held)))


def _finish(connection: Connection[Any], settings: WorkerSettings, held: Claim) -> bool:
    if fails(settings.task_duration_seed, held.task_id, settings.task_failure_ratio):
        return work.fail(connection, held, "simulated failure")
    return work.complete(
        connection,
        held,
        result=f"{held.output_type} for a prompt of {len(held.prompt)} characters",
        document_url=f"https://documents.agenthq.invalid/{held.output_type}/{held.task_id}",
    )


def _with(pool: _Pool, use: Callable[[Connection[Any]], _T]) -> _T:
    with pool.connection() as connection:
        return use(connection)


def _retrying(attempt: Callable[[], _T]) -> _T:
    for delay_s in RETRY_DELAYS_S:
        try:
            return attempt()
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("PostgreSQL is away, next try in %s s: %s", delay_s, error)
            time.sleep(delay_s)
    return attempt()


@worker_init.connect
def _start(**_: object) -> None:
    ready.withdraw(settings.ready_file)
    _pool.open()


@worker_ready.connect
def _consuming(**_: object) -> None:
    # In a thread, because this signal holds up the consumer.
    threading.Thread(target=_announce_when_connected, name="announce", daemon=True).start()


@worker_shutdown.connect
def _stop(**_: object) -> None:
    ready.withdraw(settings.ready_file)
    _pool.close()


def _announce_when_connected() -> None:
    while True:
        try:
            _pool.wait(timeout=5)
        except PoolTimeout:
            _log.warning("not ready: PostgreSQL is away")
        else:
            ready.announce(settings.ready_file)
            _log.info("ready")
            return
