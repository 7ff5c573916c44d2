"""The response cache's rules, on a real Redis that goes away, hangs, forgets and refuses."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis
from sqlalchemy.engine import URL, make_url

from app.core import cache as rules
from app.core.breaker import FAILURES
from app.core.cache import COMMAND_TIMEOUT_S, PATIENCE_S, PING_S, Cache, Found
from app.settings import ApiSettings
from tests.proxy import Proxy, proxy
from tests.support import metric, until

LIST = b"/api/v1/tasks?"
TTL_S = 60.0
NOTHING = Found(None, None)
# Nobody else uses this one, so it may be emptied.
DATABASE = "15"
Scenario = Callable[[], Coroutine[Any, Any, None]]
Break = Callable[[Proxy], None]
# The two ways in which a server goes away: it refuses, or it says nothing.
ways = pytest.mark.parametrize("away", [Proxy.cut, Proxy.freeze], ids=["cut", "frozen"])


@pytest.fixture
def url(settings: ApiSettings) -> URL:
    """A Redis database for these tests."""
    return make_url(settings.redis_url).set(database=DATABASE)


@pytest.fixture
def redis(url: URL) -> Iterator[Redis]:
    """A client of it, with an empty database."""
    with Redis.from_url(text(url)) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def far(url: URL) -> Iterator[Proxy]:
    """A proxy to it."""
    with proxy(url.host or "127.0.0.1", url.port or 6379) as running:
        yield running


@pytest.fixture
def far_url(url: URL, far: Proxy) -> URL:
    """Redis behind the proxy."""
    return url.set(host="127.0.0.1", port=far.port)


def text(url: URL) -> str:
    """The URL with its password."""
    return url.render_as_string(hide_password=False)


@contextlib.asynccontextmanager
async def running(url: URL) -> AsyncIterator[Cache]:
    """A cache as an instance of the API has it."""
    cache = Cache(text(url), TTL_S)
    loop = asyncio.create_task(cache.run())
    try:
        yield cache
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await cache.close()


async def stored(cache: Cache, user: UUID, answer: bytes, name: bytes = LIST) -> bytes:
    """Store the answer as the middleware does; its stamp."""
    found = await cache.look_up(user, name)
    assert found.stamp is not None
    await cache.store(user, name, found.stamp, answer)
    return found.stamp


async def timed(call: Coroutine[Any, Any, Any]) -> float:
    """How long it takes, in seconds."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await call
    return loop.time() - began_s


def test_what_is_stored_is_found(url: URL, redis: Redis) -> None:
    """By the same user and under the same name only, and not for ever."""

    async def scenario() -> None:
        ann, bob = uuid4(), uuid4()
        async with running(url) as cache:
            stamp = await stored(cache, ann, b"answer")
            assert await cache.look_up(ann, LIST) == Found(stamp, b"answer")
            assert await cache.look_up(ann, LIST + b"page=2") == Found(stamp, None)
            other = await cache.look_up(bob, LIST)
            assert other.answer is None
            assert other.stamp not in (None, stamp)
        assert 0 < redis.pttl(b"a:" + ann.bytes + LIST) <= TTL_S * 1000
        assert 0 < redis.ttl(b"v:" + ann.bytes) <= rules.VERSION_TTL_S

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [b"", b"x", secrets.token_bytes(300_000)], ids=len)
def test_answers_come_back_as_they_were(url: URL, redis: Redis, answer: bytes) -> None:
    """Every byte, whatever it is."""

    async def scenario() -> None:
        user = uuid4()
        async with running(url) as cache:
            stamp = await stored(cache, user, answer)
            assert await cache.look_up(user, LIST) == Found(stamp, answer)

    asyncio.run(scenario())


def test_a_change_makes_every_answer_of_the_user_void(url: URL, redis: Redis) -> None:
    """And nobody else's."""

    async def scenario() -> None:
        ann, bob, eve = uuid4(), uuid4(), uuid4()
        async with running(url) as cache:
            for user in (ann, bob, eve):
                await stored(cache, user, b"1")
                await stored(cache, user, b"2", LIST + b"page=2")
            await cache.changed([ann, eve])
            for name in (LIST, LIST + b"page=2"):
                assert (await cache.look_up(ann, name)).answer is None
                assert (await cache.look_up(eve, name)).answer is None
                assert (await cache.look_up(bob, name)).answer is not None

    asyncio.run(scenario())


def test_an_answer_from_before_a_change_is_never_found(url: URL, redis: Redis) -> None:
    """Read before, stored after: the database was asked too early."""

    async def scenario() -> None:
        user = uuid4()
        async with running(url) as cache:
            early = await cache.look_up(user, LIST)
            assert early.stamp is not None
            await cache.changed([user])
            await cache.store(user, LIST, early.stamp, b"old")
            late = await cache.look_up(user, LIST)
            assert late.answer is None
            assert late.stamp not in (None, early.stamp)
            # Nor does it come back when a later answer was there and is void again.
            await stored(cache, user, b"new")
            await cache.changed([user])
            await cache.store(user, LIST, early.stamp, b"old")
            assert (await cache.look_up(user, LIST)).answer is None

    asyncio.run(scenario())


