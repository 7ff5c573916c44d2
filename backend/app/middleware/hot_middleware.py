"""The two routes that nearly all requests ask for, without FastAPI in between.

FastAPI takes about 250 us of a request for what these two do not need: its own layers, routing,
solving dependencies, reading and checking the body in Python. Here a well-formed request with a
good token goes straight to what the route itself calls. Whatever is unusual (a body or query that
does not fit, no token, an Idempotency-Key, a user who does not count) is left to the route, which
remains the definition; so there is one place where requests are refused.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.v1 import API_PREFIX
from app.api.v1.tasks import create, show_page
from app.core.database import Unavailable
from app.core.security import Claims
from app.core.state import AppState
from app.middleware.bearer import claims_of, header
from app.middleware.metrics_middleware import ENDPOINT
from app.schemas.tasks import PageQuery, TaskCreate

TASKS = f"{API_PREFIX}/tasks"
# A prompt of 5000 characters and 16 KiB of metadata, escaped as badly as can be, are less.
MAX_BODY_BYTES = 262_144

_body = TypeAdapter(TaskCreate)
_query = TypeAdapter(PageQuery)
_log = logging.getLogger("agenthq.api")
_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]

Answer = tuple[int, str]
AWAY: Answer = (503, json.dumps({"detail": "database not available"}))
_Handler = Callable[[Scope, "_Replay", AppState, Claims], Awaitable[Answer | None]]


class _Replay:
    """A request's body that may be read twice: here, and by the route."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[Message] = []

    async def body(self) -> bytes | None:
        """The whole body; None if it is too long, or the client has gone."""
        parts, size = [], 0
        while True:
            message = await self._receive()
            self._read.append(message)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if message["type"] != "http.request" or size > MAX_BODY_BYTES:
                return None
            if not message.get("more_body"):
                return b"".join(parts)

    async def __call__(self) -> Message:
        """The next message for the route."""
        return self._read.pop(0) if self._read else await self._receive()


class HotMiddleware:
    """Answers well-formed creates and lists; passes everything else on."""

    def __init__(self, app: ASGIApp, state: Callable[[], AppState]) -> None:
        """`state` gives the state that the application has once it has started."""
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and scope["path"] == TASKS:
            handler = _HANDLERS.get(scope["method"])
            if handler is not None:
                scope[ENDPOINT] = TASKS  # first, so that one that fails is counted under its name
                state, replay = self._state(), _Replay(receive)
                claims = claims_of(scope, state.tokens)
                answer = None
                if claims is not None:
                    answer = await _careful(handler(scope, replay, state, claims))
                if answer is not None:
                    await _send(send, *answer)
                    return
                receive = replay
        await self._app(scope, receive, send)


async def _create(scope: Scope, replay: _Replay, state: AppState, claims: Claims) -> Answer | None:
    if header(scope, b"idempotency-key") is not None:
        return None
    if header(scope, b"content-type") != b"application/json":
        return None
    body = await replay.body()
    try:
        task = _body.validate_json(body or b"")
    except ValidationError:
        return None
    made = await create(state, claims, task)
    return None if made is None else (201, made)


async def _list(scope: Scope, _: _Replay, state: AppState, claims: Claims) -> Answer | None:
    asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    try:
        page = _query.validate_python(dict(asked))
    except ValidationError:
        return None
    shown = await show_page(state, claims, page)
    return None if shown is None else (200, shown)


async def _careful(answer: Awaitable[Answer | None]) -> Answer | None:
    # Not to be left to the route: it would ask again, and what was stored would be stored twice.
    try:
        return await answer
    except Unavailable as error:
        _log.error("database not available: %s", error)
        return AWAY


_HANDLERS: dict[str, _Handler] = {"POST": _create, "GET": _list}


async def _send(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
    if status == AWAY[0]:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
