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
from app.core.state import AppState
from app.middleware.bearer import claims_of, header
from app.middleware.metrics_middleware import ENDPOINT

# A longer query is answered, and not kept.
MAX_QUERY_BYTES = 200
ETAG_BYTES = 12

# Version of the token, then the tag; the body follows.
_HEAD = struct.Struct(f">I{2 * ETAG_BYTES}s")
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


@dataclass(frozen=True, slots=True)
class _Kept:
    """A success: what may be kept, and is answered from."""

    tag: bytes
    body: bytes

    def pack(self, version: int) -> bytes:
        return _HEAD.pack(version, self.tag) + self.body


@dataclass(slots=True)
class _Caught:
    """What the route answered."""

    status: int = 500
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""

    def kept(self) -> _Kept | None:
        """A success in JSON that sets no cookie; None if it is something else."""
        names = {name.lower() for name, _ in self.headers}
        kinds = [value for name, value in self.headers if name.lower() == b"content-type"]
        if self.status != 200 or b"set-cookie" in names or kinds != [_JSON]:
            return None
        tag = hashlib.blake2b(self.body, digest_size=ETAG_BYTES).hexdigest()
        return _Kept(tag.encode(), self.body)


_Answer = _Caught | _Kept


class ResponseCacheMiddleware:
    """Caches GET and HEAD of the given paths."""

    def __init__(self, app: ASGIApp, paths: frozenset[str], state: Callable[[], AppState]) -> None:
        """`state` gives the state that the application has once it has started."""
        self._app, self._paths, self._state = app, paths, state
        self._flights: dict[_Key, asyncio.Future[_Answer]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if (
            scope["type"] != "http"
            or scope["path"] not in self._paths
            or scope["method"] not in ("GET", "HEAD")
        ):
            await self._app(scope, receive, send)
            return
        scope[ENDPOINT] = scope["path"]
        # The route itself knows GET only.
        asked = scope if scope["method"] == "GET" else {**scope, "method": "GET"}
        answer = await self._answer(asked, receive, self._state())
        await _send(scope, send, answer)

    async def _answer(self, scope: Scope, receive: Receive, state: AppState) -> _Answer:
        claims = claims_of(scope, state.tokens)
        query: bytes = scope["query_string"]
        cache = state.cache
        if claims is None or cache is None or len(query) > MAX_QUERY_BYTES:
            (_BYPASS if cache else _OFF).inc()
            return await self._ask(scope, receive)
        name = scope["path"].encode() + b"?" + query
        found = await cache.look_up(claims.user_id, name)
        if found.answer is not None:
            version, tag = _HEAD.unpack_from(found.answer)
            if version == claims.version:
                _HIT.inc()
                return _Kept(tag, found.answer[_HEAD.size :])
        if found.stamp is None:
            _BYPASS.inc()
            return await self._ask(scope, receive)
        key = (claims.user_id, claims.version, name, found.stamp)
        return await self._fly(key, cache, lambda: self._ask(scope, receive))

    async def _fly(self, key: _Key, cache: Cache, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Ask once for all who need the same; the first one stores what it got."""
        flight = self._flights.get(key)
        if flight is not None:
            _SHARED.inc()
            shared = await asyncio.shield(flight)
            # The first one's trouble (or its client's) is its own.
            return shared if isinstance(shared, _Kept) else await ask()
        _MISS.inc()
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        answer: _Answer = _Caught()
        try:
            answer = await ask()
        finally:
            del self._flights[key]
            flight.set_result(answer)
        if isinstance(answer, _Kept):
            user_id, version, name, stamp = key
            await cache.store(user_id, name, stamp, answer.pack(version))
        return answer

    async def _ask(self, scope: Scope, receive: Receive) -> _Answer:
        """Let the route answer."""
        caught = _Caught()

        async def catch(message: Message) -> None:
            if message["type"] == "http.response.start":
                caught.status = message["status"]
                caught.headers = [(bytes(n), bytes(v)) for n, v in message.get("headers", ())]
            elif message["type"] == "http.response.body":
                caught.body += message.get("body", b"")

        await self._app(scope, receive, catch)
        return caught.kept() or caught


async def _send(scope: Scope, send: Send, answer: _Answer) -> None:
    """Send what was asked for: all of the answer, its head, or that it is the same as before."""
    if isinstance(answer, _Caught):
        status, headers, body = answer.status, answer.headers, answer.body
    else:
        tag = b'"%s"' % answer.tag
        status, headers, body = 200, [*_FIXED, (b"etag", tag)], answer.body
        if _matches(scope, tag):
            status, body = 304, b""
        else:
            headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    shown = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": shown})


def _matches(scope: Scope, etag: bytes) -> bool:
    """RFC 9110, 13.1.2: the weak comparison, against a list or `*`."""
    given = header(scope, b"if-none-match")
    if given is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in given.split(b",")]
    return etag in tags or b"*" in tags
