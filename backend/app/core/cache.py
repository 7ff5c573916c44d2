"""The Redis client of an API process."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.settings import ApiSettings

COMMAND_TIMEOUT_S = 0.1
CONNECT_TIMEOUT_S = 0.5


def create_redis(settings: ApiSettings) -> Redis:
    """A client that fails fast: trouble in Redis must not become trouble everywhere.

    It connects at its first command. A command takes at most `COMMAND_TIMEOUT_S`, without a retry.
    """
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
