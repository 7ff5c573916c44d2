"""Fault switches for demonstrations: a slow list and failing requests, which miss objectives."""

import asyncio
import random

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.v1 import API_PREFIX

_LIST_PATH = f"{API_PREFIX}/tasks"
_BODY = b'{"detail":"planted fault"}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))]


class ListDelayMiddleware:
    """Waits `delay_s` before `GET /tasks`; everything else passes untouched."""

    def __init__(self, app: ASGIApp, delay_s: float) -> None:
        self._app = app
        self._delay_s = delay_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        # Before the handler, so that the wait holds no database connection.
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == _LIST_PATH:
            await asyncio.sleep(self._delay_s)
        await self._app(scope, receive, send)


class ErrorMiddleware:
    """Answers a share of the API's requests with 500, one half before the work and one after it."""

    def __init__(self, app: ASGIApp, ratio: float) -> None:
        self._app = app
        self._ratio = ratio
        self._random = random.Random()  # noqa: S311 - no secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; health, metrics and anything but HTTP pass untouched."""
        ours = scope["type"] == "http" and scope["path"].startswith(f"{API_PREFIX}/")
        drawn = self._random.random()
        if not ours or drawn >= self._ratio:
            await self._app(scope, receive, send)
            return
        if drawn < self._ratio / 2:
            await self._app(scope, receive, _discard)
        await send({"type": "http.response.start", "status": 500, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BODY})


async def _discard(_: Message) -> None:
    """Do nothing: the answer is lost."""
