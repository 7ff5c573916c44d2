"""The short way for creates and lists answers as FastAPI's does, and leaves the rest to it."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from sqlalchemy.engine import make_url
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core import database
from app.middleware.hot_middleware import MAX_BODY_BYTES, HotMiddleware
from app.settings import ApiSettings
from tests.asgi import LEFT, Answer, Header, ask
from tests.proxy import Proxy, proxy
from tests.support import Api, Person, running_api, statements

TASKS = "/api/v1/tasks"
JSON = ("content-type", "application/json")
GOOD: dict[str, Any] = {"prompt": "write", "output_type": "docs"}


class Counted:
    """Counts the requests that reach an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self.count += 1
        await self._app(scope, receive, send)


@dataclass(frozen=True)
class Ways:
    """Both ways, without anything around them, and what comes by the long one."""

    api: Api
    behind: Counted
    short: ASGIApp

    def ask(self, method: str, target: str, token: str, **more: Any) -> tuple[Answer, Answer]:
        """The same request by the short way and by the long one."""
        return (
            self.api.run(ask(self.short, method, target, token, **more)),
            self.api.ask(method, target, token, **more),
        )


@pytest.fixture(scope="module")
def ways(runner: asyncio.Runner, settings: ApiSettings) -> Iterator[Ways]:
    """FastAPI's routes, and the middleware before them."""
    with running_api(runner, settings.model_copy(update={"hot_routes": False})) as api:
        behind = Counted(api.routes)
        yield Ways(api, behind, HotMiddleware(behind, lambda: api.state))


@pytest.fixture
def far_postgres(settings: ApiSettings) -> Iterator[tuple[Proxy, ApiSettings]]:
    """PostgreSQL behind a proxy, and settings of an API without patience."""
    url = make_url(settings.database_url)
    with proxy(url.host or "127.0.0.1", url.port or 5432) as running:
        there = url.set(host="127.0.0.1", port=running.port)
        text = there.render_as_string(hide_password=False)
        yield running, settings.model_copy(update={"database_url": text})


def order(**changes: Any) -> bytes:
    """An order's body."""
    return json.dumps({**GOOD, **changes}).encode()


def same(answer: Answer) -> tuple[int, dict[str, str], Any]:
    """The answer without what differs between two tasks."""
    body = json.loads(answer.body)
    if answer.status == 201:
        UUID(body.pop("id"))
        assert body.pop("created_at").endswith("+00:00")
    headers = dict(answer.headers)
    headers.pop("content-length")
    return answer.status, headers, body


@pytest.mark.parametrize(
    "body",
    [
        order(),
        order(prompt="ü€😀" * 1000),
        order(metadata={"a": [1, 2.5, None, True, {"b": "\\u0000"}], "ü": 10**30}),
        order(metadata={"a": 1e308, "b": -0.0, "c": 1.0}),
        order(output_type="sheets", task_type="sheets"),
        b'{"prompt": "write", "task_type": "research", "more": 1}',
        b'{"prompt": "a", "prompt": "b", "output_type": "docs"}',
        b'  {"prompt":"\\u00fc\\ud83d\\ude00","output_type":"slides"}\n',
    ],
    ids=lambda body: body[:60].decode(errors="replace"),
)
@pytest.mark.parametrize("size", [None, 1, 7], ids=["whole", "bytes", "pieces"])
def test_good_orders(ways: Ways, person: Person, body: bytes, size: int | None) -> None:
    """The same task with the same headers, however the body arrives; FastAPI is not asked."""
    parts = [body] if size is None else [body[n : n + size] for n in range(0, len(body), size)]
    before = ways.behind.count
    short, long = ways.ask("POST", TASKS, person.access, headers=[JSON], body=parts)
    assert ways.behind.count == before
    assert short.status == 201
    assert same(short) == same(long)
    assert short.get("content-length") == str(len(short.body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff",
        b'{"prompt": "\xff", "output_type": "docs"}',
        b'{"prompt": "\\ud800", "output_type": "docs"}',
        order(prompt=""),
        order(prompt="x" * 5001),
        order(prompt="\0"),
        order(prompt=7),
        order(output_type="film"),
        order(output_type="DOCS"),
        order(output_type="docs", task_type="sheets"),
        order(metadata=None),
        order(metadata=[]),
        order(metadata={"a": float("nan")}),
        order(metadata={"a": "x" * 20_000}),
        b'{"prompt": "write", "output_type": "docs", "metadata": {"a": 1e999}}',
        b'{"prompt": "write"}',
    ],
    ids=lambda body: body[:60].decode(errors="replace"),
)
def test_bad_orders(ways: Ways, person: Person, body: bytes, db: Connection[Any]) -> None:
    """The same refusal, FastAPI's own, which has read the body from its beginning."""
    before = ways.behind.count
    short, long = ways.ask("POST", TASKS, person.access, headers=[JSON], body=[body[:3], body[3:]])
    assert ways.behind.count == before + 1
    assert short.status in (400, 422)
    assert short == long
    assert db.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


