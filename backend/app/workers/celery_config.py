"""The Celery application, shared by the relay (which publishes) and the workers.

Importing this module reads the environment: it is what `celery -A` is given.
"""

from typing import Any

from celery import Celery

from app.settings import WorkerSettings, load_or_exit

RUN_TASKS = "agenthq.run_tasks"
# Messages that a worker takes at once; each only claims its tasks, which takes milliseconds.
CONCURRENCY = 4
# Above every time that a message may take, or the broker would deliver it a second time.
VISIBILITY_TIMEOUT_S = 3600

_TRANSPORT_OPTIONS: dict[str, object] = {
    "visibility_timeout": VISIBILITY_TIMEOUT_S,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "socket_keepalive": True,
    # What a caller sees when the broker is away: an error soon, not a wait without end.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}


def create_celery(settings: WorkerSettings) -> Celery[Any]:
    """Celery without a result backend: a task's row is its result."""
    app: Celery[Any] = Celery("agenthq", broker=settings.celery_broker_url)
    app.conf.update(
        include=["app.workers.tasks"],
        task_default_queue=settings.celery_queue,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # One message a thread: a worker never hoards what another could do.
        worker_prefetch_multiplier=1,
        worker_concurrency=CONCURRENCY,
        # A message is acknowledged when its tasks are claimed, so a dead worker's are redelivered.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # After a lost connection Celery would let few messages in, and wake up for them too rarely.
        worker_enable_prefetch_count_reduction=False,
        broker_transport="app.workers.broker:Transport",
        # A message that outlives its connection ends as usual; only its acknowledgement is lost.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_TRANSPORT_OPTIONS,
        enable_utc=True,
    )
    return app


settings = load_or_exit(WorkerSettings)
celery_app = create_celery(settings)
