"""What a Redis (or Valkey) server says of itself: one INFO a round."""

from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from loadtests.probes.rates import Rounds
from loadtests.probes.sample import Sample

TIMEOUT_S = 2
CLIENT = "loadtest-probe"
RATES = {
    "redis_hits": "keyspace_hits",
    "redis_misses": "keyspace_misses",
    "redis_commands": "total_commands_processed",
    "redis_evictions": "evicted_keys",
}
GAUGES = {"redis_memory": "used_memory", "redis_clients": "connected_clients", "redis_blocked_clients": "blocked_clients"}


def connect(url: str) -> "Redis":
    """A client that gives up after two seconds and repeats nothing: a round that fails is a gap. Connects when it is used."""
    client: Redis = Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0), client_name=CLIENT
    )
    return client


class RedisProbe:
    """The whole server's numbers, whatever database the URL names."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        self._rounds = Rounds()

    def read(self) -> Iterator[Sample]:
        """Rates since the round before (none in the first) and gauges. Raises RedisError when the server does not answer."""
        info: Mapping[str, Any] = self._redis.info()
        yield from samples(info, self._rounds)

    def close(self) -> None:
        """Give the connection back."""
        self._redis.close()


def samples(info: Mapping[str, Any], rounds: Rounds) -> Iterator[Sample]:
    """The samples in an answer to INFO. A hit ratio is known only of a round with look-ups."""
    growth = rounds.step({metric: float(info[field]) for metric, field in RATES.items()})
    for metric in RATES:
        rate = growth.per_second(metric)
        if rate is not None:
            yield Sample(metric, None, rate)
    ratio = growth.share("redis_hits", "redis_misses")
    if ratio is not None:
        yield Sample("redis_hit_ratio", None, ratio)
    for metric, field in GAUGES.items():
        own = 1 if metric == "redis_clients" else 0  # the probe's own connection is not the stack's
        yield Sample(metric, None, float(info[field]) - own)
