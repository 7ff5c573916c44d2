"""The sketch's Celery worker: one message a task, a result for each, a connection for each."""

import time
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from celery import Celery
from celery.signals import worker_ready

from app.settings import WorkerSettings, load_or_exit
from app.workers import ready
from app.workers.duration import duration_s

settings = load_or_exit(WorkerSettings)
celery_app: Celery = Celery(
    "agenthq", broker=settings.celery_broker_url, backend=settings.redis_url
)

# The guide's, without `master_name` (there is no Sentinel) and the rate of 100 a minute.
celery_app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    result_serializer="json",
    timezone="UTC",
    enable_utc=True,
    worker_prefetch_multiplier=4,
    worker_max_tasks_per_child=1000,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_concurrency=10,
    result_expires=3600,
)


@celery_app.task(name="sketch.run_task")
def run_task(task_id: str) -> str:
    """Work one task."""
    with psycopg.connect(
        settings.libpq_url, autocommit=True, application_name="agenthq-worker"
    ) as connection:
        begun = "UPDATE tasks SET status = 'processing', started_at = %s WHERE id = %s"
        connection.execute(begun, [datetime.now(UTC), task_id])
        time.sleep(
            duration_s(settings.task_duration_seed, UUID(task_id), settings.task_duration_mean_s)
        )
        ended = "UPDATE tasks SET status = 'completed', completed_at = %s WHERE id = %s"
        connection.execute(ended, [datetime.now(UTC), task_id])
    return task_id


@worker_ready.connect
def _announce(**_: object) -> None:
    ready.announce(settings.ready_file)
