"""A Redis database for tests of the response cache, and a cache as an instance has it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy.engine import URL, make_url

from app.core.cache import Cache
from app.settings import ApiSettings

LIST = b"/api/v1/tasks?"
TTL_S = 60.0
# Nobody else uses this one, so it may be emptied.
DATABASE = "15"
Scenario = Callable[[], Coroutine[Any, Any, None]]


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
