"""Cached lists over the whole application: fresh, nobody else's, and made once."""

import asyncio
import contextlib
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.cache import Cache
from app.core.database import Database
from app.core.state import AppState
from app.middleware.cache_middleware import ResponseCacheMiddleware
from app.repositories import users
from app.repositories.users import NewUser
from app.repositories.work import Claim, Ending, Fate
from app.settings import ApiSettings, WorkerSettings
from app.workers.engine import Engine
from tests.asgi import Answer, ask
from tests.support import Api, Person, metric, running_api, statements, until

TASKS = "/api/v1/tasks"
JSON = [("content-type", "application/json")]
ORDER = b'{"prompt": "%s", "output_type": "docs"}'


@pytest.fixture(scope="module")
def other(runner: asyncio.Runner, settings: ApiSettings) -> Iterator[Api]:
    """A second instance on the same servers."""
    with running_api(runner, settings) as running:
        yield running


@contextlib.contextmanager
def lists_made(count: int) -> Iterator[None]:
    """In here PostgreSQL is asked for so many lists."""
    before = statements("list_tasks")
    yield
    assert statements("list_tasks") == before + count


def shared() -> float:
    """How many requests have waited for another one's answer."""
    return metric("agenthq_cache_total", outcome="shared")


def ids_of(answer: Answer) -> list[UUID]:
    """The tasks of a list."""
    assert answer.status == 200, answer
    return [UUID(task["id"]) for task in answer.json()["tasks"]]


def test_a_list_is_made_once(api: Api, person: Person) -> None:
    """The second GET asks PostgreSQL nothing; the answer is the same, but for nothing."""
    api.create_task(person)
    with lists_made(1):
        first = api.ask("GET", TASKS, person.access)
        second = api.ask("GET", TASKS, person.access)
    assert first == second
    assert first.status == 200
    assert (first.get("cache-control"), first.get("vary")) == ("private, no-cache", "Authorization")
    assert first.get("content-length") == str(len(first.body))
    assert first.get("set-cookie") is None


def test_other_questions_have_other_answers(api: Api, person: Person) -> None:
    """Each query has its own, each kept."""
    for _ in range(3):
        api.create_task(person)
    with lists_made(3):
        for _ in range(2):
            pages = [
                ids_of(api.ask("GET", f"{TASKS}?page_size=1&page={n}", person.access))
                for n in (1, 2, 3)
            ]
            assert len({page[0] for page in pages}) == 3


@pytest.mark.parametrize("step", ["create", "create once", "cancel", "logout"])
def test_a_change_is_seen_at_once(api: Api, other: Api, step: str) -> None:
    """By whichever instance, however warm its cache is."""
    device_id = f"device-{uuid4()}"
    person = api.login(device_id)
    task_id = api.create_task(person)
    path = f"{TASKS}?status=pending"
    for instance in (api, other):
        assert ids_of(instance.ask("GET", path, person.access)) == [task_id]
    match step:
        case "create":
            expected = [api.create_task(person), task_id]
        case "create once":
            headers = [*JSON, ("idempotency-key", "k")]
            made = api.ask("POST", TASKS, person.access, headers=headers, body=ORDER % b"write")
            expected = [UUID(made.json()["id"]), task_id]
        case "cancel":
            assert api.ask("DELETE", f"{TASKS}/{task_id}", person.access).status == 204
            expected = []
        case _:
            assert api.ask("POST", "/api/v1/auth/logout", person.access).status == 204
            for instance in (api, other):
                assert instance.ask("GET", path, person.access).status == 401
            person, expected = api.login(device_id), [task_id]
    for instance in (api, other):
        assert ids_of(instance.ask("GET", path, person.access)) == expected


def test_a_worker_s_steps_are_seen_at_once(
    api: Api, other: Api, person: Person, worker_settings: WorkerSettings
) -> None:
    """Its claim, and its end."""
    work_on = asyncio.Event()

    async def perform(_: WorkerSettings, claim: Claim) -> Ending:
        await work_on.wait()
        return Ending(claim, Fate.COMPLETED, "done")

    async def statuses() -> list[str]:
        answers = [await ask(one.app, "GET", TASKS, person.access) for one in (api, other)]
        return [answer.json()["tasks"][0]["status"] for answer in answers]

    async def scenario() -> None:
        assert await statuses() == ["pending", "pending"]
        database = Database(worker_settings.libpq_url, "agenthq-worker", 2)
        cache = Cache(worker_settings.redis_url, 1.0)
        engine = Engine(worker_settings, database, cache, perform)
        await engine.start()
        try:
            assert await engine.take([task_id], "message") == 1
            assert await statuses() == ["processing", "processing"]
        finally:
            work_on.set()
            await engine.stop()
        assert await statuses() == ["completed", "completed"]

    task_id = api.create_task(person)
    api.run(scenario())


