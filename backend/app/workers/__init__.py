"""Work outside of requests: the relay and the Celery worker."""
