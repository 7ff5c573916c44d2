"""The response cache's rules, on a real Redis that goes away, hangs and refuses."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy.engine import URL

from app.core.breaker import FAILURES
from app.core.cache import COMMAND_TIMEOUT_S, PATIENCE_S, PING_S, Found
from tests.cache_support import LIST, running, stored
from tests.cache_support import redis as redis
from tests.cache_support import url as url
from tests.proxy import Proxy, proxy
from tests.support import metric, until

NOTHING = Found(None, None)
Break = Callable[[Proxy], None]
# The two ways in which a server goes away: it refuses, or it says nothing.
ways = pytest.mark.parametrize("away", [Proxy.cut, Proxy.freeze], ids=["cut", "frozen"])


@pytest.fixture
def far(url: URL) -> Iterator[Proxy]:
    """A proxy to it."""
    with proxy(url.host or "127.0.0.1", url.port or 6379) as running:
        yield running


@pytest.fixture
def far_url(url: URL, far: Proxy) -> URL:
    """Redis behind the proxy."""
    return url.set(host="127.0.0.1", port=far.port)


async def timed(call: Coroutine[Any, Any, Any]) -> float:
    """How long it takes, in seconds."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await call
    return loop.time() - began_s


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
