"""The cache's middleware around a route of the test's: what passes, and who waits for whom."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.state import AppState
from app.middleware.cache_middleware import ResponseCacheMiddleware
from tests.asgi import Answer, ask
from tests.response_cache_support import TASKS
from tests.support import Api, Person, metric, until


def shared() -> float:
    """How many requests have waited for another one's answer."""
    return metric("agenthq_cache_total", outcome="shared")


class Route:
    """An application behind the middleware that answers as it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.answers: deque[Callable[[], Awaitable[list[Message]]]] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        make = self.answers.popleft() if self.answers else None
        messages = await make() if make else response(b'{"number":%d}' % number)
        for message in messages:
            await send(message)


def response(body: bytes, status: int = 200, **headers: str) -> list[Message]:
    """The messages of an answer in JSON, in two parts."""
    named = {"content-type": "application/json", **headers}
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    half = len(body) // 2
    return [
        {"type": "http.response.start", "status": status, "headers": pairs},
        {"type": "http.response.body", "body": body[:half], "more_body": True},
        {"type": "http.response.body", "body": body[half:]},
    ]


@dataclass
class Inner:
    """The middleware around a route of the test's."""

    api: Api
    route: Route = field(default_factory=Route)

    def __post_init__(self) -> None:
        state: Callable[[], AppState] = lambda: self.api.state  # noqa: E731
        self.app: ASGIApp = ResponseCacheMiddleware(self.route, frozenset({TASKS}), state)

    def get(self, person: Person, **more: Any) -> Answer:
        """One GET."""
        return self.api.run(ask(self.app, "GET", TASKS, person.access, **more))


@pytest.fixture
def inner(api: Api) -> Inner:
    """A route that the test controls."""
    return Inner(api)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"set_cookie": "a=b"}),
        (200, {"Set_Cookie": "a=b"}),
        (200, {"content_type": "text/html"}),
        (200, {"content_type": "application/json; charset=latin-1"}),
        (201, {}),
        (404, {}),
        (500, {}),
        (503, {"retry_after": "1"}),
    ],
    ids=str,
)
def test_only_plain_successes_are_kept(
    inner: Inner, person: Person, status: int, headers: dict[str, str]
) -> None:
    """Anything else passes as it is, each time anew."""
    for number in range(2):

        async def special() -> list[Message]:
            return response(b"first", status, **headers)

        inner.route.answers.append(special)
        passed = inner.get(person)
        assert (passed.status, passed.body) == (status, b"first")
        for name, value in headers.items():
            assert passed.get(name.lower().replace("_", "-")) == value
        assert inner.route.asked == number + 1
    kept = inner.get(person)
    assert (kept.status, kept.body) == (200, b'{"number":3}')
    assert inner.get(person) == kept
    assert inner.route.asked == 3


def test_other_paths_and_methods_pass(inner: Inner, person: Person) -> None:
    """They are none of the cache's business."""
    for method, path in (("POST", TASKS), ("DELETE", TASKS), ("GET", f"{TASKS}/x"), ("GET", "/")):
        asked = inner.route.asked
        for _ in range(2):
            answer = inner.api.run(ask(inner.app, method, path, person.access))
            assert answer.get("etag") is None
        assert inner.route.asked == asked + 2


def test_the_leader_s_failure_is_its_own(inner: Inner, person: Person) -> None:
    """Whether it raises, is refused or leaves: the others ask for themselves and are answered."""

    async def raises() -> list[Message]:
        raise RuntimeError("only the first one's")

    async def refuses() -> list[Message]:
        return response(b"{}", 503)

    async def scenario(kind: str) -> list[Answer | BaseException]:
        inner.route.gate.clear()
        if kind != "leaves":
            inner.route.answers.append(raises if kind == "raises" else refuses)
        asked, joined = inner.route.asked, shared()
        calls = [
            asyncio.create_task(ask(inner.app, "GET", f"{TASKS}?{kind}", person.access))
            for _ in range(5)
        ]
        await until(lambda: shared() == joined + 4, "the others have found the flight")
        assert inner.route.asked == asked + 1
        if kind == "leaves":
            calls[0].cancel()
        inner.route.gate.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    for kind in ("raises", "refuses", "leaves"):
        first, *others = inner.api.run(scenario(kind))
        if isinstance(first, Answer):
            assert (kind, first.status) == ("refuses", 503)
        else:
            assert isinstance(first, RuntimeError if kind == "raises" else asyncio.CancelledError)
        assert all(isinstance(one, Answer) and one.status == 200 for one in others)


def test_a_follower_that_leaves_takes_nobody_along(inner: Inner, person: Person) -> None:
    """The leader and the others are answered."""

    async def scenario() -> list[Answer | BaseException]:
        joined = shared()
        inner.route.gate.clear()
        calls = [asyncio.create_task(ask(inner.app, "GET", TASKS, person.access)) for _ in range(4)]
        await until(lambda: shared() == joined + 3, "the others have found the flight")
        calls[2].cancel()
        await asyncio.sleep(0)
        inner.route.gate.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = inner.api.run(scenario())
    assert isinstance(outcomes.pop(2), asyncio.CancelledError)
    assert {one.body for one in outcomes if isinstance(one, Answer)} == {b'{"number":1}'}
    assert len(outcomes) == 3


def test_who_asks_after_a_change_does_not_join_who_asked_before(
    inner: Inner, person: Person
) -> None:
    """A flight from before a change carries an old list: who comes later flies anew."""

    async def scenario() -> tuple[Answer, Answer]:
        cache = inner.api.state.cache
        assert cache is not None
        inner.route.gate.clear()
        early = asyncio.create_task(ask(inner.app, "GET", TASKS, person.access))
        await until(lambda: inner.route.asked == 1, "the first one asks")
        await cache.changed([person.id])
        late = asyncio.create_task(ask(inner.app, "GET", TASKS, person.access))
        await until(lambda: inner.route.asked == 2, "the second one asks")
        inner.route.gate.set()
        return await early, await late

    early, late = inner.api.run(scenario())
    assert (early.body, late.body) == (b'{"number":1}', b'{"number":2}')
    assert inner.get(person).body == late.body
