"""Count, duration and number in flight of every request, as pure ASGI middleware.

The label `endpoint` is the template of the route (`/api/v1/tasks/{task_id}`), never the path that
was asked for, so the number of series is bounded.
"""

import time
from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.metrics import DURATION, REQUESTS, in_flight

# A method is the client's text, so it is bounded too.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Middleware that answers before the router has found a route says here which one it would be.
ENDPOINT = "agenthq.endpoint"


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

        in_flight.count += 1
        started_s = time.perf_counter()
        try:
            await self._app(scope, receive, send_noting_status)
        finally:
            in_flight.count -= 1
            count, duration = _series(scope["method"], _endpoint(scope), status)
            count.inc()
            duration.observe(time.perf_counter() - started_s)


def _endpoint(scope: Scope) -> str:
    route = getattr(scope.get("route"), "path", None)
    return str(route or scope.get(ENDPOINT) or "unmatched")


@lru_cache(1024)
def _series(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
    """The two series, which prometheus_client would look up by their labels each time."""
    method = method if method in _METHODS else "OTHER"
    return REQUESTS.labels(method, endpoint, str(status)), DURATION.labels(method, endpoint)
