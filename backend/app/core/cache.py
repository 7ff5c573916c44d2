"""Answers to a user's questions, kept in Redis, valid for one version of the user's data.

Every write to a user's tasks gives the user a new version *after* the commit and before its own
answer. A lookup reads the version and the stored answer in one round trip and uses the answer
only if it was made for that version; who finds none makes it from the database and stores it under
the version that was read *before* the database was. So an answer made from older data can be
stored, but never be found again. Versions are random, so that a Redis that forgot them (a restart,
an eviction) cannot repeat one.

Trouble in Redis is not trouble for the API. Commands take 100 ms at the most; after three failures
in a row the circuit is open and the database answers. Writes that cannot give their new version
wait until the trouble is `PATIENCE_S` old: by then every instance that cannot reach Redis has
noticed (each pings four times a second) and stopped using it. Before an instance uses Redis again
it replaces the *epoch*, which is part of every version: whatever was stored before counts no more.
What remains: an instance that cannot reach Redis (or whose writes it refuses) for longer than that
while another can. What it wrote may be missing from the other's lists until `cache_ttl_s`.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.core import metrics
from app.core.batch import Batcher
from app.core.breaker import Breaker

COMMAND_TIMEOUT_S = 0.1
CONNECT_TIMEOUT_S = 0.1
PING_S = 0.25
# Above the time in which every process notices that Redis is away: three pings that fail.
PATIENCE_S = 1.2
PAUSE_S = 0.02
# A user's version is forgotten an hour after the last write, which costs one miss.
VERSION_TTL_S = 3600
BATCH = 200
# How long a lookup waits for others to be asked with: a command costs what twenty keys cost.
READ_LINGER_S = 0.002

_EPOCH = b"epoch"
_STAMP_BYTES = 16
_log = logging.getLogger("agenthq.cache")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup found: the version to store under (None: do without), and the valid answer."""

    stamp: bytes | None
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class _Question:
    version_key: bytes
    answer_key: bytes


def create_redis(url: str, single: bool = False) -> Redis:
    """A client that connects at its first command and fails fast, without a retry of its own.

    A `single` one keeps to one connection and leaves timeouts to its caller: it costs a third.
    """
    return Redis.from_url(
        url,
        socket_timeout=None if single else COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=single,
    )


