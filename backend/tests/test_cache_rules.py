"""The response cache's rules, on a real Redis that is there, and forgets."""

import asyncio
import secrets
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy.engine import URL

from app.core import cache as rules
from app.core.cache import Cache, Found
from tests.cache_support import LIST, TTL_S, running, stored, text
from tests.cache_support import redis as redis
from tests.cache_support import url as url


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