def test_instances_see_each_other_s_changes(url: URL, redis: Redis) -> None:
    """What one stores the other finds; what one voids is void for the other."""

    async def scenario() -> None:
        user = uuid4()
        async with running(url) as one, running(url) as other:
            for number in range(20):
                stamp = await stored(one, user, b"%d" % number)
                assert await other.look_up(user, LIST) == Found(stamp, b"%d" % number)
                await other.changed([user])
                assert (await one.look_up(user, LIST)).answer is None

    asyncio.run(scenario())


def test_instances_that_begin_together_agree(url: URL, redis: Redis) -> None:
    """Epoch and version are missing, both make them, and both get what is there."""

    async def scenario() -> None:
        async with running(url) as one, running(url) as other:
            for _ in range(10):
                redis.flushdb()
                user = uuid4()
                calls = [cache.look_up(user, LIST) for cache in (one, other) for _ in range(5)]
                (found,) = set(await asyncio.gather(*calls))
                assert found.stamp
                assert found.answer is None

    asyncio.run(scenario())


def test_a_redis_that_forgot_knows_nothing_old(url: URL, redis: Redis) -> None:
    """Versions are random: what was made before a restart fits none that is made after it."""

    async def scenario() -> None:
        user = uuid4()
        async with running(url) as cache:
            stamp = await stored(cache, user, b"old")
            redis.flushdb()
            fresh = await cache.look_up(user, LIST)
            assert fresh.answer is None
            assert fresh.stamp not in (None, stamp)
            await cache.store(user, LIST, stamp, b"old")
            assert (await cache.look_up(user, LIST)).answer is None

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ["epoch", "version"])
def test_a_key_that_was_evicted_costs_a_miss(url: URL, redis: Redis, key: str) -> None:
    """Either half of a stamp is made anew, and the old answer does not fit it."""

    async def scenario() -> None:
        user = uuid4()
        async with running(url) as cache:
            stamp = await stored(cache, user, b"old")
            assert redis.delete(b"epoch" if key == "epoch" else b"v:" + user.bytes) == 1
            found = await cache.look_up(user, LIST)
            assert found.answer is None
            assert found.stamp not in (None, stamp)

    asyncio.run(scenario())


def test_who_cannot_reach_redis_has_noticed_before_others_go_on() -> None:
    """A write without its new version is answered only when no instance believes in the old one."""
    assert FAILURES * (PING_S + COMMAND_TIMEOUT_S) < PATIENCE_S


@ways
def test_without_redis_lookups_find_nothing_and_soon(
    far_url: URL, far: Proxy, redis: Redis, away: Break
) -> None:
    """Each takes a command's time at the most; when the circuit is open, none."""

    async def scenario() -> None:
        user = uuid4()
        async with running(far_url) as cache:
            stamp = await stored(cache, user, b"old")
            before = metric("agenthq_cache_errors_total", command="MGET")
            away(far)
            took_s = []
            while not cache.is_open:
                took_s.append(await timed(cache.look_up(user, LIST)))
                assert len(took_s) <= FAILURES
            assert max(took_s) < COMMAND_TIMEOUT_S + 0.4
            assert 1 <= metric("agenthq_cache_errors_total", command="MGET") - before <= FAILURES
            asked = metric("agenthq_cache_errors_total", command="MGET")
            assert await cache.look_up(user, LIST) == NOTHING
            await cache.store(user, LIST, stamp, b"new")
            assert metric("agenthq_cache_errors_total", command="MGET") == asked

    asyncio.run(scenario())


@ways
def test_it_notices_also_when_nobody_asks(
    far_url: URL, far: Proxy, redis: Redis, away: Break
) -> None:
    """By its own pings; and it says so."""

    async def scenario() -> None:
        async with running(far_url) as cache:
            await stored(cache, uuid4(), b"answer")
            away(far)
            await until(lambda: cache.is_open, "the circuit is open")
            await until(lambda: metric("agenthq_cache_open") == 1, "the gauge says so")
            far.restore() if away is Proxy.cut else far.thaw()
            await until(lambda: not cache.is_open, "the circuit is closed")
            await until(lambda: metric("agenthq_cache_open") == 0, "the gauge says so")

    asyncio.run(scenario())


@ways
def test_after_trouble_nothing_old_counts(
    far_url: URL, url: URL, far: Proxy, redis: Redis, away: Break
) -> None:
    """Redis kept everything, but who was without it may have written: the epoch is another."""

    async def scenario() -> None:
        user, other = uuid4(), uuid4()
        async with running(far_url) as cache, running(url) as near:
            stamps = [await stored(cache, one, b"old") for one in (user, other)]
            away(far)
            await cache.changed([user])
            assert cache.is_open
            far.restore() if away is Proxy.cut else far.thaw()
            await until(lambda: not cache.is_open, "the circuit is closed")
            for one in (user, other):
                for instance in (cache, near):
                    found = await instance.look_up(one, LIST)
                    if found == NOTHING:  # by a connection that was cut and not used since
                        found = await instance.look_up(one, LIST)
                    assert found.answer is None
                    assert found.stamp not in (None, *stamps)

    asyncio.run(scenario())