@pytest.mark.parametrize(
    ("headers", "status", "hot"),
    [
        ([JSON], 201, True),
        ([("content-type", "application/json; charset=utf-8")], 201, False),
        ([("content-type", "Application/JSON")], 201, False),
        ([("content-type", "text/plain")], 422, False),
        ([("content-type", "application/x-www-form-urlencoded")], 422, False),
        ([], 422, False),
        ([JSON, ("idempotency-key", "bad key")], 422, False),
        ([JSON, ("idempotency-key", "")], 422, False),
    ],
)
def test_headers(ways: Ways, person: Person, headers: list[Header], status: int, hot: bool) -> None:
    """Whatever says more than that the body is JSON is left to FastAPI."""
    before = ways.behind.count
    short, long = ways.ask("POST", TASKS, person.access, headers=headers, body=order())
    assert ways.behind.count == before + (not hot)
    assert short.status == status
    assert same(short) == same(long)


@pytest.mark.parametrize("excess", [0, 1])
def test_the_longest_body(ways: Ways, person: Person, excess: int) -> None:
    """Up to the limit it goes the short way; what is longer FastAPI reads, from its beginning."""
    body = order() + b" " * (MAX_BODY_BYTES - len(order()) + excess)
    parts = [body[n : n + 65_536] for n in range(0, len(body), 65_536)]
    before = ways.behind.count
    short, long = ways.ask("POST", TASKS, person.access, headers=[JSON], body=parts)
    assert ways.behind.count == before + excess
    assert short.status == 201
    assert same(short) == same(long)


def test_every_order_that_is_allowed_fits(person: Person, ways: Ways) -> None:
    """The longest prompt and metadata, escaped as badly as JSON can."""
    metadata = {"a": "\x01" * 2720}
    body = order(prompt="😀" * 5000, metadata=metadata)
    assert body.count(b"\\u") == 10_000 + 2720
    assert len(body) < MAX_BODY_BYTES
    before = ways.behind.count
    short, _ = ways.ask("POST", TASKS, person.access, headers=[JSON], body=body)
    assert (short.status, ways.behind.count) == (201, before)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("page=2&page_size=1", 200),
        ("page=%31", 200),
        ("page=+1", 200),
        ("page=1.0", 200),
        ("page=1&page=2&page_size=1", 200),
        ("status=pending", 200),
        ("status=failed&status=pending", 200),
        ("unknown=1&page", 422),
        ("unknown=%ff%00", 200),
        ("page=0", 422),
        ("page=one", 422),
        ("page=1.5", 422),
        ("page=%ff", 422),
        ("page=", 422),
        ("page_size=101", 422),
        ("page=102&page_size=100", 422),
        ("status=PENDING", 422),
        ("status=", 422),
        ("cursor=garbage", 422),
        ("cursor=ü", 422),
        ("page=1;page=0", 422),
        ("&&&", 200),
    ],
)
def test_lists(ways: Ways, person: Person, query: str, status: int) -> None:
    """The same page or the same refusal; only refusals are FastAPI's business."""
    for n in range(3):
        ways.api.create_task(person, f"prompt {n}")
    before = ways.behind.count
    short, long = ways.ask("GET", f"{TASKS}?{query}", person.access)
    assert ways.behind.count == before + (status != 200)
    assert short.status == status
    # What a client may keep the cache's middleware says, which is not here on the short way.
    assert (short.status, json.loads(short.body)) == (long.status, json.loads(long.body))