class Cache:
    """The cache of one process; `run` must be running beside it."""

    def __init__(self, url: str, ttl_s: float) -> None:
        # Each batcher has one batch under way, so one connection.
        self._reader, self._writer = create_redis(url, single=True), create_redis(url, single=True)
        # Also without a timeout of its own: until Python 3.12 redis-py's may swallow a cancellation
        # (by asyncio.wait_for), and the process would not end.
        self._pinger = create_redis(url, single=True)
        self._ttl_ms = round(ttl_s * 1000)
        self._breaker = Breaker()
        self._reads: Batcher[_Question, Found] = Batcher(self._read, BATCH, READ_LINGER_S)
        self._writes: Batcher[tuple[Any, ...], bool] = Batcher(self._write, BATCH)

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: Redis is left alone."""
        return self._breaker.is_open

    async def look_up(self, user_id: UUID, name: bytes) -> Found:
        """The valid answer to the user's question `name`, or what to store one under."""
        if self._breaker.is_open:
            return Found(None, None)
        key = user_id.bytes
        try:
            found = await self._reads.call(_Question(b"v:" + key, b"a:" + key + name))
            if found.stamp == b"":
                found = Found(await self._make_stamp(b"v:" + key), None)
        except _TROUBLE:
            return Found(None, None)
        return found

    async def store(self, user_id: UUID, name: bytes, stamp: bytes, answer: bytes) -> None:
        """Keep an answer that was made after the stamp was looked up; failing is only counted."""
        if self._breaker.is_open:
            return
        key = b"a:" + user_id.bytes + name
        try:
            await self._writes.call(("SET", key, stamp + answer, "PX", self._ttl_ms))
        except _TROUBLE:
            return

    async def changed(self, user_ids: Iterable[UUID]) -> None:
        """Answers made until now count no more; to be called between a commit and its answer."""
        left = set(user_ids)
        if len(left) == 1 and await self._told(next(iter(left))):
            return
        began_s = _now_s()
        while left:
            tries = await asyncio.gather(
                *(self._writes.call(new_version(user_id)) for user_id in left),
                return_exceptions=True,
            )
            left = {one for one, tried in zip(left, tries, strict=True) if tried is not True}
            since_s = self._breaker.failing_since_s
            if left and _now_s() >= (began_s if since_s is None else since_s) + PATIENCE_S:
                self._breaker.open(_now_s())
                return
            if left:
                await asyncio.sleep(PAUSE_S)

    async def _told(self, user_id: UUID) -> bool:
        try:
            return await self._writes.call(new_version(user_id))
        except _TROUBLE:
            return False

    async def run(self) -> None:
        """Notice that Redis is away, also when nobody asks; start anew when it is back."""
        while True:
            await asyncio.sleep(PING_S)
            if self._breaker.is_open:
                metrics.CACHE_OPEN.set(1)
                await self._recover()
            else:
                metrics.CACHE_OPEN.set(0)
                with suppress(*_TROUBLE):
                    await self._guarded("PING", self._pinger.ping)

    async def close(self) -> None:
        """Give the connections back."""
        for client in (self._reader, self._writer, self._pinger):
            await client.aclose()

    async def _recover(self) -> None:
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S * 2):
                await self._pinger.set(_EPOCH, secrets.token_bytes(_STAMP_BYTES))
        except _TROUBLE:
            return
        self._breaker.close()
        _log.warning("Redis is back; everything cached before counts no more")

    async def _make_stamp(self, version_key: bytes) -> bytes | None:
        """Make the epoch and the version that are missing; None when that failed."""
        epoch = ("SET", _EPOCH, secrets.token_bytes(_STAMP_BYTES), "NX")
        version = ("SET", version_key, secrets.token_bytes(_STAMP_BYTES), "NX", "EX", VERSION_TTL_S)
        await asyncio.gather(self._writes.call(epoch), self._writes.call(version))
        # Another one may have been faster: what counts is what is there.
        found = await self._reads.call(_Question(version_key, b"a:"))
        return found.stamp or None

    async def _read(self, questions: Sequence[_Question]) -> list[Found | Exception]:
        keys = [_EPOCH]
        for question in questions:
            keys += (question.version_key, question.answer_key)
        epoch, *values = await self._guarded("MGET", lambda: _mget(self._reader, keys))
        return [
            _judge(epoch, version, answer)
            for version, answer in zip(values[::2], values[1::2], strict=True)
        ]

    async def _write(self, commands: Sequence[tuple[Any, ...]]) -> list[bool | Exception]:
        async def send() -> list[Any]:
            if len(commands) == 1:  # a pipeline costs twice as much
                return [await self._writer.execute_command(*commands[0])]  # type: ignore[no-untyped-call]
            pipeline = self._writer.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return list(await pipeline.execute(raise_on_error=False))

        results = await self._guarded("SET", send)
        return [one if isinstance(one, Exception) else True for one in results]

    async def _guarded(self, command: str, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask Redis; the breaker is told how it went. Raises what went wrong."""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                answer = await ask()
        except _TROUBLE as error:
            metrics.CACHE_ERRORS.labels(command).inc()
            was_open = self._breaker.is_open
            self._breaker.failed(_now_s())
            if self._breaker.is_open and not was_open:
                _log.warning("Redis is away (%s), going on without", type(error).__name__)
            raise
        self._breaker.succeeded()
        return answer


async def _mget(redis: Redis, keys: list[bytes]) -> list[bytes | None]:
    values: list[Any] = await redis.mget(keys)
    return values


_TROUBLE = (RedisError, OSError, TimeoutError)


def new_version(user_id: UUID) -> tuple[Any, ...]:
    """The Redis command after which nothing that was cached for the user counts."""
    version = secrets.token_bytes(_STAMP_BYTES)
    return ("SET", b"v:" + user_id.bytes, version, "EX", VERSION_TTL_S)


def _judge(epoch: bytes | None, version: bytes | None, answer: bytes | None) -> Found:
    if epoch is None or version is None:
        return Found(b"", None)
    stamp = epoch + version
    if answer is None or not answer.startswith(stamp):
        return Found(stamp, None)
    return Found(stamp, answer[len(stamp) :])


def _now_s() -> float:
    return asyncio.get_running_loop().time()
