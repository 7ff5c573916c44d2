"""A fault switch for demonstrations: makes the task list slow, so that an objective is missed."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.v1 import API_PREFIX


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


_LIST_PATH = f"{API_PREFIX}/tasks"