def test_create_here_list_there(api: Api, other: Api, person: Person) -> None:
    """Three hundred times, in turn, both caches warm: the new task is always there."""

    async def scenario() -> None:
        instances = [api, other]
        made: list[UUID] = []
        for turn in range(300):
            writer, reader = instances[turn % 2], instances[(turn // 2) % 2]
            for one in instances:
                assert (
                    ids_of(await ask(one.app, "GET", f"{TASKS}?page_size=3", person.access))
                    == made[:-4:-1]
                )
            created = await ask(
                writer.app, "POST", TASKS, person.access, headers=JSON, body=ORDER % b"%d" % turn
            )
            made.append(UUID(created.json()["id"]))
            listed = await ask(reader.app, "GET", f"{TASKS}?page_size=3", person.access)
            assert ids_of(listed) == made[:-4:-1]

    hits = metric("agenthq_cache_total", outcome="hit")
    api.run(scenario())
    assert metric("agenthq_cache_total", outcome="hit") >= hits + 300


def test_a_list_is_never_another_user_s(api: Api, person: Person, stranger: Person) -> None:
    """The same question of somebody else is another question."""
    mine, theirs = api.create_task(person), api.create_task(stranger)
    for _ in range(2):
        assert ids_of(api.ask("GET", TASKS, person.access)) == [mine]
        assert ids_of(api.ask("GET", TASKS, stranger.access)) == [theirs]


def test_a_token_from_before_a_logout_is_refused(api: Api, other: Api) -> None:
    """Also while the list is cached for the token from after it, and was for this one."""
    device_id = f"device-{uuid4()}"
    before = api.login(device_id)
    task_id = api.create_task(before)
    assert ids_of(api.ask("GET", TASKS, before.access)) == [task_id]
    assert api.ask("POST", "/api/v1/auth/logout", before.access).status == 204
    after = api.login(device_id)
    for instance in (api, other):
        assert ids_of(instance.ask("GET", TASKS, after.access)) == [task_id]
        assert instance.ask("GET", TASKS, before.access).status == 401
        assert ids_of(instance.ask("GET", TASKS, after.access)) == [task_id]


def test_a_bad_token_gets_nothing_that_is_cached(api: Api, person: Person) -> None:
    """Without a token that counts there is no answer, whatever is kept."""
    api.create_task(person)
    assert api.ask("GET", TASKS, person.access).status == 200
    for token in (None, person.refresh, person.access[:-2], "x"):
        refused = api.ask("GET", TASKS, token)
        assert (refused.status, refused.get("www-authenticate")) == (401, "Bearer")


def test_refusals_are_not_kept(api: Api, person: Person) -> None:
    """Each bad question is refused anew, by the route."""
    for _ in range(2):
        before = metric("agenthq_cache_total", outcome="miss")
        assert api.ask("GET", f"{TASKS}?page=0", person.access).status == 422
        assert metric("agenthq_cache_total", outcome="miss") == before + 1


def test_a_long_question_is_answered_and_not_kept(api: Api, person: Person) -> None:
    """200 bytes of query are kept, one more is not: keys have a limit."""
    for size, made in ((200, 1), (201, 2)):
        query = f"page=1&x={'x' * (size - 9)}"
        assert len(query) == size
        with lists_made(made):
            for _ in range(2):
                assert api.ask("GET", f"{TASKS}?{query}", person.access).status == 200


@pytest.fixture(params=[True, False], ids=["cache", "no cache"])
def either(
    request: pytest.FixtureRequest, runner: asyncio.Runner, settings: ApiSettings
) -> Iterator[Api]:
    """An application with a cache, and one without."""
    with running_api(runner, settings.model_copy(update={"cache": request.param})) as running:
        yield running


def test_the_tag_is_the_content_s(either: Api, person: Person) -> None:
    """The same for the same list, another one for another, with a cache or without."""
    tags = []
    for _ in range(2):
        either.create_task(person)
        pair = [either.ask("GET", TASKS, person.access).get("etag") for _ in range(2)]
        assert pair[0] == pair[1]
        assert pair[0] is not None
        assert pair[0].startswith('"')
        tags.append(pair[0])
    assert tags[0] != tags[1]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("{}", 304),
        ("W/{}", 304),
        ("*", 304),
        ('"other", {}', 304),
        ('"other",W/{} , "third"', 304),
        ('"other"', 200),
        ('W/"other"', 200),
        ("", 200),
        ("w/{}", 200),
    ],
)
def test_what_the_client_has_is_not_sent_again(
    either: Api, person: Person, method: str, form: str, status: int
) -> None:
    """If-None-Match: one tag, several, weak ones, or any (RFC 9110, 13.1.2)."""
    either.create_task(person)
    whole = either.ask("GET", TASKS, person.access)
    given = [("if-none-match", form.format(whole.get("etag")))]
    answer = either.ask(method, TASKS, person.access, headers=given)
    assert answer.status == status
    for name in ("etag", "cache-control", "vary"):
        assert answer.get(name) == whole.get(name)
    if status == 304:
        assert (answer.body, answer.get("content-length")) == (b"", None)


def test_a_change_has_another_tag(either: Api, person: Person) -> None:
    """A client that asks with the old one gets the new list."""
    tag = either.ask("GET", TASKS, person.access).get("etag") or ""
    task_id = either.create_task(person)
    answer = either.ask("GET", TASKS, person.access, headers=[("if-none-match", tag)])
    assert ids_of(answer) == [task_id]


