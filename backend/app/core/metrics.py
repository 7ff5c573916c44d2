"""All metrics, and how they are rendered.

With PROMETHEUS_MULTIPROC_DIR set, each process writes its values to files there, and any of them
renders the sum; the folder must be empty at the start.
"""

import os

from prometheus_client import values

MULTIPROC_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class _ProcessId:
    """This process's id, asked once: prometheus_client asks at every single increment."""

    def __init__(self) -> None:
        self._refresh()
        os.register_at_fork(after_in_child=self._refresh)

    def _refresh(self) -> None:
        self._pid = os.getpid()

    def __call__(self) -> int:
        return self._pid


if MULTIPROC_VARIABLE in os.environ:
    # Before any metric is made: each takes this class for its values.
    values.ValueClass = values.MultiProcessValue(_ProcessId())  # type: ignore[no-untyped-call]

from prometheus_client import (  # noqa: E402
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    start_http_server,
)

# 0.2 and 0.5 are the objectives (p95, p99): only a bucket's edge can decide them.
REQUEST_BUCKETS_S = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.15,
    0.2,
    0.3,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
# 30 is the objective of tasks.
TASK_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0)
REQUESTS = Counter("http_requests_total", "HTTP requests.", ["method", "endpoint", "status"])
DURATION = Histogram(
    "http_request_duration_seconds",
    "From the request's head to the response's last byte.",
    ["method", "endpoint"],
    buckets=REQUEST_BUCKETS_S,
)
ACTIVE = Gauge("http_requests_active", "HTTP requests in flight.", multiprocess_mode="livesum")


class InFlight:
    """Requests in flight in this process: a number, written to its gauge once a second."""

    def __init__(self) -> None:
        self.count = 0


in_flight = InFlight()

CACHE = Counter("agenthq_cache_total", "Lookups in the response cache.", ["outcome"])
CACHE_ERRORS = Counter("agenthq_cache_errors_total", "Redis commands that failed.", ["command"])
CACHE_OPEN = Gauge(
    "agenthq_cache_open", "Processes that do without Redis now.", multiprocess_mode="livesum"
)
TOKENS = Counter("agenthq_tokens_verified_total", "Tokens whose signature was checked.")
LOGINS_LIMITED = Counter("agenthq_logins_limited_total", "Logins refused by the rate limit.")

STATEMENTS = Counter("agenthq_db_statements_total", "Statements sent to PostgreSQL.", ["query"])
POOL_SIZE = Gauge("agenthq_db_pool_size", "Open connections.", multiprocess_mode="livesum")
POOL_USED = Gauge("agenthq_db_pool_used", "Connections at work.", multiprocess_mode="livesum")
POOL_WAITING = Gauge(
    "agenthq_db_pool_waiting", "Requests waiting for a connection.", multiprocess_mode="livesum"
)

OUTBOX_DEPTH = Gauge(
    "agenthq_outbox_depth",
    "Tasks not handed to the broker yet.",
    multiprocess_mode="livemostrecent",
)
OUTBOX_AGE = Gauge(
    "agenthq_outbox_age_seconds", "Age of the oldest of them.", multiprocess_mode="livemostrecent"
)
QUEUE_DEPTH = Gauge(
    "agenthq_queue_depth",
    "Tasks that are accepted and that no worker has begun.",
    multiprocess_mode="livemostrecent",
)
PUBLISHED = Counter("agenthq_tasks_published_total", "Tasks handed to the broker.", ["reason"])

TASKS_IN_PROGRESS = Gauge(
    "agenthq_tasks_in_progress", "Tasks that are being worked.", multiprocess_mode="livesum"
)
TASK_WAIT = Histogram(
    "agenthq_task_wait_seconds", "From accepted to claimed.", buckets=TASK_BUCKETS_S
)
TASK_RUN = Histogram("agenthq_task_run_seconds", "From claimed to ended.", buckets=TASK_BUCKETS_S)
TASKS_ENDED = Counter("agenthq_tasks_ended_total", "Attempts that ended.", ["outcome"])


def render() -> tuple[bytes, str]:
    """The text of all metrics (of all processes, in multiprocess mode) and its content type."""
    registry = REGISTRY
    if MULTIPROC_VARIABLE in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def forget_process() -> None:
    """Take this process out of the gauges; called when it ends."""
    if MULTIPROC_VARIABLE in os.environ:
        multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def serve(port: int) -> None:
    """Serve /metrics on loopback or the pod's address, in a thread; port 0 serves nothing."""
    if port:
        start_http_server(port)
