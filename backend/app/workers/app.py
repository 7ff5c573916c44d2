"""What `celery -A` is given: the worker, or the sketch's with NAIVE=1."""

from app.settings import WorkerSettings, load_or_exit

if load_or_exit(WorkerSettings).naive:
    from app.sketch.worker import celery_app
else:
    from app.workers.celery_config import celery_app

__all__ = ["celery_app"]