def test_head_is_get_without_the_body(either: Api, person: Person) -> None:
    """All headers of the answer, also of a refusal, in whatever order they are asked for."""
    either.create_task(person)
    for path, token in ((TASKS, person.access), (f"{TASKS}?page=0", person.access), (TASKS, None)):
        for _ in range(2):
            head, get = (either.ask(method, path, token) for method in ("HEAD", "GET"))
            assert head.body == b""
            assert (head.status, head.headers) == (get.status, get.headers)
            assert head.get("content-length") == str(len(get.body))


def test_a_head_serves_the_get_behind_it(api: Api, person: Person) -> None:
    """They share what is kept."""
    api.create_task(person)
    with lists_made(1):
        assert api.ask("HEAD", TASKS, person.access).status == 200
        assert api.ask("GET", TASKS, person.access).status == 200


def test_without_a_cache_every_list_is_made(
    runner: asyncio.Runner, settings: ApiSettings, person: Person
) -> None:
    """CACHE=off: nothing is kept, and nothing is said about changes."""
    with running_api(runner, settings.model_copy(update={"cache": False})) as api:
        off = metric("agenthq_cache_total", outcome="off")
        task_id = api.create_task(person)
        with lists_made(3):
            for _ in range(3):
                assert ids_of(api.ask("GET", TASKS, person.access)) == [task_id]
        assert metric("agenthq_cache_total", outcome="off") == off + 3


def test_simultaneous_lists_are_made_once(api: Api, person: Person) -> None:
    """Fifty at once after a change: one asks PostgreSQL, the others wait for it."""

    async def scenario() -> list[Answer]:
        calls = (ask(api.app, "GET", TASKS, person.access) for _ in range(50))
        return await asyncio.gather(*calls)

    for _ in range(5):
        task_id = api.create_task(person)
        with lists_made(1):
            answers = api.run(scenario())
        assert {ids_of(answer)[0] for answer in answers} == {task_id}


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


USERS = 1_000
CONCURRENCY = 60


@dataclass
class Customer:
    """A user, and the tasks that it was told to have."""

    id: UUID
    token: str
    acknowledged: list[UUID] = field(default_factory=list)


@dataclass
class Tally:
    """What was seen."""

    lists: int = 0
    creates: int = 0
    foreign: int = 0
    missing: int = 0


def test_a_thousand_users_over_two_instances(api: Api, other: Api) -> None:
    """Nobody ever sees another's task, or misses one of the last that were acknowledged.

    CROSS_USER_REQUESTS says how many requests there are.
    """
    requests = int(os.environ.get("CROSS_USER_REQUESTS", "5000"))
    chance = random.Random(7)  # noqa: S311 - no secret
    ids = [uuid4() for _ in range(USERS)]
    customers = [Customer(one, api.token(one)) for one in ids]
    new = (NewUser(one.id, f"{one.id}@x.test", "Ann", str(one.id)) for one in customers)
    assert api.run(users.insert_missing(api.state.database, new)) == USERS
    tally = Tally()

    async def create(instance: Api, one: Customer) -> None:
        body = ORDER % str(one.id).encode()
        made = await ask(instance.app, "POST", TASKS, one.token, headers=JSON, body=body)
        assert made.status == 201, made
        assert made.json()["user_id"] == str(one.id)
        one.acknowledged.append(UUID(made.json()["id"]))
        tally.creates += 1

    async def show(instance: Api, one: Customer) -> None:
        expected = one.acknowledged[-20:]
        answer = await ask(instance.app, "GET", f"{TASKS}?page_size=40", one.token)
        assert answer.status == 200, answer
        tasks = answer.json()["tasks"]
        own = {str(one.id)}
        tally.foreign += any({task["user_id"], task["prompt"]} != own for task in tasks)
        tally.missing += not {task["id"] for task in tasks} >= {str(task) for task in expected}
        tally.lists += 1

    async def customer_service(left: Iterator[int]) -> None:
        for _ in left:
            # Few users have many requests, so that lists are hit, shared and voided at once.
            one = customers[int(USERS * chance.random() ** 3)]
            act = create if chance.random() < 0.3 else show
            await act(chance.choice((api, other)), one)

    async def scenario() -> None:
        left = iter(range(requests))
        await asyncio.gather(*(customer_service(left) for _ in range(CONCURRENCY)))

    names = ("hit", "miss", "shared", "bypass")
    before = [metric("agenthq_cache_total", outcome=name) for name in names]
    api.run(scenario())
    after = [metric("agenthq_cache_total", outcome=name) for name in names]
    counts = ", ".join(
        f"{int(b - a)} {name}" for name, a, b in zip(names, before, after, strict=True)
    )
    print(
        f"{tally.lists} lists ({counts}) and {tally.creates} creates of {USERS} users over two"
        f" instances: {tally.foreign} showed a foreign task, {tally.missing} missed an own one"
    )
    assert tally.lists + tally.creates == requests
    assert after[0] > before[0]
    assert (tally.foreign, tally.missing) == (0, 0)
