"""Prometheus metrics of every request, as pure ASGI middleware.

The label `endpoint` is the template of the route (`/api/v1/tasks/{task_id}`), never the path that
was asked for, so the number of series is bounded. With PROMETHEUS_MULTIPROC_DIR set, each process
writes its values to files there, and any of them renders the sum.
"""

import os
import time

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# 0.2 and 0.5 are the objectives (p95, p99): only a bucket's edge can decide them.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0)
# A method is the client's text, so it is bounded too.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MULTIPROC_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

REQUESTS = Counter("http_requests_total", "HTTP requests.", ["method", "endpoint", "status"])
DURATION = Histogram(
    "http_request_duration_seconds",
    "From the request's head to the response's last byte.",
    ["method", "endpoint"],
    buckets=BUCKETS_S,
)
ACTIVE = Gauge("http_requests_active", "HTTP requests in flight.", multiprocess_mode="livesum")


class MetricsMiddleware:
    """Counts and times each request, also one that fails or whose client leaves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # what the client gets if nothing starts a response

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        ACTIVE.inc()
        started_s = time.perf_counter()
        try:
            await self._app(scope, receive, send_noting_status)
        finally:
            ACTIVE.dec()
            _record(scope, status, time.perf_counter() - started_s)


def render_metrics() -> tuple[bytes, str]:
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


def _record(scope: Scope, status: int, duration_s: float) -> None:
    endpoint = getattr(scope.get("route"), "path", "unmatched")
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    REQUESTS.labels(method, endpoint, str(status)).inc()
    DURATION.labels(method, endpoint).observe(duration_s)
