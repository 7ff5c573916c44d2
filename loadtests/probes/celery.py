"""Celery's queues on a Redis broker, as kombu lays them out.

A queue is a list: messages are pushed at its head (LPUSH) and taken from its end (BRPOP), so the oldest is the last one; what a
worker gave back is put at the end again. A message of priority 3, 6 or 9 has a list of its own, named after the queue. Messages
that a worker has taken and not acknowledged stand in the hash `unacked`, whatever queue they came from.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from loadtests.probes.redis import connect
from loadtests.probes.sample import Sample

SEPARATOR = "\x06\x16"
PRIORITIES = ("", *(f"{SEPARATOR}{step}" for step in (3, 6, 9)))
"""What kombu appends to a queue's name, by its default `priority_steps`."""
UNACKED = "unacked"


class CeleryProbe:
    """Depth and age of each queue, and the messages in progress: two round trips, of which the second asks for the oldest."""

    def __init__(self, url: str, queues: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._redis, self._queues, self._clock = connect(url), queues, clock
        self._ages = Ages()

    def read(self) -> Iterator[Sample]:
        """Samples of every queue; an empty one has depth and age 0. Raises RedisError when the broker does not answer."""
        keys = [(queue, queue + priority) for queue in self._queues for priority in PRIORITIES]
        with self._redis.pipeline(transaction=False) as pipe:
            for _, key in keys:
                pipe.llen(key)
            pipe.hlen(UNACKED)
            *lengths, in_progress = pipe.execute()
            filled = [(queue, key) for (queue, key), length in zip(keys, lengths, strict=True) if length]
            for _, key in filled:
                pipe.lindex(key, -1)
            oldest = dict(zip(filled, pipe.execute(), strict=True))
        now = self._clock()
        for queue in self._queues:
            depth = sum(length for (name, _), length in zip(keys, lengths, strict=True) if name == queue)
            ages = [self._ages.of(key, oldest.get((queue, key)), now) for name, key in keys if name == queue]
            yield Sample("celery_queue_depth", queue, float(depth))
            yield Sample("celery_oldest_message", queue, max(ages))
        yield Sample("celery_in_progress", None, float(in_progress))

    def close(self) -> None:
        """Give the connection back."""
        self._redis.close()


class Ages:
    """How long the oldest message of each list has waited.

    Exact (to the second) when its publisher set AMQP's property `timestamp`; else a lower bound: since when that message has
    been seen to be the oldest.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[bytes, float]] = {}

    def of(self, key: str, message: bytes | None, now: float) -> float:
        """Seconds; 0 for an empty list. `now` is in seconds of the Unix epoch."""
        if message is None:
            self._seen.pop(key, None)
            return 0.0
        before, since = self._seen.get(key, (b"", now))
        since = since if before == message else now
        self._seen[key] = message, since
        sent = published(message)
        return max(0.0, now - (since if sent is None else sent))


def published(message: bytes) -> float | None:
    """When the message was published, in seconds of the Unix epoch; None when its publisher did not say."""
    try:
        properties: Any = json.loads(message)["properties"]
        value = properties.get("timestamp")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None  # not kombu's; its age is still known by watching it
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