def test_a_cursor(ways: Ways, person: Person) -> None:
    """The page behind another one, too."""
    for _ in range(3):
        ways.api.create_task(person)
    cursor = ways.api.ask("GET", f"{TASKS}?page_size=1", person.access).json()["next_cursor"]
    before = ways.behind.count
    short, long = ways.ask("GET", f"{TASKS}?page_size=1&cursor={cursor}", person.access)
    assert ways.behind.count == before
    assert short.body == long.body
    assert len(short.json()["tasks"]) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("who", ["nobody", "unknown", "logged out", "refresh"])
def test_who_is_refused(ways: Ways, person: Person, method: str, who: str) -> None:
    """By FastAPI, in the same words; an unknown method as well."""
    tokens = {
        "nobody": "",
        "unknown": ways.api.token(uuid4()),
        "logged out": ways.api.token(person.id, version=1),
        "refresh": person.refresh,
    }
    before = ways.behind.count
    short, long = ways.ask(method, TASKS, tokens[who], headers=[JSON], body=order())
    assert ways.behind.count == before + 1
    assert short.status == (401 if method in ("GET", "POST") else 405)
    assert short == long


def test_a_client_that_leaves_while_it_sends(ways: Ways, person: Person) -> None:
    """Half an order is none."""
    body = [order()[:10], LEFT]
    short, long = ways.ask("POST", TASKS, person.access, headers=[JSON], body=body)
    assert short == long
    assert ways.api.ask("GET", TASKS, person.access).json()["total"] == 0


@pytest.mark.parametrize("away", [Proxy.cut, Proxy.freeze], ids=["cut", "frozen"])
@pytest.mark.parametrize("hot", [True, False], ids=["hot", "FastAPI"])
def test_without_postgres_nothing_is_tried_twice(
    runner: asyncio.Runner,
    far_postgres: tuple[Proxy, ApiSettings],
    person: Person,
    db: Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
    away: Any,
    hot: bool,
) -> None:
    """503 and when to come back. What was sent may have been stored, but not two times."""
    far, settings = far_postgres
    for name in ("COMMAND_TIMEOUT_S", "CONNECT_TIMEOUT_S", "POOL_TIMEOUT_S"):
        monkeypatch.setattr(database, name, 0.3)
    with running_api(runner, settings.model_copy(update={"hot_routes": hot})) as api:
        assert api.ask("POST", TASKS, person.access, headers=[JSON], body=order()).status == 201
        before = statements("create_tasks")
        away(far)
        answer = api.ask("POST", TASKS, person.access, headers=[JSON], body=order())
        assert (answer.status, answer.get("retry-after")) == (503, "1")
        assert answer.json() == {"detail": "database not available"}
        assert statements("create_tasks") - before <= 1
        listed = api.ask("GET", TASKS, person.access)
        assert (listed.status, listed.get("retry-after")) == (503, "1")
        assert listed.get("etag") is None
        far.restore() if away is Proxy.cut else far.thaw()
    stored = db.execute("SELECT count(*) FROM tasks WHERE user_id = %s", [person.id]).fetchone()
    assert stored in [(1,), (2,)]


@pytest.mark.parametrize("hot", [True, False], ids=["hot", "FastAPI"])
def test_what_took_too_long_is_not_tried_twice(
    runner: asyncio.Runner,
    settings: ApiSettings,
    person: Person,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    hot: bool,
) -> None:
    """One statement a request, also when it comes to nothing: a second could store it twice."""
    monkeypatch.setattr(database, "COMMAND_TIMEOUT_S", 0.3)
    update = {"hot_routes": hot, "cache": False}
    with (
        running_api(runner, settings.model_copy(update=update)) as api,
        psycopg.connect(database_url) as holder,
    ):
        holder.execute("LOCK TABLE tasks")
        for method, name in (("POST", "create_tasks"), ("GET", "list_tasks")):
            before = statements(name)
            answer = api.ask(method, TASKS, person.access, headers=[JSON], body=order())
            assert (answer.status, answer.get("retry-after")) == (503, "1")
            assert statements(name) == before + 1
        holder.rollback()
        assert api.ask("GET", TASKS, person.access).json()["total"] == 0