@ways
def test_changes_in_trouble_wait_no_longer_than_needed(
    far_url: URL, far: Proxy, redis: Redis, away: Break
) -> None:
    """Fifty at once as one alone: until the trouble is old enough; later ones hardly at all."""

    async def scenario() -> None:
        async with running(far_url) as cache:
            await stored(cache, uuid4(), b"answer")
            away(far)
            calls = [timed(cache.changed([uuid4() for _ in range(1 + n % 3)])) for n in range(50)]
            took_s = await asyncio.gather(*calls)
            assert min(took_s) >= PATIENCE_S - 0.01
            assert max(took_s) < PATIENCE_S + 1.0
            assert cache.is_open
            later_s = await asyncio.gather(*(timed(cache.changed([uuid4()])) for _ in range(50)))
            assert max(later_s) < 1.0

    asyncio.run(scenario())


def test_a_change_in_short_trouble_is_not_lost(
    far_url: URL, url: URL, far: Proxy, redis: Redis
) -> None:
    """It is told again until Redis has heard it, before the write is answered."""

    async def scenario() -> None:
        users = [uuid4() for _ in range(20)]
        async with running(far_url) as cache, running(url) as near:
            for user in users:
                await stored(near, user, b"old")
            far.freeze()
            calls = asyncio.gather(*(cache.changed([user]) for user in users))
            before = metric("agenthq_cache_errors_total", command="SET")
            await until(
                lambda: metric("agenthq_cache_errors_total", command="SET") > before, "a failure"
            )
            far.thaw()
            await calls
            for user in users:
                assert (await near.look_up(user, LIST)).answer is None

    asyncio.run(scenario())


def test_a_late_answer_is_nobody_s(far_url: URL, url: URL, far: Proxy, redis: Redis) -> None:
    """What Redis says to a command that was given up is not taken for another one's answer."""

    async def scenario() -> None:
        users = [uuid4() for _ in range(30)]
        async with running(far_url) as cache:
            for _ in range(5):
                await until(lambda: not cache.is_open, "the circuit is closed")
                for user in users:
                    await stored(cache, user, user.bytes)
                far.freeze()
                late = asyncio.gather(*(cache.look_up(user, LIST) for user in users[:10]))
                assert set(await late) == {NOTHING}
                far.thaw()
                found = await asyncio.gather(*(cache.look_up(user, LIST) for user in users[10:]))
                for user, one in zip(users[10:], found, strict=True):
                    assert one.answer in (None, user.bytes)

    asyncio.run(scenario())


def test_a_redis_that_refuses_writes_is_not_used(url: URL, redis: Redis) -> None:
    """It answers pings and reads (full, or a replica); changes could not be told."""
    name, password = "readonly", secrets.token_hex(8)
    redis.acl_setuser(
        name,
        enabled=True,
        passwords=[f"+{password}"],
        keys=["*"],
        categories=["+@read", "+@connection"],
    )
    try:

        async def scenario() -> None:
            user = uuid4()
            async with running(url) as near:
                stamp = await stored(near, user, b"old")
            async with running(url.set(username=name, password=password)) as cache:
                assert await cache.look_up(user, LIST) == Found(stamp, b"old")
                assert await cache.look_up(uuid4(), LIST) == NOTHING
                await cache.store(user, LIST, stamp, b"new")
                await cache.changed([user])
                assert cache.is_open
                assert await cache.look_up(user, LIST) == NOTHING
                # It stays so: the epoch cannot be replaced either.
                assert await timed(cache.changed([user])) < 0.5
                assert cache.is_open

        asyncio.run(scenario())
    finally:
        redis.acl_deluser(name)


def test_an_open_circuit_costs_a_change_little(far_url: URL, far: Proxy, redis: Redis) -> None:
    """One try that fails at once, in case Redis is back."""

    async def scenario() -> None:
        async with running(far_url) as cache:
            far.cut()
            await cache.changed([uuid4()])
            assert await timed(cache.changed([uuid4()])) < 0.3

    asyncio.run(scenario())


def test_its_loop_can_be_ended_at_any_moment(
    url: URL, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of a ping: else the process could not end."""
    monkeypatch.setattr(rules, "PING_S", 0.0)

    async def scenario() -> None:
        for turns in range(150):
            cache = Cache(text(url), TTL_S)
            loop = asyncio.create_task(cache.run())
            for _ in range(turns):
                await asyncio.sleep(0)
            loop.cancel()
            ended, _ = await asyncio.wait([loop], timeout=2)
            assert ended, f"it goes on after {turns} turns"
            await cache.close()

    asyncio.run(scenario())
