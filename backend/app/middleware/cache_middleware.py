"""Answers of cacheable routes, kept per user, as pure ASGI middleware.

It stands behind authentication: without a valid token it does nothing, and the route refuses. An
answer is found under the token's user only, for the version of that user's data (app/core/cache.py)
and the version of the token for which it was made; so a stranger never sees it, and neither does a
token from before a logout. Of requests that miss the same answer at once in this process one asks
the database and the others wait for it.

ETag, If-None-Match and HEAD work with and without a cache.
"""

import asyncio
import hashlib
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.cache import Cache
from app.core.metrics import CACHE
from app.core.security import Claims, InvalidTokenError, TokenType
from app.core.state import AppState
from app.middleware.metrics_middleware import ENDPOINT

# A longer query is answered, and not kept.
MAX_QUERY_BYTES = 200
ETAG_BYTES = 12

_VERSION = struct.Struct(">I")
_JSON = b"application/json"
# What may be kept by whom: by the user's own client, if it asks again each time.
_FIXED = (
    (b"content-type", _JSON),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Authorization"),
)
_HIT, _MISS, _BYPASS = CACHE.labels("hit"), CACHE.labels("miss"), CACHE.labels("bypass")
_SHARED, _OFF = CACHE.labels("shared"), CACHE.labels("off")

Header = tuple[bytes, bytes]
_Key = tuple[UUID, int, bytes, bytes]


@dataclass(slots=True)
class _Caught:
    """What the route answered."""

    status: int = 500
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""

    @property
    def may_be_kept(self) -> bool:
        """A success in JSON that sets no cookie."""
        names = {name.lower() for name, _ in self.headers}
        kinds = [value for name, value in self.headers if name.lower() == b"content-type"]
        return self.status == 200 and b"set-cookie" not in names and kinds == [_JSON]


class ResponseCacheMiddleware:
    """Caches GET and HEAD of the given paths."""

    def __init__(self, app: ASGIApp, paths: frozenset[str], state: Callable[[], AppState]) -> None:
        """`state` gives the state that the application has once it has started."""
        self._app, self._paths, self._state = app, paths, state
        self._flights: dict[_Key, asyncio.Future[_Caught]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if (
            scope["type"] != "http"
            or scope["path"] not in self._paths
            or scope["method"] not in ("GET", "HEAD")
        ):
            await self._app(scope, receive, send)
            return
        # The route itself knows GET only.
        asked = scope if scope["method"] == "GET" else {**scope, "method": "GET"}
        answer = await self._answer(asked, receive, self._state())
        scope[ENDPOINT] = scope["path"]
        await _send(scope, send, answer)

    async def _answer(self, scope: Scope, receive: Receive, state: AppState) -> "_Caught | bytes":
        """The route's own answer, or the body of a success."""
        claims = _claims(scope, state)
        query: bytes = scope["query_string"]
        cache = state.cache
        if claims is None or cache is None or len(query) > MAX_QUERY_BYTES:
            (_BYPASS if cache else _OFF).inc()
            return _plain(await self._ask(scope, receive))
        name = scope["path"].encode() + b"?" + query
        found = await cache.look_up(claims.user_id, name)
        made_for = _VERSION.pack(claims.version)
        if found.answer is not None and found.answer.startswith(made_for):
            _HIT.inc()
            return found.answer[_VERSION.size :]
        if found.stamp is None:
            _BYPASS.inc()
            return _plain(await self._ask(scope, receive))
        key = (claims.user_id, claims.version, name, found.stamp)
        return _plain(await self._fly(key, cache, lambda: self._ask(scope, receive)))

    async def _fly(self, key: _Key, cache: Cache, ask: Callable[[], Awaitable[_Caught]]) -> _Caught:
        """Ask once for all who need the same; the first one stores what it got."""
        flight = self._flights.get(key)
        if flight is not None:
            _SHARED.inc()
            caught = await asyncio.shield(flight)
            # The first one's trouble (or its client's) is its own.
            return caught if caught.may_be_kept else await ask()
        _MISS.inc()
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        caught = _Caught()
        try:
            caught = await ask()
        finally:
            del self._flights[key]
            flight.set_result(caught)
        if caught.may_be_kept:
            user_id, version, name, stamp = key
            await cache.store(user_id, name, stamp, _VERSION.pack(version) + caught.body)
        return caught

    async def _ask(self, scope: Scope, receive: Receive) -> _Caught:
        caught = _Caught()

        async def catch(message: Message) -> None:
            if message["type"] == "http.response.start":
                caught.status = message["status"]
                caught.headers = [(bytes(n), bytes(v)) for n, v in message.get("headers", ())]
            elif message["type"] == "http.response.body":
                caught.body += message.get("body", b"")

        await self._app(scope, receive, catch)
        return caught


def _claims(scope: Scope, state: AppState) -> Claims | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() != b"bearer":
                return None
            try:
                return state.tokens.verify(token.decode("ascii"), TokenType.ACCESS)
            except (InvalidTokenError, UnicodeDecodeError):
                return None
    return None


def _plain(caught: _Caught) -> "_Caught | bytes":
    return caught.body if caught.may_be_kept else caught


async def _send(scope: Scope, send: Send, answer: "_Caught | bytes") -> None:
    """Send what was asked for: all of the answer, its head, or that it is the same as before."""
    if isinstance(answer, _Caught):
        status, headers, body = answer.status, answer.headers, answer.body
    else:
        etag = b'"%s"' % hashlib.blake2b(answer, digest_size=ETAG_BYTES).hexdigest().encode()
        status, body = 200, answer
        headers = [*_FIXED, (b"etag", etag)]
        if _matches(scope, etag):
            status, body = 304, b""
        else:
            headers.append((b"content-length", b"%d" % len(answer)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    shown = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": shown})


def _matches(scope: Scope, etag: bytes) -> bool:
    """RFC 9110, 13.1.2: the weak comparison, against a list or `*`."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            tags = [tag.strip().removeprefix(b"W/") for tag in value.split(b",")]
            if etag in tags or b"*" in tags:
                return True
    return False
